"""A worker's hold on one task: its claim, its clock, and what it was told to do with it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, Final, TypeVar

from penstock import errors
from penstock.api.restrictions import Restrictions
from penstock.escalation import Asked
from penstock.money.ledger import Money, Quote, Wish
from penstock.task import Outcome, Usage
from penstock_runtime import instrumentation
from penstock_runtime.agent.boundary import Broken, caught
from penstock_runtime.agent.context import LIVE, Context
from penstock_runtime.agent.keeper import Event, Interrupted
from penstock_runtime.agent.models.answers import Answers
from penstock_runtime.agent.models.model import Ledger
from penstock_runtime.agent.step import Run
from penstock_runtime.worker.account import Account, OutOfTime
from penstock_runtime.worker.answers import TenantAnswers
from penstock_runtime.worker.keeping import Patience, Saved, Step
from penstock_store.records import Claim, Directive
from penstock_store.store import Store

T = TypeVar("T")

_DROPPING: Final = (Directive.CANCEL, Directive.LOST)  # these need no state of the task
_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 2.0
_TURN_SECONDS: Final = 5.0  # a write waits so long for those of other tasks, wall time or not
_CLAIM_TIMES: Final = 2  # so many claim times an end is tried to be written, wall time or not
_GOES_ON: Final = ("", "tool_use", "pause_turn")  # stop reasons after which the loop does more


class Hold:
    """Keeps one claimed task while it runs; implements the loop's ``Keeper``.

    Writes are repeated while Redis is away or refuses them: nobody else can take the task
    meanwhile, and when somebody did once it is back, the claim is lost and nothing is written.
    They are given up with the task's wall time. ``asked``: the claim has asked the ledger.
    """

    def __init__(
        self,
        store: Store,
        claim: Claim,
        meter: instrumentation.Meter,
        patience: Patience,
        *,
        asked: bool = False,
    ) -> None:
        self._store = store
        self._meter = meter
        self._patience = patience
        self._clock = asyncio.get_running_loop().time
        self._started: float | None = None
        self._interruptible: asyncio.Future[Any] | None = None
        self._told = asyncio.Event()
        self._writing = asyncio.Lock()  # an older state never overwrites a newer one
        self._last: Saved | None = None
        self._last_step: Step | None = None
        self._again: asyncio.Task[None] | None = None
        self._ending = False
        self._asked_again = False  # Redis has asked for the state again, and not had it yet
        self.context: Context = LIVE
        self.claim = claim
        self.directive = Directive.CONTINUE
        self.usage = claim.task.usage
        self.unwritten = False
        self._account = Account(store.ledger, claim, self._left_ms, asked=asked)
        self._answers = TenantAnswers(store, claim, meter)

    @property
    def ledger(self) -> Ledger | None:
        """See ``Keeper.ledger``."""
        return self._account

    @property
    def answers(self) -> Answers | None:
        """See ``Keeper.answers``."""
        return self._answers

    @property
    def restrictions(self) -> Restrictions:
        """See ``Keeper.restrictions``."""
        return self._store.claims.brakes.of(self.claim.agent)

    def _left_ms(self) -> int:
        return round(self._patience.wall_seconds * 1000) - self.wall_ms()

    @property
    def task_id(self) -> str:
        """The task's id."""
        return self.claim.task.id

    @property
    def trace_id(self) -> str:
        """The task's trace id."""
        return self.claim.task.trace_id

    def begin(self) -> None:
        """Start the clock: a claim that waits for its turn uses no wall time."""
        self._started = self._clock()

    @property
    def begun(self) -> bool:
        """Whether the task is worked on, or waits for its turn."""
        return self._started is not None

    def wall_ms(self) -> int:
        """How long the task has been worked on, earlier workers included."""
        now = self._clock()
        return self.claim.task.usage.wall_ms + round((now - (self._started or now)) * 1000)

    def tell(self, directive: Directive) -> None:
        """Have the task put down at its next step, or its state written again beside it.

        A model call is not waited for.
        """
        if directive in (Directive.REWRITE, Directive.CONTINUE):
            self._asked_again = directive is Directive.REWRITE
        if directive is Directive.REWRITE:
            self._write_again()
            return
        self.directive = self.directive.graver(directive)
        if self.directive is Directive.CONTINUE:
            return
        self._told.set()
        if self._interruptible is not None:
            self._interruptible.cancel()

    async def save(
        self,
        run: Run,
        events: list[Event],
        *,
        replicated: bool = False,
        next_call: Quote | None = None,
    ) -> None:
        """Write a checkpoint. See ``Keeper.save``.

        A reply after which the task only ends is not written here: its end carries all of it.

        Raises:
            OutOfTime: the wall time ended before Redis took it.
        """
        self.usage = run.usage
        if replicated:
            await self._be_heard_of()
        if run.transcript.stop_reason in _GOES_ON or self.directive is not Directive.CONTINUE:
            wish = self._account.ahead(next_call) if next_call else None
            await self._save(run, events, replicated=replicated, wish=wish)
        else:
            self._last_step = Step(run, events)
        if replicated and self.directive is Directive.CONTINUE:
            await self._be_heard_of()  # the save may have met a Redis that is just back
        self._obey()

    async def _save(
        self,
        run: Run,
        events: list[Event],
        *,
        replicated: bool = False,
        wish: Wish | None = None,
    ) -> None:
        state = Saved(run.transcript.encode(), run.usage, run.transcript.intents)
        ends = run.transcript.stop_reason not in _GOES_ON
        until = self._clock() if ends else self._wall_end
        async with self._writing:
            self._last = state
            try:
                said = await self._persist(
                    lambda: self._checkpoint(state, events, replicated=replicated, wish=wish),
                    until,
                    _DROPPING,
                )
            except errors.StoreUnavailable as error:
                if not ends:
                    raise OutOfTime from error
            else:
                if said is Directive.ASK:
                    raise errors.WorthUnknown
                self.tell(said)

    async def _checkpoint(
        self,
        state: Saved,
        events: list[Event],
        *,
        replicated: bool = False,
        wish: Wish | None = None,
    ) -> Directive:
        bills = self._account.bills()
        said, answer = await self._store.claims.checkpoint_and_reserve(
            self.claim,
            state.text,
            state.usage,
            events,
            intents=state.intents,
            replicated=replicated,
            said_of_money=Money(bills, wish),
        )
        self._account.told(bills)
        if wish and said is Directive.CONTINUE:
            self._account.answered(wish, answer)
        return said

    async def _be_heard_of(self) -> None:
        """Wait while the process is too young for a call that is made once: nobody would miss its sign."""
        known = self._store.claims.consumers.heard_seconds(self.claim.agent, self.claim.consumer)
        if (left := self._patience.sign_seconds - known) > 0:
            await self._rest(left)

    def hand_over(self) -> None:
        """Have the task go to stable with its next save. See ``Keeper.hand_over``."""
        self.directive = self.directive.graver(Directive.HAND_OVER)

    async def interruptible(self, call: Coroutine[Any, Any, T]) -> T:
        """Await a call until told otherwise. See ``Keeper.interruptible``."""
        asked = asyncio.ensure_future(caught(call))  # a SystemExit in a task would end the process
        asked.add_done_callback(lambda _: call.close())  # it may have been dropped before it began
        self._interruptible = asked
        try:
            self._obey()
            answer = await asked
            if isinstance(answer, Broken):
                raise answer.error
            return answer
        except asyncio.CancelledError:
            own = asyncio.current_task()
            if own is not None and not own.cancelling():
                self._obey()
            raise
        finally:
            self._interruptible = None
            asked.cancel()

    def _write_again(self) -> None:
        """Redis may have lost it."""
        if self._last is not None and (self._again is None or self._again.done()):
            self._again = asyncio.create_task(self._write_last())

    async def _write_last(self) -> None:
        async with self._writing:
            if (last := self._last) is None:
                return
            turn = self._in_turn(lambda: self._checkpoint(last, []), self._clock())
            if isinstance(await caught(turn), Broken):
                self._meter.store_error()  # said again with the next heartbeat
            else:
                self._asked_again = False

    @property
    def writing_again(self) -> asyncio.Task[None] | None:
        """What writes the state that Redis has asked for again; None where nothing does."""
        return self._again if self._again and not self._again.done() else None

    @property
    def owes_state(self) -> bool:
        """Whether Redis has asked for the state again, or waits for an end in its place, and has not got it yet."""
        return self._asked_again and (self._last is not None or self._ending)

    def _obey(self) -> None:
        if self.directive is not Directive.CONTINUE:
            raise Interrupted(self.directive)

    async def finish(self, outcome: Outcome, usage: Usage, history: bytes | None) -> bool:
        """End the task; False when it was somebody else's by then.

        Raises:
            Interrupted: its last step is kept, and it must be put down instead.
            StoreUnavailable: Redis did not take it, until the claim had run out long since.
        """
        usage = replace(usage, wall_ms=self.wall_ms())
        outcome = replace(
            outcome, message=_storable(outcome.message), output=_storable(outcome.output)
        )
        claims, step, bills = self._store.claims, self._last_step, self._account.last_bills()
        if step is None:
            return await self._ended(
                lambda: claims.finish(self.claim, outcome, usage, history, bills), lost=False
            )
        said = await self._ended(
            lambda: claims.finish_step(self.claim, outcome, usage, history, step.events, bills),
            lost=Directive.LOST,
        )
        self._last_step = None
        if said in (Directive.CONTINUE, Directive.LOST):
            return said is Directive.CONTINUE
        self.tell(said)
        await self._save(step.run, step.events)
        raise Interrupted(self.directive)

    async def park(self, run: Run, asked: Asked) -> None:
        """Put the task down until a person has decided. See ``Keeper.park``.

        Raises:
            OutOfTime: the wall time ended before Redis took its state.
            StoreUnavailable: as with ``finish``.
        """
        await self.save(run, [])
        usage, bills = replace(run.usage, wall_ms=self.wall_ms()), self._account.last_bills()
        lost: Directive | None = Directive.LOST
        said = await self._ended(
            lambda: self._store.claims.park(self.claim, usage, asked, bills), lost=lost
        )
        if said is None:
            return
        if said is Directive.CONTINUE:
            self._meter.call_asked(planned=asked.ask.planned)
            raise Interrupted(Directive.PARK)
        raise Interrupted(said)

    async def release(self, *, to_stable: bool = False) -> bool:
        """Give the task back, or to stable; False when it was somebody else's by then.

        Raises:
            StoreUnavailable: as with ``finish``.
        """
        bills = self._account.last_bills()
        return await self._ended(
            lambda: self._store.claims.release(self.claim, bills, to_stable=to_stable), lost=False
        )

    async def _ended(self, write: Callable[[], Awaitable[T]], *, lost: T) -> T:
        patience = self._patience.claim_idle_seconds * _CLAIM_TIMES
        until = max(self._wall_end, self._clock() + patience)
        async with self._writing:
            self._last, self._ending = (
                None,
                True,
            )  # no state is written after it, on whatever demand
            try:
                return await self._persist(write, until, (Directive.LOST,))
            except Interrupted:
                return lost

    @property
    def _wall_end(self) -> float:
        return self._clock() + self._patience.wall_seconds - self.wall_ms() / 1000

    async def _persist(
        self,
        write: Callable[[], Awaitable[T]],
        until: float,
        leaving: tuple[Directive, ...],
    ) -> T:
        """Repeat a write until Redis takes it, the time is over, or the task is to be left."""
        pause = _FIRST_PAUSE_SECONDS
        try:
            while True:
                try:
                    return await self._in_turn(write, until)
                except errors.StoreUnavailable:
                    self._meter.store_error()
                    self.unwritten = True
                    if self._clock() >= until:
                        raise
                if self.directive in leaving:
                    raise Interrupted(self.directive)
                await self._rest(min(pause, until - self._clock()))
                pause = min(_LONGEST_PAUSE_SECONDS, pause * 2)
        finally:
            self.unwritten = False

    async def _in_turn(self, write: Callable[[], Awaitable[T]], until: float) -> T:
        writers = self._patience.writers
        try:
            async with asyncio.timeout_at(max(until, self._clock() + _TURN_SECONDS)):
                await writers.acquire()
        except TimeoutError as error:
            raise errors.StoreUnavailable("it is still busy with other tasks' writes") from error
        try:
            return await write()
        finally:
            writers.release()

    async def _rest(self, seconds: float) -> None:
        """Sleep, and wake when told something new."""
        self._told.clear()
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._told.wait()
        except TimeoutError:
            return


def _storable(text: str) -> str:
    """The text without lone surrogates, which a model can write and UTF-8 cannot say."""
    return text.encode("utf-8", "replace").decode()
