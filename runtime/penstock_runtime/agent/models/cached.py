"""A model whose answers are kept: a request that comes again, equal to the last byte, asks nobody."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from penstock.api.agent import AgentTemplate
from penstock.api.cache import CacheMode
from penstock.api.tool import Effect
from penstock.money.prices import Tokens
from penstock.revision import canonical
from penstock_runtime.agent.models.model import (
    Block,
    Charge,
    Identity,
    Model,
    Reply,
    Request,
    Wrapper,
)

#: Bytes of one answer; a longer one is not kept.
MOST_BYTES: Final = 16_384
#: A model that stopped for one of these has said all it had to say.
_WHOLE: Final = ("end_turn", "stop_sequence", "tool_use")


@dataclass(frozen=True)
class Rules:
    """Which answers are kept, of which revision, and for how long.

    ``model``: who is asked first; who stands in for it answers for that once. ``mark`` tells the model
    with its prompt from others. ``reads``: the tools that change nothing.
    """

    revision: str
    model: str
    mark: str
    reads: Collection[str]
    seconds: int


def rules(template: AgentTemplate, revision: str, mark: str) -> Rules | None:
    """The rules of a template; None where nothing is kept."""
    declared = template.cache
    if declared is None or declared.mode is not CacheMode.EXACT:
        return None
    reads = reading(template)
    return Rules(revision, template.model.name, mark, reads, declared.ttl_seconds)


def reading(template: AgentTemplate) -> frozenset[str]:
    """The tools of a template that change nothing."""
    return frozenset(tool.name for tool in template.tools if tool.effect is Effect.READ_ONLY)


def is_reading(template: AgentTemplate, calls: Iterable[Block]) -> bool:
    """Whether a task may use the response cache: so far it has called nothing that changes something."""
    if template.cache is None:
        return False
    reads = reading(template)
    return all(call["name"] in reads for call in calls)


class Cached(Wrapper):
    """Answers out of the response cache, where the request has one, and keeps what the model says.

    Such an answer costs nothing. In comparisons it counts as the model's own did: by its list price,
    and by the time it took. An answer that asks for a tool that changes something is not kept: whoever
    asks again is not served by what somebody else was to have done.
    """

    def __init__(self, model: Model, kept: Rules, answered: Callable[[], None]) -> None:
        super().__init__(model)
        self._kept = kept
        self._answered = answered

    async def reply(self, request: Request) -> Reply:
        """See ``Model.reply``."""
        answers = request.answers
        if answers is None:
            return await self._model.reply(request)
        digest = self._digest(request)
        stored = _read(await answers.find(digest))
        if stored and stored.reply.by.model not in request.denied:
            request.bill.book(Charge(cache_saving_micro_usd=stored.list_micro_usd))
            request.bill.stored_ms += stored.took_ms
            self._answered()
            return stored.reply
        started, waited = request.context.seconds(), request.bill.paced_ms
        answer = await self._model.reply(request)
        if self._may_keep(answer):
            took_ms = round((request.context.seconds() - started) * 1000)
            own_ms = max(0, took_ms - (request.bill.paced_ms - waited))
            written = _written(answer, own_ms)
            if len(written) <= MOST_BYTES:
                await answers.keep(digest, written, self._kept.seconds)
        return answer

    def _digest(self, request: Request) -> str:
        said = canonical([self._kept.revision, self._kept.mark, list(request.messages)])
        return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()

    def _may_keep(self, answer: Reply) -> bool:
        wanted = [block["name"] for block in answer.content if block["type"] == "tool_use"]
        says = any(block.get("text", "").strip() for block in answer.content)
        return (
            answer.stop_reason in _WHOLE
            and bool(says or wanted)
            and answer.by.model in ("", self._kept.model)
            and all(name in self._kept.reads for name in wanted)
        )


@dataclass(frozen=True)
class _Stored:
    """A reply as it was kept; what it would cost at list price, and how long the model took."""

    reply: Reply
    list_micro_usd: int
    took_ms: int


def _written(answer: Reply, took_ms: int) -> bytes:
    tokens, charge = answer.tokens, answer.charge
    said: dict[str, Any] = {
        "content": answer.content,
        "stop": answer.stop_reason,
        "tokens": [tokens.input, tokens.output, tokens.cache_read],
        "by": [answer.by.model, answer.by.account],
        "counted": answer.counted,
        "countedBy": answer.counted_by,
        "listMicroUSD": max(0, charge.cost_micro_usd + charge.cache_saving_micro_usd),
        "tookMs": took_ms,
    }
    return json.dumps(said, separators=(",", ":")).encode()


def _read(stored: bytes | None) -> _Stored | None:
    """None where nothing is kept, or another hand has written it."""
    if stored is None:
        return None
    try:
        said = json.loads(stored)
        fresh, output, cached = map(int, said["tokens"])
        reply = Reply(
            content=tuple(dict(block) for block in said["content"]),
            stop_reason=str(said["stop"]),
            tokens=Tokens(fresh, output, cache_read=cached),
            by=Identity(*map(str, said["by"])),
            counted=bool(said["counted"]),
            counted_by=str(said["countedBy"]),
            cached=True,
        )
        whole = reply.stop_reason in _WHOLE and all(block["type"] for block in reply.content)
        return _Stored(reply, int(said["listMicroUSD"]), int(said["tookMs"])) if whole else None
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
