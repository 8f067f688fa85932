"""How full an Agent's budget is, and in which words that is said. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from penstock.money.ledger import Amount, Limit, Scope, Spending, Spent, Unit, Window

#: Percent of a window at which people are told, once each. The last: it is spent, so that calls are refused.
MARKS: Final = (50, 80, 95, 100)
WHOLE: Final = MARKS[-1]
#: Windows by the names of the fields that limit them.
FIELDS: Final = {Window.HOUR: "hourly", Window.DAY: "daily", Window.MONTH: "monthly"}
_CENT: Final = Decimal("0.01")
_MICRO: Final = 1_000_000


@dataclass(frozen=True)
class Level:
    """How much of one limit of an Agent is spent: settled by bills, in the unit of the limit.

    ``refuses``: a call has found too little left, of this limit or a larger one.
    """

    limit: Limit
    spent: int
    resets_ms: int
    refuses: bool = False

    @property
    def percent(self) -> int:
        """Whole percent, rounded down; more than 100 where a bill was above its bound."""
        return self.spent * 100 // self.limit.most

    @property
    def whole(self) -> bool:
        """Whether all of it is spent, so that nothing is admitted."""
        return self.spent >= self.limit.most

    @property
    def over(self) -> bool:
        """Whether so much is spent that calls are refused.

        A single call that is larger than half of a limit says nothing of what is left for others.
        """
        return self.whole or (self.refuses and self.percent >= MARKS[0])

    @property
    def mark(self) -> int:
        """The highest of ``MARKS`` that is passed; 0 for none."""
        passed = (mark for mark in MARKS if mark <= self.percent)
        return WHOLE if self.over else max(passed, default=0)


def levels(spending: Spending | None) -> tuple[Level, ...]:
    """Each limit of the Agent itself as it is now; users, tenants and canaries are not its own."""
    if spending is None:
        return ()
    return tuple(
        Level(limit, of(limit.unit, spent.settled), spent.resets_ms, refuses(limit, spent))
        for spent in spending.windows
        if spent.scope is Scope.AGENT
        for limit in spent.limits
        if limit.most > 0
    )


def of(unit: Unit, both: Amount) -> int:
    """The part of an amount that a limit counts."""
    return both.tokens if unit is Unit.TOKENS else both.micro_usd


def refuses(limit: Limit, spent: Spent) -> bool:
    """Whether a call has found too little left of a limit, as it is now or a larger one."""
    return any(one.unit is limit.unit and one.most >= limit.most for one in spent.short)


def fullest(found: Iterable[Level]) -> Level | None:
    """The level of which most is spent; None of none."""
    return max(found, key=lambda level: level.spent / level.limit.most, default=None)


def dollars(micro_usd: int) -> str:
    """Micro-USD in dollars and cents, as columns show it; what is less than a cent is said so."""
    if 0 < micro_usd < _MICRO // 100:
        return "<0.01"
    return str((Decimal(micro_usd) / _MICRO).quantize(_CENT, ROUND_HALF_UP))


def amount(unit: Unit, value: int) -> str:
    """An amount in full, without trailing zeros: ``4.5 USD`` or ``200000 tokens``."""
    if unit is Unit.TOKENS:
        return f"{value} tokens"
    return f"{decimal(value)} USD"


def decimal(micro_usd: int) -> str:
    """Micro-USD as a decimal string in dollars, without trailing zeros."""
    text = f"{Decimal(micro_usd) / _MICRO:.6f}".rstrip("0")
    return text.rstrip(".")
