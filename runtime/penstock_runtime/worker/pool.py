"""The tasks of one worker process: claimed, kept alive, run, ended or handed back."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from penstock import errors
from penstock.names import AgentKey
from penstock.task import Outcome, TaskStatus, Usage
from penstock_runtime import logs
from penstock_runtime.agent import loop, outcomes, transcript
from penstock_runtime.agent.keeper import Interrupted
from penstock_runtime.agent.step import Run
from penstock_runtime.agent.transcript import Transcript
from penstock_runtime.worker.hold import Hold
from penstock_store.records import Claim, Directive
from penstock_store.store import Store

_REDIS_PAUSE_SECONDS: Final = 1.0
_LAST_STEP_SECONDS: Final = 4.0  # after the grace period, for a step that is not cut short

T = TypeVar("T")
log = logs.get()


@dataclass(frozen=True)
class Duty:
    """Whose tasks a pool works on, and how. ``revision`` is a hash, ``consumer`` its own name."""

    agent: AgentKey
    revision: str
    consumer: str
    concurrency: int
    heartbeat_seconds: float
    claim_idle_seconds: float
    poll_seconds: float
    drain_seconds: float


class Pool:
    """Runs tasks of one revision, at most ``concurrency`` at a time."""

    def __init__(self, store: Store, agent: loop.Agent, duty: Duty) -> None:
        self._store = store
        self._agent = agent
        self._duty = duty
        self._holds: dict[str, Hold] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._freed = asyncio.Event()
        self._taking = asyncio.Lock()  # one at a time counts what is free and takes it
        self._redis_answers = False
        self._redis_problem = ""  # told once, until it answers again
        self._stopping = False
        self._clock = asyncio.get_running_loop().time
        self._reclaim_from = 0.0

    @property
    def ready(self) -> bool:
        """Whether it takes on tasks: Redis answered last time, and nobody told it to stop."""
        return self._redis_answers and not self._stopping

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; then finish what can be finished and hand back the rest."""
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(self._keep_alive(group), name="heartbeat")
            await self._claim(group, stop)
            self._stopping = True
            log.info("draining", tasks=len(self._holds))
            await self._drain()
            keeping.cancel()

    # -- taking on ---------------------------------------------------------------------------

    async def _claim(self, group: asyncio.TaskGroup, stop: asyncio.Event) -> None:
        duty = self._duty
        while not stop.is_set():
            async with self._taking:
                claims = await self._claimed(self._free)
                self._take_on(group, claims or ())
            if claims is None:
                await _unless(stop, asyncio.sleep(_REDIS_PAUSE_SECONDS))
            elif not self._free:
                self._freed.clear()
                await _unless(stop, self._freed.wait())
            elif not claims:
                bell = self._store.wait_for_work(duty.agent, duty.revision, duty.poll_seconds)
                await _unless(stop, self._asked(bell))

    async def _claimed(self, free: int) -> list[Claim] | None:
        duty = self._duty
        if not free:
            return []
        return await self._asked(self._store.claim(duty.agent, duty.revision, duty.consumer, free))

    @property
    def _free(self) -> int:
        return max(0, self._duty.concurrency - len(self._holds))

    def _take_on(self, group: asyncio.TaskGroup, claims: Sequence[Claim]) -> None:
        for claim in claims:
            hold = Hold(self._store, claim, self._agent.meter)
            self._holds[claim.id] = hold
            task = group.create_task(self._work(hold))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._agent.meter.running(len(self._holds))

    async def _asked(self, call: Coroutine[Any, Any, T]) -> T | None:
        """The answer of the store; None when it gives none."""
        try:
            answer = await call
        except errors.StoreUnavailable as error:
            if not self._redis_problem:
                log.warning("Redis does not answer; waiting for it", error=str(error))
            self._redis_problem = str(error)
            self._redis_answers = False
            self._agent.meter.store_error()
            return None
        self._redis_answers, self._redis_problem = True, ""
        return answer

    # -- keeping -----------------------------------------------------------------------------

    async def _keep_alive(self, group: asyncio.TaskGroup) -> None:
        """Renew all claims at once, pass on what the store wants, take over what others left."""
        while True:
            await self._renew()
            if not self._stopping and self._clock() >= self._reclaim_from:
                async with self._taking:
                    await self._reclaim(group)
            await asyncio.sleep(self._duty.heartbeat_seconds)

    async def _renew(self) -> None:
        holds = list(self._holds.values())
        claims = [hold.claim for hold in holds]
        call = self._store.heartbeat(claims, self._duty.consumer) if claims else self._ping()
        directives = await self._asked(call)
        if directives is None:
            # All claims look abandoned after an outage: every worker gets the time to renew its own.
            self._reclaim_from = self._clock() + self._duty.claim_idle_seconds
            return
        for hold in holds:
            hold.tell(directives.get(hold.claim.id, Directive.LOST))

    async def _reclaim(self, group: asyncio.TaskGroup) -> None:
        duty = self._duty
        idle_ms = round(duty.claim_idle_seconds * 1000)
        if free := self._free:
            call = self._store.reclaim(duty.agent, duty.revision, duty.consumer, idle_ms, free)
            self._take_on(group, await self._asked(call) or ())

    async def _ping(self) -> dict[str, Directive]:
        await self._store.ping()
        return {}

    async def _drain(self) -> None:
        await self._wait_for_tasks(self._duty.drain_seconds)
        for hold in list(self._holds.values()):
            hold.tell(Directive.GIVE_BACK)
        await self._wait_for_tasks(_LAST_STEP_SECONDS)
        for task in self._tasks:
            task.cancel()  # its claim runs out and another worker goes on

    async def _wait_for_tasks(self, seconds: float) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    # -- one task ----------------------------------------------------------------------------

    async def _work(self, hold: Hold) -> None:
        """Run one task. Whatever breaks in it ends this task and no other."""
        logs.bind_task(hold.task_id, hold.trace_id)
        try:
            await self._run(hold)
        except Exception as error:
            log.exception("a task broke the worker's code")
            self._agent.meter.worker_error()
            problem = f"an error inside Penstock: {type(error).__name__}: {error}"
            await self._finish(hold, outcomes.internal(problem), hold.usage)
        finally:
            del self._holds[hold.claim.id]
            self._freed.set()
            self._agent.meter.running(len(self._holds))

    async def _run(self, hold: Hold) -> None:
        claim = hold.claim
        if claim.expired:
            late = outcomes.expired(self._agent.template.limits.queue_seconds)
            await self._finish(hold, late, hold.usage)
            return
        try:
            run = await loop.run_task(self._agent, beginning(claim), hold)
        except Interrupted as stop:
            await self._put_down(hold, stop.directive)
        else:
            history = session_history(claim, run)
            await self._finish(
                hold, run.outcome or outcomes.internal("no outcome"), run.usage, history
            )

    async def _put_down(self, hold: Hold, directive: Directive) -> None:
        self._agent.meter.task_stopped(directive.value)
        log.info("task put down", directive=directive.value)
        if directive is Directive.CANCEL:
            await self._finish(hold, outcomes.cancelled(), hold.usage)
        elif directive is Directive.GIVE_BACK:
            await hold.release()

    async def _finish(
        self, hold: Hold, outcome: Outcome, usage: Usage, history: bytes | None = None
    ) -> None:
        if not await hold.finish(outcome, usage, history):
            self._agent.meter.task_stopped(Directive.LOST.value)
            log.info("task was somebody else's before it ended here")
            return
        seconds = hold.wall_ms() / 1000
        self._agent.meter.task_ended(outcome.status.value, outcome.reason.value, seconds)
        log.info("task ended", status=outcome.status, reason=outcome.reason, seconds=seconds)


def beginning(claim: Claim) -> Run:
    """Where a claimed task stands: its checkpoint, or its input after the session's history.

    What another revision's model thought is left out: it is signed over another prompt.
    """
    if claim.checkpoint is not None:
        saved = Transcript.decode(claim.checkpoint)
        foreign = claim.checkpoint_revision != claim.revision
        return Run(saved.without_thinking() if foreign else saved, claim.task.usage)
    history = transcript.decode_history(claim.history)
    if claim.history_revision != claim.revision:
        history = transcript.without_thinking(history)
    return Run(Transcript.start(history, claim.task.input), claim.task.usage)


def session_history(claim: Claim, run: Run) -> bytes | None:
    """The session's conversation after a task; None leaves it as it was (after any failure)."""
    succeeded = run.outcome is not None and run.outcome.status is TaskStatus.SUCCEEDED
    if not (claim.task.session and succeeded):
        return None
    return transcript.encode_history(run.transcript.messages)


async def _unless(stop: asyncio.Event, call: Coroutine[Any, Any, Any]) -> None:
    """Await a call that may be dropped, until ``stop`` is set."""
    waiting = {asyncio.ensure_future(call), asyncio.ensure_future(stop.wait())}
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    for each in done:
        each.result()
