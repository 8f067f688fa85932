"""What of a conversation may be sent back: a reader takes less than what models write.

What may not is left out, and a message that would be empty is filled when it is sent, so that one
odd turn spoils no session. Thinking with a signature is kept as it came or left out as a whole.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from penstock.api import toolschema
from penstock_runtime.agent.models.model import Block, Message

NO_TEXT: Final = "(no text)"
NO_OUTPUT: Final = "(no output)"
#: The name under which a call goes back whose own name or input cannot: no tool is called so.
UNREADABLE_CALL: Final = "unreadable_call"
MAX_INPUT_DEPTH: Final = 64
MAX_ID_CHARACTERS: Final = 256

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,256}")
_UNSENDABLE: Final = re.compile("[\x00\ud800-\udfff]")
THINKING: Final = ("thinking", "redacted_thinking")
#: What the Messages API takes in a model's turn; what it names anew was never asked for here.
_KNOWN: Final = frozenset(
    (
        *(*THINKING, "text", "tool_use", "server_tool_use", "mcp_tool_use", "mcp_tool_result"),
        *("container_upload", "document", "image", "search_result"),
    )
)


def text(said: str) -> str:
    """A text without what UTF-8 cannot say (lone surrogates) and what readers refuse (NUL)."""
    return _UNSENDABLE.sub("\ufffd", said)


def messages(found: Sequence[Message]) -> tuple[Message, ...]:
    """A conversation as it may be sent: as many messages in the same order.

    Ids of calls that repeat or cannot be sent are replaced, in their results as well. Thinking is
    signed over what stands before it: after a message that had to be changed it is left out.
    """
    taken: set[str] = set()
    renamed: list[tuple[str, str]] = []
    whole: list[Message] = []
    changed = False
    for message in found:
        if message["role"] == "assistant":
            kept, renamed = _turn(message, taken)
        else:
            kept = _answers(message, renamed)
        whole.append(without_thinking(kept) if changed else kept)
        changed = changed or kept != message
    return tuple(whole)


def without_thinking(message: Message) -> Message:
    """The message without its thinking."""
    if isinstance(message["content"], str):
        return message
    content = [block for block in message["content"] if block["type"] not in THINKING]
    return {**message, "content": content}


def all_without_thinking(found: Sequence[Message]) -> tuple[Message, ...]:
    """As many messages in the same order, without their thinking."""
    return tuple(map(without_thinking, found))


def turn(content: Sequence[Block], before: Sequence[Message]) -> Message:
    """A model's new turn as it may be sent after the messages before it."""
    taken = {block["id"] for message in before for block in calls(message)}
    return _turn({"role": "assistant", "content": list(content)}, taken)[0]


def calls(message: Message) -> Iterator[Block]:
    """The tool calls of a message."""
    if message["role"] != "assistant" or isinstance(message["content"], str):
        return
    for block in message["content"]:
        if isinstance(block, Mapping) and block.get("type") == "tool_use":
            yield block


def filled(conversation: Sequence[Message]) -> tuple[Message, ...]:
    """The conversation without a message that is empty, which readers refuse."""
    words = [{"type": "text", "text": NO_TEXT}]
    return tuple(
        message if message["content"] else {**message, "content": words} for message in conversation
    )


def ready(conversation: Sequence[Message]) -> Sequence[Message]:
    """The conversation as a request takes it: a turn that the model goes on from ends without white space.

    It is the same in each later request, since what the model thought then is signed over it.
    """
    whole = filled(conversation)
    after = (*(message["role"] for message in whole[1:]), "assistant")
    pairs = zip(whole, after, strict=True)
    return tuple(_stripped(message) if follows != "user" else message for message, follows in pairs)


def _stripped(message: Message) -> Message:
    if message["role"] != "assistant" or isinstance(message["content"], str):
        return message
    *blocks, final = message["content"]
    if final["type"] != "text" or final["text"] == final["text"].rstrip():
        return message
    return {**message, "content": [*blocks, {**final, "text": final["text"].rstrip()}]}


def _turn(message: Message, taken: set[str]) -> tuple[Message, list[tuple[str, str]]]:
    """The turn, and its calls' ids before and after; ``taken`` gets the new ones."""
    if isinstance(message["content"], str):
        said = text(message["content"])
        return {**message, "content": said if said.strip() else NO_TEXT}, []
    renamed: list[tuple[str, str]] = []
    blocks: list[Block] = []
    for block in message["content"]:
        kept = _block(block)
        if kept is not None and kept["type"] == "tool_use":
            before = kept["id"]
            kept = {**kept, "id": _free_id(before, taken)}
            renamed.append((before, kept["id"]))
        if kept is not None:
            blocks.append(kept)
    while blocks and blocks[-1]["type"] in THINKING:  # a turn may not end with it
        blocks.pop()
    return {**message, "content": blocks}, renamed


def _free_id(wanted: Any, taken: set[str]) -> str:
    usable = isinstance(wanted, str) and _ID.fullmatch(wanted) and wanted not in taken
    identifier = wanted if usable else f"call_{len(taken) + 1}"
    while identifier in taken:
        identifier += "_"
    taken.add(identifier)
    return str(identifier)


def _block(block: Any) -> Block | None:
    """A block of a model's turn as it may be sent; None when it may not."""
    match block:
        case {"type": "text", "text": str(said)}:
            return _clean(block) if text(said).strip() else None
        case {"type": "thinking", "thinking": str(), "signature": str(signed)} if signed:
            return block if _clean(block) == block else None
        case {"type": "redacted_thinking", "data": str(data)} if data:
            return block if _clean(block) == block else None
        case {"type": "tool_use"}:
            return _call(block)
        case {"type": "text" | "thinking" | "redacted_thinking"}:
            return None
        case {"type": str(kind)} if kind in _KNOWN or kind.endswith("_tool_result"):
            return _clean(block)
    return None


def _call(block: Mapping[str, Any]) -> Block:
    cleaned = _clean(block) or {}
    given, name = cleaned.get("input"), block.get("name")
    readable = isinstance(given, Mapping) and isinstance(name, str) and _NAME.fullmatch(name)
    if readable:
        return {**cleaned, "id": block.get("id")}
    unreadable = {"name": UNREADABLE_CALL, "input": {}}
    return {"type": "tool_use", "id": block.get("id"), **unreadable}


def _clean(block: Mapping[str, Any]) -> Block | None:
    """The block with texts that can be sent; None when JSON has no words for it."""
    if toolschema.deeper_than(block, MAX_INPUT_DEPTH):
        return None
    try:
        written = json.dumps(block, ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError):
        return None
    # What is clean, as nearly all is, stays the very object it was.
    dirty = "\\u0000" in written or _UNSENDABLE.search(written)
    return _cleaned(block) if dirty else block


def _cleaned(value: Any) -> Any:
    match value:
        case str():
            return text(value)
        case Mapping():
            return {text(key): _cleaned(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_cleaned(inner) for inner in value]
    return value


def _answers(message: Message, renamed: Sequence[tuple[str, str]]) -> Message:
    """A user's message as it may be sent; results go by the ids that their calls have now."""
    content = message["content"]
    if isinstance(content, str):
        said = text(content)
        return {**message, "content": said if said.strip() else NO_TEXT}
    left = list(renamed)
    return {**message, "content": [_result(block, left) for block in content] or NO_TEXT}


def _result(block: Block, left: list[tuple[str, str]]) -> Block:
    if block.get("type") != "tool_result":
        return block
    asked = block.get("tool_use_id")
    place = next((pair for pair in left if pair[0] == asked), None)
    if place is not None:
        left.remove(place)
        asked = place[1]
    return {**block, "tool_use_id": asked, "content": output(block.get("content"))}


def output(said: Any) -> Any:
    """A tool's output as it may be sent."""
    if not isinstance(said, str):
        return said or NO_OUTPUT
    cleaned = text(said)
    return cleaned if cleaned.strip() else NO_OUTPUT
