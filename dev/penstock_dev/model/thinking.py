"""Thinking blocks: what a signature is bound to, and which blocks are taken back.

The signature of a block tells, each as a digest, the model that thought, the thought, and the
conversation before it. So it is checked without memory, and survives a restart of the server.
"""

import base64
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from penstock_dev.model import conversation, faults
from penstock_dev.model.models import Model

KINDS: Final = ("thinking", "redacted_thinking")
_DIGITS: Final = 16
_NOT_SIGNED: Final = frozenset({"cache_control"})

_CHANGED: Final = (
    "`thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified. "
    "These blocks must remain as they were in the original response."
)
_INVALID: Final = "Invalid `signature` in `thinking` block"
_OTHER_CONVERSATION: Final = f"{_INVALID}: it is bound to a different conversation"


def signature(model: Model, request: Mapping[str, Any], thought: str) -> str:
    """The signature of a thought with which the model goes on after a request."""
    *_, before = _prefixes(request)
    parts = (_digest(model.id), _digest(thought), before)
    return base64.b64encode(".".join(parts).encode()).decode()


def check(request: Mapping[str, Any], model: Model) -> None:
    """Check the thinking blocks of a request whose shape is right. Raises Rejected for the first bad one."""
    messages = request["messages"]
    thoughtful = [
        index
        for index, message in enumerate(messages)
        if any(block["type"] in KINDS for block in conversation.blocks(message))
    ]
    if not thoughtful:
        return
    latest = max(index for index, each in enumerate(messages) if each["role"] == "assistant")
    for index, before in enumerate(itertools.islice(_prefixes(request), thoughtful[-1] + 1)):
        for at, block in enumerate(conversation.blocks(messages[index])):
            problem = _problem(block, model, before, latest=index == latest)
            if problem:
                raise faults.Rejected(400, f"messages.{index}.content.{at}: {problem}")


def _problem(block: Mapping[str, Any], model: Model, before: str, *, latest: bool) -> str:
    if block["type"] == "redacted_thinking":
        return "Invalid `data` in `redacted_thinking` block"  # this server never gives any
    if block["type"] != "thinking":
        return ""
    match _read(block["signature"]):
        case (thinker, _, _) if thinker != _digest(model.id):
            return _INVALID
        case (_, thought, _) if thought != _digest(block["thinking"]):
            return _CHANGED if latest else _INVALID
        case (_, _, bound) if model.binds_thinking and bound != before:
            return _OTHER_CONVERSATION
        case (_, _, _):
            return ""
    return _INVALID


def _read(signed: str) -> tuple[str, ...]:
    try:
        return tuple(base64.b64decode(signed, validate=True).decode().split("."))
    except ValueError:
        return ()


def _prefixes(request: Mapping[str, Any]) -> Iterator[str]:
    """Digests of what stands before each message, and of the whole request at the end."""
    running = hashlib.sha256()
    running.update(_canonical(_system(request)))
    running.update(_canonical(request.get("tools") or []))
    for message in request["messages"]:
        yield running.hexdigest()[:_DIGITS]
        running.update(_canonical([message["role"], conversation.blocks(message)]))
    yield running.hexdigest()[:_DIGITS]


def _system(request: Mapping[str, Any]) -> list[Any]:
    system = request.get("system") or []
    return [{"type": "text", "text": system}] if isinstance(system, str) else system


def _canonical(value: Any) -> bytes:
    text = json.dumps(_signed(value), sort_keys=True, separators=(",", ":"))
    return text.encode()


def _signed(value: Any) -> Any:
    match value:
        case dict():
            return {key: _signed(each) for key, each in value.items() if key not in _NOT_SIGNED}
        case list():
            return [_signed(each) for each in value]
        case _:
            return value


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
