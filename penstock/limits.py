"""The arithmetic of a task's limits: which one a usage has reached."""

from penstock.api.agent import Limits
from penstock.api.fields import micro_usd
from penstock.task import Outcome, OutcomeReason, TaskStatus, Usage


def _exceeded(reason: OutcomeReason, name: str, used: object, limit: object) -> Outcome:
    message = f"limits.{name} is {limit}, this task used {used}"
    return Outcome(TaskStatus.LIMIT_EXCEEDED, reason, message)


def breach_before_call(limits: Limits, usage: Usage) -> Outcome | None:
    """The outcome when another model call would go past a limit; None when it may be made.

    Counts are checked before a call; tokens and money are known only after one, so a task ends
    at the first check after it passed them.
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
        spent = f"{usage.cost_micro_usd / 1_000_000:.6f} USD"
        return _exceeded(OutcomeReason.LIMIT_COST, "costUSD", spent, limits.cost_usd)
    return None


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
