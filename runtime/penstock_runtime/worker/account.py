"""A task's account with the ledger: what its model calls reserve of budgets, and the bills not told yet."""

import asyncio
from collections.abc import Callable, Sequence
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
        bound.Sent(prompt.bytes, 1, prompt.tools),
        wish,
        agent.prices.rates(day),
        agent.prices.overhead,
        template.limits.wall_seconds * 1000 + _GRACE_MS,
    )


class Account:
    """The loop's ``Ledger`` for one claimed task.

    The first call was reserved for when the task was claimed, by what was known then. Bills are told
    with the next word of the task.

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
        self._first = claim.reserved
        self._calls = 0
        self._bills: list[Settlement] = []

    async def reserve(self, quote: Quote) -> Reserved | None:
        """See ``Ledger.reserve``. While the store does not answer no call is made."""
        if self._unbounded:
            return None
        if (first := await self._opened(quote)) is not None:
            return first
        self._calls += 1
        answer = _granted(await self._asked(f"{self._claim.id}.{self._calls}", quote))
        self._unbounded = answer is None
        return answer

    def settle(self, reserved: Reserved, used: Amount) -> None:
        """See ``Ledger.settle``."""
        self._bills.append(Settlement(reserved.call, used, reserved.at_ms))

    def bills(self) -> tuple[Settlement, ...]:
        """The bills that were not told yet; they stay until ``told``."""
        return tuple(self._bills)

    def last_bills(self) -> tuple[Settlement, ...]:
        """The same at the end of the task: what it never asked for is given back."""
        first, self._first = self._first, None
        if isinstance(first, Reserved):
            self.settle(first, NOTHING)
        elif isinstance(first, Waiting):
            self._bills.append(Settlement(first.call, NOTHING, 0))
        return self.bills()

    def told(self, bills: Sequence[Settlement]) -> None:
        """These bills have reached the store."""
        self._bills = [bill for bill in self._bills if bill not in bills]

    async def _opened(self, quote: Quote) -> Reserved | None:
        """What was reserved with the claim, where that is enough for this call."""
        first, self._first = self._first, None
        if isinstance(first, Waiting):
            first = await self._asked(first.call, quote)
        if not isinstance(first, Reserved):
            return None  # what was refused may have been bounded too wide
        if _covers(first, quote):
            return first
        await self._books.settle(
            self._claim.agent,
            self._claim.task.id,
            [Settlement(first.call, NOTHING, first.at_ms)],
        )
        return None

    async def _asked(self, call: str, quote: Quote) -> Answer:
        """Ask the store until it answers, as long as the task has time."""
        while True:
            left = self._left_ms()
            wish = Wish(call, quote, max(0, left) + _GRACE_MS, max(0, min(PATIENCE_MS, left)))
            try:
                return await self._books.reserve(self._claim.agent, self._claim.task.id, wish)
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

    Where a budget had too little for that, the call is bounded closer by now.
    """
    most = quote.most(min(reserved.reply_tokens, quote.reply_tokens))
    fits = most.tokens <= reserved.most.tokens and most.micro_usd <= reserved.most.micro_usd
    return fits and reserved.cut_by is None
