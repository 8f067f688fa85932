"""What a person adds to a budget until its window ends: `budget-lift/SCOPE/WINDOW/AMOUNT/NONCE`. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from penstock.money import spend
from penstock.money.ledger import Limit, Scope, Unit, Window

#: What the value of a request begins with.
VERB: Final = "budget-lift"
#: The form of a request, in words.
FORM: Final = (
    f"a lift is {VERB}/SCOPE/WINDOW/AMOUNT/NONCE: SCOPE is agent, tenant or user, WINDOW hourly, "
    "daily or monthly, AMOUNT in USD as in 4.50, or as in 200000tokens"
)
_SCOPES: Final = (Scope.AGENT, Scope.TENANT, Scope.USER)
_WINDOWS: Final = {field: window for window, field in spend.FIELDS.items()}
_USD: Final = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,6}))?(?:USD)?", re.ASCII)
_TOKENS: Final = re.compile(r"([0-9]{1,12})tokens", re.ASCII)
_MICRO_DIGITS: Final = 6


@dataclass(frozen=True)
class Wanted:
    """So much more of one limit of a budget; for users and tenants, of each one's."""

    scope: Scope
    window: Window
    unit: Unit
    more: int

    def is_of(self, limit: Limit) -> bool:
        """Whether it adds to this limit."""
        return (self.scope, self.window, self.unit) == (limit.scope, limit.window, limit.unit)


def is_one(value: str) -> bool:
    """Whether a request asks for a lift, well-formed or not."""
    return value == VERB or value.startswith(f"{VERB}/")


def parse(value: str) -> Wanted | None:
    """Read a request; None when it has another form."""
    verb, *parts = value.split("/", 4)
    if verb != VERB or len(parts) != 4 or not all(parts):
        return None
    scope, window, amount, _nonce = parts
    found = read_amount(amount)
    if scope not in _SCOPES or window not in _WINDOWS or not found:
        return None
    return Wanted(Scope(scope), _WINDOWS[window], *found)


def read_amount(text: str) -> tuple[Unit, int] | None:
    """An amount above zero: a decimal number of USD, or whole tokens; None where it is neither."""
    if tokens := _TOKENS.fullmatch(text):
        return (Unit.TOKENS, int(tokens[1])) if int(tokens[1]) else None
    if dollars := _USD.fullmatch(text):
        micro_usd = int(dollars[1] + (dollars[2] or "").ljust(_MICRO_DIGITS, "0"))
        return (Unit.MICRO_USD, micro_usd) if micro_usd else None
    return None


def name(limit: Limit | Wanted) -> str:
    """A limit as a request names it, but for its unit: ``agent/daily``."""
    return f"{limit.scope}/{spend.FIELDS[limit.window]}"


def suggested(limit: Limit) -> str:
    """A tenth of a limit, as a request says it."""
    more = max(1, limit.most // 10)
    return f"{more}tokens" if limit.unit is Unit.TOKENS else spend.decimal(more)


def bounds(window: Window, at: datetime) -> tuple[datetime, datetime]:
    """When the hour, day or month in UTC around a moment begins and ends, as the ledger has it.

    Raises:
        ValueError: a total has neither.
    """
    hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    match window:
        case Window.HOUR:
            return hour, hour + timedelta(hours=1)
        case Window.DAY:
            return day, day + timedelta(days=1)
        case Window.MONTH:
            first = day.replace(day=1)
            return first, (first + timedelta(days=31)).replace(day=1)
    raise ValueError("a total is no window of the calendar")
