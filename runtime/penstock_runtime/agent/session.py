"""What a session keeps of its conversation: all of it, until it would keep tasks from running."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from penstock.api.agent import Limits
from penstock.restrictions import TightenedLimits
from penstock.task import Outcome, OutcomeReason, TaskStatus
from penstock_runtime.agent import purses
from penstock_runtime.agent.history import History, without_thinking
from penstock_runtime.agent.models.estimates import characters, estimated_tokens
from penstock_runtime.agent.models.model import Failure, Message
from penstock_runtime.agent.step import Run

MAX_HISTORY_BYTES: Final = 4 * 1024 * 1024  # of one session, as it is stored

#: Limits that a history reaches by its length: reached once, they would be reached for ever.
_GROWING: Final = (OutcomeReason.LIMIT_INPUT_TOKENS, OutcomeReason.LIMIT_COST)


def shortened(
    messages: Sequence[Message], budget_tokens: int, budget_characters: int = MAX_HISTORY_BYTES
) -> tuple[Message, ...]:
    """The newest whole turns that fit into both budgets, by estimate; none when not one fits.

    A turn begins with what the user said, so that no call is parted from its result. Where turns
    are cut no thinking is kept: it is signed over them.
    """
    begin, tokens, size = len(messages), 0, 0
    for index in range(len(messages) - 1, -1, -1):
        tokens += estimated_tokens(messages[index])
        size += characters(messages[index])
        if tokens > budget_tokens or size > budget_characters:
            break
        if begins_turn(messages[index]):
            begin = index
    kept = tuple(messages[begin:])
    return without_thinking(kept) if begin else kept


def begins_turn(message: Message) -> bool:
    """Whether a user speaks, and no tool answers."""
    return message["role"] == "user" and isinstance(message["content"], str)


def settled(run: Run, limits: Limits) -> Run:
    """An ended run with what its session keeps, where its history was what reached a limit.

    Half of the limit is left free, so that the next message has room.
    """
    begin = run.transcript.begin
    if run.outcome is None or not begin:
        return run
    if run.outcome.status is TaskStatus.SUCCEEDED:
        return _within_bounds(run, run.outcome)
    paid = run.transcript.messages[:begin] if run.condensed else None
    if run.outcome.reason is OutcomeReason.LIMIT_COST and isinstance(limits, TightenedLimits):
        # The restriction ends, and the session goes on with all that was said.
        return replace(run, shortened_history=paid)
    if not _history_is_to_blame(run) or _raise_is_to_blame(run, limits):
        return replace(run, shortened_history=paid)
    history = run.transcript.messages[:begin]
    room = max(0, limits.input_tokens - run.prompt_tokens)
    # Where nobody counts tokens, a later call is bounded by its bytes.
    uncounted = run.counted is not None and run.counted.tokens is None and not run.counted.failed
    most_characters = room // 2 if uncounted else MAX_HISTORY_BYTES
    kept = shortened(history, min(room, estimated_tokens(history)) // 2, most_characters)
    words = f"{run.outcome.message}; so that the session can go on, {_cut(history, kept)}"
    return replace(run, shortened_history=kept, outcome=replace(run.outcome, message=words))


def _within_bounds(run: Run, outcome: Outcome) -> Run:
    whole = run.transcript.messages
    if len(History(tuple(whole)).encode()) <= MAX_HISTORY_BYTES:
        return run
    kept = _fitting(whole)
    words = f"a session keeps at most {MAX_HISTORY_BYTES} bytes; {_cut(whole, kept)}"
    return replace(run, shortened_history=kept, outcome=replace(outcome, message=words))


def _fitting(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The newest turns whose stored form has at most ``MAX_HISTORY_BYTES``."""
    kept, budget = tuple(messages), MAX_HISTORY_BYTES
    while kept and len(History(kept).encode()) > MAX_HISTORY_BYTES:
        kept = shortened(messages, budget, budget)
        budget //= 2
    return kept


def _cut(history: Sequence[Message], kept: Sequence[Message]) -> str:
    """What was cut, as the rest of a sentence."""
    cut = sum(map(begins_turn, history)) - sum(map(begins_turn, kept))
    what = "all its turns were" if not kept else f"its {cut} oldest turns were"
    return f"{what} cut from its history"


def _history_is_to_blame(run: Run) -> bool:
    """Whether the history made up half of what was sent, or nothing was sent because of it."""
    if run.outcome is None or run.outcome.status is not TaskStatus.LIMIT_EXCEEDED:
        return False
    if run.outcome.reason not in _GROWING or _may_fit(run):
        return False
    history = estimated_tokens(run.transcript.messages[: run.transcript.begin])
    sent = max(run.usage.input_tokens, run.usage.model_calls)
    return 2 * history * max(1, run.usage.model_calls) >= sent


def _may_fit(run: Run) -> bool:
    """Whether nobody has said how long the history is, and somebody will."""
    failed = run.counted.failed if run.counted else None
    return failed is not None and failed.kind is not Failure.TOO_LONG


def _raise_is_to_blame(run: Run, limits: Limits) -> bool:
    return purses.is_raise_to_blame(limits, run.usage, run.transcript, run.terms, run.counted)


def history_after(run: Run) -> bytes | None:
    """A session's conversation after a task, as stored; None leaves it as it was.

    It is written after a success, and where it had to be shortened. A conversation of more than
    ``MAX_HISTORY_BYTES`` loses its oldest turns.
    """
    if run.shortened_history is not None:
        return History(run.shortened_history, said_by=run.transcript.said_by).encode()
    if run.outcome is None or run.outcome.status is not TaskStatus.SUCCEEDED:
        return None
    told = run.transcript
    stored = History(told.messages, told.tokens, told.said_by, told.counted).encode()
    if len(stored) <= MAX_HISTORY_BYTES:
        return stored
    return History(_fitting(told.messages), said_by=told.said_by).encode()
