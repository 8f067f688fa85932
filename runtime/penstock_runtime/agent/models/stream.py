"""A streamed reply put together again: the events of the Messages API into one exact message."""

from collections.abc import Mapping
from typing import Any, Final

from penstock.api import toolschema
from penstock.money.prices import Tokens
from penstock_runtime import redaction
from penstock_runtime.agent.models import echo, sse
from penstock_runtime.agent.models.estimates import characters, estimated_tokens
from penstock_runtime.agent.models.model import Reply
from penstock_runtime.agent.models.sse import Unreadable

MAX_BLOCKS: Final = 1000  # of one reply
MAX_REPLY_CHARACTERS: Final = 4 * 1024 * 1024  # texts, thinking and inputs of one reply together
_WORD_CHARACTERS: Final = 64  # of a stop reason and a category: they are shown
_MOST_TOKENS: Final = 10**9  # a count beyond is no count
_INPUTS: Final = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


class Assembly:
    """Collects the events of one reply.

    Blocks are kept as they came, fields that nobody knows included. Unknown events and deltas are
    passed over. A malformed event raises Unreadable (a ValueError), KeyError, IndexError,
    TypeError or AttributeError.
    """

    def __init__(self, asked_tokens: int) -> None:
        self._asked_tokens = asked_tokens  # estimate of the input, for replies without usage
        self._started = False
        self._usage: dict[str, Any] = {}
        self._stop: Mapping[str, Any] = {}
        self._blocks: list[dict[str, Any]] = []
        self._parts: list[dict[str, list[str]]] = []  # of each block's texts, as they came
        self._cut_input = False
        self._characters = 0
        self.over = False

    @property
    def complete(self) -> bool:
        """Whether the reply has come to its own end and says why."""
        return self.over and self._started and bool(self._stop.get("stop_reason"))

    @property
    def started(self) -> bool:
        """Whether the model has begun to answer."""
        return self._started

    def add(self, event: Mapping[str, Any]) -> None:
        """Take in the next event."""
        match event:
            case {"type": "message_start", "message": message}:
                self._started = True
                self._usage.update(message.get("usage") or {})
            case {"type": "content_block_start", "content_block": block}:
                self._start_block(block)
            case {"type": "content_block_delta", "index": index, "delta": delta}:
                self._add_delta(_index(index), delta)
            case {"type": "content_block_stop", "index": index}:
                self._stop_block(_index(index))
            case {"type": "message_delta", "delta": delta}:
                self._stop = {**self._stop, **delta}
                # Totals are cumulative and overwrite; an absent one keeps the first value.
                totals = event.get("usage") or {}
                self._usage.update({k: v for k, v in totals.items() if v is not None})
            case {"type": "message_stop"}:
                self.over = True

    def _start_block(self, block: Mapping[str, Any]) -> None:
        if len(self._blocks) >= MAX_BLOCKS:
            raise Unreadable(f"it has more than {MAX_BLOCKS} blocks")
        if toolschema.deeper_than(block, echo.MAX_INPUT_DEPTH):
            raise Unreadable(f"a block is nested more than {echo.MAX_INPUT_DEPTH} levels deep")
        if not isinstance(block.get("type"), str):
            raise Unreadable("a block has no type")
        self._blocks.append(dict(block))
        self._parts.append({})

    def _add_delta(self, index: int, delta: Mapping[str, Any]) -> None:
        block = self._blocks[index]
        match delta:
            case {"type": "signature_delta", "signature": signature}:
                block["signature"] = signature
            case {"type": "text_delta", "text": str(said)}:
                self._append(index, "text", said)
            case {"type": "thinking_delta", "thinking": str(said)}:
                self._append(index, "thinking", said)
            case {"type": "input_json_delta", "partial_json": str(said)}:
                self._append(index, "input", said)
            case {"type": "citations_delta", "citation": citation}:
                self._count(citation)
                block["citations"] = block.get("citations") or []
                block["citations"].append(citation)
            case {"type": "text_delta" | "thinking_delta" | "input_json_delta"}:
                raise Unreadable("a part of a block is no text")

    def _append(self, index: int, field: str, said: str) -> None:
        self._count(said)
        self._parts[index].setdefault(field, []).append(said)

    def _count(self, said: Any) -> None:
        self._characters += characters(said)
        if self._characters > MAX_REPLY_CHARACTERS:
            raise Unreadable(f"it is longer than {MAX_REPLY_CHARACTERS} characters")

    def _stop_block(self, index: int) -> None:
        self._gather(index)
        written = "".join(self._parts[index].get("input", ()))
        if not written:
            return
        try:
            self._blocks[index]["input"] = sse.loads(written)
        except (ValueError, RecursionError):
            self._cut_input = True

    def _gather(self, index: int) -> None:
        """Put the texts that came in parts into the block."""
        for field in ("text", "thinking"):
            if parts := self._parts[index].pop(field, None):
                begun = self._blocks[index].get(field) or ""
                self._blocks[index][field] = begun + "".join(parts)

    @property
    def counted(self) -> bool:
        """Whether the tokens are those that the model counted, all of them."""
        said = [_tokens(self._usage.get(name)) for name in ("input_tokens", "output_tokens")]
        return self.complete and None not in said

    @property
    def tokens(self) -> Tokens:
        """What the reply used so far; estimated where the model does not say.

        Nothing is charged before the reply began.
        """
        if not self._started:
            return Tokens()
        said = {name: _tokens(count) for name, count in self._usage.items()}
        given = sum(said.get(name) or 0 for name in _INPUTS)
        output = said.get("output_tokens")
        if output is None or not self._stop:
            # The first total of a stream is a placeholder.
            output = max(output or 0, estimated_tokens((self._blocks, self._parts)))
        if said.get("input_tokens") is None:
            return Tokens(self._asked_tokens, output)
        written, of_it_long = said.get("cache_creation_input_tokens") or 0, self._long_lived
        long_lived = min(written, of_it_long)
        read = said.get("cache_read_input_tokens") or 0
        return Tokens(given, output, read, written - long_lived, long_lived)

    @property
    def _long_lived(self) -> int:
        """Tokens that were put into the cache for an hour."""
        split = self._usage.get("cache_creation")
        said = split.get("ephemeral_1h_input_tokens") if isinstance(split, Mapping) else None
        return _tokens(said) or 0

    def reply(self) -> Reply:
        """The whole message; call it once it is complete.

        Raises:
            ValueError: it asks for a tool with an input that is not JSON. A reply that was cut at
                its longest holds half an input too, but nothing will run on that one.
        """
        if self._cut_input and self._stop["stop_reason"] == "tool_use":
            raise Unreadable("the input of a tool call is not JSON")
        for index, block in enumerate(self._blocks):
            self._gather(index)
            if block["type"] == "text" and not isinstance(block.get("text"), str):
                raise Unreadable("a block of text has none")
        details = self._stop.get("stop_details") or {}
        return Reply(
            tuple(self._blocks),
            _word(self._stop["stop_reason"]),
            self.tokens,
            _word(details.get("category") or ""),
        )


def _word(value: Any) -> str:
    return redaction.redact(str(value))[:_WORD_CHARACTERS]


def _index(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise Unreadable("a part belongs to no block")
    return value


def _tokens(count: Any) -> int | None:
    """A count of tokens; None where it cannot be one."""
    counted = isinstance(count, int) and not isinstance(count, bool)
    return count if counted and 0 <= count <= _MOST_TOKENS else None
