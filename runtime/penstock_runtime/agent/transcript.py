"""The conversation of a task: what was said, what is still to be answered, and its saved form."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from penstock.revision import canonical
from penstock_runtime.agent.model import Block, Message, Reply

_FORMAT: Final = 1
_THINKING: Final = ("thinking", "redacted_thinking")


@dataclass(frozen=True)
class ToolUse:
    """A tool the model asks for; ``step`` counts this task's replies from 1."""

    id: str
    name: str
    input: Mapping[str, Any]
    step: int


@dataclass(frozen=True)
class Transcript:
    """A conversation and where it stands.

    ``begin`` is the index of this task's own first message; before it is the session's history.
    ``stop_reason`` is that of the last message when the model said it, and empty when it is the
    model's turn. ``results`` holds answers to the last message's tool calls, by call id, until
    all are there and make one user message. ``begun`` are irreversible calls that may have been
    made.
    """

    messages: tuple[Message, ...]
    begin: int = 0
    stop_reason: str = ""
    detail: str = ""
    results: Mapping[str, Block] = field(default_factory=dict)
    begun: frozenset[str] = frozenset()

    @classmethod
    def start(cls, history: Sequence[Message], text: str) -> "Transcript":
        """A task's first state: the session's history, then its input."""
        return cls((*history, {"role": "user", "content": text}), begin=len(history))

    @property
    def calls(self) -> tuple[ToolUse, ...]:
        """The tool calls of the last message, in the model's order."""
        if not self.stop_reason:
            return ()
        return _calls_of(self.messages[-1], self.step)

    @property
    def step(self) -> int:
        """How many replies this task has had."""
        return sum(message["role"] == "assistant" for message in self.messages[self.begin :])

    @property
    def pending(self) -> tuple[ToolUse, ...]:
        """The tool calls of the last message that have no result yet."""
        return tuple(call for call in self.calls if call.id not in self.results)

    @property
    def answer(self) -> str:
        """The text since the last user message; a paused turn goes on in a further message."""
        texts: list[str] = []
        for message in reversed(self.messages):
            if message["role"] != "assistant":
                break
            texts[:0] = [block["text"] for block in message["content"] if block["type"] == "text"]
        return "".join(texts)

    def with_reply(self, reply: Reply) -> "Transcript":
        """The conversation with the model's message at its end."""
        message = {"role": "assistant", "content": list(reply.content)}
        return replace(
            self,
            messages=(*self.messages, message),
            stop_reason=reply.stop_reason,
            detail=reply.detail,
        )

    def with_turn_paused(self) -> "Transcript":
        """The model goes on from its own message, which is sent back unchanged."""
        return replace(self, stop_reason="")

    def with_intent(self, call: ToolUse) -> "Transcript":
        """Remember that an irreversible call may have been made from now on."""
        return replace(self, begun=self.begun | {call.id})

    def with_result(self, call: ToolUse, text: str, *, is_error: bool) -> "Transcript":
        """The conversation with a tool's answer; the last one hands the turn to the model."""
        block = {"type": "tool_result", "tool_use_id": call.id, "content": text}
        results = {**self.results, call.id: {**block, "is_error": True} if is_error else block}
        if any(asked.id not in results for asked in self.calls):
            return replace(self, results=results)
        message = {"role": "user", "content": [results[asked.id] for asked in self.calls]}
        return replace(
            self, messages=(*self.messages, message), stop_reason="", detail="", results={}
        )

    def times_asked(self, call: ToolUse) -> int:
        """How often this task asked for this very tool and input, up to and with this call."""
        wanted = _action(call.name, call.input)
        asked = 0
        for earlier in self._calls():
            asked += _action(earlier.name, earlier.input) == wanted
            if earlier.id == call.id:
                break
        return asked

    def _calls(self) -> list[ToolUse]:
        own = self.messages[self.begin :]
        return [call for message in own for call in _calls_of(message, 0)]

    def without_thinking(self) -> "Transcript":
        """The conversation as another revision may continue it: its thinking is not valid there."""
        history = without_thinking(self.messages[: self.begin])
        own = without_thinking(self.messages[self.begin :])
        return replace(self, messages=(*history, *own), begin=len(history))

    def encode(self) -> bytes:
        """The saved form; ``decode`` gives back every message exactly."""
        return _dump(
            {
                "format": _FORMAT,
                "messages": self.messages,
                "begin": self.begin,
                "stopReason": self.stop_reason,
                "detail": self.detail,
                "results": self.results,
                "begun": sorted(self.begun),
            }
        )

    @classmethod
    def decode(cls, saved: bytes) -> "Transcript":
        """Read a saved form.

        Raises:
            ValueError: it is not one, or of a newer format.
        """
        document = _load(saved)
        return cls(
            tuple(document["messages"]),
            document["begin"],
            document["stopReason"],
            document["detail"],
            document["results"],
            frozenset(document["begun"]),
        )


def encode_history(messages: Sequence[Message]) -> bytes:
    """The saved form of a session's conversation."""
    return _dump({"format": _FORMAT, "messages": messages})


def decode_history(saved: bytes | None) -> tuple[Message, ...]:
    """A session's conversation; empty when there is none."""
    return tuple(_load(saved)["messages"]) if saved else ()


def without_thinking(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Messages without thinking blocks; one that held nothing else is left out."""
    stripped = (_stripped(message) for message in messages)
    return tuple(message for message in stripped if message["content"])


def _stripped(message: Message) -> Message:
    if isinstance(message["content"], str):
        return message
    content = [block for block in message["content"] if block["type"] not in _THINKING]
    return {**message, "content": content}


def _calls_of(message: Message, step: int) -> tuple[ToolUse, ...]:
    if message["role"] != "assistant":
        return ()
    return tuple(
        ToolUse(block["id"], block["name"], block["input"], step)
        for block in message["content"]
        if block["type"] == "tool_use"
    )


def _action(name: str, given: Any) -> str:
    return f"{name} {canonical(given)}"


def _dump(document: Mapping[str, Any]) -> bytes:
    # Lone surrogates can reach a transcript from a model; they must survive, not raise.
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def _load(saved: bytes) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(saved.decode("utf-8", "surrogatepass"))
    if document.get("format") != _FORMAT:
        raise ValueError(
            f"a saved conversation has format {document.get('format')!r}, not {_FORMAT}"
        )
    return document
