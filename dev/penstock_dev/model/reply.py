"""What the scripted model answers: a pure decision from script, fate and conversation."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from penstock_dev.model import caches, conversation, faults, models, thinking
from penstock_dev.model.chance import Fate
from penstock_dev.model.script import Script, ToolCall

Ending = Literal["complete", "cut", "error", "drop"]

_FILLER = "the scripted model keeps writing until it reaches the length it was told "


@dataclass(frozen=True)
class Text:
    """A text block."""

    text: str


@dataclass(frozen=True)
class Thinking:
    """A thought with the signature that binds it to its conversation."""

    thinking: str
    signature: str


@dataclass(frozen=True)
class ToolUse:
    """A tool call; `input_json` is what has been written of the input, cut short when tokens ran out."""

    id: str
    name: str
    input_json: str
    complete: bool = True


Block = Text | Thinking | ToolUse


@dataclass(frozen=True)
class Reply:
    """A message of the model; `ending` is how a stream of it ends, `cached` is of the input tokens."""

    model: str
    blocks: tuple[Block, ...]
    stop_reason: str
    input_tokens: int
    output_tokens: int
    stop_sequence: str | None = None
    refusal_category: str | None = None
    ending: Ending = "complete"
    cached: caches.Share = field(default_factory=caches.Share)


@dataclass(frozen=True)
class Turn:
    """A valid request, the model it is for, its system prompt, the task it continues, its tokens."""

    request: dict[str, Any]
    model: models.Model
    system: str
    task: conversation.Task
    input_tokens: int


@dataclass(frozen=True)
class Garbage:
    """HTTP 200 with a body that is not what it claims to be."""


Answer = Reply | Garbage | faults.Fault


def decide(turn: Turn, script: Script, fate: Fate, new_ids: Iterator[str]) -> Answer:
    """The answer to a valid request. An error goes before garbage, garbage before a refusal, a refusal before content."""
    if fate.error:
        return scripted_fault(script)
    if fate.garbage:
        return Garbage()
    reply = _content(turn, script, fate, new_ids)
    return _limited(reply, turn.request, turn.model.max_input_tokens)


def outcome(answer: Answer) -> str:
    """The answer in a word or two, for the journal: a stop reason, an ending or an error's status."""
    match answer:
        case faults.Fault(status=status):
            return f"error {status}"
        case Garbage():
            return "garbage"
        case Reply(ending="complete", stop_reason=stop_reason):
            return stop_reason
        case Reply(ending=ending):
            return f"stream {ending}"


def written_tokens(answer: Answer) -> int:
    """The output tokens an answer is charged."""
    return answer.output_tokens if isinstance(answer, Reply) else 0


def scripted_fault(script: Script) -> faults.Fault:
    """The error answer a script describes."""
    status = script.error_status
    headers: tuple[tuple[str, str], ...] = ()
    retry_after = script.retry_after_seconds
    if retry_after is None and status == 429:
        retry_after = 1
    if retry_after is not None:
        headers += (("retry-after", f"{retry_after:g}"),)
    if script.should_retry is not None:
        headers += (("x-should-retry", str(script.should_retry).lower()),)
    message = faults.MESSAGES[status] if script.error_message is None else script.error_message
    message += _padding(script)
    return faults.Fault(status, message, script.error_type or "", script.error_code, headers)


def _padding(script: Script) -> str:
    return "x" * script.padding_bytes


def _content(turn: Turn, script: Script, fate: Fate, new_ids: Iterator[str]) -> Reply:
    blocks: tuple[Block, ...]
    stop_reason: str = script.stop_reason
    if fate.refusal:
        blocks, stop_reason = (), "refusal"
    elif calls := _calls(turn, script, fate):
        blocks = _surrounded(tuple(_tool_use(call, new_ids) for call in calls), turn, script)
        stop_reason = "tool_use"
    else:
        text = _text(script, turn.task)
        blocks = _surrounded((Text(text),) if text else (), turn, script)
    written = max(1, conversation.tokens(sum(map(_length, blocks))))
    return Reply(
        model=turn.model.id,
        blocks=blocks,
        stop_reason=stop_reason,
        input_tokens=turn.input_tokens,
        output_tokens=written if script.output_tokens is None else script.output_tokens,
        refusal_category=script.refusal_category,
        ending=_ending(fate),
    )


def _tool_use(call: ToolCall, new_ids: Iterator[str]) -> ToolUse:
    identifier = next(new_ids) if call.id is None else call.id
    return ToolUse(identifier, call.name, json.dumps(call.input))


def _surrounded(blocks: tuple[Block, ...], turn: Turn, script: Script) -> tuple[Block, ...]:
    """The blocks with the thought and the texts that the script puts around them."""
    thoughts: tuple[Block, ...] = ()
    if script.thinking is not None:
        signature = thinking.signature(turn.model, turn.request, script.thinking)
        thoughts = (Thinking(script.thinking, signature),)
    before, after = (
        () if text is None else (Text(text),) for text in (script.text_before, script.text_after)
    )
    return (*thoughts, *before, *blocks, *after)


def _ending(fate: Fate) -> Ending:
    match fate:
        case Fate(stream_error=True):
            return "error"
        case Fate(drop=True):
            return "drop"
        case Fate(cut=True):
            return "cut"
    return "complete"


def _calls(turn: Turn, script: Script, fate: Fate) -> tuple[ToolCall, ...]:
    offered = turn.request.get("tools") or []
    choice = turn.request.get("tool_choice") or {"type": "auto"}
    if not offered or choice["type"] == "none":
        return ()
    calls: tuple[ToolCall, ...] = ()
    if fate.tools:
        calls = (
            (script.loop_tool,)
            if script.loop_tool
            else script.tool_calls[turn.task.answered_calls :]
        )
    if not calls and choice["type"] in ("any", "tool"):
        calls = (ToolCall(name=choice.get("name") or offered[0]["name"]),)
    return calls[:1] if choice.get("disable_parallel_tool_use") else calls


def _text(script: Script, task: conversation.Task) -> str:
    if script.text is not None:
        return script.text
    if script.output_tokens:
        wanted = script.output_tokens * conversation.CHARACTERS_PER_TOKEN
        return (_FILLER * (wanted // len(_FILLER) + 1))[:wanted]
    if task.tool_results:
        return f"The tools answered: {_first_words(task.tool_results[-1])}"
    return f"You said: {_first_words(task.user_text)}"


def _first_words(text: str, count: int = 12) -> str:
    words = text[:200].split()
    return " ".join(words[:count]) or "(nothing)"


def _length(block: Block) -> int:
    match block:
        case Text(text) | Thinking(text):
            return len(text)
        case ToolUse(name=name, input_json=input_json):
            return len(name) + len(input_json)


def _limited(reply: Reply, request: dict[str, Any], window: int) -> Reply:
    """The reply cut at the first stop sequence, at `max_tokens` or where the window of tokens is full."""
    reply = _stopped_at_sequence(reply, request.get("stop_sequences") or [])
    asked = request["max_tokens"]
    allowed = min(asked, max(1, window - reply.input_tokens))
    if reply.output_tokens <= allowed:
        return reply
    characters = allowed * conversation.CHARACTERS_PER_TOKEN
    return replace(
        reply,
        blocks=_truncated(reply.blocks, characters),
        stop_reason="max_tokens" if allowed == asked else "model_context_window_exceeded",
        output_tokens=allowed,
    )


def _stopped_at_sequence(reply: Reply, sequences: list[str]) -> Reply:
    match reply.blocks:
        case (Text(text),):
            found = [(text.index(sequence), sequence) for sequence in sequences if sequence in text]
        case _:
            found = []
    if not found:
        return reply
    position, sequence = min(found)
    kept = text[:position]
    return replace(
        reply,
        blocks=(Text(kept),) if kept else (),
        stop_reason="stop_sequence",
        stop_sequence=sequence,
        output_tokens=max(1, conversation.tokens(position)),
    )


def _truncated(blocks: tuple[Block, ...], characters: int) -> tuple[Block, ...]:
    kept: list[Block] = []
    for block in blocks:
        if characters <= 0:
            break
        match block:
            case Text(text):
                kept.append(Text(text[:characters]))
            case Thinking():
                kept.append(block)
            case ToolUse(name=name, input_json=written):
                allowed = max(0, characters - len(name))
                kept.append(
                    replace(block, input_json=written[:allowed], complete=len(written) <= allowed)
                )
        characters -= _length(block)
    return tuple(kept)
