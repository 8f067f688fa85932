"""The bench decides on sums: proved equal to rows that the real scripts write in a real Redis.

Tasks are admitted, claimed and finished there; who serves whom, whose bucket, under which version and how it counts is
what the scripts say. Only the clock is the weather's: ids and latencies of the rows are moved to it.
A seed by default; with ``PENSTOCK_SIMULATION=full`` as many as docs/simulation.md tells of.
"""

from __future__ import annotations

import heapq
import random
import uuid
from dataclasses import dataclass, field, replace
from functools import cache

import pytest

from penstock import names, task, traffic
from penstock.guard import unguarded
from penstock.outcomes import Row, RowKind
from penstock_bench.rollouts import product
from penstock_bench.rollouts.product import CANARY, STABLE, Product, spec
from penstock_bench.rollouts.sums import OnSums
from penstock_bench.rollouts.weather import Sky, Task
from penstock_store import testing
from penstock_store.store import Store
from tests.simulation.rollout.test_sums import FULL, LOOK, SHORT, decided, weather

pytestmark = pytest.mark.redis
SEEDS = range(20 if FULL else 1)
SECONDS = 600.0 if FULL else 300.0
REVISIONS = tuple(names.hash_of(name) for name in (STABLE, CANARY))
ENDS = {
    "Good": task.Outcome(task.TaskStatus.SUCCEEDED, output="ok"),
    "Error": task.Outcome(task.TaskStatus.FAILED, task.OutcomeReason.TOOL_ERROR, "no"),
    "Escalation": task.Outcome(task.TaskStatus.ESCALATED, task.OutcomeReason.REFUSAL, "no"),
}


@cache
def user_of(bucket: int, salt: str) -> str:
    """Somebody of a bucket."""
    each = (f"user-{n}" for n in range(1_000_000))
    return next(user for user in each if traffic.bucket(salt, user) == bucket)


@dataclass
class Scripted(Product):
    """A rollout whose rows the scripts have written."""

    store: Store | None = None
    agent: names.AgentKey = field(
        default_factory=lambda: names.AgentKey("sim", uuid.uuid4().hex[:12])
    )
    known: dict[str, Task] = field(default_factory=dict)
    claims: dict[str, object] = field(default_factory=dict)
    ends: list[tuple[float, int, str]] = field(default_factory=list)
    moved: list[tuple[int, int, Row]] = field(default_factory=list)
    after: str = ""
    routed: tuple[int, int] = (0, 0)

    async def happen(self, tasks: list[Task], now: float) -> None:
        """Tasks are admitted and claimed, those of before end; each in its turn."""
        await self.put_route()
        for routed in tasks:
            await self.finish(routed.routed)
            await self.admit(routed)
        await self.finish(now)
        for row in await self.store.outcomes.rows(self.agent, self.after):
            self.after = row.id
            heapq.heappush(
                self.moved, (self.moment(row), len(self.moved) + 1_000 * self.looks, row)
            )

    async def put_route(self) -> None:
        split = self.status.split
        if self.status.route_version == self.routed[0]:
            return
        self.routed = (self.status.route_version, 0)
        limits = traffic.RevisionLimits(1000, 600, 120)
        serving = {r: traffic.RoutedRevision(r, traffic.Standing.OPEN, limits) for r in REVISIONS}
        split = traffic.Split(*REVISIONS, split.percent, split.salt)
        route = traffic.Route("uid-1", 1, self.status.route_version, split, revisions=serving)
        await self.store.routes.put(self.agent, route)

    async def admit(self, routed: Task) -> None:
        identifier = task.task_id(self.agent, random.Random(f"{routed}").randbytes(16))
        user = user_of(routed.bucket, self.status.split.salt)
        submission = task.Submission("hello", "tenant", user=user)
        admission = await self.store.tasks.admit(self.agent, identifier, submission)
        self.known[identifier] = routed
        heapq.heappush(self.ends, (routed.ends or 1e9, len(self.known), identifier))
        for claim in await self.store.claims.take(self.agent, admission.revision, "w", 10):
            self.claims[claim.task.id] = claim

    async def finish(self, until: float) -> None:
        while self.ends and self.ends[0][0] <= until:
            identifier = heapq.heappop(self.ends)[2]
            ended = self.known[identifier]
            used = task.Usage(cost_micro_usd=int(ended.usd * 1_000_000))
            outcome = ENDS[product.counting(ended).value]
            assert await self.store.claims.finish(self.claims.pop(identifier), outcome, used)

    def moment(self, row: Row) -> int:
        of = self.known[row.task]
        at = {RowKind.ROUTED: of.routed, RowKind.STARTED: of.starts, RowKind.FINISHED: of.ends}
        return product.milliseconds(at[row.kind])

    def _rows(self, now_ms):
        while self.moved and self.moved[0][0] <= now_ms:
            at_ms, _, row = heapq.heappop(self.moved)
            self._last = (at_ms, self._last[1] + 1) if at_ms == self._last[0] else (at_ms, 0)
            worked = (
                int(self.known[row.task].seconds * 1000)
                if row.latency_ms or row.cost_micro_usd
                else 0
            )
            yield replace(row, id=f"{at_ms}-{self._last[1]}", latency_ms=worked)


@pytest.mark.parametrize("seed", SEEDS)
async def test_each_look_decides_on_sums_what_it_decides_on_the_rows_of_the_scripts(seed):
    policy = spec().model_copy(update={"strategy": SHORT})
    kind = replace(weather(seed), turns=1, burst=1, tasks_per_second=2.0)
    by_sums, sky, now = OnSums(policy=policy), Sky(kind, seed), 0.0
    with testing.redis_server(testing.any_server()) as server:
        store = Store.connect(server.url, guard=unguarded, installation=uuid.uuid4().hex)
        by_rows = Scripted(policy=policy, store=store)
        for each in (by_rows, by_sums):
            each.look(now)
        while now < SECONDS and not by_rows.verdict:
            tasks = sky.tasks(now, LOOK, by_rows.percent, by_rows.version)
            now += LOOK
            await by_rows.happen(tasks, now)
            by_sums.route(tasks)
            for each in (by_rows, by_sums):
                each.look(now)
            assert decided(by_sums) == decided(by_rows), f"at {now} s"
        await store.aclose()
    assert by_rows.lines == by_sums.lines != []
    assert {routed.canary for routed in by_rows.known.values()} == {True, False}
