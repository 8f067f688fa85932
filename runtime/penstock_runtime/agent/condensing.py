"""What a session said long ago, in short: past a declared length its finished turns are summarised.

The call for it sends the conversation as it is, so that it is read from the vendor's cache and what was
thought stays valid; afterwards the conversation begins with the summary, and thinking that was signed
over what is gone goes with it. The newest messages stay word for word.
"""

from dataclasses import replace
from typing import Final

from penstock.api.agent import AgentTemplate
from penstock.money.bound import Affordable
from penstock.money.prices import usd
from penstock_runtime.agent import purses, session
from penstock_runtime.agent.history import without_thinking
from penstock_runtime.agent.keeper import Event
from penstock_runtime.agent.models.estimates import characters, estimated_tokens
from penstock_runtime.agent.models.model import Message, Reply
from penstock_runtime.agent.step import AskModel, Run
from penstock_runtime.agent.transcript import Transcript

KEPT_MESSAGES: Final = 10
SUMMARY_TOKENS: Final = 1024
_ASK: Final = (
    "Before we go on: summarise our whole conversation up to here, in at most 500 words, for yourself as "
    "the only memory of it. Keep facts, names, numbers, what was decided, what tools did, and what is "
    "still open. Call no tool, and answer with the summary alone."
)
_ASKED: Final = "Summarise what was said before this."


def is_due(template: AgentTemplate, run: Run) -> bool:
    """Whether the session's history is to be summarised before the task's first call."""
    most = template.limits.context_tokens
    told = run.transcript
    if most is None or run.condensed is not None or not told.begin or told.step:
        return False
    if template.limits.model_calls - run.usage.model_calls < 2:
        return False  # one call is left, and that is for the answer
    return history_tokens(run) > most and _kept_from(told) > 0


def history_tokens(run: Run) -> int:
    """About how many tokens the session's history has."""
    told = run.transcript
    if told.tokens:
        return max(0, told.tokens - run.prompt_tokens)
    return estimated_tokens(told.messages[: told.begin])


def _kept_from(told: Transcript) -> int:
    """Where the newest turns begin that have ten messages together; 0: none is before them."""
    history = told.messages[: told.begin]
    for index in range(len(history) - KEPT_MESSAGES, 0, -1):
        if session.begins_turn(history[index]):
            return index
    return 0


def asker(template: AgentTemplate) -> AgentTemplate:
    """The template by which a summary is asked for: its reply is short."""
    most = min(SUMMARY_TOKENS, template.model.max_tokens)
    model = template.model.model_copy(update={"max_tokens": most})
    return template.model_copy(update={"model": model})


def asking(told: Transcript) -> Transcript:
    """The session's history and the request to summarise it, without the task's own input."""
    ask = {"role": "user", "content": _ASK}
    messages = (*told.messages[: told.begin], ask)
    return replace(told, messages=messages, characters=characters(messages))


def call(template: AgentTemplate, asked: Run) -> AskModel | None:
    """The call for a summary, where all of its reply can be paid by the best count there is."""
    purse = purses.purse(template, asked.usage, asked.transcript, asked.terms, asked.counted)
    match purse.afford():
        case Affordable(cut_by=None) as found:
            return AskModel(asked.transcript, found.reply_tokens, purse)
    return None


def condensed(run: Run, answer: Reply) -> tuple[Run, Event | None]:
    """The run with the summary in place of what it is of; as it was where the answer is none."""
    texts = (block["text"] for block in answer.content if block["type"] == "text")
    summary = "".join(texts).strip()
    if not summary or answer.stop_reason not in ("end_turn", "stop_sequence", "max_tokens"):
        return replace(run, condensed=False), None
    told, before = run.transcript, history_tokens(run)
    begin, kept_from = told.begin, _kept_from(told)
    brief: tuple[Message, ...] = (
        {"role": "user", "content": _ASKED},
        {"role": "assistant", "content": [{"type": "text", "text": summary}]},
    )
    kept = (*brief, *without_thinking(told.messages[kept_from:begin]))
    whole = (*kept, *told.messages[begin:])
    shorter = replace(
        told,
        messages=whole,
        begin=len(kept),
        tokens=0,
        counted=None,
        characters=characters(whole),
    )
    event = {
        "messages": kept_from,
        "historyTokens": before,
        "summaryTokens": answer.tokens.output,
        "model": answer.by.model,
        "costUSD": usd(answer.charge.cost_micro_usd),
    }
    run = replace(run, transcript=shorter, counted=None, condensed=True)
    return run, ("condensed", event)
