"""What the server keeps of requests for its clients' marks, and how the next one is charged for it."""

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from penstock_dev.model import conversation
from penstock_dev.model.models import Model

LOOKED_BACK_BLOCKS: Final = 20
MOST_ENTRIES: Final = 100_000
_LIFETIME_SECONDS: Final = {"5m": 300.0, "1h": 3600.0}
_MARK: Final = "cache_control"


@dataclass(frozen=True)
class Prefix:
    """What a request says up to a block. ``mark``: for how long to keep it; empty: not."""

    digest: bytes
    tokens: int
    mark: str


@dataclass(frozen=True)
class Share:
    """Tokens of a request's input by what the cache has to do with them; the rest has nothing.

    ``kept``: what is put there once the request is answered.
    """

    read: int = 0
    written_5m: int = 0
    written_1h: int = 0
    kept: tuple[Prefix, ...] = ()

    @property
    def written(self) -> int:
        """Tokens put into the cache, for whatever time."""
        return self.written_5m + self.written_1h


class Cache:
    """Prefixes of requests, each for some minutes since its last use. Times are of one clock."""

    def __init__(self) -> None:
        self._until: dict[bytes, tuple[float, float]] = {}  # when it goes, and how long it lives

    def share(self, owner: str, model: Model, request: Mapping[str, Any], now: float) -> Share:
        """What a valid request is charged.

        Args:
            owner: whose cache it is: no key reads what another one has kept.
        """
        if conversation.input_tokens(dict(request)) < model.min_cached_tokens:
            return Share()
        prefixes = list(_prefixes(f"{owner}\n{model.id}", request))
        marks = [index for index, each in enumerate(prefixes) if each.mark]
        read = max((self._found(prefixes[: mark + 1], now) for mark in marks), default=0)
        written = dict.fromkeys(_LIFETIME_SECONDS, 0)
        long_enough = [prefixes[mark] for mark in marks]
        long_enough = [each for each in long_enough if each.tokens >= model.min_cached_tokens]
        reached = read
        for prefix in long_enough:
            written[prefix.mark] += max(0, prefix.tokens - reached)
            reached = max(reached, prefix.tokens)
        return Share(read, written["5m"], written["1h"], tuple(long_enough))

    def keep(self, share: Share, now: float) -> None:
        """Keep what an answered request asks for."""
        for prefix in share.kept:
            self._keep(prefix, now)

    def _found(self, prefixes: list[Prefix], now: float) -> int:
        """Tokens of the longest kept prefix that ends at the last block or a few before it."""
        for prefix in itertools.islice(reversed(prefixes), LOOKED_BACK_BLOCKS + 1):
            until, lifetime = self._until.get(prefix.digest, (0.0, 0.0))
            if now < until:
                self._until[prefix.digest] = now + lifetime, lifetime
                return prefix.tokens
        return 0

    def _keep(self, prefix: Prefix, now: float) -> None:
        if len(self._until) >= MOST_ENTRIES:
            self._until = {key: end for key, end in self._until.items() if end[0] > now}
        if len(self._until) < MOST_ENTRIES:
            lifetime = _LIFETIME_SECONDS[prefix.mark]
            self._until[prefix.digest] = now + lifetime, lifetime


def _prefixes(whose: str, request: Mapping[str, Any]) -> Iterator[Prefix]:
    """The request up to each of its blocks, in the order in which a model reads them."""
    running = hashlib.sha256(whose.encode("utf-8", "surrogatepass"))
    characters = 0
    blocks = list(_blocks(request))
    whole = request.get(_MARK)  # at the top it means the last block
    for index, (place, block) in enumerate(blocks):
        said = json.dumps([place, _unmarked(block)], sort_keys=True, separators=(",", ":"))
        running.update(said.encode())
        characters += conversation.characters(block)
        mark = block.get(_MARK) or (whole if index == len(blocks) - 1 else None)
        lifetime = mark.get("ttl", "5m") if mark else ""
        yield Prefix(running.digest(), conversation.tokens(characters), lifetime)


def _blocks(request: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each block, and where it stands; a text in place of blocks is one block of text."""
    for tool in request.get("tools") or ():
        yield "tool", tool
    system = request.get("system") or []
    for block in [{"type": "text", "text": system}] if isinstance(system, str) else system:
        yield "system", block
    for message in request["messages"]:
        for block in conversation.blocks(message):
            yield message["role"], block


def _unmarked(value: Any) -> Any:
    match value:
        case dict():
            return {key: _unmarked(each) for key, each in value.items() if key != _MARK}
        case list():
            return [_unmarked(each) for each in value]
    return value
