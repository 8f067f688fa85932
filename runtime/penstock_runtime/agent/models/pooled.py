"""A model of which no more is asked in a minute than its vendor allows, by all who have the same credential."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

from penstock import errors
from penstock.money.pool import NO_SHARE, UNSAID, PerMinute, Share
from penstock.money.prices import Overhead, Tokens
from penstock_runtime import instrumentation
from penstock_runtime.agent.context import LIVE
from penstock_runtime.agent.models.estimates import estimated_tokens
from penstock_runtime.agent.models.model import (
    UNASKED,
    Failure,
    Model,
    ModelFailed,
    OverBudget,
    Reply,
    Request,
    Unaffordable,
    Wrapper,
)
from penstock_store.pools import Lent, Wanted
from penstock_store.store import Store

_LEASE_SECONDS: Final = 1.0  # what is borrowed is used so long, then given back
_ASKING_SECONDS: Final = 1.0  # a slow store holds up no call for longer
_NOTICED_SECONDS: Final = 0.05  # less is a round trip, and no wait
_HOLDING_SECONDS: Final = 0.3
_MOST_AHEAD: Final = 2_000.0  # calls: no worker has more of them in flight


class Learner(Protocol):
    """What a model bills beyond what is declared, as far as workers know; ``Book`` keeps it."""

    @property
    def raised(self) -> Overhead:
        """What is known of it now."""
        ...

    def heard(self, raised: Overhead) -> None:
        """This is what all workers know."""
        ...


class Desk(Protocol):
    """Where workers borrow; ``Pools.borrow`` of one endpoint and credential."""

    @property
    def learner(self) -> Learner:
        """Who keeps what bills were above their bounds."""
        ...

    async def borrow(
        self, need: Share, more: Share, back: Share, told: PerMinute, raised: tuple[int, int]
    ) -> Lent:
        """Borrow for a second.

        Raises:
            StoreUnavailable, StoreRefused: nothing is known.
        """
        ...


@dataclass(frozen=True)
class StoreDesk:
    """A desk in the store. ``key`` is of ``keys.pool`` with the credential in use."""

    store: Store
    key: Callable[[], str]
    agent: str
    declared: Callable[[], PerMinute]
    learner: Learner

    async def borrow(
        self, need: Share, more: Share, back: Share, told: PerMinute, raised: tuple[int, int]
    ) -> Lent:
        """See ``Desk.borrow``."""
        wanted = Wanted(self.agent, need, more, back, self.declared(), told, raised)
        return await self.store.pools.borrow(self.key(), wanted)


class Pooled(Wrapper):
    """Asks a model as often, and for as much, as its vendor allows in a minute.

    What is allowed is what the installation declares, else what the vendor tells with its answers. It is
    borrowed for a second at a time, by what the second before has used, so that a call has no round trip
    of its own. Calls that wait do so in order; how long is booked in the call's bill. What a call has not
    used comes back when it has ended. Where the store does not answer in time the model is asked:
    the vendor itself refuses what is too much. What a worker has learnt of bills above their bound is told
    and heard with it.

    Args:
        name: what people call the model.
        prompt_tokens: about how many the part of each request is that never changes.
    """

    def __init__(
        self,
        model: Model,
        desk: Desk,
        meter: instrumentation.Meter,
        name: str,
        prompt_tokens: int,
        clock: Callable[[], float] = LIVE.seconds,
    ) -> None:
        super().__init__(model)
        self._desk = desk
        self._learner = desk.learner
        self._heard = Overhead(0, 0, 0)
        self._meter = meter
        self._name = name
        self._prompt_tokens = prompt_tokens
        self._clock = clock
        self._turn = asyncio.Lock()
        self._left = NO_SHARE
        self._back = NO_SHARE  # of former seconds, not told yet
        self._used = NO_SHARE  # in this second
        self._wanted = NO_SHARE  # by calls that wait
        self._since = self._until = -math.inf
        self._is_unbounded = False
        self._seen = self._known = UNSAID  # what the vendor told this worker, and any
        meter.paced(0.0)

    async def reply(self, request: Request) -> Reply:
        """Ask once there is room. See ``Model.reply``.

        Raises:
            ModelFailed: also with ``PACED``, without a request, where there is none in the task's time.
        """
        if not (self._is_unbounded and self._clock() < self._until):
            need = self._need(request)
            await self._room(need, request)
            if not self._is_unbounded:
                return self._told(await self._counted(need, request))
        return self._told(await self._model.reply(request))

    async def _counted(self, need: Share, request: Request) -> Reply:
        """Ask, and give back what the call has not used."""
        seconds = max(0.001, min(request.timeout_seconds, request.left_seconds))
        try:
            answer = await self._model.reply(replace(request, timeout_seconds=seconds))
        except (OverBudget, Unaffordable):
            self._give_back(need)
            raise
        except ModelFailed as failure:
            self._give_back(_unused(need, failure))
            raise
        if answer.counted:
            used = Share(1, _counting(answer.tokens), answer.tokens.output)
            self._give_back(need - used)
        return answer

    def _need(self, request: Request) -> Share:
        tokens = self._prompt_tokens + estimated_tokens(request.messages)
        return Share(1, tokens, request.max_tokens)

    async def _room(self, need: Share, request: Request) -> None:
        if not self._turn.locked() and self._take(need):
            return
        began, left = self._clock(), request.left_seconds
        self._wanted += need
        holding = asyncio.ensure_future(_let_go(request))
        try:
            async with asyncio.timeout(None if left == math.inf else left), self._turn:
                while not self._take(need) and not await self._borrow(need, request):
                    pass
        except TimeoutError:
            raise self._too_late(0.0) from None
        finally:
            holding.cancel()
            self._wanted -= need
            waited = self._clock() - began
            if waited >= _NOTICED_SECONDS:
                request.bill.paced_ms += round(waited * 1000)
                self._meter.paced(waited)

    def _take(self, need: Share) -> bool:
        if self._clock() >= self._until or not (self._is_unbounded or self._left.holds(need)):
            return False
        self._left -= need
        self._used += need
        return True

    async def _borrow(self, need: Share, request: Request) -> bool:
        """Give back what is left, and borrow for a second; where there is too little, wait for more."""
        now = self._clock()
        back = self._back + (NO_SHARE if self._is_unbounded else self._left)
        self._left = self._back = NO_SHARE
        more = self._expected(now, need)
        told = self._seen if self._seen != self._known else UNSAID
        lent = await self._asked(need, more, back, told)
        self._known = lent.told
        if lent.share is None:
            await self._wait(lent.wait_ms / 1000, request)
            return False
        self._left, self._used = lent.share - need, need
        self._is_unbounded = lent.is_unbounded
        self._since = self._clock()
        self._until = self._since + _LEASE_SECONDS
        return True

    async def _asked(self, need: Share, more: Share, back: Share, told: PerMinute) -> Lent:
        own = self._learner.raised
        raised = (0, 0) if own == self._heard else (own.call, own.reply)
        try:
            async with asyncio.timeout(_ASKING_SECONDS):
                lent = await self._desk.borrow(need, more, back, told, raised)
        except (TimeoutError, errors.StoreUnavailable, errors.StoreRefused):
            return Lent(NO_SHARE, is_unbounded=True, told=self._known)
        if self._learner.raised == own:  # else there is something newer, which is told next
            call, reply = lent.raised
            self._learner.heard(Overhead(call, 0, 0, reply))
            self._heard = self._learner.raised
        return lent

    def _expected(self, now: float, need: Share) -> Share:
        """What the next second takes beside the call that waits: as much as the one before, and who waits."""
        seconds = max(0.05, now - self._since)
        before = self._used.times(min(_LEASE_SECONDS / seconds, _MOST_AHEAD))
        waiting = self._wanted - need
        more = before if before.requests > waiting.requests else waiting
        return more if more.requests <= _MOST_AHEAD else more.times(_MOST_AHEAD / more.requests)

    async def _wait(self, seconds: float, request: Request) -> None:
        if seconds >= request.left_seconds:
            raise self._too_late(seconds)
        await request.context.sleep(seconds)

    def _too_late(self, seconds: float) -> ModelFailed:
        return ModelFailed(
            Failure.PACED,
            f"{self._name} was not asked: all calls with the same credential have asked as much of it as "
            "its vendor allows in a minute, and the call has no more time to wait",
            retry_after_seconds=seconds,
        )

    def _give_back(self, share: Share) -> None:
        if self._is_unbounded:
            return
        if self._clock() < self._until:
            self._left += share
        else:
            self._back += share

    def _told(self, answer: Reply) -> Reply:
        if answer.allowed is not None:
            self._seen = answer.allowed
        return answer


async def _let_go(request: Request) -> None:
    """Who has to wait for longer than a moment holds no money from others meanwhile."""
    if request.ledger is not None and not request.ledger.is_unbounded:
        await request.context.sleep(_HOLDING_SECONDS)
        await request.ledger.let_go()


def _counting(tokens: Tokens) -> int:
    """What of the input counts: what was read from the vendor's cache does not."""
    return tokens.input - tokens.cache_read


def _unused(need: Share, failure: ModelFailed) -> Share:
    """What a failed call has left: a vendor that says too much has been asked already counts it all."""
    if failure.kind in UNASKED:
        return need
    if failure.kind is Failure.RATE_LIMITED or failure.tokens != Tokens():
        return NO_SHARE
    return replace(need, requests=0)
