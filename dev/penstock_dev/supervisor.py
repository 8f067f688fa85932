"""Keeps the components of one environment running until told to stop.

The supervisor is a process of its own. It ends when it gets SIGTERM or SIGINT, or when the
lifeline (a pipe whose other end its starter holds) closes; its children end with it.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import httpx

from penstock_dev import processes
from penstock_dev.state import StateDirectory

Report = Callable[[str], None]

_RESTART_DELAYS_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_HEALTHY_AFTER_SECONDS = 10.0
_EXITS_BEFORE_GIVING_UP = 3
_POLL_SECONDS = 0.05
# Probes are plain HTTP; loading the certificates of the world for each would cost more than it.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class StartFailed(Exception):
    """A component could not be started; the message is the reason in one line."""


@dataclass(frozen=True)
class Ready:
    """The component answers."""


@dataclass(frozen=True)
class NotReady:
    """The component does not answer (well) yet, with what was seen."""

    seen: str


Readiness = Ready | NotReady
Probe = Callable[[], Awaitable[Readiness]]


@dataclass(frozen=True)
class Component:
    """One program of the environment. Waves stop in descending order."""

    name: str
    command: tuple[str, ...]
    probe: Probe
    wave: int
    environment: Mapping[str, str] = field(default_factory=dict)
    start_deadline_seconds: float = 120.0
    grace_seconds: float = 10.0


def restart_delay_seconds(exits_in_a_row: int) -> float:
    """How long to wait before start number `exits_in_a_row` + 1; grows to ten seconds."""
    return _RESTART_DELAYS_SECONDS[min(exits_in_a_row, len(_RESTART_DELAYS_SECONDS)) - 1]


class Keeper:
    """Runs one component, and runs it again when it ends unasked."""

    def __init__(self, component: Component, state: StateDirectory, report: Report) -> None:
        self.component = component
        self._state = state
        self._report = report
        self._child: processes.Child | None = None
        self._stopping = asyncio.Event()
        self.exits = 0
        self.last_exit = ""

    async def run(self) -> None:
        """Until `stop`: start, wait for the end, say so, wait, start again."""
        exits_in_a_row = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            self._child = self._spawn()
            code = await self._child.wait()
            self._state.run_file(self.component.name).unlink(missing_ok=True)
            if self._stopping.is_set():
                return
            lived_seconds = time.monotonic() - started
            exits_in_a_row = 1 if lived_seconds > _HEALTHY_AFTER_SECONDS else exits_in_a_row + 1
            self._note_exit(code, lived_seconds)
            await self._pause(restart_delay_seconds(exits_in_a_row))

    def _spawn(self) -> processes.Child:
        component = self.component
        child = processes.spawn(
            component.name,
            component.command,
            environment={**component.environment, processes.OWNER_VARIABLE: self._state.owner},
            log_path=self._state.log(component.name),
        )
        self._state.record(component.name, child.identity, command=list(component.command))
        return child

    def _note_exit(self, code: int, lived_seconds: float) -> None:
        self.exits += 1
        how = f"exited with code {code}" if code >= 0 else f"was killed by signal {-code}"
        last = processes.last_lines(self._state.log(self.component.name), lines=1)
        self.last_exit = f"{how}: {last}" if last else how
        stays_down = self._state.stopped_file(self.component.name).exists()
        then = "it stays down as asked" if stays_down else "starting it again"
        self._report(f"{self.component.name} {how} after {lived_seconds:.1f} s; {then}")

    async def _pause(self, seconds: float) -> None:
        """Wait `seconds`, and for as long as someone wants the component down."""
        deadline = time.monotonic() + seconds
        stopped = self._state.stopped_file(self.component.name)
        while stopped.exists() or time.monotonic() < deadline:
            if self._stopping.is_set():
                return
            await asyncio.sleep(_POLL_SECONDS)

    async def wait_ready(self) -> None:
        """Until the component's probe passes.

        Raises StartFailed after its deadline, or when it keeps ending.
        """
        component = self.component
        deadline = time.monotonic() + component.start_deadline_seconds
        while True:
            readiness = await component.probe()
            if isinstance(readiness, Ready):
                return
            if self.exits >= _EXITS_BEFORE_GIVING_UP:
                raise StartFailed(f"{component.name} {self.last_exit}")
            if time.monotonic() > deadline:
                allowed = component.start_deadline_seconds
                raise StartFailed(
                    f"{component.name} is not ready after {allowed:.0f} s: {readiness.seen}"
                )
            await asyncio.sleep(_POLL_SECONDS)

    async def stop(self) -> None:
        """End the component and do not start it again."""
        self._stopping.set()
        if self._child:
            await self._child.stop(self.component.grace_seconds)


class Crew:
    """All keepers of an environment, each run by a task of one group."""

    def __init__(self, state: StateDirectory, group: asyncio.TaskGroup, report: Report) -> None:
        self._state = state
        self._group = group
        self._report = report
        self._keepers: list[Keeper] = []

    async def start(self, component: Component) -> None:
        """Start a component and wait until it is ready. Raises StartFailed."""
        started = time.monotonic()
        self._state.stopped_file(component.name).unlink(missing_ok=True)
        keeper = Keeper(component, self._state, self._report)
        self._keepers.append(keeper)
        self._group.create_task(self._kept(keeper))
        await keeper.wait_ready()
        self._report(f"{component.name} is ready ({time.monotonic() - started:.1f} s)")

    async def _kept(self, keeper: Keeper) -> None:
        try:
            await keeper.run()
        except OSError as error:
            keeper.exits = _EXITS_BEFORE_GIVING_UP
            keeper.last_exit = f"cannot be started: {error}"

    async def stop(self) -> None:
        """Stop everything, front to back: clients before what they talk to."""
        for wave in sorted({keeper.component.wave for keeper in self._keepers}, reverse=True):
            members = [keeper for keeper in self._keepers if keeper.component.wave == wave]
            await asyncio.gather(*(keeper.stop() for keeper in members))


def http_probe(url: str) -> Probe:
    """Ready when GET answers 200 within two seconds."""

    async def probe() -> Readiness:
        try:
            async with httpx.AsyncClient(timeout=2.0, trust_env=False, verify=_NO_TLS) as client:
                response = await client.get(url)
        except httpx.HTTPError as error:
            return NotReady(f"GET {url}: {type(error).__name__}")
        if response.status_code == httpx.codes.OK:
            return Ready()
        return NotReady(f"GET {url}: {response.status_code} {response.text.strip()[:300]}")

    return probe


def redis_probe(port: int) -> Probe:
    """Ready when the server answers PING (it refuses while it loads its data)."""

    async def probe() -> Readiness:
        try:
            async with asyncio.timeout(2.0):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"PING\r\n")
                answer = await reader.readline()
                writer.close()
        except (OSError, TimeoutError) as error:
            return NotReady(f"redis on port {port}: {type(error).__name__}")
        seen = answer.decode("utf-8", "replace").strip()
        return Ready() if seen == "+PONG" else NotReady(f"redis on port {port}: {seen}")

    return probe
