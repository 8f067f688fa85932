"""The JSON form of a reply: one message object, or the server-sent events of a stream."""

import json
from collections.abc import Iterator
from typing import Any

from penstock_dev.model import faults
from penstock_dev.model.reply import Answer, Block, Reply, Text, Thinking, ToolUse
from penstock_dev.model.script import Script

PIECES_PER_BLOCK = 48
SHORTEST_PIECE_CHARACTERS = 16

GARBAGE_BODY = b'{"id": "msg_broken", "content": [{"type": "te'
GARBAGE_STREAM = (
    b'event: content_block_delta\ndata: {"type": "content_block_delta", "inde\xff\xfe\n\n'
)

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def encode(document: Any) -> bytes:
    """Compact JSON in UTF-8; lone surrogates are kept as escapes."""
    try:
        return _ENCODER.encode(document).encode()
    except UnicodeEncodeError:
        return json.dumps(document).encode()


def message(reply: Reply, message_id: str, script: Script) -> dict[str, Any]:
    """The body of a plain answer."""
    document = _message(
        reply, message_id, [_block(block) for block in reply.blocks], reply.output_tokens
    )
    document |= _stop(reply)
    if script.omit_usage:
        del document["usage"]
    if script.padding_bytes:
        document["scripted_padding"] = "x" * script.padding_bytes
    return document


def events(reply: Reply, message_id: str, request_id: str, script: Script) -> list[bytes]:
    """The events of a streamed answer in order, up to the point where its ending cuts it off."""
    whole = list(_all_events(reply, message_id, script))
    if reply.ending == "complete":
        return whole
    first_half = whole[: max(2, len(whole) // 2)]
    if reply.ending == "error":
        overloaded = faults.Fault(529, faults.MESSAGES[529])
        return [*first_half, _event(faults.body(overloaded, request_id))]
    return first_half


def _all_events(reply: Reply, message_id: str, script: Script) -> Iterator[bytes]:
    start = _message(reply, message_id, [], 1)
    if script.omit_usage:
        del start["usage"]
    yield _event({"type": "message_start", "message": start})
    yield _event({"type": "ping"})
    if script.padding_bytes:
        yield _event({"type": "scripted_padding", "padding": "x" * script.padding_bytes})
    for index, block in enumerate(reply.blocks):
        yield from _block_events(index, block)
        if script.unknown_events:
            yield _event({"type": "scripted_unknown_event", "index": index})
    end: dict[str, Any] = {"type": "message_delta", "delta": _stop(reply)}
    if not script.omit_usage:
        end["usage"] = usage(reply, reply.output_tokens)
    yield _event(end)
    yield _event({"type": "message_stop"})
    if script.after_stop:
        yield script.after_stop.encode("utf-8", "surrogatepass")


def _block_events(index: int, block: Block) -> Iterator[bytes]:
    match block:
        case Text(text):
            empty: dict[str, Any] = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(text)]
        case Thinking(thought, signature):
            empty = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [
                *({"type": "thinking_delta", "thinking": piece} for piece in _pieces(thought)),
                {"type": "signature_delta", "signature": signature},
            ]
        case ToolUse(input_json=written):
            empty = _block(block) | {"input": {}}
            deltas = [
                {"type": "input_json_delta", "partial_json": piece}
                for piece in ["", *_pieces(written)]
            ]
    yield _event({"type": "content_block_start", "index": index, "content_block": empty})
    for delta in deltas:
        yield _event({"type": "content_block_delta", "index": index, "delta": delta})
    yield _event({"type": "content_block_stop", "index": index})


def _pieces(text: str) -> list[str]:
    size = max(SHORTEST_PIECE_CHARACTERS, -(-len(text) // PIECES_PER_BLOCK))
    return [text[start : start + size] for start in range(0, len(text), size)]


def _event(document: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (document["type"].encode(), encode(document))


def _message(
    reply: Reply, message_id: str, content: list[dict[str, Any]], output_tokens: int
) -> dict[str, Any]:
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "usage": usage(reply, output_tokens)
        | {
            "cache_creation": {
                "ephemeral_5m_input_tokens": reply.cached.written_5m,
                "ephemeral_1h_input_tokens": reply.cached.written_1h,
            },
            "service_tier": "standard",
        },
    }


def usage(reply: Reply, output_tokens: int) -> dict[str, int]:
    """Tokens that a reply is charged; input that has to do with a cache is counted apart."""
    cached = reply.cached
    return {
        "input_tokens": reply.input_tokens - cached.read - cached.written,
        "cache_creation_input_tokens": cached.written,
        "cache_read_input_tokens": cached.read,
        "output_tokens": output_tokens,
    }


def charged(answer: Answer) -> dict[str, int] | None:
    """What an answer is charged; None where it is no message."""
    return usage(answer, answer.output_tokens) if isinstance(answer, Reply) else None


def _stop(reply: Reply) -> dict[str, Any]:
    return {
        "stop_reason": reply.stop_reason,
        "stop_sequence": reply.stop_sequence,
        "stop_details": _refusal(reply.refusal_category)
        if reply.stop_reason == "refusal"
        else None,
    }


def _refusal(category: str | None) -> dict[str, Any]:
    return {
        "type": "refusal",
        "category": category,
        "explanation": "The script of this model refuses.",
    }


def _block(block: Block) -> dict[str, Any]:
    match block:
        case Text(text):
            return {"type": "text", "text": text}
        case Thinking(thought, signature):
            return {"type": "thinking", "thinking": thought, "signature": signature}
        case ToolUse(identifier, name, written, complete):
            return {
                "type": "tool_use",
                "id": identifier,
                "name": name,
                "input": json.loads(written) if complete else {},
            }
