"""A streamed reply put together again: the events of the Messages API into one exact message."""

import json
from collections.abc import Mapping
from typing import Any

from penstock_runtime.agent.model import Reply, Tokens, estimated_tokens


class Assembly:
    """Collects the events of one reply.

    Blocks are kept as they came, fields that nobody knows included: they must be sent back
    unchanged. Unknown events and deltas are passed over. A malformed event raises ValueError,
    KeyError, IndexError, TypeError or AttributeError.
    """

    def __init__(self, asked_tokens: int) -> None:
        self._asked_tokens = asked_tokens  # estimate of the input, for replies without usage
        self._started = False
        self._usage: dict[str, Any] = {}
        self._stop: Mapping[str, Any] = {}
        self._blocks: list[dict[str, Any]] = []
        self._input_json: dict[int, list[str]] = {}
        self._cut_input = False
        self.complete = False

    def add(self, event: Mapping[str, Any]) -> None:
        """Take in the next event."""
        match event:
            case {"type": "message_start", "message": message}:
                self._started = True
                self._usage.update(message.get("usage") or {})
            case {"type": "content_block_start", "content_block": block}:
                self._blocks.append(dict(block))
            case {"type": "content_block_delta", "index": index, "delta": delta}:
                self._add_delta(index, delta)
            case {"type": "content_block_stop", "index": index}:
                self._stop_block(index)
            case {"type": "message_delta", "delta": delta}:
                self._stop = {**self._stop, **delta}
                # Totals are cumulative and overwrite; an absent one keeps the first value.
                totals = event.get("usage") or {}
                self._usage.update({k: v for k, v in totals.items() if v is not None})
            case {"type": "message_stop"}:
                self.complete = self._started and bool(self._stop.get("stop_reason"))

    def _add_delta(self, index: int, delta: Mapping[str, Any]) -> None:
        block = self._blocks[index]
        match delta:
            case {"type": "text_delta", "text": text}:
                block["text"] += text
            case {"type": "thinking_delta", "thinking": text}:
                block["thinking"] += text
            case {"type": "signature_delta", "signature": signature}:
                block["signature"] = signature
            case {"type": "input_json_delta", "partial_json": part}:
                self._input_json.setdefault(index, []).append(part)
            case {"type": "citations_delta", "citation": citation}:
                block["citations"] = [*(block.get("citations") or []), citation]

    def _stop_block(self, index: int) -> None:
        written = "".join(self._input_json.get(index, ()))
        if not written:
            return
        try:
            self._blocks[index]["input"] = json.loads(written)
        except ValueError:
            self._cut_input = True

    @property
    def tokens(self) -> Tokens:
        """What the reply used so far; estimated where the model does not say.

        Cached tokens count as input. Nothing is charged before the reply began.
        """
        if not self._started:
            return Tokens()
        said = self._usage
        written = estimated_tokens(self._blocks)
        given = sum(
            said.get(name) or 0
            for name in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
        )
        output = said.get("output_tokens")
        if output is None or not self._stop:
            output = max(output or 0, written)  # the first total of a stream is a placeholder
        return Tokens(given if "input_tokens" in said else self._asked_tokens, output)

    def reply(self) -> Reply:
        """The whole message; call it once it is complete.

        Raises:
            ValueError: it asks for a tool with an input that is not JSON. A reply that was cut at
                its longest holds half an input too, but nothing will run on that one.
        """
        if self._cut_input and self._stop["stop_reason"] == "tool_use":
            raise ValueError("the input of a tool call is not JSON")
        details = self._stop.get("stop_details") or {}
        return Reply(
            tuple(self._blocks),
            str(self._stop["stop_reason"]),
            self.tokens,
            str(details.get("category") or ""),
        )
