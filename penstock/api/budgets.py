"""What an Agent's users and tenants may use together, whatever its revisions are."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import Field

from penstock.api.fields import Block, Money, micro_usd
from penstock.money import spend
from penstock.money.ledger import (
    MIN_REPLY_TOKENS,
    Budget,
    Limit,
    Mode,
    OnExceeded,
    Scope,
    Unit,
    Window,
)
from penstock.money.prices import usd

_RequestsPerMinute = Annotated[int, Field(ge=1, le=1_000_000)]
_Tokens = Annotated[int, Field(ge=1, le=1_000_000_000_000)]


class TokenBudget(Block):
    """Tokens of input and output together, by the calendar in UTC; absent: not bounded."""

    hourly: Annotated[_Tokens | None, Field(description="Most tokens of an hour.")] = None
    daily: Annotated[_Tokens | None, Field(description="Most tokens of a day.")] = None
    monthly: Annotated[_Tokens | None, Field(description="Most tokens of a month.")] = None


class CostBudget(Block):
    """What model calls cost in USD, by the calendar in UTC; absent: not bounded."""

    hourly: Annotated[Money | None, Field(description="Most of an hour.")] = None
    daily: Annotated[Money | None, Field(description="Most of a day.")] = None
    monthly: Annotated[Money | None, Field(description="Most of a month.")] = None


class AgentCosts(CostBudget):
    """What model calls of an Agent cost in USD: what a task should, and what all may at most."""

    per_task: Annotated[
        Money | None,
        Field(
            description="What a task is expected to cost, at list price. Nothing is refused for it: "
            "revisions are judged by it, see analysis.guardrails.costPercentOfBudget."
        ),
    ] = None


class PerCaller(Block):
    """What one user or one tenant may use of an Agent."""

    requests_per_minute: Annotated[
        _RequestsPerMinute | None,
        Field(description="Tasks that may be submitted in a minute of the clock in UTC."),
    ] = None
    tokens: Annotated[TokenBudget | None, Field(description="Most tokens.")] = None
    cost_usd: Annotated[CostBudget | None, Field(description="Most money.")] = None


class Budgets(Block):
    """What an Agent may use at most, all revisions together; absent: no budget."""

    mode: Annotated[
        Mode,
        Field(
            description="Enforce: what is over a budget is refused. Report: nothing is refused, and "
            "what would have been is counted."
        ),
    ] = Mode.ENFORCE
    min_reply_tokens: Annotated[
        int,
        Field(
            ge=1,
            le=64000,
            description="Where too little of a budget is left a reply is asked shorter, but not "
            "below so many tokens; then the call is refused.",
        ),
    ] = MIN_REPLY_TOKENS
    on_exceeded: Annotated[
        OnExceeded,
        Field(
            description="Reject: a task that a budget refuses is not accepted, or ends as "
            "LimitExceeded. Degrade: its next calls are made of the cheapest tier of its revision, as "
            "long as that has room. Escalate: it is accepted, and ends as Escalated, so that a person sees "
            "it. Requests per minute are refused in either case."
        ),
    ] = OnExceeded.REJECT
    tokens: Annotated[TokenBudget | None, Field(description="Most tokens of all tasks.")] = None
    cost_usd: Annotated[
        AgentCosts | None,
        Field(description="Most money of all tasks, and what one of them is expected to cost."),
    ] = None
    per_user: Annotated[
        PerCaller | None,
        Field(description="Of each user; tasks without a user share one user of their tenant."),
    ] = None
    per_tenant: Annotated[PerCaller | None, Field(description="Of each tenant.")] = None


def unkept(declared: Budgets | None, *, has_tiers: bool) -> str:
    """What of budgets a template cannot keep, and the remedy; "" where it keeps all."""
    if declared is None or has_tiers or declared.on_exceeded is not OnExceeded.DEGRADE:
        return ""
    return (
        "spec.budgets.onExceeded is Degrade, and spec.template.tiers has no tier to go on with: declare "
        "a cheaper model there, or set onExceeded to Reject or Escalate"
    )


# ---------------------------------------------------------------------------- for the ledger


def budget_of(declared: Budgets | None) -> Budget | None:
    """What the ledger is told; None where neither tokens nor money are bounded."""
    if declared is None:
        return None
    scopes = (
        (Scope.AGENT, declared),
        (Scope.TENANT, declared.per_tenant),
        (Scope.USER, declared.per_user),
    )
    limits = tuple(limit for scope, block in scopes if block for limit in _limits(scope, block))
    if not limits:
        return None
    return Budget(
        limits,
        declared.mode,
        min_reply_tokens=declared.min_reply_tokens,
        on_exceeded=declared.on_exceeded,
    )


def expected_micro_usd(declared: Budgets | None) -> int | None:
    """What a task is expected to cost, in micro-USD; None where nobody says."""
    costs = declared.cost_usd if declared else None
    return micro_usd(costs.per_task) if costs and costs.per_task else None


def _limits(scope: Scope, block: Budgets | PerCaller) -> Iterator[Limit]:
    for window, field in spend.FIELDS.items():
        if tokens := getattr(block.tokens, field, None):
            yield Limit(scope, window, Unit.TOKENS, tokens)
        if cost := getattr(block.cost_usd, field, None):
            yield Limit(scope, window, Unit.MICRO_USD, micro_usd(cost))


# ------------------------------------------------------------------------------- in words

_PLACES: Final = {Scope.USER: "perUser.", Scope.TENANT: "perTenant."}


def field_of(limit: Limit) -> str:
    """The field of the Agent that declares a limit."""
    unit = "costUSD" if limit.unit is Unit.MICRO_USD else "tokens"
    match limit.scope:
        case Scope.TASK:
            return f"budgets.{unit}.perTask"
        case Scope.CANARY if limit.window is Window.TOTAL:
            return "analysis.canarySpendCapUSD"
        case Scope.CANARY:
            return "analysis.canaryBudgetPercent"
    return f"budgets.{_PLACES.get(limit.scope, '')}{unit}.{spend.FIELDS.get(limit.window, 'total')}"


def shown(limit: Limit, amount: int) -> str:
    """An amount of what a limit counts."""
    return f"{usd(amount)} USD" if limit.unit is Unit.MICRO_USD else f"{amount} tokens"


def reset(at_ms: int) -> str:
    """When a window ends, as the rest of a sentence; nothing where it never does."""
    if at_ms <= 0:
        return ""
    return (
        f"; the budget is reset at {datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
    )
