"""Models as people look at them: which an agent asks, how they are doing, what they have cost."""

import asyncio
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Final

from penstock.api import addresses
from penstock.money import asked
from penstock.money.asked import AskedModel
from penstock.money.endpoints import (
    AgentModels,
    Breaker,
    BreakerPosition,
    Endpoint,
    LimitSource,
    MinuteLimit,
    ModelSpend,
    Pool,
    RevisionModels,
)
from penstock.names import AgentKey
from penstock_store import codec, keys
from penstock_store.agent_scripts import AgentScripts

_LIVES_MS: Final = 60_000  # after a heartbeat, as `protocol.Spoken` has it
_MINUTE_MS: Final = 60_000
_MOST: Final = 253_402_300_799_000  # the end of the year 9999 in ms; no count comes near it
_LIMITS: Final = ("requests", "input", "output")  # by the fields of a pool
_NO_NAME: Final = ("n", "others")  # fields that name no model, see `shared/tasks.lua`

_Hash = Mapping[str, bytes]


class Models:
    """Reads alone. Endpoints are in slots of their own: what is told of them is a moment younger."""

    def __init__(self, scripts: AgentScripts) -> None:
        self._scripts = scripts

    async def of(self, agent: AgentKey) -> AgentModels:
        """The models that an agent's revisions ask: stable's, its canary's, and of those that end what they have."""
        now, revisions, by_revision, today, month = await self._scripts.run(
            "models", agent, arguments=(_LIVES_MS,)
        )
        now_ms = int(now)
        said = [[codec.word(text) for text in one] for one in revisions]
        told = [(revision, role, asked.read(text)) for revision, role, text in said]
        every = list(dict.fromkeys(one for _, _, models in told for one in models))
        found = await asyncio.gather(*(self._endpoint(agent, one, now_ms) for one in every))
        seen = dict(zip(every, found, strict=True))
        spend = tuple(_spend(codec.costs(today), codec.costs(month)))
        cost = sum(codec.costs(by_revision).values())
        return AgentModels(
            now_ms,
            tuple(
                RevisionModels(revision, role, tuple(seen[one] for one in models) or None)
                for revision, role, models in told
            ),
            spend,
            max(0, cost - sum(one.today for one in spend)),
        )

    async def _endpoint(self, agent: AgentKey, one: AskedModel, now_ms: int) -> Endpoint:
        # A worker of the version before tells the address that it asks, whatever stands in it.
        mark = one.mark or keys.endpoint_mark(one.address, one.model)
        of_breaker, of_pool = await asyncio.gather(
            self._hash(keys.marked_breaker(agent.namespace, mark)),
            self._hash(keys.marked_pool(agent.namespace, mark, one.account)),
        )
        paced = _number(of_breaker, f"wait:{one.account}")
        pool = _pool(of_pool, one, paced if paced > now_ms else 0, now_ms)
        told = dataclasses.replace(one, address=addresses.shown(one.address))
        return Endpoint(told, _breaker(of_breaker, now_ms), pool, mark)

    async def _hash(self, key: str) -> _Hash:
        return codec.pairs(await self._scripts.connection.read("HGETALL", key))


def _breaker(kept: _Hash, now_ms: int) -> Breaker:
    """A breaker as `breaker.lua` keeps it."""
    until = _number(kept, "until")
    position = BreakerPosition.CLOSED
    if until:
        position = BreakerPosition.OPEN if until > now_ms else BreakerPosition.HALF_OPEN
    failed = codec.word(kept.get("failed")), _number(kept, "failedAt")
    return Breaker(position, _number(kept, "outages"), until, *failed)


def _pool(kept: _Hash, one: AskedModel, paced_until_ms: int, now_ms: int) -> Pool:
    """A pool as `pool.lua` keeps it: what is missing in its buckets now is used."""
    passed = max(0, now_ms - (_number(kept, "at") or now_ms))
    pairs = zip(_LIMITS, one.per_minute.figures, strict=True)
    requests, read, written = (_limit(kept, name, declared, passed) for name, declared in pairs)
    waits = sorted(
        name.removeprefix("waits:")
        for name in kept
        if name.startswith("waits:") and _number(kept, name) >= now_ms
    )
    return Pool(requests, read, written, tuple(waits), paced_until_ms)


def _limit(kept: _Hash, name: str, declared: int | None, passed_ms: int) -> MinuteLimit:
    learned = _number(kept, f"told:{name}")
    most = learned if declared is None else declared
    if not most:
        return MinuteLimit()
    level = _number(kept, f"level:{name}") if f"level:{name}" in kept else most
    there = min(most, level + passed_ms * most / _MINUTE_MS)
    source = LimitSource.LEARNED if declared is None else LimitSource.DECLARED
    return MinuteLimit(most, max(0, round(most - there)), source)


def _spend(today: Mapping[str, int], month: Mapping[str, int]) -> Iterator[ModelSpend]:
    """What each model has cost, the dearest of the month first."""
    labels = sorted(
        {*today, *month}.difference(_NO_NAME), key=lambda one: (-month.get(one, 0), one)
    )
    for label in labels:
        mark, _, model = label.partition(" ")
        spent = today.get(label, 0)
        yield ModelSpend(mark, model, spent, max(spent, month.get(label, 0)))


def _number(kept: _Hash, name: str) -> int:
    """A number that a script has written; 0 where there is none, or another hand has written there."""
    try:
        number = int(float(kept.get(name, b"0")))
    except (ValueError, OverflowError):
        return 0
    return number if abs(number) <= _MOST else 0
