"""A model that is left alone while it is away: what all workers of a namespace know of it together."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from penstock import errors
from penstock_runtime import instrumentation, logs
from penstock_runtime.agent.context import LIVE
from penstock_runtime.agent.models.model import (
    Failure,
    Model,
    ModelFailed,
    Reply,
    Request,
    Wrapper,
)
from penstock_store.breakers import BreakerRules, BreakerState
from penstock_store.store import Store

#: What was heard is asked about again after the first, and believed up to the second.
_FRESH_SECONDS: Final = 0.25
_BELIEVED_SECONDS: Final = 1.0
#: Workers of all versions share a breaker: that one of them waits for less says nothing to the others.
_FAIR_SECONDS: Final = 30.0
_ASKING_SECONDS: Final = 1.0  # a slow store holds up no call for longer
_SPREAD_SECONDS: Final = 2.0
_SOON_SECONDS: Final = 1.0  # until it is looked again whether the one that tries it was answered

log = logs.get()


class Board(Protocol):
    """Where workers tell each other what they have met; ``Breakers.tell`` of one endpoint."""

    async def tell(
        self,
        *,
        outage: str,
        answered_ms_ago: int | None,
        wants_try: bool,
        asked_to_wait_ms: int,
    ) -> BreakerState:
        """Tell, and hear how the breaker stands.

        ``outage``: the class of failure of a call that got no answer; empty: none did.

        Raises:
            StoreUnavailable, StoreRefused: nothing is known.
        """
        ...


@dataclass(frozen=True)
class StoreBoard:
    """A board in the store. ``key`` is of ``keys.breaker``, ``account`` that of the credential in use."""

    store: Store
    key: str
    rules: BreakerRules
    account: Callable[[], str]

    async def tell(
        self,
        *,
        outage: str,
        answered_ms_ago: int | None,
        wants_try: bool,
        asked_to_wait_ms: int,
    ) -> BreakerState:
        """See ``Board.tell``."""
        return await self.store.breakers.tell(
            self.key,
            self.rules,
            outage=outage,
            answered_ms_ago=answered_ms_ago,
            wants_try=wants_try,
            account=self.account(),
            asked_to_wait_ms=asked_to_wait_ms,
        )


class Breaker(Wrapper):
    """Asks a model unless the calls of all workers got no answer in a row; then one tries it.

    Where the model has told one call to wait (429 with a time), all with the same account do.

    An outage is a 5xx, a time-out after at least 30 s or no connection. How things stand is asked at most four times a
    second and believed for one, so that a call has no round trip of its own. Where the store does not
    answer in time the model is asked: a breaker saves time, and guards nothing.

    Args:
        name: what people call the model.
        patience_seconds: how long a call may take as declared; one that was cut before half of it,
            because its task had no more, says nothing of the model.
    """

    def __init__(
        self,
        model: Model,
        board: Board,
        meter: instrumentation.Meter,
        name: str,
        patience_seconds: float,
        clock: Callable[[], float] = LIVE.seconds,
    ) -> None:
        super().__init__(model)
        self._board = board
        self._meter = meter
        self._name = name
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._state = BreakerState()
        self._heard_at = self._looked_at = -math.inf
        self._answered_at: float | None = None  # and not told yet
        self._asking = asyncio.Lock()
        meter.breaker(lambda: self.is_open)

    @property
    def is_open(self) -> bool:
        """Whether the model is left alone now, as far as this worker has heard."""
        return self._state.is_open and self._wait_seconds > 0

    @property
    def _wait_seconds(self) -> float:
        return self._state.wait_ms / 1000 - (self._clock() - self._heard_at)

    @property
    def _asked_seconds(self) -> float:
        return self._state.asked_to_wait_ms / 1000 - (self._clock() - self._heard_at)

    async def reply(self, request: Request) -> Reply:
        """Ask, unless the model is left alone. See ``Model.reply``.

        Raises:
            ModelFailed: also with ``BREAKER_OPEN`` or ``PACED``, without a request; it says when to
                come back.
        """
        await self._look()
        self._pace(request)
        tries = await self._let_through()
        try:
            answer = await self._model.reply(request)
        except ModelFailed as failure:
            if self._says_away(failure, request):
                await self._tell(outage=_class_of(failure))
            elif failure.kind is Failure.RATE_LIMITED and failure.retry_after_seconds:
                await self._tell(asked_to_wait_ms=math.ceil(failure.retry_after_seconds * 1000))
            elif tries and 400 <= failure.status < 500:
                await self._answered()  # it has refused this request, and so it is there
            raise
        await self._answered()
        return answer

    async def count_tokens(self, request: Request) -> int | None:
        """Nobody is asked to count either who is away. See ``Model.count_tokens``.

        Raises:
            ModelFailed: also with ``BREAKER_OPEN``, without a request.
        """
        if self.is_open:
            raise self._left_alone(self._wait_seconds)
        return await self._model.count_tokens(request)

    async def _let_through(self) -> bool:
        """Return where the model may be asked: whether it is a try of an open breaker."""
        if not self._state.is_open:
            return False
        if self._wait_seconds <= 0:
            await self._tell(wants_try=True)
            if self._state.may_try or not self._state.is_open:
                return self._state.is_open
        wait = max(self._wait_seconds, 0.0) if self._state.wait_ms else _SOON_SECONDS
        raise self._left_alone(wait)

    def _left_alone(self, wait: float) -> ModelFailed:
        return ModelFailed(
            Failure.BREAKER_OPEN,
            f"{self._name} was not asked: {self._state.outages} calls in a row of all workers here "
            f"got no answer, and it is left alone for {math.ceil(wait)} s more",
            retry_after_seconds=wait,
        )

    def _pace(self, request: Request) -> None:
        """Those who waited come back over some time, not at once."""
        wait = self._asked_seconds
        if wait > 0:
            spread = min(wait, _SPREAD_SECONDS) * request.context.chance()
            raise ModelFailed(
                Failure.PACED,
                f"{self._name} was not asked: it has told calls with the same credential to wait, for "
                f"{math.ceil(wait)} s more",
                retry_after_seconds=wait + spread,
            )

    def _says_away(self, failure: ModelFailed, request: Request) -> bool:
        fair_seconds = max(_FAIR_SECONDS, self._patience_seconds / 2)
        cut_short = request.timeout_seconds < fair_seconds
        return failure.is_outage and not (failure.kind is Failure.TIMEOUT and cut_short)

    async def _answered(self) -> None:
        self._answered_at = self._clock()
        if self._state.outages:  # a row is open: others must know that it has ended
            await self._tell()

    async def _look(self) -> None:
        """Ask how things stand, where that was not asked just now or is being asked already."""
        age = self._clock() - self._looked_at
        believed = age <= _BELIEVED_SECONDS and not self._state.outages
        if age <= _FRESH_SECONDS or (believed and self._asking.locked()):
            return
        looked_at = self._looked_at
        async with self._asking:
            if self._looked_at == looked_at:
                await self._tell()

    async def _tell(
        self, *, outage: str = "", wants_try: bool = False, asked_to_wait_ms: int = 0
    ) -> None:
        now, answered_at = self._clock(), self._answered_at
        ago = None if answered_at is None else max(0, math.ceil((now - answered_at) * 1000))
        try:
            async with asyncio.timeout(_ASKING_SECONDS):
                state = await self._board.tell(
                    outage=outage,
                    answered_ms_ago=ago,
                    wants_try=wants_try,
                    asked_to_wait_ms=asked_to_wait_ms,
                )
        except (TimeoutError, errors.StoreUnavailable, errors.StoreRefused):
            self._unheard()
            return
        finally:
            self._looked_at = self._clock()
        if self._answered_at == answered_at:
            self._answered_at = None
        self._hear(state)

    def _unheard(self) -> None:
        """Nothing was heard: what was known holds as long as it would have, and then nothing."""
        if self._wait_seconds <= 0 and self._asked_seconds <= 0:
            self._state = BreakerState()

    def _hear(self, state: BreakerState) -> None:
        before, self._state, self._heard_at = self._state, state, self._clock()
        if state.opened:
            self._meter.breaker_opened()
        if state.is_open and not before.is_open:
            log.warning("model left alone", model=self._name, seconds=state.wait_ms / 1000)
        elif before.is_open and not state.is_open:
            log.info("model asked again", model=self._name)


def _class_of(failure: ModelFailed) -> str:
    """What people read of an outage: what kind it was, and the status of the answer where there was one."""
    return f"{failure.kind} {failure.status}" if failure.status else failure.kind.value
