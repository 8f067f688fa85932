"""The rules of a conversation: roles, blocks, and every tool call answered exactly once, at once."""

import itertools
import re
from collections.abc import Iterable
from typing import Any, Final

from penstock_dev.model import conversation, faults, fields

_USER_BLOCKS: Final = frozenset(
    {"text", "image", "document", "search_result", "tool_result", "container_upload"}
)
_ASSISTANT_BLOCKS: Final = frozenset(
    {"text", "thinking", "redacted_thinking", "tool_use", "server_tool_use"}
)
_RESULT_BLOCKS: Final = frozenset({"text", "image", "document", "search_result", "tool_reference"})
_USER_TEXT: Final = fields.BLOCKS["text"] - {"citations"}

_CALL_ID: Final = re.compile(r"[a-zA-Z0-9_-]+")
LONGEST_CALL_NAME: Final = 200

EMPTY_TEXT: Final = "text content blocks must be non-empty"
BLANK_TEXT: Final = "text content blocks must contain non-whitespace text"
TRAILING_BLANK: Final = "messages: final assistant content cannot end with trailing whitespace"


def check(messages: Any, most: int) -> None:
    """Check the `messages` of a request. Raises Rejected naming the first message that breaks a rule."""
    if messages is None:
        raise faults.Rejected(400, "messages: Field required")
    if not isinstance(messages, list):
        raise faults.Rejected(400, "messages: Input should be a valid list")
    if not messages:
        raise faults.Rejected(400, "messages: at least one message is required")
    if len(messages) > most:
        raise faults.Rejected(400, f"messages: at most {most} messages are allowed")
    for index, message in enumerate(messages):
        _message(message, f"messages.{index}", last=index == len(messages) - 1)
    first = next((message["role"] for message in messages if message["role"] != "system"), "system")
    if first != "user":
        raise faults.Rejected(400, 'messages: first message must use the "user" role')
    _tool_pairs(messages)
    _no_blank_at_the_end(messages[-1])


def check_system(system: Any) -> None:
    """Check a system prompt: a text, which may be empty, or text blocks, which may not."""
    if system is None or isinstance(system, str):
        return
    if not isinstance(system, list):
        raise faults.Rejected(400, "system: Input should be a valid string or list of text blocks")
    for index, block in enumerate(system):
        _text_block(block, f"system.{index}", "system", fields.BLOCKS["text"])


def _text_block(block: Any, where: str, whole: str, known: frozenset[str]) -> None:
    match block:
        case {"type": "text", "text": str(text)}:
            fields.only(block, known, f"{where}.text")
            _spoken(text, whole, f"{where}.text" if block.get("cache_control") else "")
        case {"type": "text", "text": _}:
            raise faults.Rejected(400, f"{where}.text.text: Input should be a valid string")
        case {"type": "text"}:
            raise faults.Rejected(400, f"{where}.text.text: Field required")
        case _:
            raise faults.Rejected(400, f"{where}: Input should be a text block")


def _spoken(text: str, whole: str, cached: str = "") -> None:
    """Refuse a text without words; `cached` is its place when it also asks to be cached."""
    if not text and cached:
        raise faults.Rejected(400, f"{cached}: cache_control cannot be set for empty text blocks")
    if not text:
        raise faults.Rejected(400, f"{whole}: {EMPTY_TEXT}")
    if not text.strip():
        raise faults.Rejected(400, f"{whole}: {BLANK_TEXT}")


def _message(message: Any, where: str, *, last: bool) -> None:
    if not isinstance(message, dict):
        raise faults.Rejected(400, f"{where}: Input should be a valid object")
    role, content = message.get("role"), message.get("content")
    if role not in ("user", "assistant", "system"):
        raise faults.Rejected(400, f"{where}.role: Input should be 'user', 'assistant' or 'system'")
    fields.only(message, fields.MESSAGE_PARTS, where)
    if content is None:
        raise faults.Rejected(400, f"{where}.content: Field required")
    if not isinstance(content, str | list):
        raise faults.Rejected(400, f"{where}.content: Input should be a valid string or list")
    if not content and not (last and role == "assistant"):
        raise faults.Rejected(400, _empty(role, where))
    if isinstance(content, str):
        if content:
            _spoken(content, "messages")
        return
    for index, block in enumerate(content):
        _block(block, role, f"{where}.content.{index}")


def _empty(role: str, where: str) -> str:
    if role == "user":
        return f"{where}: user messages must have non-empty content"
    return (
        f"{where}: all messages must have non-empty content except for the optional final "
        "assistant message"
    )


def _block(block: Any, role: str, where: str) -> None:
    if not isinstance(block, dict):
        raise faults.Rejected(400, f"{where}: Input should be a valid object")
    kind = block.get("type")
    if not isinstance(kind, str):
        raise faults.Rejected(400, f"{where}.type: Field required")
    allowed = _USER_BLOCKS if role == "user" else _ASSISTANT_BLOCKS
    if role != "system" and kind not in allowed:
        raise faults.Rejected(
            400, f"{where}: a block of type '{kind}' is not permitted in a {role} message"
        )
    if kind == "text" or role == "system":
        known = fields.BLOCKS["text"] if role == "assistant" else _USER_TEXT
        _text_block(block, where, "messages", known)
    elif kind in fields.BLOCKS:
        fields.only(block, fields.BLOCKS[kind], f"{where}.{kind}")
    match kind:
        case "tool_use":
            _tool_use(block, f"{where}.tool_use")
        case "tool_result":
            _tool_result(block, f"{where}.tool_result")
        case "thinking" | "redacted_thinking":
            parts = ("thinking", "signature") if kind == "thinking" else ("data",)
            _required(block, [(part, str) for part in parts], f"{where}.{kind}")


def _required(block: dict[str, Any], parts: Iterable[tuple[str, type]], where: str) -> None:
    for key, kind in parts:
        if key not in block:
            raise faults.Rejected(400, f"{where}.{key}: Field required")
        if not isinstance(block[key], kind):
            wanted = "string" if kind is str else "dictionary"
            raise faults.Rejected(400, f"{where}.{key}: Input should be a valid {wanted}")


def _tool_use(block: dict[str, Any], where: str) -> None:
    _required(block, (("id", str), ("name", str), ("input", dict)), where)
    _call_id(block["id"], f"{where}.id")
    if not block["name"]:
        raise faults.Rejected(400, f"{where}.name: String should have at least 1 character")
    if len(block["name"]) > LONGEST_CALL_NAME:
        raise faults.Rejected(
            400, f"{where}.name: String should have at most {LONGEST_CALL_NAME} characters"
        )


def _tool_result(block: dict[str, Any], where: str) -> None:
    _required(block, (("tool_use_id", str),), where)
    _call_id(block["tool_use_id"], f"{where}.tool_use_id")
    is_error = block.get("is_error", False)
    if not isinstance(is_error, bool):
        raise faults.Rejected(400, f"{where}.is_error: Input should be a valid boolean")
    content = block.get("content", "")
    if not isinstance(content, str | list):
        raise faults.Rejected(400, f"{where}.content: Input should be a valid string or list")
    if is_error and not content:
        raise faults.Rejected(400, f"{where}: content cannot be empty if `is_error` is true")
    for index, part in enumerate(content if isinstance(content, list) else ()):
        _result_part(part, f"{where}.content.{index}")


def _result_part(part: Any, where: str) -> None:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(kind, str) or kind not in _RESULT_BLOCKS:
        raise faults.Rejected(400, f"{where}: a block of type '{kind}' is not permitted here")
    if kind == "text":
        _text_block(part, where, "messages", _USER_TEXT)


def _call_id(identifier: str, where: str) -> None:
    if not _CALL_ID.fullmatch(identifier):
        raise faults.Rejected(400, f"{where}: String should match pattern '^{_CALL_ID.pattern}$'")


def _no_blank_at_the_end(message: dict[str, Any]) -> None:
    if message["role"] != "assistant":
        return
    *_, end = [*conversation.blocks(message)] or [{"type": "none"}]
    if end["type"] == "text" and end["text"] != end["text"].rstrip():
        raise faults.Rejected(400, TRAILING_BLANK)


def _tool_pairs(messages: list[dict[str, Any]]) -> None:
    """Consecutive messages of one role are one turn; a turn with tool calls is followed by a turn with their results."""
    seen: set[str] = set()
    open_ids: list[str] = []
    asked_at = 0
    turns = (pair for pair in enumerate(messages) if pair[1]["role"] != "system")
    for role, group in itertools.groupby(turns, key=lambda pair: pair[1]["role"]):
        parts = [
            (index, f"messages.{index}.content.{at}", block)
            for index, message in group
            for at, block in enumerate(conversation.blocks(message))
        ]
        if role == "assistant":
            open_ids = _asked(parts, seen)
            asked_at = max((index for index, _, _ in parts), default=asked_at)
        else:
            _answers(parts, open_ids, f"messages.{asked_at}")
            open_ids = []
    if open_ids:
        raise faults.Rejected(400, _unanswered(open_ids, f"messages.{asked_at}"))


_Placed = tuple[int, str, dict[str, Any]]


def _asked(parts: list[_Placed], seen: set[str]) -> list[str]:
    """The ids of a turn's tool calls, each of which the conversation has not seen yet."""
    asked = []
    for _, where, block in parts:
        if block["type"] == "tool_use":
            if block["id"] in seen:
                raise faults.Rejected(400, f"{where}: `tool_use` ids must be unique")
            seen.add(block["id"])
            asked.append(block["id"])
    return asked


def _answers(parts: list[_Placed], open_ids: list[str], asked_at: str) -> None:
    wanted, answered = set(open_ids), set[str]()
    other = False
    for index, where, block in parts:
        if block["type"] != "tool_result":
            other = True
            continue
        identifier = block["tool_use_id"]
        if identifier not in wanted:
            raise faults.Rejected(400, _unexpected(identifier, where))
        if identifier in answered:
            raise faults.Rejected(
                400,
                f"{where}: each tool_use must have a single result. "
                f"Found multiple `tool_result` blocks with id: {identifier}",
            )
        answered.add(identifier)
        if other:
            raise faults.Rejected(
                400, f"messages.{index}: `tool_result` blocks must come before any other content"
            )
    missing = [identifier for identifier in open_ids if identifier not in answered]
    if missing:
        raise faults.Rejected(400, _unanswered(missing, asked_at))


def _unexpected(identifier: str, where: str) -> str:
    return (
        f"{where}: unexpected `tool_use_id` found in `tool_result` blocks: {identifier}. "
        "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
    )


def _unanswered(identifiers: list[str], where: str) -> str:
    return (
        f"{where}: `tool_use` ids were found without `tool_result` blocks immediately after: "
        f"{', '.join(identifiers)}. Each `tool_use` block must have a corresponding `tool_result` block in the next message."
    )
