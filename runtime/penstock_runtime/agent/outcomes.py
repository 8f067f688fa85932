"""How tasks end: one constructor for each way out of the loop, with the sentence people read."""

import json
from collections.abc import Mapping
from typing import Any, Final

from penstock.task import Outcome, OutcomeReason, TaskStatus
from penstock_runtime.agent.model import Failure, ModelFailed

_SHOWN_CHARACTERS: Final = 500


def succeeded(output: str) -> Outcome:
    """The model answered."""
    return Outcome(TaskStatus.SUCCEEDED, OutcomeReason.NONE, "", output)


def model_failed(failure: ModelFailed, attempts: int) -> Outcome:
    """The model could not be asked, all retries spent."""
    late = failure.kind is Failure.TIMEOUT
    reason = OutcomeReason.TIMEOUT if late else OutcomeReason.MODEL_ERROR
    tries = "" if attempts == 1 else f" ({attempts} attempts)"
    return Outcome(TaskStatus.FAILED, reason, f"the model call failed{tries}: {failure.message}")


def model_error(problem: str) -> Outcome:
    """The model answered with something that cannot be used."""
    return Outcome(TaskStatus.FAILED, OutcomeReason.MODEL_ERROR, problem)


def refused(category: str) -> Outcome:
    """The model refuses to go on."""
    about = f" ({category})" if category else ""
    message = f"the model refused to answer{about}"
    return Outcome(TaskStatus.ESCALATED, OutcomeReason.REFUSAL, message)


def cut_reply(max_tokens: int) -> Outcome:
    """The reply did not fit."""
    message = (
        f"the model's reply was cut at {max_tokens} tokens (model.maxTokens, limits.outputTokens)"
    )
    return Outcome(TaskStatus.LIMIT_EXCEEDED, OutcomeReason.LIMIT_OUTPUT_TOKENS, message)


def context_full() -> Outcome:
    """The conversation does not fit into the model's window."""
    message = "the conversation is longer than the model's context window"
    return Outcome(TaskStatus.LIMIT_EXCEEDED, OutcomeReason.LIMIT_INPUT_TOKENS, message)


def approval_needed(tool: str, given: Mapping[str, Any]) -> Outcome:
    """A person must agree first, as the Agent declares."""
    message = f"tool {tool} needs a person's approval; asked for with {shown(given)}"
    return Outcome(TaskStatus.ESCALATED, OutcomeReason.APPROVAL, message)


def result_unknown(tool: str, given: Mapping[str, Any], why: str) -> Outcome:
    """An irreversible call may or may not have taken effect."""
    message = (
        f"the result of irreversible tool {tool} is unknown ({why}); it was called with "
        f"{shown(given)} and is not called again"
    )
    return Outcome(TaskStatus.ESCALATED, OutcomeReason.TOOL_ERROR, message)


def expired(queue_seconds: int) -> Outcome:
    """It waited too long for a worker."""
    message = f"limits.queueSeconds is {queue_seconds}, no worker was free before"
    return Outcome(TaskStatus.EXPIRED, OutcomeReason.LIMIT_QUEUE_SECONDS, message)


def cancelled() -> Outcome:
    """The caller took it back."""
    return Outcome(TaskStatus.CANCELLED, OutcomeReason.PERSON, "cancelled by the caller")


def internal(problem: str) -> Outcome:
    """Penstock's own fault."""
    return Outcome(TaskStatus.FAILED, OutcomeReason.INTERNAL, problem)


def shown(given: Mapping[str, Any]) -> str:
    """Arguments as people read them: JSON, cut when long."""
    text = json.dumps(given, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
