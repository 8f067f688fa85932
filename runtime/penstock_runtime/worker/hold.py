"""A worker's hold on one task: its claim, its clock, and what it was told to do with it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, Final, TypeVar

from penstock import errors
from penstock.task import Outcome, Usage
from penstock_runtime import metrics
from penstock_runtime.agent.keeper import Event, Interrupted
from penstock_runtime.agent.step import Run
from penstock_store.records import Claim, Directive
from penstock_store.store import Store

T = TypeVar("T")

_WEIGHT: Final = (Directive.CONTINUE, Directive.GIVE_BACK, Directive.CANCEL, Directive.LOST)
_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 2.0


class Hold:
    """Keeps one claimed task while it runs; implements the loop's ``Keeper``.

    Writes are repeated while Redis is away: nobody else can take the task meanwhile, and when
    somebody did once it is back, the claim is lost and nothing is written.
    """

    def __init__(self, store: Store, claim: Claim, meter: metrics.Meter) -> None:
        self._store = store
        self._meter = meter
        self._clock = asyncio.get_running_loop().time
        self._started = self._clock()
        self._interruptible: asyncio.Future[Any] | None = None
        self.claim = claim
        self.directive = Directive.CONTINUE
        self.usage = claim.task.usage

    @property
    def task_id(self) -> str:
        """The task's id."""
        return self.claim.task.id

    @property
    def trace_id(self) -> str:
        """The task's trace id."""
        return self.claim.task.trace_id

    def wall_ms(self) -> int:
        """How long the task has been worked on, earlier workers included."""
        return self.claim.task.usage.wall_ms + round((self._clock() - self._started) * 1000)

    def tell(self, directive: Directive) -> None:
        """Have the task put down at its next step; a model call is not waited for."""
        self.directive = _graver(self.directive, directive)
        if self.directive is not Directive.CONTINUE and self._interruptible is not None:
            self._interruptible.cancel()

    async def save(self, run: Run, events: list[Event]) -> None:
        """Write a checkpoint. See ``Keeper.save``."""
        self.usage = run.usage
        state = run.transcript.encode()
        self.tell(
            await self._persist(
                lambda: self._store.checkpoint(self.claim, state, run.usage, events)
            )
        )
        self._obey()

    async def interruptible(self, call: Coroutine[Any, Any, T]) -> T:
        """Await a call until told otherwise. See ``Keeper.interruptible``."""
        asked = asyncio.ensure_future(call)
        self._interruptible = asked
        try:
            self._obey()
            return await asked
        except asyncio.CancelledError:
            own = asyncio.current_task()
            if own is not None and not own.cancelling():
                self._obey()
            raise
        finally:
            self._interruptible = None
            asked.cancel()

    def _obey(self) -> None:
        if self.directive is not Directive.CONTINUE:
            raise Interrupted(self.directive)

    async def finish(self, outcome: Outcome, usage: Usage, history: bytes | None) -> bool:
        """End the task; False when it was somebody else's by then."""
        usage = replace(usage, wall_ms=self.wall_ms())
        outcome = replace(
            outcome, message=_storable(outcome.message), output=_storable(outcome.output)
        )
        return await self._persist(lambda: self._store.finish(self.claim, outcome, usage, history))

    async def release(self) -> bool:
        """Give the task back; False when it was somebody else's by then."""
        return await self._persist(lambda: self._store.release(self.claim))

    async def _persist(self, write: Callable[[], Awaitable[T]]) -> T:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return await write()
            except errors.StoreUnavailable:
                self._meter.store_error()
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE_SECONDS, pause * 2)


def _storable(text: str) -> str:
    """The text without lone surrogates, which a model can write and UTF-8 cannot say."""
    return text.encode("utf-8", "replace").decode()


def _graver(one: Directive, other: Directive) -> Directive:
    return max(one, other, key=_WEIGHT.index)
