"""How tasks end: one constructor for each way out of the loop, with the sentence people read."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from penstock import limits
from penstock.api import budgets
from penstock.api.agent import Limits
from penstock.escalation import Ask, Decision
from penstock.money.ledger import Cut, OnExceeded, Refused
from penstock.task import Outcome, OutcomeReason, TaskStatus, Usage
from penstock_runtime import redaction
from penstock_runtime.agent.models.model import Failure, ModelFailed

_SHOWN_CHARACTERS: Final = 500


def succeeded(output: str) -> Outcome:
    """The model answered."""
    return Outcome(TaskStatus.SUCCEEDED, OutcomeReason.NONE, "", output)


def model_failed(failure: ModelFailed, attempts: int) -> Outcome:
    """The model gave no answer: asking again cannot help, or all retries are spent."""
    if failure.kind is Failure.TOO_LONG:
        return context_full(failure.message)
    if failure.kind is Failure.DENIED:
        return no_model_allowed(failure.message)
    late = failure.kind is Failure.TIMEOUT
    reason = OutcomeReason.TIMEOUT if late else OutcomeReason.MODEL_ERROR
    tries = f" ({attempts} attempts)" if attempts > 1 else ""
    what = f"the model call failed{tries}" if attempts else "no model call was made"
    return Outcome(TaskStatus.FAILED, reason, f"{what}: {failure.message}")


def no_model_allowed(words: str) -> Outcome:
    """Restrictions deny the model, and no other one answered: it says nothing of the revision."""
    message = f"restrictions.denyModels leaves this task without a model: {words}"
    return Outcome(TaskStatus.ESCALATED, OutcomeReason.RESTRICTED, message, left_out=True)


def count_failed(failure: ModelFailed) -> Outcome:
    """By its bytes the conversation may be too long, and the model did not say how long it is."""
    ended = model_failed(failure, 1)
    if failure.kind is Failure.DENIED:
        return ended
    words = f"the tokens of the next model call could not be counted: {failure.message}"
    return ended if failure.kind is Failure.TOO_LONG else replace(ended, message=words)


def model_error(problem: str) -> Outcome:
    """The model answered with something that cannot be used."""
    return Outcome(TaskStatus.FAILED, OutcomeReason.MODEL_ERROR, problem)


def refused(category: str) -> Outcome:
    """The model refuses to go on."""
    about = f" ({category})" if category else ""
    message = f"the model refused to answer{about}"
    return Outcome(TaskStatus.ESCALATED, OutcomeReason.REFUSAL, message)


def cut_reply(max_tokens: int, setting: str) -> Outcome:
    """The reply did not fit.

    Args:
        max_tokens: what the model was asked for.
        setting: where this number comes from.
    """
    message = f"the model's reply was cut at the {max_tokens} tokens it was asked for ({setting})"
    return Outcome(TaskStatus.LIMIT_EXCEEDED, OutcomeReason.LIMIT_OUTPUT_TOKENS, message)


def cut_by_budget(max_tokens: int, cut: Cut) -> Outcome:
    """The reply did not fit into what a budget had left. It is the budget's doing, not the revision's."""
    message = (
        f"the model's reply was cut at the {max_tokens} tokens it was asked for (what was left of "
        f"{budgets.field_of(cut.limit)})"
    )
    return _by_budget(cut.on_exceeded, message)


def over_budget(refused: Refused, said: str) -> Outcome:
    """A budget had no room for the next model call; ``said`` is the answer so far."""
    if refused.too_many_users:
        message = "this agent's budgets count as many users as they may, and this user is another"
    else:
        message = (
            f"{budgets.field_of(refused.limit)} is {budgets.shown(refused.limit, refused.limit.most)}, "
            f"{budgets.shown(refused.limit, refused.spent)} are spent and "
            f"{budgets.shown(refused.limit, refused.held)} reserved by calls that run: the next model "
            f"call was not made{budgets.reset(refused.resets_ms)}"
        )
    return _by_budget(refused.on_exceeded, message, said)


def _by_budget(then: OnExceeded, message: str, said: str = "") -> Outcome:
    """A budget's end is a sample of no revision, whether a person goes on with the task or nobody."""
    status = TaskStatus.ESCALATED if then is OnExceeded.ESCALATE else TaskStatus.LIMIT_EXCEEDED
    return Outcome(status, OutcomeReason.BUDGET, message, output=said, left_out=True)


def context_full(words: str = "") -> Outcome:
    """The conversation does not fit into the model's window."""
    said = f": {words}" if words else ""
    message = f"the conversation is longer than the model's context window{said}"
    return Outcome(TaskStatus.LIMIT_EXCEEDED, OutcomeReason.LIMIT_INPUT_TOKENS, message)


def conversation_too_large(most_characters: int) -> Outcome:
    """The conversation is longer than what is kept of one."""
    message = f"the conversation is longer than {most_characters} characters, the most that is kept"
    return Outcome(TaskStatus.LIMIT_EXCEEDED, OutcomeReason.LIMIT_INPUT_TOKENS, message)


def session_too_long(tokens: int, limit: int) -> Outcome:
    """The session's history and the input do not fit into the task's limit: nothing was asked."""
    message = (
        f"the session's history, the input and the prompt are about {tokens} tokens, and "
        f"limits.inputTokens is {limit}; the model was not called"
    )
    return Outcome(
        TaskStatus.LIMIT_EXCEEDED, OutcomeReason.LIMIT_INPUT_TOKENS, message, left_out=True
    )


def too_many_calls(calls: int, most: int) -> Outcome:
    """A reply that asks for more than any task may."""
    problem = f"the model asked for {calls} tool calls in one reply, and {most} are the most"
    return model_error(problem)


def doubtful(tool: str, given: Mapping[str, Any], key: str, doubt: str) -> Outcome:
    """An irreversible call that may have been made in a span of which Redis knows nothing."""
    message = (
        f"irreversible tool {tool} was not called, because it may have been called before: "
        f"{doubt}; ask its service for the Idempotency-Key {key}; asked for with {shown(given)}"
    )
    return Outcome(TaskStatus.ESCALATED, OutcomeReason.PERSON, message, left_out=True)


def repeated(breach: Outcome, tool: str, given: Mapping[str, Any]) -> Outcome:
    """A limit on identical calls is reached; by which call."""
    return replace(breach, message=f"{breach.message}, of tool {tool} with {shown(given)}")


def too_many_wait(tool: str, ask: Ask, given: Mapping[str, Any]) -> Outcome:
    """A person must agree first, and as many calls wait for people as may."""
    message = (
        f"tool {tool} needs a person's approval, because {ask.why}; as many tasks of this agent wait "
        f"for people as may, so nobody was asked; it was asked for with {shown(given)}"
    )
    return Outcome(TaskStatus.ESCALATED, OutcomeReason.APPROVAL, message)


def denied(said: Decision) -> str:
    """What the model hears of a call that is not made."""
    why = f": {said.note}" if said.note else ""
    if not said.by:
        return (
            f"the call was not made: it needs a person's approval, and nobody decided in time{why}"
        )
    return f"the call was not made: a person has denied it{why}"


def ended_by_denial(tool: str, given: Mapping[str, Any], said: Decision) -> Outcome:
    """A call was denied, and the agent is declared to stop there."""
    who = " and ".join(said.by)
    by = f"{who} has denied it" if who else "nobody decided in time"
    why = f": {said.note}" if said.note else ""
    message = (
        f"the call of tool {tool} was not made, {by}{why}; it was asked for with {shown(given)}"
    )
    return Outcome(TaskStatus.ESCALATED, OutcomeReason.APPROVAL, message)


def go_on(said: Decision) -> str:
    """What the model hears when a person, or time, has nothing to answer to its question."""
    note = f": {said.note}" if said.note else ""
    return f"go on by yourself{note}"


def changed(given: Mapping[str, Any]) -> str:
    """What the model hears before the result of a call that a person has changed."""
    return f"a person has approved the call with other arguments, {shown(given)}; its result:\n"


def result_unknown(tool: str, given: Mapping[str, Any], why: str) -> Outcome:
    """An irreversible call may or may not have taken effect."""
    message = (
        f"the result of irreversible tool {tool} is unknown ({why}); it was called with "
        f"{shown(given)} and is not called again"
    )
    return Outcome(TaskStatus.ESCALATED, OutcomeReason.TOOL_ERROR, message)


def worker_lost(tool: str, given: Mapping[str, Any], doubt: str) -> Outcome:
    """The worker is gone that made an irreversible call, and what it did after it may be lost as well."""
    unknown = result_unknown(tool, given, "the worker was lost meanwhile")
    if not doubt:
        return unknown
    message = (
        f"{unknown.message}; what else the task has done {doubt} is lost: "
        "ask the services of its other calls too"
    )
    return replace(unknown, reason=OutcomeReason.PERSON, message=message, left_out=True)


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
    return redaction.shortened(json.dumps(given, ensure_ascii=False), _SHOWN_CHARACTERS)


def out_of_time(bounds: Limits, usage: Usage) -> Outcome:
    """No time was left for a call."""
    spent = replace(usage, wall_ms=bounds.wall_seconds * 1000)
    return limits.breach_before_call(bounds, spent) or internal("no time was left")
