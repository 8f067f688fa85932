"""Rows that are gone from the log before the operator counted them are seen, whoever cut it, and when."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from penstock import names
from penstock.api.analysis import AnalysisStatus
from penstock.api.rollout import AgentRolloutSpec, AgentRolloutStatus, Stage
from penstock.guard import unguarded
from penstock.traffic import Arm
from penstock_operator.reconcile.measure import Measure
from penstock_store import scripts, users
from penstock_store.store import Store
from tests.integration.store.conftest import CANARY, STABLE

pytestmark = pytest.mark.redis
SPEC = AgentRolloutSpec.model_validate({"agentRef": {"name": "support"}})


class Operator:
    """One life of an operator: a fold of its own, and the status that it goes on from."""

    def __init__(self, desk, store, analysis=None):
        self.desk, self.store = desk, store
        self.status = AgentRolloutStatus(
            stage=Stage.STEPS,
            stable_revision=names.revision_name("support", STABLE),
            canary_revision=names.revision_name("support", CANARY),
            route_version=1,
            analysis=analysis or AnalysisStatus(),
        )
        self.measure = Measure(store)

    async def look(self):
        seen = await self.store.routes.look(self.desk.agent, [STABLE, CANARY])
        return await self.measure.observe(self.desk.agent, "uid-1", seen, SPEC, self.status, {})

    async def again(self):
        """Another life, from what this one has written."""
        through = (await self.look()).counted_through
        return Operator(self.desk, self.store, AnalysisStatus(counted_through=through))


@pytest.fixture
async def operator(desk, store):
    await desk.set_route(percent=100)
    return Operator(desk, store)


async def serve(desk, tasks=5):
    for _ in range(tasks):
        await desk.admit()
        assert await desk.finish(await desk.claim_one(CANARY))


async def cut(desk, kept):
    await desk.raw.xtrim(desk.keys.outcomes, maxlen=kept, approximate=False)


async def test_a_log_of_which_nothing_is_lost_has_no_gap_over_a_restart(desk, operator):
    await serve(desk)
    before = await operator.look()
    again = await operator.again()
    await serve(desk, 2)
    seen = await again.look()
    assert (before.gap, seen.gap) == (False, False)
    assert seen.in_window(Arm.CANARY).tasks == 7


async def test_rows_cut_while_no_operator_lived_are_a_gap(desk, operator):
    await serve(desk)
    again = await operator.again()
    await serve(desk)
    await cut(desk, 6)  # also of those after the position
    assert (await again.look()).gap
    assert not (await again.look()).in_window(Arm.CANARY).errors


async def test_rows_cut_that_were_counted_are_a_gap_where_the_window_is_built_from_less(
    desk, operator
):
    await serve(desk)
    again = await operator.again()
    await cut(desk, 4)
    seen = await desk.store.routes.look(desk.agent, [])
    gap = (await again.look()).gap
    assert gap is seen.rows_trimmed
    if await entries_added(desk):  # from Redis 7 on it tells; 6.2 knows of its own bound alone
        assert gap


async def entries_added(desk):
    told = await desk.raw.xinfo_stream(desk.keys.outcomes)
    return "entries-added" in told or b"entries-added" in told


async def test_rows_cut_between_two_looks_are_a_gap_and_their_tasks_no_errors(desk, operator):
    await desk.admit()
    await operator.look()
    await serve(desk)
    await cut(desk, 4)
    seen = await operator.look()
    assert seen.gap
    assert seen.in_window(Arm.CANARY).tasks <= 1, "the open one is left out"
    assert (await operator.look()).gap, "as long as it is in the window"


async def test_rows_cut_after_the_look_and_before_the_reading_are_a_gap(
    desk, operator, store, monkeypatch
):
    await serve(desk)
    await operator.look()
    await serve(desk)
    page = store.outcomes.page

    async def cut_first(*asked):
        await cut(desk, 4)
        return await page(*asked)

    monkeypatch.setattr(store.outcomes, "page", cut_first)
    assert (await operator.look()).gap


async def test_a_cut_that_reaches_no_uncounted_row_is_no_gap(desk, operator):
    await serve(desk)
    await operator.look()
    await cut(desk, 1)
    assert not (await operator.look()).gap
    await serve(desk)
    seen = await operator.look()
    assert not seen.gap
    assert seen.in_window(Arm.CANARY).tasks == 10


async def test_a_log_that_was_lost_whole_is_a_gap_once_there_is_another(desk, operator):
    await serve(desk)
    await operator.look()
    await desk.raw.delete(desk.keys.outcomes)
    assert not (await operator.look()).gap, "an idle agent waits for nothing"
    await serve(desk)
    assert (await operator.look()).gap


@pytest.mark.parametrize("rows", [12, 500_000])
async def test_a_log_at_its_bound_has_lost_rows_on_every_server(desk, server, rows):
    bounded = Store.connect(
        server.url,
        guard=unguarded,
        retention=scripts.Retention(outcome_rows=rows, evidence_rows=rows),
    )
    await desk.set_route(percent=100)
    await serve(desk, 6)
    seen = await bounded.routes.look(desk.agent, [])
    await bounded.aclose()
    assert seen.rows_trimmed is (rows == 12)


async def test_a_log_that_was_cut_before_a_canary_came_is_not_whole_under_its_larger_bound(
    desk, server
):
    retention = scripts.Retention(outcome_rows=12, evidence_rows=500_000)
    bounded = Store.connect(server.url, guard=unguarded, retention=retention)
    await desk.set_route(percent=100)
    await serve(desk, 3)
    whole = await bounded.routes.look(desk.agent, [])
    await serve(desk, 3)
    await cut(desk, 12)
    seen = await bounded.routes.look(desk.agent, [])
    await bounded.aclose()
    assert (whole.rows_trimmed, seen.rows_trimmed) == (False, True)


async def test_under_the_rights_of_the_version_before_a_look_is_answered(desk, server):
    raw = Redis.from_url(server.url)
    former = [rule for rule in users.operator_rules() if rule != "+xinfo|stream"]
    await raw.execute_command(
        "ACL", "SETUSER", "former-op", "reset", "resetchannels", "on", ">secret", *former
    )
    await raw.aclose()
    store = Store.connect(users.with_user(server.url, "former-op", "secret"), guard=unguarded)
    await desk.admit()
    seen = await store.routes.look(desk.agent, [])
    await store.aclose()
    assert seen.first_row
    assert not seen.rows_trimmed


async def test_a_log_that_lost_its_end_is_a_gap_to_who_had_counted_it_and_to_who_resumes(
    desk, operator
):
    """As a failover to a replica, or a restore, leaves it."""
    await serve(desk)
    await operator.look()
    again = await operator.again()
    for identifier, _ in await desk.raw.xrevrange(desk.keys.outcomes, count=2):
        await desk.raw.xdel(desk.keys.outcomes, identifier)
    for life in (operator, again):
        seen = await life.look()
        assert seen.gap
        assert 0 < seen.gap_ms <= seen.now_ms


async def test_a_log_that_went_back_and_grew_while_no_operator_lived_is_a_gap(desk, operator):
    """An older file, a restart, and new rows before the first look: only what was counted last tells."""
    await serve(desk)
    again = await operator.again()
    for identifier, _ in await desk.raw.xrevrange(desk.keys.outcomes, count=2):
        await desk.raw.xdel(desk.keys.outcomes, identifier)
    await serve(desk, 2)
    seen = await again.look()
    (first, _) = (await desk.raw.xrevrange(desk.keys.outcomes, count=6))[-1]
    assert (seen.gap, seen.gap_ms) == (True, int(first.partition(b"-")[0]))
    assert (await again.look()).gap_ms == seen.gap_ms, "it is one gap"


async def test_a_row_that_was_counted_last_and_cannot_be_read_is_still_there(desk, operator):
    await serve(desk)
    await desk.raw.xadd(desk.keys.outcomes, {"f": "of another version"})
    again = await operator.again()
    await serve(desk, 2)
    assert not (await again.look()).gap
