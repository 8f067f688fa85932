"""The rules of a conversation: roles, blocks, and every tool call answered exactly once, at once."""

import itertools
from typing import Any

from penstock_dev.model import conversation, faults

_USER_BLOCKS = frozenset(
    {"text", "image", "document", "search_result", "tool_result", "container_upload"}
)
_ASSISTANT_BLOCKS = frozenset(
    {"text", "thinking", "redacted_thinking", "tool_use", "server_tool_use"}
)


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
        _message(message, f"messages.{index}")
    first = next((message["role"] for message in messages if message["role"] != "system"), "system")
    if first != "user":
        raise faults.Rejected(400, 'messages: first message must use the "user" role')
    _tool_pairs(messages)


def check_text_block(block: Any, where: str) -> None:
    """Check a block that may only be text."""
    match block:
        case {"type": "text", "text": str()}:
            return
        case {"type": "text"}:
            raise faults.Rejected(400, f"{where}.text: Field required")
        case _:
            raise faults.Rejected(400, f"{where}: Input should be a text block")


def _message(message: Any, where: str) -> None:
    if not isinstance(message, dict):
        raise faults.Rejected(400, f"{where}: Input should be a valid object")
    role, content = message.get("role"), message.get("content")
    if role not in ("user", "assistant", "system"):
        raise faults.Rejected(400, f"{where}.role: Input should be 'user', 'assistant' or 'system'")
    if isinstance(content, str):
        if not content:
            raise faults.Rejected(400, f"{where}: {role} messages must have non-empty content")
        return
    if not isinstance(content, list) or not content:
        raise faults.Rejected(
            400, f"{where}.content: Input should be a non-empty string or list of blocks"
        )
    for index, block in enumerate(content):
        _block(block, role, f"{where}.content.{index}")


def _block(block: Any, role: str, where: str) -> None:
    kind = block.get("type") if isinstance(block, dict) else None
    if not isinstance(kind, str):
        raise faults.Rejected(400, f"{where}.type: Field required")
    if kind == "text" or role == "system":
        check_text_block(block, where)
        if not block["text"]:
            raise faults.Rejected(400, f"{where}: text content blocks must be non-empty")
    allowed = _USER_BLOCKS if role == "user" else _ASSISTANT_BLOCKS
    if role != "system" and kind not in allowed:
        raise faults.Rejected(
            400, f"{where}: a block of type '{kind}' is not permitted in a {role} message"
        )
    if kind == "tool_use":
        _tool_use(block, where)
    if kind == "tool_result":
        _tool_result(block, where)


def _tool_use(block: dict[str, Any], where: str) -> None:
    for key, kind in (("id", str), ("name", str), ("input", dict)):
        if not isinstance(block.get(key), kind):
            raise faults.Rejected(400, f"{where}.tool_use.{key}: Field required")


def _tool_result(block: dict[str, Any], where: str) -> None:
    if not isinstance(block.get("tool_use_id"), str):
        raise faults.Rejected(400, f"{where}.tool_result.tool_use_id: Field required")
    if not isinstance(block.get("content", ""), str | list):
        raise faults.Rejected(
            400, f"{where}.tool_result.content: Input should be a valid string or list"
        )


def _tool_pairs(messages: list[dict[str, Any]]) -> None:
    """Consecutive messages of one role are one turn; a turn with tool calls is followed by a turn with their results."""
    open_ids: list[str] = []
    position = 0
    turns = (pair for pair in enumerate(messages) if pair[1]["role"] != "system")
    for role, group in itertools.groupby(turns, key=lambda pair: pair[1]["role"]):
        members = list(group)
        position = members[0][0]
        parts = [block for _, message in members for block in conversation.blocks(message)]
        if role == "assistant":
            open_ids = [block["id"] for block in parts if block["type"] == "tool_use"]
            _unique(open_ids, f"messages.{position}")
        else:
            _answers(parts, open_ids, f"messages.{position}")
            open_ids = []
    if open_ids:
        raise faults.Rejected(400, _unanswered(open_ids, f"messages.{position}"))


def _unique(identifiers: list[str], where: str) -> None:
    if len(set(identifiers)) < len(identifiers):
        raise faults.Rejected(400, f"{where}: `tool_use` ids must be unique")


def _answers(parts: list[dict[str, Any]], open_ids: list[str], where: str) -> None:
    answered = [block["tool_use_id"] for block in parts if block["type"] == "tool_result"]
    for identifier in answered:
        if identifier not in open_ids:
            raise faults.Rejected(
                400,
                f"{where}: unexpected `tool_use_id` found in `tool_result` blocks: {identifier}. "
                "Each `tool_result` block must have a corresponding `tool_use` block in the previous message.",
            )
    if len(set(answered)) < len(answered):
        raise faults.Rejected(
            400, f"{where}: each tool_use must have a single result, found several for one id"
        )
    missing = [identifier for identifier in open_ids if identifier not in answered]
    if missing:
        raise faults.Rejected(400, _unanswered(missing, where))
    if any(block["type"] != "tool_result" for block in parts[: len(answered)]):
        raise faults.Rejected(
            400, f"{where}: `tool_result` blocks must come before any other content"
        )


def _unanswered(identifiers: list[str], where: str) -> str:
    return (
        f"{where}: `tool_use` ids were found without `tool_result` blocks immediately after: "
        f"{', '.join(identifiers)}. Each `tool_use` block must have a corresponding `tool_result` block in the next message."
    )
