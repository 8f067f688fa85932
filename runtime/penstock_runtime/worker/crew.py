"""The tasks of one process: each runs behind a boundary of its own, and ends or is put down."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from penstock import errors, limits, names
from penstock.names import AgentKey
from penstock.task import Outcome, TaskStatus, Usage
from penstock_runtime import instrumentation, logs, redaction
from penstock_runtime.agent import endings, loop
from penstock_runtime.agent.boundary import Broken, caught
from penstock_runtime.agent.keeper import Interrupted
from penstock_runtime.agent.models.access import LastWord
from penstock_runtime.worker import claims
from penstock_runtime.worker.account import OutOfTime
from penstock_runtime.worker.hold import Hold
from penstock_runtime.worker.keeping import Patience
from penstock_store.records import Claim, Directive
from penstock_store.store import Store

LAST_STEP_SECONDS: Final = 4.0  # after the grace period, for a step that is not cut short
_WRITES_AT_ONCE: Final = 16  # half of the store's connections
MESSAGE_CHARACTERS: Final = 500  # of an outcome, in a line of the log
DROPPED: Final = "Dropped"  # how a task is counted whose end could not be written

log = logs.get()


@dataclass(frozen=True)
class Duty:
    """Whose tasks a process works on, and how. ``revision`` is a hash, ``consumer`` its own name.

    ``sign_seconds``: Redis has heard of the process for so long before it makes a call that may be made once.
    """

    agent: AgentKey
    revision: str
    consumer: str
    concurrency: int
    heartbeat_seconds: float
    claim_idle_seconds: float
    poll_seconds: float
    drain_seconds: float
    sign_seconds: float = 0.0


class Crew:
    """Works on what it is given, at most ``concurrency`` tasks at a time; the others wait."""

    def __init__(
        self, store: Store, agent: loop.Agent, duty: Duty, shown: Callable[[], None]
    ) -> None:
        self._store = store
        self._agent = agent
        self._duty = duty
        self._shown = shown  # called when the number of tasks has changed
        self._turns = asyncio.Semaphore(duty.concurrency)
        self._holds: dict[str, Hold] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        wall_seconds = float(agent.template.limits.wall_seconds)
        writers = asyncio.Semaphore(_WRITES_AT_ONCE)
        self._patience = Patience(wall_seconds, duty.claim_idle_seconds, writers, duty.sign_seconds)
        self.freed = asyncio.Event()
        self.at_work = 0  # tasks that have their turn
        self.dropped = 0  # tasks whose end could not be written: still claimed, worked on by nobody

    @property
    def meter(self) -> instrumentation.Meter:
        """Where what happens to the tasks is counted."""
        return self._agent.meter

    @property
    def last_word(self) -> LastWord:
        """What the model has said last of who asks and for what."""
        return self._agent.last_word

    def renew_refused_credentials(self) -> None:
        """Where the model refused the credential, take another one as soon as there is one."""
        self._agent.last_word.refresh(self._agent.model.renew_credentials)

    def refresh_prices(self) -> None:
        """Take over prices of the installation that have changed."""
        self._agent.prices.refresh()

    @property
    def asks(self) -> str:
        """Which models the tasks ask, at the prices of now."""
        return self._agent.asks()

    @property
    def holds(self) -> list[Hold]:
        """The tasks that are held now."""
        return list(self._holds.values())

    @property
    def unwritten(self) -> int:
        """Of how many tasks Redis does not take what they write."""
        return sum(hold.unwritten for hold in self._holds.values())

    def __len__(self) -> int:
        return len(self._holds)

    def take_on(
        self, group: asyncio.TaskGroup, claimed: Sequence[Claim], *, asked: bool = False
    ) -> None:
        """Work on claimed tasks as tasks of ``group``, which none of them ends.

        ``asked``: the ledger was asked for their first calls.
        """
        for claim in claimed:
            hold = Hold(self._store, claim, self._agent.meter, self._patience, asked=asked)
            self._holds[claim.id] = hold
            task = group.create_task(self._work(hold))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._shown()

    async def done(self, seconds: float | None = None) -> None:
        """Wait until no task is left, or for the time."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    async def done_or(self, stop: asyncio.Event) -> None:
        """Wait until no task is left, or until ``stop`` is set."""
        stopped = asyncio.ensure_future(stop.wait())
        try:
            while self._tasks and not stop.is_set():
                await asyncio.wait({*self._tasks, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()

    async def drain(self) -> None:
        """Finish what ends within the grace period, and hand back the rest."""
        log.info("draining", tasks=len(self._holds))
        await self.done(self._duty.drain_seconds)
        for hold in self.holds:
            hold.tell(Directive.GIVE_BACK)
            self._turns.release()  # who waits for a turn has only to be put down
        await self.done(LAST_STEP_SECONDS)
        for task in self._tasks:
            task.cancel()  # its claim runs out and another worker goes on
        await self.done()

    # -- one task ----------------------------------------------------------------------------

    async def _work(self, hold: Hold) -> None:
        """Run one task. Whatever breaks in it, or in its end, ends this task and no other."""
        try:
            logs.bind_task(hold.task_id, hold.trace_id)
            instrumentation.IN_PREVIEW.set(hold.claim.task.preview)
            async with self._turns:
                hold.begin()
                self.at_work += 1
                self._shown()
                done = await caught(self._run(hold))
                if isinstance(done, Broken):
                    await self._broken(hold, done)
        finally:
            self.at_work -= hold.begun
            self._holds.pop(hold.claim.id, None)
            self.freed.set()
            self._shown()

    async def _broken(self, hold: Hold, broken: Broken) -> None:
        """End a task that broke; where its end breaks as well it is dropped."""
        if not isinstance(broken.error, errors.StoreUnavailable):
            self._agent.meter.worker_error()
            words = "a task broke the worker's code"
            log.error(words, error=broken.words, where=broken.where)
            failed = endings.internal(_problem(broken))
            ended = await caught(self._finish(hold, failed, hold.usage))
            if not isinstance(ended, Broken):
                return
            broken = ended
        self.dropped += 1
        self._agent.meter.task_stopped(DROPPED)
        log.error(
            "task dropped: its end could not be written; its claim runs out",
            error=broken.words,
        )

    async def _run(self, hold: Hold) -> None:
        claim = hold.claim
        if claim.problem:
            await self._finish(hold, endings.internal(claim.problem), hold.usage)
            return
        if claim.expired:
            late = endings.expired(self._agent.template.limits.queue_seconds)
            await self._finish(hold, late, hold.usage)
            return
        try:
            begun = claims.beginning(claim, self._agent.template.tiers)
            if said := begun.decision:
                self.meter.call_decided(said.verdict.value, "person" if said.by else "time")
            run = await loop.run_task(self._agent, begun, hold)
            history = claims.session_history(claim, run)
            outcome = run.outcome or endings.internal("no outcome")
            await self._finish(hold, outcome, run.usage, history)
        except Interrupted as stop:
            await self._put_down(hold, stop.directive)
        except OutOfTime:
            await self._finish(hold, self._out_of_time(hold), hold.usage)

    def _out_of_time(self, hold: Hold) -> Outcome:
        """The end of a task that Redis did not let go on: of no revision it is a sample."""
        bounds = self._agent.template.limits
        wall_ms = max(hold.wall_ms(), bounds.wall_seconds * 1000)
        breach = limits.breach_before_call(bounds, Usage(wall_ms=wall_ms))
        if breach is None:
            raise AssertionError(f"{wall_ms} ms are within {bounds.wall_seconds} s")
        message = f"{breach.message}; Redis did not take the task's state meanwhile"
        return Outcome(breach.status, breach.reason, message, left_out=True)

    async def _put_down(self, hold: Hold, directive: Directive) -> None:
        self._agent.meter.task_stopped(directive.value)
        log.info("task put down", directive=directive.value)
        if directive is Directive.CANCEL:
            await self._finish(hold, endings.cancelled(), hold.usage)
        elif directive in (Directive.GIVE_BACK, Directive.HAND_OVER):
            await hold.release(to_stable=directive is Directive.HAND_OVER)

    async def _finish(
        self, hold: Hold, outcome: Outcome, usage: Usage, history: bytes | None = None
    ) -> None:
        if not await hold.finish(outcome, usage, history):
            self._agent.meter.task_stopped(Directive.LOST.value)
            log.info("task was somebody else's before it ended here")
            return
        seconds = hold.wall_ms() / 1000
        self._agent.meter.task_ended(outcome.status.value, outcome.reason.value, seconds)
        self._tell(hold, outcome, seconds)

    def _tell(self, hold: Hold, outcome: Outcome, seconds: float) -> None:
        """A line on the end of a task; with why, where it did not do what it was asked for."""
        said = {"status": outcome.status, "reason": outcome.reason, "seconds": seconds}
        if outcome.status in (TaskStatus.SUCCEEDED, TaskStatus.CANCELLED):
            log.info("task ended", **said)
            return
        log.warning(
            "task ended",
            **said,
            message=redaction.shortened(outcome.message, MESSAGE_CHARACTERS),
            revision=names.revision_name(self._duty.agent.name, self._duty.revision),
            task=hold.task_id,
            trace_id=hold.trace_id,
        )


def _problem(broken: Broken) -> str:
    if isinstance(broken.error, errors.StoreRefused):
        return "Redis refused what was to be stored of this task; its worker's log says why"
    name = type(broken.error).__name__
    return f"an error inside Penstock ({name}); its worker's log says where"
