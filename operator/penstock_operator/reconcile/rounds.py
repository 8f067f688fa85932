"""Rounds over the agents at rest: Redis is looked at for all of them together, and its news wakes one.

News on an agent's channel wakes it at once. A message may be lost, and some changes are told by
none (a worker's word, another hand, a Redis that has forgotten): so all are looked at now and then,
and each two seconds those that are not surely heard of.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from penstock.errors import StoreRefused, StoreUnavailable
from penstock.names import AgentKey
from penstock_operator.leadership.leadership import Leadership
from penstock_operator.reconcile.memory import Memory
from penstock_operator.reconcile.queue import WorkQueue
from penstock_operator.reconcile.rest import Rest
from penstock_store.store import Store

log = structlog.get_logger("penstock.operator")

_BATCH: Final = 200


@dataclass(frozen=True)
class Pace:
    """In seconds: ``turn`` between two rounds, for agents that are not heard of; ``look`` between
    two looks at the others; ``away``: for how long Redis must be away until each agent says so.
    """

    turn: float = 2.0
    look: float = 10.0
    away: float = 5.0


@dataclass
class Rounds:
    """Wakes agents at rest when Redis says something else of them than at their last pass.

    ``memories`` say who is at rest; they are those of the reconciler. Nothing is written.
    """

    store: Store
    queue: WorkQueue
    memories: Mapping[AgentKey, Memory]
    leadership: Leadership
    clock: Callable[[], float]
    pace: Pace = field(default_factory=Pace)
    _looked: dict[AgentKey, tuple[Rest, float]] = field(default_factory=dict)
    _away_since: float | None = None

    def __post_init__(self) -> None:
        self._news = self.store.notifications.subscription(self._wake, self.clock)

    async def run(self) -> None:
        """Make rounds for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._news.run(), name="news of agents at rest")
            while True:
                await asyncio.sleep(self.pace.turn)
                await self.once()

    async def once(self) -> None:
        """One round; a standby makes none."""
        resting = self._resting() if self.leadership.held() else {}
        await self._news.follow(resting)
        self._looked = {
            key: seen for key, seen in self._looked.items() if resting.get(key) is seen[0]
        }
        now = self.clock()
        due = {key: rest for key, rest in resting.items() if self._is_due(key, now)}
        for batch in _batches(due):
            if not await self._look(batch):
                return

    def _resting(self) -> dict[AgentKey, Rest]:
        return {key: memory.rest for key, memory in self.memories.items() if memory.rest}

    def _is_due(self, key: AgentKey, now: float) -> bool:
        """Whether something may have happened to an agent since it was last looked at."""
        if key not in self._looked:
            return True
        rest, at = self._looked[key]
        return rest.closely or at <= self._news.heard_since(key) or now - at >= self.pace.look

    async def _look(self, resting: Mapping[AgentKey, Rest]) -> bool:
        """Look at some agents in one call, and wake those that have news; whether Redis answered."""
        begun = self.clock()
        asked = [(key, rest.revisions) for key, rest in resting.items()]
        try:
            looks = await self.store.routes.look_each(asked)
        except StoreUnavailable as error:
            self._is_away(str(error))
            return False
        self._away_since = None
        for (key, rest), look in zip(resting.items(), looks, strict=True):
            if isinstance(look, StoreRefused) or not rest.told_by(look):
                self._wake(key)
            else:
                self._looked[key] = rest, begun
        return True

    def _is_away(self, why: str) -> None:
        """Redis is away: once that lasts, each agent says so."""
        now = self.clock()
        if self._away_since is None:
            log.warning("agents at rest not looked at", error=why)
            self._away_since = now
        if now - self._away_since >= self.pace.away:
            for key in self._resting():
                self._wake(key)

    def _wake(self, key: AgentKey) -> None:
        """End an agent's rest: the next pass plans."""
        memory = self.memories.get(key)
        if memory is not None and memory.rest is not None:
            self.queue.add(key, urgent=memory.rest.urgent)
            memory.rest = None


def _batches(resting: Mapping[AgentKey, Rest]) -> Iterator[dict[AgentKey, Rest]]:
    """Parts so small that Redis answers others between them."""
    left = iter(resting.items())
    while batch := dict(itertools.islice(left, _BATCH)):
        yield batch
