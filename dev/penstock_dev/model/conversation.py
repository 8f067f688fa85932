"""What a request says: its system prompt, the running task, and how long it is in tokens."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

CHARACTERS_PER_TOKEN = 4

_UNCOUNTED_KEYS = frozenset({"type", "role", "cache_control", "signature"})

_ISSUED_ID = re.compile(r"toolu_01([0-9a-f]{16})[0-9a-f]{6}")


@dataclass(frozen=True)
class Task:
    """The part of a conversation since the last user message that carries no tool results."""

    user_text: str
    tool_results: tuple[str, ...]
    drawn: int | None

    @property
    def answered_calls(self) -> int:
        """How many tool calls of the task have been answered."""
        return len(self.tool_results)


def tool_use_id(drawn: int, serial: int) -> str:
    """An id that carries the number of its conversation, so that later turns need no memory."""
    return f"toolu_01{drawn:016x}{serial & 0xFFFFFF:06x}"


def drawn_of(identifier: str) -> int | None:
    """The number carried by an id of `tool_use_id`; None for any other id."""
    match = _ISSUED_ID.fullmatch(identifier)
    return int(match[1], 16) if match else None


def system_text(request: dict[str, Any]) -> str:
    """The system prompt as one text, its blocks joined by line breaks."""
    system = request.get("system")
    return system if isinstance(system, str) else "\n".join(_texts(system or ()))


def blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The content of a message as blocks; a plain string is one text block."""
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def current_task(messages: list[dict[str, Any]]) -> Task:
    """The running task of a valid conversation."""
    results: list[str] = []
    drawn: int | None = None
    for message in reversed(messages):
        parts = blocks(message)
        if message["role"] == "assistant":
            ids = [part["id"] for part in parts if part["type"] == "tool_use"]
            drawn = next((found for found in map(drawn_of, ids) if found is not None), drawn)
        elif message["role"] == "user":
            found = [part for part in parts if part["type"] == "tool_result"]
            if not found:
                return Task(" ".join(_texts(parts)), tuple(results), drawn if results else None)
            results[:0] = [" ".join(_strings(part.get("content", ""))) for part in found]
    return Task("", tuple(results), drawn if results else None)


def tokens(characters: int) -> int:
    """A stand-in for the tokenizer: four characters are one token, rounded up."""
    return -(-characters // CHARACTERS_PER_TOKEN)


def input_tokens(request: dict[str, Any]) -> int:
    """Tokens of system prompt, tools and messages together, at least 1."""
    counted = (request.get("system"), request.get("tools"), request.get("messages"))
    return max(1, tokens(characters(counted)))


def input_bytes(request: dict[str, Any]) -> int:
    """The same by a tokenizer that makes one token of each byte, and none less for any text."""
    counted = (request.get("system"), request.get("tools"), request.get("messages"))
    return max(1, sum(len(text.encode("utf-8", "surrogatepass")) for text in _strings(counted)))


def characters(value: Any) -> int:
    """How many characters are counted of a part of a request."""
    return sum(map(len, _strings(value)))


def _texts(parts: Iterable[dict[str, Any]]) -> Iterator[str]:
    return (part["text"] for part in parts if part.get("type") == "text")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key not in _UNCOUNTED_KEYS:
                yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)
