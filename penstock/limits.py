"""The arithmetic of a task's limits: which one a usage has reached."""

from typing import Final

from penstock.api.agent import Limits
from penstock.api.fields import micro_usd
from penstock.money import ledger
from penstock.money.bound import Left, Resource, Short
from penstock.money.prices import usd
from penstock.restrictions import TightenedLimits
from penstock.task import Outcome, OutcomeReason, TaskStatus, Usage

#: For want of money a reply is asked shorter, down to so many tokens.
MIN_REPLY_TOKENS: Final = ledger.MIN_REPLY_TOKENS
_REASONS: Final = {
    Resource.INPUT_TOKENS: OutcomeReason.LIMIT_INPUT_TOKENS,
    Resource.OUTPUT_TOKENS: OutcomeReason.LIMIT_OUTPUT_TOKENS,
    Resource.COST: OutcomeReason.LIMIT_COST,
}


def _exceeded(reason: OutcomeReason, name: str, used: object, limit: object) -> Outcome:
    message = f"limits.{name} is {limit}, this task used {used}"
    return Outcome(TaskStatus.LIMIT_EXCEEDED, reason, message)


def field_of(limits: Limits, resource: Resource) -> str:
    """The field of the Agent that declares how much of a resource a task may use."""
    if resource is Resource.COST and isinstance(limits, TightenedLimits):
        return "restrictions.maxCostUSDPerTask"
    return f"limits.{resource.value}"


def breach_before_call(limits: Limits, usage: Usage) -> Outcome | None:
    """The outcome when another model call would go past a limit; None when it may be made.

    It looks at what was used. What the call itself may use is bounded besides: see ``left``.
    """
    if usage.wall_ms >= limits.wall_seconds * 1000:
        return _exceeded(
            OutcomeReason.LIMIT_WALL_SECONDS,
            "wallSeconds",
            f"{usage.wall_ms / 1000:.1f} s",
            limits.wall_seconds,
        )
    if usage.model_calls >= limits.model_calls:
        return _exceeded(
            OutcomeReason.LIMIT_MODEL_CALLS, "modelCalls", usage.model_calls, limits.model_calls
        )
    return breach_after_call(limits, usage)


def breach_after_call(limits: Limits, usage: Usage) -> Outcome | None:
    """The outcome when what was used so far is past tokens or money; None when it is within."""
    if usage.input_tokens > limits.input_tokens:
        return _exceeded(
            OutcomeReason.LIMIT_INPUT_TOKENS, "inputTokens", usage.input_tokens, limits.input_tokens
        )
    if usage.output_tokens > limits.output_tokens:
        return _exceeded(
            OutcomeReason.LIMIT_OUTPUT_TOKENS,
            "outputTokens",
            usage.output_tokens,
            limits.output_tokens,
        )
    if usage.cost_micro_usd > micro_usd(limits.cost_usd):
        spent = f"{usd(usage.cost_micro_usd)} USD"
        field = field_of(limits, Resource.COST)
        message = f"{field} is {limits.cost_usd}, this task used {spent}"
        return _by_cost(limits, OutcomeReason.LIMIT_COST, message)
    return None


def _by_cost(limits: Limits, reason: OutcomeReason, message: str) -> Outcome:
    """A limit that a restriction has lowered says nothing of the revision."""
    left_out = isinstance(limits, TightenedLimits) and reason is OutcomeReason.LIMIT_COST
    return Outcome(TaskStatus.LIMIT_EXCEEDED, reason, message, left_out=left_out)


def left(limits: Limits, usage: Usage) -> Left:
    """What the next model call may use at most."""
    return Left(
        limits.input_tokens - usage.input_tokens,
        limits.output_tokens - usage.output_tokens,
        micro_usd(limits.cost_usd) - usage.cost_micro_usd,
    )


def breach_by_next_call(limits: Limits, usage: Usage, short: Short) -> Outcome:
    """The outcome of a task whose next model call may use more than is left: it is not made."""
    declared, used, needed = _figures(limits, usage, short)
    message = (
        f"{field_of(limits, short.resource)} is {declared}, this task used {used}, and its next model "
        f"call may use up to {needed}: it was not made"
    )
    return _by_cost(limits, _REASONS[short.resource], message)


def _figures(limits: Limits, usage: Usage, short: Short) -> tuple[object, object, object]:
    """What is declared, used and needed, as people read it."""
    match short.resource:
        case Resource.INPUT_TOKENS:
            return limits.input_tokens, usage.input_tokens, short.needed
        case Resource.OUTPUT_TOKENS:
            return limits.output_tokens, usage.output_tokens, short.needed
        case Resource.COST:
            spent = usd(usage.cost_micro_usd)
            return limits.cost_usd, f"{spent} USD", f"{usd(short.needed)} USD"


def breach_before_tool(limits: Limits, usage: Usage, identical: int) -> Outcome | None:
    """The outcome when another tool call would go past a limit.

    Args:
        identical: how often this very call (same tool, same input) was already asked for in
            this task, this time included.
    """
    if identical >= limits.identical_actions:
        return _exceeded(
            OutcomeReason.LIMIT_IDENTICAL_ACTIONS,
            "identicalActions",
            f"{identical} identical calls",
            limits.identical_actions,
        )
    if usage.tool_calls >= limits.tool_calls:
        return _exceeded(
            OutcomeReason.LIMIT_TOOL_CALLS, "toolCalls", usage.tool_calls, limits.tool_calls
        )
    return None
