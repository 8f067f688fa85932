"""Rounds over agents at rest: one look for all of them, news wakes one, and what was missed is found."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from penstock.errors import StoreRefused, StoreUnavailable
from penstock.names import AgentKey
from penstock_operator.reconcile.queue import WorkQueue
from penstock_operator.reconcile.reconciler import Reconciler
from penstock_operator.reconcile.rounds import Rounds
from penstock_store.records import RevisionWork
from tests.unit.operator.calm import KEY, Calm, settled


@dataclass
class Line:
    """A subscription whose line a test cuts, mends and talks on."""

    told: Callable[[AgentKey], None]
    clock: Callable[[], float]
    up: bool = True
    followed: dict[AgentKey, float] = field(default_factory=dict)

    async def follow(self, agents: Collection[AgentKey]) -> None:
        since = self.clock() if self.up else math.inf
        self.followed = {agent: self.followed.get(agent, since) for agent in agents}

    def heard_since(self, agent: AgentKey) -> float:
        return self.followed.get(agent, math.inf)

    def cut(self) -> None:
        self.up = False
        self.followed = dict.fromkeys(self.followed, math.inf)

    def mend(self) -> None:
        self.up = True
        self.followed = dict.fromkeys(self.followed, self.clock())


@dataclass
class Redis(Calm):
    """The same, with a subscription, and away or refusing where a test wants it."""

    away: bool = False
    refuses: bool = False
    line: Line | None = None
    batches: list[int] = field(default_factory=list)

    @property
    def notifications(self) -> Redis:
        return self

    def subscription(self, told: Any, clock: Any) -> Line:
        self.line = Line(told, clock)
        return self.line

    async def look_each(self, asked: Any) -> list[Any]:
        self.batches.append(len(asked))
        if self.away:
            raise StoreUnavailable("gone")
        looks = await super().look_each(asked)
        return [StoreRefused("no")] * len(looks) if self.refuses else looks


@dataclass
class Desk:
    """An agent at rest, and who makes rounds."""

    redis: Redis
    passes: Reconciler
    rounds: Rounds

    @property
    def resting(self) -> bool:
        return self.passes.memories[KEY].rest is not None

    @property
    def woken(self) -> bool:
        return not self.resting and len(self.rounds.queue) == 1

    @property
    def line(self) -> Line:
        assert self.redis.line is not None
        return self.redis.line

    async def turns(self, count: int) -> int:
        """So many rounds, two seconds apart; how often Redis was asked."""
        before = len(self.redis.batches)
        for _ in range(count):
            self.redis.boot.seconds += 2
            await self.rounds.once()
        return len(self.redis.batches) - before


@pytest.fixture
async def desk() -> Desk:
    redis = Redis()
    passes = redis.reconciler(scaling={"minReplicas": 0})
    await settled(passes, redis)
    queue = WorkQueue(redis.boot)
    leadership = passes.sources.leadership
    rounds = Rounds(cast("Any", redis), queue, passes.memories, leadership, redis.boot)
    return Desk(redis, passes, rounds)


async def test_an_agent_that_is_heard_of_is_looked_at_once_after_that_and_then_each_ten_seconds(
    desk: Desk,
) -> None:
    assert await desk.turns(2) == 2, "what came before it was heard of may have been missed"
    assert await desk.turns(25) == 5
    assert desk.resting
    assert not desk.redis.asked["look"]


async def test_while_new_workers_may_speak_it_is_looked_at_in_each_round(desk: Desk) -> None:
    memory = desk.passes.memories[KEY]
    assert memory.rest
    memory.rest = replace(memory.rest, closely=True)
    assert await desk.turns(5) == 5


async def test_all_agents_at_rest_are_looked_at_in_one_call(desk: Desk) -> None:
    rest = desk.passes.memories[KEY]
    desk.passes.memories |= {AgentKey("acme", f"a{n}"): rest for n in range(449)}
    await desk.turns(1)
    assert desk.redis.batches == [200, 200, 50]


async def test_news_wakes_it_at_once(desk: Desk) -> None:
    await desk.turns(2)
    desk.line.told(KEY)
    assert desk.woken
    await desk.passes.reconcile(KEY)
    assert desk.redis.asked["look"] == 1


async def test_a_task_for_an_agent_without_workers_brings_one(desk: Desk) -> None:
    await desk.turns(2)
    (name,) = desk.passes.memories[KEY].rest.revisions  # type: ignore[union-attr]
    desk.redis.work[name] = RevisionWork(queued=1, oldest_queued_ms=10)
    desk.line.told(KEY)
    await desk.passes.reconcile(KEY)
    deployments = [obj for (kind, _), obj in desk.redis.objects.items() if kind == "Deployment"]
    assert [obj["spec"]["replicas"] for obj in deployments] == [1]


async def test_a_message_that_was_lost_is_found_by_the_next_look(desk: Desk) -> None:
    await desk.turns(2)
    desk.redis.last_row = "1795255261999-0"
    await desk.turns(5)
    assert desk.woken


@pytest.mark.parametrize("lost", ["route", "all of it"])
async def test_a_redis_that_has_forgotten_is_found(desk: Desk, lost: str) -> None:
    await desk.turns(2)
    stored = desk.redis.stored
    desk.redis.stored = (*stored[:3], "beef0000", *stored[4:]) if lost == "route" else ("",) * 10
    await desk.turns(5)
    assert desk.woken
    await desk.passes.reconcile(KEY)
    assert desk.redis.stored[3:] == stored[3:], "the route is put back"


async def test_while_the_line_is_down_it_is_looked_at_in_each_round_and_once_after(
    desk: Desk,
) -> None:
    await desk.turns(2)
    desk.line.cut()
    assert await desk.turns(5) == 5
    desk.line.mend()
    assert await desk.turns(3) == 1


async def test_what_happens_between_a_pass_and_the_first_round_is_found(desk: Desk) -> None:
    await desk.turns(2)
    desk.passes.sources.leadership.epoch += 1
    await desk.passes.reconcile(KEY)
    assert desk.resting
    desk.redis.last_row = "1795255261999-0"  # while nobody was told of it
    await desk.turns(1)
    assert desk.woken


async def test_news_of_an_agent_that_is_not_at_rest_wakes_nobody(desk: Desk) -> None:
    desk.passes.memories[KEY].rest = None
    desk.line.told(KEY)
    desk.line.told(AgentKey("acme", "nobody"))
    assert len(desk.rounds.queue) == 0
    assert await desk.turns(2) == 0
    assert not desk.line.followed


async def test_a_redis_that_is_away_for_a_moment_wakes_nobody_and_for_longer_each_agent_says_so(
    desk: Desk,
) -> None:
    await desk.turns(2)
    desk.line.cut()
    desk.redis.away = True
    await desk.turns(2)
    assert desk.resting
    desk.redis.away = False
    await desk.turns(1)
    desk.redis.away = True
    await desk.turns(2)
    assert desk.resting, "it was there in between"
    await desk.turns(2)
    assert desk.woken


async def test_an_agent_whose_keys_are_refused_says_so_in_its_pass(desk: Desk) -> None:
    desk.redis.refuses = True
    await desk.turns(1)
    assert desk.woken


async def test_who_does_not_lead_makes_no_rounds(desk: Desk) -> None:
    desk.rounds.leadership.deadline = -math.inf
    assert await desk.turns(3) == 0
    assert not desk.line.followed
