"""The conversation of a task: what was said, what is still to be answered, and its saved form."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from penstock.revision import canonical
from penstock_runtime.agent import history
from penstock_runtime.agent.history import Counted
from penstock_runtime.agent.models import echo
from penstock_runtime.agent.models.estimates import characters, estimated_tokens
from penstock_runtime.agent.models.model import NOBODY, Block, Identity, Message, Reply

#: A call of this task: the number of the reply, and that of the call in it, both from 1.
Place = tuple[int, int]


@dataclass(frozen=True)
class ToolUse:
    """A tool the model asks for; ``step`` counts this task's replies, ``position`` the calls of one.

    Both count from 1 and name the call: a model that is asked anew makes another id of its own.
    ``key`` is the last part of the call's idempotency key where it is not the position.
    """

    id: str
    name: str
    input: Mapping[str, Any]
    step: int
    position: int = 1
    key: str = ""

    @property
    def place(self) -> Place:
        """Which call of the task it is."""
        return self.step, self.position

    def idempotency_key(self, task: str) -> str:
        """What a tool knows the call by when it is repeated."""
        return f"{task}.{self.step}.{self.key or self.position}"


@dataclass(frozen=True)
class Transcript:
    """A conversation and where it stands.

    ``begin`` is the index of this task's own first message; before it is the session's history.
    ``stop_reason`` is that of the last message when the model said it, and empty when it is the
    model's turn. ``results`` holds answers to the last message's tool calls, by position, until
    all are there and make one user message. ``begun`` are irreversible calls that may have been
    made and have no result. ``keyed_by_id``: the last message's calls go by the model's ids as
    idempotency keys, because a worker that knew no positions may have made them.
    ``tokens`` is what the model counted of the conversation up to its last reply, the prompt
    included; 0 when that is not known. ``said_by`` has thought all that is thought in it.
    ``counted`` is an upper bound, by the model's own count, of what is sent again of it; None
    where it has counted nothing that is still there.
    """

    messages: tuple[Message, ...]
    begin: int = 0
    stop_reason: str = ""
    detail: str = ""
    results: Mapping[int, Block] = field(default_factory=dict)
    begun: frozenset[Place] = frozenset()
    keyed_by_id: bool = False
    tokens: int = 0
    asked: Mapping[str, int] = field(default_factory=dict)
    repeats: tuple[int, ...] = ()
    characters: int = 0
    said_by: Identity = NOBODY
    counted: Counted | None = None

    @classmethod
    def start(
        cls,
        before: Sequence[Message],
        text: str,
        tokens: int = 0,
        said_by: Identity = NOBODY,
        counted: Counted | None = None,
    ) -> "Transcript":
        """A task's first state: the session's history, then its input.

        What may not be sent back is left out of the history: it may be an earlier version's.
        """
        said = echo.text(text)
        own = {"role": "user", "content": said if said.strip() else echo.NO_TEXT}
        readable = echo.filled(echo.messages(before))
        if counted and (readable != tuple(before) or counted.messages > len(before)):
            counted = None
        whole = (*readable, own)
        size = characters(whole)
        return cls(
            whole, len(before), tokens=tokens, characters=size, said_by=said_by, counted=counted
        )

    @property
    def calls(self) -> tuple[ToolUse, ...]:
        """The tool calls of the last message, in the model's order."""
        if not self.stop_reason:
            return ()
        return _calls_of(self.messages[-1], self.step, by_id=self.keyed_by_id)

    @property
    def own_calls(self) -> Iterator[Block]:
        """All tool calls of this task, answered or not."""
        for message in self.messages[self.begin :]:
            if message["role"] == "assistant":
                yield from echo.calls(message)

    @property
    def step(self) -> int:
        """How many replies this task has had."""
        return sum(message["role"] == "assistant" for message in self.messages[self.begin :])

    @property
    def pending(self) -> tuple[ToolUse, ...]:
        """The tool calls of the last message that have no result yet."""
        return tuple(call for call in self.calls if call.position not in self.results)

    @property
    def intents(self) -> tuple[str, ...]:
        """Irreversible tools that may have been called and whose result is not held."""
        return tuple(call.name for call in self.pending if call.place in self.begun)

    @property
    def answer(self) -> str:
        """The text since the last user message; a paused turn goes on in a further message."""
        texts: list[str] = []
        for message in reversed(self.messages):
            if message["role"] != "assistant":
                break
            texts[:0] = _texts(message)
        return "".join(texts)

    @property
    def said(self) -> str:
        """The text of this task's last reply, empty before the first one."""
        own = (message for message in reversed(self.messages[self.begin :]))
        return "".join(next((_texts(m) for m in own if m["role"] == "assistant"), ()))

    def with_reply(self, reply: Reply) -> "Transcript":
        """The conversation with the model's message at its end, as far as it may be sent back."""
        before = self.messages
        if self.said_by.differs(reply.by):  # it was asked without what another one has thought
            before = echo.all_without_thinking(before)
        message = echo.turn(reply.content, before)
        asked, repeats = _counted(self.asked, message)
        seen = estimated_tokens(history.without_thinking((message,)))
        return replace(
            self,
            messages=(*before, message),
            stop_reason=reply.stop_reason,
            detail=reply.detail,
            keyed_by_id=False,
            tokens=reply.tokens.input + min(reply.tokens.output, seen),
            asked=asked,
            repeats=repeats,
            characters=self.characters + characters(message),
            said_by=self.said_by if reply.by == NOBODY else reply.by,
            counted=_counted_in(reply, message, len(before)),
        )

    def with_turn_paused(self) -> "Transcript":
        """The model goes on from its own message, which is sent back unchanged."""
        return replace(self, stop_reason="")

    def with_intent(self, call: ToolUse) -> "Transcript":
        """Remember that an irreversible call may have been made from now on."""
        return replace(self, begun=self.begun | {call.place})

    def with_result(self, call: ToolUse, text: str, *, is_error: bool) -> "Transcript":
        """The conversation with a tool's answer; the last one hands the turn to the model."""
        return self.with_results([(call, text)], is_error=is_error)

    def with_results(
        self, answers: Sequence[tuple[ToolUse, str]], *, is_error: bool
    ) -> "Transcript":
        """The conversation with several answers; what is answered is no intent any more."""
        new = {call.position: _result(call, text, is_error=is_error) for call, text in answers}
        results = {**self.results, **new}
        begun = self.begun - {call.place for call, _ in answers}
        whole = self.calls
        if any(asked.position not in results for asked in whole):
            return replace(self, results=results, begun=begun)
        message = {"role": "user", "content": [results[asked.position] for asked in whole]}
        return replace(
            self,
            messages=(*self.messages, message),
            stop_reason="",
            detail="",
            results={},
            begun=frozenset(),
            characters=self.characters + characters(message),
        )

    def times_asked(self, call: ToolUse) -> int:
        """How often this task asked for this very tool and input, up to and with this call."""
        return self.repeats[call.position - 1]

    def without_thinking(self) -> "Transcript":
        """The conversation as another revision may continue it: its thinking is not valid there.

        Of the task's own messages none is left out: its calls are numbered by them.
        """
        before = history.without_thinking(self.messages[: self.begin])
        own = echo.all_without_thinking(self.messages[self.begin :])
        return replace(self, messages=(*before, *own), begin=len(before), counted=None)

    def encode(self) -> bytes:
        """The saved form; ``decode`` gives back every message exactly.

        ``results`` and ``begun`` are what workers read that know calls by the model's ids alone,
        ``answers`` and ``intents`` the same by position; who writes only the former drops these.
        """
        ids = {call.place: call.id for call in self.calls}
        return history.dump(
            {
                "format": history.FORMAT,
                "messages": self.messages,
                "begin": self.begin,
                "stopReason": self.stop_reason,
                "detail": self.detail,
                "results": {block["tool_use_id"]: block for block in self.results.values()},
                "begun": sorted(ids[place] for place in self.begun if place in ids),
                "answers": {str(position): block for position, block in self.results.items()},
                "intents": sorted(self.begun),
                "keyedByID": self.keyed_by_id,
                "tokens": self.tokens,
                "saidBy": history.identity_written(self.said_by),
                "counted": history.count_written(self.counted),
            }
        )

    @classmethod
    def decode(cls, saved: bytes) -> "Transcript":
        """Read a saved form, an earlier version's as well.

        Raises:
            ValueError: it is not one, or of a newer format.
        """
        document = history.load(saved)
        messages, begin = tuple(document["messages"]), document["begin"]
        stop_reason = document["stopReason"]
        step = sum(message["role"] == "assistant" for message in messages[begin:])
        ids = [block.get("id") for block in echo.calls(messages[-1])] if stop_reason else []
        results, begun = _standing(document, step, ids)
        whole = echo.messages(messages)
        asked, repeats = _recounted(whole[begin:])
        return cls(
            whole,
            begin,
            stop_reason,
            document["detail"],
            _by_present_ids(results, whole[-1] if stop_reason else None),
            begun,
            document.get("keyedByID", True),
            document.get("tokens", 0),
            asked,
            repeats,
            characters(whole),
            history.identity_read(document),
            history.count_read(document, len(whole)),
        )


def _counted_in(reply: Reply, kept: Message, before: int) -> Counted | None:
    """What a reply says of the conversation with itself at its end, where all of it is kept."""
    if not reply.counted_by:
        return None
    asked, said = reply.tokens.input, reply.tokens.output
    if kept["content"] != list(reply.content):
        return Counted(reply.counted_by, asked, before)
    return Counted(reply.counted_by, asked + said, before + 1)


def _standing(
    document: Mapping[str, Any], step: int, ids: Sequence[Any]
) -> tuple[dict[int, Block], frozenset[Place]]:
    """What is answered and what was begun, by position; by the model's ids in an earlier form."""
    if "answers" in document:
        answers = {int(position): block for position, block in document["answers"].items()}
        return answers, frozenset((reply, position) for reply, position in document["intents"])
    by_id, begun = document["results"], document["begun"]
    answers = {position: by_id[known] for position, known in enumerate(ids, 1) if known in by_id}
    places = ((step, position) for position, known in enumerate(ids, 1) if known in begun)
    return answers, frozenset(place for place in places if place[1] not in answers)


def _by_present_ids(results: Mapping[int, Block], last: Message | None) -> dict[int, Block]:
    """Results under the ids that their calls have by now."""
    ids = [block["id"] for block in echo.calls(last)] if last is not None else []
    return {
        position: {**block, "tool_use_id": ids[position - 1]} for position, block in results.items()
    }


def _result(call: ToolUse, text: str, *, is_error: bool) -> Block:
    block = {"type": "tool_result", "tool_use_id": call.id, "content": echo.output(text)}
    return {**block, "is_error": True} if is_error else block


# ----------------------------------------------------------------- how often a call was asked for


def _counted(
    asked: Mapping[str, int], message: Message
) -> tuple[Mapping[str, int], tuple[int, ...]]:
    """The count of actions with those of a message, and for each of its calls the count so far."""
    actions = [_action(block["name"], block["input"]) for block in echo.calls(message)]
    if not actions:
        return asked, ()
    counts = Counter(asked)
    repeats = []
    for action in actions:
        counts[action] += 1
        repeats.append(counts[action])
    return counts, tuple(repeats)


def _recounted(own: Sequence[Message]) -> tuple[Mapping[str, int], tuple[int, ...]]:
    asked: Mapping[str, int] = {}
    repeats: tuple[int, ...] = ()
    for message in own:
        if message["role"] == "assistant":
            asked, repeats = _counted(asked, message)
    return asked, repeats


def _action(name: str, given: Any) -> str:
    written = f"{name} {canonical(given)}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(written).hexdigest()


def _texts(message: Message) -> list[str]:
    if isinstance(message["content"], str):
        return [message["content"]]
    return [block["text"] for block in message["content"] if block["type"] == "text"]


def _calls_of(message: Message, step: int, *, by_id: bool = False) -> tuple[ToolUse, ...]:
    return tuple(
        ToolUse(
            block["id"], block["name"], block["input"], step, position, block["id"] if by_id else ""
        )
        for position, block in enumerate(echo.calls(message), 1)
    )
