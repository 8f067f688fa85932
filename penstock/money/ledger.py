"""What a budget is, what a model call reserves of it, and what the ledger answers.

Money is in whole millionths of a US dollar (micro-USD), and tokens are whole. A call reserves an
upper bound of what it can use before it is made, for every scope in one step, and settles what it
has used afterwards. The ledger itself is ``penstock_store.ledger``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

#: For want of money a reply is asked shorter, down to so many tokens.
MIN_REPLY_TOKENS: Final = 256


class Scope(StrEnum):
    """Whose spend is counted. Users and tenants are counted for each Agent apart.

    Tasks without a user share one user of their tenant. ``CANARY`` is the canary revision,
    ``SHADOW`` what it does on copies of tasks: that counts nowhere else.
    """

    TASK = "task"
    USER = "user"
    TENANT = "tenant"
    AGENT = "agent"
    CANARY = "canary"
    SHADOW = "shadow"


class Window(StrEnum):
    """How long spend counts: by the calendar in UTC, or ``TOTAL``, as long as the scope is there."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    TOTAL = "total"


class Mode(StrEnum):
    """Whether a budget refuses, or only counts what it would have refused."""

    ENFORCE = "Enforce"
    REPORT = "Report"


class OnExceeded(StrEnum):
    """What becomes of a task that a budget refuses.

    It ends at its limit, goes on with the cheapest tier while that has room, or goes to a person.
    """

    REJECT = "Reject"
    DEGRADE = "Degrade"
    ESCALATE = "Escalate"


class Unit(StrEnum):
    """What is limited."""

    TOKENS = "tokens"
    MICRO_USD = "micro_usd"


@dataclass(frozen=True)
class Amount:
    """What is spent or may be spent: tokens of input and output together, and micro-USD."""

    tokens: int = 0
    micro_usd: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.tokens + other.tokens, self.micro_usd + other.micro_usd)


NOTHING: Final = Amount()


@dataclass(frozen=True)
class Limit:
    """The most that one scope may spend in one window.

    For ``TASK``, ``CANARY`` and ``SHADOW`` the window may be ``TOTAL``; a canary's is that of its revision.
    """

    scope: Scope
    window: Window
    unit: Unit
    most: int


@dataclass(frozen=True)
class Cut:
    """For want of what a reply was asked shorter: a limit of a budget, and what becomes of the task."""

    limit: Limit
    on_exceeded: OnExceeded = OnExceeded.REJECT


@dataclass(frozen=True)
class Lift:
    """What a person adds to a limit until the window that begins at ``begins_ms`` ends.

    ``begins_ms`` is the beginning of the hour, day or month in UTC, in ms since 1970. ``by`` is whose
    name stands beside the request, ``at_ms`` when it was handled. Several add up.
    """

    scope: Scope
    window: Window
    unit: Unit
    more: int
    begins_ms: int
    by: str = ""
    at_ms: int = 0


@dataclass(frozen=True)
class Budget:
    """All limits of one agent. An agent without one has no ledger: nothing is counted or refused.

    With one, the agent's own hour, day and month are counted whether they are limited or not.
    For want of it no reply is asked for that has fewer tokens than ``min_reply_tokens``.
    """

    limits: tuple[Limit, ...] = ()
    mode: Mode = Mode.ENFORCE
    lifts: tuple[Lift, ...] = ()
    min_reply_tokens: int = MIN_REPLY_TOKENS
    on_exceeded: OnExceeded = OnExceeded.REJECT


@dataclass(frozen=True)
class Quote:
    """What one call can use at most, all its parts rounded up.

    ``fixed`` is all but the reply: the input, and what is billed besides; its tokens and their
    price. The reply has at most ``reply_tokens``; where money is short it may be asked shorter, but
    not below ``floor_tokens``, or what the budget says instead. A token of the reply costs ``reply_rate`` micro-USD per million
    tokens.
    """

    fixed: Amount
    reply_tokens: int
    floor_tokens: int
    reply_rate: int

    def most(self, reply_tokens: int) -> Amount:
        """What the call can use with a reply of at most so many tokens."""
        reply_cost = -(-reply_tokens * self.reply_rate // 1_000_000)
        return Amount(reply_tokens, reply_cost) + self.fixed


@dataclass(frozen=True)
class Opening:
    """How the first call of a task is bounded by whoever hands the task out.

    What is known before the task is: the part of each request that never changes, and what a model
    bills besides. To it comes a token for each byte of what the task brings along; and where that is a
    conversation already, ``earlier_tokens`` for the framing of a call that its last count may hold, and
    ``message_tokens`` for each of its messages.
    """

    fixed: Amount
    input_rate: int  # micro-USD per million tokens
    reply_tokens: int
    floor_tokens: int
    reply_rate: int  # micro-USD per million tokens
    lasts_ms: int
    patience_ms: int = 10_000
    earlier_tokens: int = 0
    message_tokens: int = 0


@dataclass(frozen=True)
class Reserved:
    """The call may be made, with a reply of at most ``reply_tokens``; ``most`` is what it holds.

    ``at_ms`` is when, by Redis time: it says into which windows the call is settled. ``cut_by`` is
    the limit for which the reply is shorter than wished, ``on_exceeded`` what becomes of the task
    where that is too short.
    """

    call: str
    most: Amount
    reply_tokens: int
    at_ms: int
    cut_by: Limit | None = None
    on_exceeded: OnExceeded = OnExceeded.REJECT


@dataclass(frozen=True)
class Waiting:
    """What is left is held by calls of others that run: the call waits for them, in order."""

    call: str


@dataclass(frozen=True)
class Refused:
    """The call may not be made.

    ``spent`` is settled, ``held`` is reserved by calls that run; the window ends at ``resets_ms``, 0
    where it never does. ``too_many_users``: the agent counts as many users as it may.
    ``on_exceeded``: what becomes of the task.
    """

    call: str
    limit: Limit
    spent: int
    held: int
    resets_ms: int
    too_many_users: bool = False
    on_exceeded: OnExceeded = OnExceeded.REJECT


@dataclass(frozen=True)
class Stop:
    """A limit of the canary's own for want of which a call of it was refused, as it was then.

    ``spent`` is settled by now; the window ends at ``resets_ms``, 0 where it never does.
    """

    limit: Limit
    spent: int
    resets_ms: int = 0


@dataclass(frozen=True)
class Wish:
    """A call that is to be reserved.

    Args:
        call: its id, which is used once: made of the claim's id and a number.
        quote: what it can use at most.
        lasts_ms: for how long it may be open; then it counts what it holds.
        patience_ms: how long it waits for others that hold what is left. After that what they hold
            counts as spent: it is asked shorter, or refused.
    """

    call: str
    quote: Quote
    lasts_ms: int
    patience_ms: int = 10_000


#: What the ledger answers; None: the agent has no budget.
Answer = Reserved | Waiting | Refused | None


@dataclass(frozen=True)
class Settlement:
    """What a call has used, by its bill. Twice counts once. ``at_ms`` is that of ``Reserved``."""

    call: str
    used: Amount
    at_ms: int


@dataclass(frozen=True)
class Money:
    """What is said of money together with another write of a task: bills, and the next call."""

    settle: tuple[Settlement, ...] = ()
    reserve: Wish | None = None


@dataclass(frozen=True)
class Spent:
    """One window as it is now: what is settled, what is held by calls that run, and its limits.

    ``short``: of which limits of the agent or its canary a call has found too little left, as they were then.
    """

    scope: Scope
    window: Window
    settled: Amount
    held: Amount
    resets_ms: int
    limits: tuple[Limit, ...] = ()
    short: tuple[Limit, ...] = ()


@dataclass(frozen=True)
class Spending:
    """What an agent spends as of ``now_ms``, Redis time.

    ``refusals``: how often each limit (scope, window, unit) has refused a call, or would have.
    ``marks``: how many windows of users and tenants have passed so many percent of a limit.
    """

    now_ms: int
    windows: tuple[Spent, ...]
    refusals: dict[tuple[Scope, Window, Unit], int]
    marks: dict[tuple[Scope, Window, int], int] = field(default_factory=dict)


@dataclass(frozen=True)
class Account:
    """All that is known of an agent's money: its windows, what lifts them, and what today has cost.

    ``cost_today``: micro-USD of the tasks that ended today (UTC), by the hash of who ended them.
    """

    spending: Spending
    lifts: tuple[Lift, ...]
    cost_today: Mapping[str, int]
