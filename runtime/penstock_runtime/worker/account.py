"""A task's account with the ledger: what its model calls reserve of budgets, and the bills not told yet."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from penstock import errors, limits
from penstock.money import bound
from penstock.money.ledger import (
    NOTHING,
    Amount,
    Answer,
    Opening,
    Quote,
    Refused,
    Reserved,
    Settlement,
    Waiting,
    Wish,
)
from penstock.money.prices import Day
from penstock.names import AgentKey
from penstock_runtime.agent import loop
from penstock_runtime.agent.models.model import OverBudget
from penstock_store.records import Claim

PATIENCE_MS: Final = 10_000  # a call waits so long for others that hold what is left
_GRACE_MS: Final = 15_000  # after the task's time a call is open for so much longer
_PAUSE_SECONDS: Final = 0.5


class Books(Protocol):
    """The ledger as the store has it."""

    async def reserve(self, agent: AgentKey, task: str, wish: Wish) -> Answer:
        """Reserve, and wait for others."""
        ...

    async def settle(
        self, agent: AgentKey, task: str, settlements: Sequence[Settlement]
    ) -> list[bool]:
        """Settle calls by their bills."""
        ...


class OutOfTime(Exception):
    """The task's wall time ended while the store did not answer."""


def opening(agent: loop.Agent, day: Day) -> Opening:
    """How the first call of each task of a revision is bounded before the task is known."""
    template, prompt = agent.template, agent.prompt
    wish = bound.Wish(0, template.model.max_tokens, limits.MIN_REPLY_TOKENS)
    return bound.opening(
        bound.Sent(prompt.bytes, 0, prompt.tools),
        wish,
        agent.prices.rates(day),
        agent.prices.overhead,
        template.limits.wall_seconds * 1000 + _GRACE_MS,
    )


@dataclass(frozen=True)
class _Ahead:
    """What the ledger said of the next call beforehand; ``quote`` where that was bounded as it is made."""

    answer: Answer = None
    quote: Quote | None = None


class Account:
    """The loop's ``Ledger`` for one claimed task.

    No call of the store is made for a model call alone: the first one was reserved for when the task
    was claimed, by what was known then, each later one with the checkpoint before it (``ahead``). Bills
    are told with the next word of the task. A call that is tried again, of another model, or for which
    what was reserved is not enough, asks by itself.

    Args:
        books: the store's ledger.
        claim: the task's, with what was reserved.
        left_ms: how much of the task's time is left.
        asked: whether the claim has asked for a reservation: then None says that there is no budget.
    """

    def __init__(
        self, books: Books, claim: Claim, left_ms: Callable[[], int], *, asked: bool
    ) -> None:
        self._books = books
        self._claim = claim
        self._left_ms = left_ms
        self._unbounded = asked and claim.reserved is None
        self._ahead = _Ahead(claim.reserved)
        self._calls = 0
        self._bills: list[Settlement] = []

    @property
    def is_unbounded(self) -> bool:
        """See ``Ledger.is_unbounded``."""
        return self._unbounded

    def ahead(self, quote: Quote) -> Wish | None:
        """What to ask for with the checkpoint before a call; None: nothing, there is no budget.

        Until it is ``answered`` it may be reserved: a task that ends before gives it back.
        """
        if self._unbounded:
            return None
        self._give_back()
        wish = self._wish(self._next_id(), quote)
        self._ahead = _Ahead(Waiting(wish.call), quote)
        return wish

    def answered(self, wish: Wish, answer: Answer) -> None:
        """The checkpoint was written, and said this of the call that is next."""
        self._unbounded = answer is None
        self._ahead = _Ahead(answer, wish.quote)

    async def reserve(self, quote: Quote) -> Reserved | None:
        """See ``Ledger.reserve``. While the store does not answer no call is made."""
        if self._unbounded:
            return None
        if (known := await self._reserved_ahead(quote)) is not None:
            return known
        answer = _granted(await self._asked(self._next_id(), quote))
        self._unbounded = answer is None
        return answer

    async def let_go(self) -> None:
        """See ``Ledger.let_go``. Where it is cut, or the store is away, that is told with the next word."""
        self._give_back()
        await self._tell_bills()

    def settle(self, reserved: Reserved, used: Amount) -> None:
        """See ``Ledger.settle``."""
        self._bills.append(Settlement(reserved.call, used, reserved.at_ms))

    def bills(self) -> tuple[Settlement, ...]:
        """The bills that were not told yet; they stay until ``told``."""
        return tuple(self._bills)

    def last_bills(self) -> tuple[Settlement, ...]:
        """The same at the end of the task: what it never asked for is given back."""
        self._give_back()
        return self.bills()

    def told(self, bills: Sequence[Settlement]) -> None:
        """These bills have reached the store."""
        self._bills = [bill for bill in self._bills if bill not in bills]

    async def _reserved_ahead(self, quote: Quote) -> Reserved | None:
        """What was reserved with the claim or a checkpoint, where that is enough for this call."""
        ahead, self._ahead = self._ahead, _Ahead()
        known = ahead.answer
        if isinstance(known, Waiting):
            known = await self._asked(known.call, ahead.quote or quote)
        if ahead.quote == quote:
            return _granted(known)
        if not isinstance(known, Reserved):
            return None  # what was refused may have been bounded too wide
        if _covers(known, quote):
            return known
        self.settle(known, NOTHING)
        return None

    async def _tell_bills(self) -> None:
        """Tell what is owed by now; with the next word of the task where that fails."""
        if bills := self.bills():
            with contextlib.suppress(errors.StoreUnavailable, errors.StoreRefused):
                await self._books.settle(self._claim.agent, self._claim.task.id, bills)
                self.told(bills)

    def _give_back(self) -> None:
        known, self._ahead = self._ahead.answer, _Ahead()
        if isinstance(known, Reserved):
            self.settle(known, NOTHING)
        elif isinstance(known, Waiting):
            self._bills.append(Settlement(known.call, NOTHING, 0))

    def _next_id(self) -> str:
        self._calls += 1
        return f"{self._claim.id}.{self._calls}"

    def _wish(self, call: str, quote: Quote) -> Wish:
        left = self._left_ms()
        return Wish(call, quote, max(0, left) + _GRACE_MS, max(0, min(PATIENCE_MS, left)))

    async def _asked(self, call: str, quote: Quote) -> Answer:
        """Ask the store until it answers, as long as the task has time.

        What is owed is told first: an attempt that has failed is not in the way of the next one. Until it
        answers, the call may be reserved: a task that ends before gives it back.
        """
        await self._tell_bills()
        self._ahead = _Ahead(Waiting(call), quote)
        while True:
            left = self._left_ms()
            try:
                answer = await self._books.reserve(
                    self._claim.agent, self._claim.task.id, self._wish(call, quote)
                )
                self._ahead = _Ahead()
                return answer
            except errors.StoreUnavailable as error:
                if left <= 0:
                    raise OutOfTime from error
                await asyncio.sleep(min(_PAUSE_SECONDS, left / 1000))


def _granted(answer: Answer) -> Reserved | None:
    match answer:
        case Refused():
            raise OverBudget(answer)
        case Reserved():
            return answer
        case None:
            return None
        case Waiting():
            raise AssertionError("the store waits by itself")


def _covers(reserved: Reserved, quote: Quote) -> bool:
    """Whether a call fits into what was reserved before it was known.

    Where a budget had too little for that, the call is bounded closer by now. The model of a tier may
    be asked for a longer reply.
    """
    most = quote.most(quote.reply_tokens)
    fits = most.tokens <= reserved.most.tokens and most.micro_usd <= reserved.most.micro_usd
    long_enough = quote.reply_tokens <= reserved.reply_tokens
    return fits and long_enough and reserved.cut_by is None
