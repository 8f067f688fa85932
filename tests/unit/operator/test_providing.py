"""A namespace's way to Redis: missing is what gather sees, making it is the first thing that is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from penstock.names import AgentKey
from penstock_operator.cluster.cache import Cache
from penstock_operator.cluster.kinds import AGENT, ROLLOUT, Object
from penstock_operator.leadership.leadership import Fenced, Leadership
from penstock_operator.reconcile.gather import Sources, gather
from penstock_operator.reconcile.measure import Measure
from penstock_operator.reconcile.memory import Memory
from penstock_operator.reconcile.reconciler import Reconciler
from penstock_store.records import Look, RowPage
from tests.unit.operator import worlds
from tests.unit.operator.test_plan import V1
from tests.unit.operator.test_reconcile import KEY, Writes

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
WHY = "Secret penstock-redis in namespace acme cannot be written"


@dataclass
class Everything(Writes):
    """Cluster, store and tenants in one; while Redis answers, it holds nothing yet."""

    why: str = ""
    away: bool = False
    has_way: bool = False
    statuses: list[dict[str, Any]] = field(default_factory=list)

    async def look(self, _key: AgentKey, _revisions: list[str]) -> Look:
        return Look(1_000_000, None, 0, "", (), "", "")

    async def page(self, *_: object) -> RowPage:
        return RowPage((), "")

    async def listing(self, *_: object) -> tuple[list[Object], int]:
        return [], 1

    async def replace_status(self, kind: Any, obj: Object) -> Object:
        self.statuses.append(obj["status"])
        made = await super().replace_status(kind, obj)
        made["metadata"]["resourceVersion"] = str(99 + len(self.statuses))
        return made

    def provided(self, _namespace: str) -> bool:
        return self.has_way

    async def provide(self, namespace: str) -> str:
        self.note("provide", namespace)
        self.has_way = not self.why
        return self.why


def reconciler(
    everything: Everything, status: dict[str, Any] | None = None, *rollouts: Object
) -> Reconciler:
    """One over an Agent that is new, or has the status of an operator before."""
    cache, all_in_one = Cache(), cast("Any", everything)
    cache.observe(AGENT, {**worlds.agent(V1), "status": status or {}})
    for rollout in rollouts:
        cache.observe(ROLLOUT, rollout)
    sources = Sources(
        all_in_one,
        all_in_one,
        cache,
        Measure(all_in_one),
        worlds.INSTALLATION,
        0.0,
        Leadership.alone(),
        all_in_one,
    )
    return Reconciler(sources, lambda: NOW)


def missing(status: dict[str, Any]) -> str:
    """Why workers have no way to Redis, by a status."""
    found = {one["type"]: one["message"] for one in status["conditions"]}
    return str(found.get("RedisUserMissing", ""))


async def test_gathering_writes_nothing() -> None:
    everything = Everything()
    found = await gather(reconciler(everything).sources, KEY, Memory(), NOW)
    assert found
    assert found.unprovided
    assert everything.steps == []


async def test_the_way_to_redis_is_there_before_any_worker_that_takes_it() -> None:
    everything = Everything()
    await reconciler(everything).reconcile(KEY)
    assert everything.steps[0] == ("provide", "acme")
    assert ("child", "Deployment") in everything.steps
    assert missing(everything.statuses[-1]) == ""


async def test_where_there_is_a_way_it_is_not_made_again() -> None:
    everything = Everything(has_way=True)
    await reconciler(everything).reconcile(KEY)
    assert ("provide", "acme") not in everything.steps


async def test_a_way_that_cannot_be_made_is_told_by_the_pass_that_follows_at_once() -> None:
    everything = Everything(why=WHY)
    passes = reconciler(everything)
    again = await passes.reconcile(KEY)
    assert again
    assert again.seconds == 0
    again = await passes.reconcile(KEY)
    assert missing(everything.statuses[-1]) == WHY
    assert again
    assert again.seconds == pytest.approx(5), "tried again, and not without a pause"
    everything.why = ""
    for _ in range(2):
        await passes.reconcile(KEY)
    assert missing(everything.statuses[-1]) == ""


async def test_an_operator_that_begins_tells_no_second_time_what_was_told_before_it() -> None:
    before = Everything(why=WHY)
    passes = reconciler(before)
    for _ in range(2):
        await passes.reconcile(KEY)
    assert before.steps.count(("event", "Stalled")) == 1
    after = Everything(why=WHY)
    passes = reconciler(after, before.statuses[-1])
    for _ in range(2):
        await passes.reconcile(KEY)
    assert ("event", "Stalled") not in after.steps
    assert all(missing(status) == WHY for status in after.statuses)


async def test_who_does_not_lead_makes_nobody_a_way() -> None:
    everything = Everything(failing=("provide", "acme"), error=lambda: Fenced("no"))
    with pytest.raises(Fenced):
        await reconciler(everything).reconcile(KEY)
    assert everything.steps == [("provide", "acme")]
