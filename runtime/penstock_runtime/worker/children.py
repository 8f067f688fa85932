"""Child processes of a worker in which suspects are tried apart, so that its other tasks go on."""

import asyncio
import json
import os
import secrets
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from penstock_runtime import logs
from penstock_runtime.agent.boundary import Broken, caught
from penstock_runtime.worker.contact import Contact
from penstock_runtime.worker.counts import Counts, read_samples
from penstock_runtime.worker.crew import LAST_STEP_SECONDS, Duty
from penstock_store.store import Store

MOST_CHILDREN: Final = 2
SUSPECTS: Final = "--suspects"  # the argument that makes a worker's process such a child
_ROUNDS: Final = 10  # looks for silent consumers in one claim time
_START_SECONDS: Final = 120.0  # a crowded machine may take a minute to start Python
_SILENT_CLAIM_TIMES: Final = 2  # so many claim times without a word, and a child hangs
_SILENT_SECONDS: Final = 10.0  # but no less than this
_LONGEST_PAUSE_SECONDS: Final = 60.0  # between children that cannot start
_BURIALS: Final = 3  # later the claim time of what it held is over anyway
_DRAIN_AHEAD_SECONDS: Final = 1.0  # a child hands back before its parent must be gone
_LINE_BYTES: Final = 1 << 20

log = logs.get()


class Spawn(Protocol):
    """Starts a child process of a worker.

    Its standard input is open as long as the parent lives; it writes reports to ``report``.
    """

    async def __call__(self, consumer: str, concurrency: int, report: int) -> Process:
        """The process, started."""
        ...


@dataclass
class Child:
    """A process that tries suspects. ``running`` is how many tasks it works on."""

    consumer: str
    process: Process
    reports: asyncio.StreamReader
    running: int = 0
    heard: bool = False
    in_order: bool = False  # its last word was that it ends
    told_to_stop: bool = False


@dataclass(frozen=True)
class Spawner:
    """Starts this very program as a child, with the environment of its parent.

    ``environment`` is the parent's, ``drain_seconds`` its grace period.
    """

    environment: Mapping[str, str]
    drain_seconds: float

    async def __call__(self, consumer: str, concurrency: int, report: int) -> Process:
        """Start ``python -m penstock_runtime.worker --suspects CONSUMER FD``."""
        drain_seconds = max(0.0, self.drain_seconds - _DRAIN_AHEAD_SECONDS)
        told = {
            "PENSTOCK_CONCURRENCY": str(concurrency),
            "PENSTOCK_DRAIN_SECONDS": str(drain_seconds),
        }
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "penstock_runtime.worker", SUSPECTS, consumer, str(report),
            env={**self.environment, **told},
            stdin=asyncio.subprocess.PIPE,
            pass_fds=(report,),
        )  # fmt: skip


class Children:
    """At most two children: started while suspects wait, watched, ended with their parent.

    ``shown`` is called when the number of their tasks has changed.
    """

    def __init__(
        self,
        store: Store,
        duty: Duty,
        spawn: Spawn,
        contact: Contact,
        shown: Callable[[], None],
    ) -> None:
        self._store = store
        self._duty = duty
        self._spawn = spawn
        self._contact = contact
        self._shown = shown
        self._children: list[Child] = []
        self._watching: set[asyncio.Task[None]] = set()
        self._looking = asyncio.Event()
        self._clock = asyncio.get_running_loop().time
        self._part_from = 0.0
        self._start_from = 0.0
        self._failures = 0
        self._stopping = False
        self.counts = Counts()

    @property
    def running(self) -> int:
        """How many tasks the children work on."""
        return sum(child.running for child in self._children)

    def wait_for_renewals(self) -> None:
        """After an outage all claims look abandoned: every worker gets the time to renew its own."""
        self._part_from = self._clock() + self._duty.claim_idle_seconds

    async def keep(self, group: asyncio.TaskGroup) -> None:
        """Have what silent consumers left parted, and tried in children, for ever."""
        duty = self._duty
        pause = min(duty.heartbeat_seconds, duty.claim_idle_seconds / _ROUNDS)
        while True:
            self._looking.clear()
            if self._clock() >= self._part_from:
                parted = await caught(self._part(group))
                if isinstance(parted, Broken):
                    self._contact.failed("part", parted)
            try:
                async with asyncio.timeout(pause):
                    await self._looking.wait()
            except TimeoutError:
                continue

    async def _part(self, group: asyncio.TaskGroup) -> None:
        duty = self._duty
        idle_ms = round(duty.claim_idle_seconds * 1000)
        call = self._store.queue.part(duty.agent, duty.revision, idle_ms)
        waiting = await self._contact.asked("part", call) or 0
        free = MOST_CHILDREN - len(self._watching)
        if self._clock() < self._start_from:
            return
        for _ in range(min(waiting, free)):
            watching = group.create_task(self._guarded(), name="suspects in a child")
            self._watching.add(watching)
            watching.add_done_callback(self._watched)

    def _watched(self, watching: asyncio.Task[None]) -> None:
        self._watching.discard(watching)
        self._looking.set()  # what it left may be tried in another child at once

    async def _guarded(self) -> None:
        broken = await caught(self._tried())
        if isinstance(broken, Broken):
            self._failed_to_start()
            words = "no child process for suspects"
            log.error(words, error=broken.words, where=broken.where)

    # -- one child -----------------------------------------------------------------------------

    async def _tried(self) -> None:
        """One child from its start to its end."""
        child = await self._started()
        self._children.append(child)
        if self._stopping:
            tell_to_stop(child)
        try:
            hung = await self._hangs(child)
            if hung:
                log.error("a child hangs; killed", consumer=child.consumer)
                kill(child.process)
            code = await child.process.wait()
        finally:
            kill(child.process)
            self._children.remove(child)
            self.counts.ended(child.consumer)
            self._shown()
        await self._buried(child, code, hung=hung)

    async def _started(self) -> Child:
        consumer = f"{self._duty.consumer}-{secrets.token_hex(4)}"
        share = max(1, self._duty.concurrency // MOST_CHILDREN)
        reading, writing = os.pipe()
        try:
            process = await self._spawn(consumer, share, writing)
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        reports = asyncio.StreamReader(limit=_LINE_BYTES)
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reports), os.fdopen(reading, "rb")
        )
        log.info("suspects are tried in a child", consumer=consumer, pid=process.pid)
        return Child(consumer, process, reports)

    async def _hangs(self, child: Child) -> bool:
        """Read a child's reports until it ends; True when it has been silent for too long.

        It is silent only after two spells of silence: the whole machine may have stood still.
        """
        spell = max(_SILENT_SECONDS, self._duty.claim_idle_seconds * _SILENT_CLAIM_TIMES) / 2
        silent = 0
        while silent < 2:
            try:
                async with asyncio.timeout(spell if child.heard else _START_SECONDS / 2):
                    line = await child.reports.readline()
            except TimeoutError:
                silent += 1
                continue
            if not line.endswith(b"\n"):  # its end, in the middle of a line perhaps
                return False
            silent = 0
            self._hear(child, line)
        return True

    def _hear(self, child: Child, line: bytes) -> None:
        said = json.loads(line)
        child.heard, child.running, child.in_order = True, int(said["running"]), said["ends"]
        self._failures = 0
        self.counts.of(child.consumer, read_samples(said["samples"]))
        self._shown()

    async def _buried(self, child: Child, code: int, *, hung: bool) -> None:
        """Have what a dead child held tried in smaller groups; one that ended in order left none."""
        if code == 0 and child.in_order:
            return
        if not child.heard:
            self._failed_to_start()
        told = child.told_to_stop and not hung
        log.warning("a child ended", consumer=child.consumer, code=code, death=not told)
        duty = self._duty
        for _ in range(_BURIALS):
            call: Awaitable[object] = (
                self._store.claims.leave(duty.agent, duty.revision, child.consumer)
                if told
                else self._store.queue.bury(duty.agent, duty.revision, child.consumer)
            )
            if not isinstance(await caught(call), Broken):
                break
            await asyncio.sleep(1.0)

    def _failed_to_start(self) -> None:
        self._failures += 1
        pause = min(_LONGEST_PAUSE_SECONDS, 2.0**self._failures)
        self._start_from = self._clock() + pause

    # -- the end -------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Have all children hand back what they hold; those that do not end in time are killed."""
        self._stopping = True
        for child in self._children:
            tell_to_stop(child)
        if self._watching:
            grace = self._duty.drain_seconds + LAST_STEP_SECONDS
            await asyncio.wait(self._watching, timeout=grace)
        for child in list(self._children):
            kill(child.process)
        if self._watching:
            await asyncio.wait(self._watching, timeout=LAST_STEP_SECONDS)


def tell_to_stop(child: Child) -> None:
    """Have a child hand back what it holds."""
    child.told_to_stop = True
    if child.process.returncode is None:
        child.process.send_signal(signal.SIGTERM)


def kill(process: Process) -> None:
    """Kill a process that may have ended by itself."""
    if process.returncode is None:
        try:
            process.kill()
        except ProcessLookupError:
            return
