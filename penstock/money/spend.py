"""How full an Agent's budget is, and in which words that is said. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from penstock.money.ledger import Limit, Scope, Spending, Unit, Window

#: Percent of a window at which people are told, once each. The last: it is spent whole.
MARKS: Final = (50, 80, 95, 100)
WHOLE: Final = MARKS[-1]
#: Windows by the names of the fields that limit them.
FIELDS: Final = {Window.HOUR: "hourly", Window.DAY: "daily", Window.MONTH: "monthly"}
_CENT: Final = Decimal("0.01")
_MICRO: Final = 1_000_000


@dataclass(frozen=True)
class Level:
    """How much of one limit of an Agent is spent: settled by bills, in the unit of the limit."""

    limit: Limit
    spent: int
    resets_ms: int

    @property
    def percent(self) -> int:
        """Whole percent, rounded down; more than 100 where a bill was above its bound."""
        return self.spent * 100 // self.limit.most

    @property
    def mark(self) -> int:
        """The highest of ``MARKS`` that is passed; 0 for none."""
        return max((mark for mark in MARKS if mark <= self.percent), default=0)


def levels(spending: Spending | None) -> tuple[Level, ...]:
    """Each limit of the Agent itself as it is now; users, tenants and canaries are not its own."""
    if spending is None:
        return ()
    return tuple(
        Level(limit, _of(limit, spent.settled.tokens, spent.settled.micro_usd), spent.resets_ms)
        for spent in spending.windows
        if spent.scope is Scope.AGENT
        for limit in spent.limits
        if limit.most > 0
    )


def _of(limit: Limit, tokens: int, micro_usd: int) -> int:
    return tokens if limit.unit is Unit.TOKENS else micro_usd


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
