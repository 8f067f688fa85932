"""Claims: one worker at a time, nothing lost with a worker, every task ends once."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from penstock import outcomes, task, traffic
from penstock.guard import unguarded
from penstock_store.records import Directive
from penstock_store.scripts import Retention
from penstock_store.store import Store

STABLE, CANARY = "aaaa0000", "bbbb1111"
FAILED = task.Outcome(task.TaskStatus.FAILED, task.OutcomeReason.TOOL_ERROR, "no such host")
pytestmark = pytest.mark.redis


@pytest.fixture
def retention():
    return Retention(orphan_idle_ms=0)


async def test_a_claim_carries_the_task_and_starts_its_clock(desk):
    admission = await desk.admit("hi", user="ann", session="s", trace_id="t1", type="q")
    claim = await desk.claim_one()
    assert claim.task.id == admission.task
    assert (claim.task.status, claim.task.deliveries) == (task.TaskStatus.RUNNING, 1)
    assert (claim.task.user, claim.task.session, claim.task.trace_id) == ("ann", "s", "t1")
    assert claim.task.started_ms >= claim.task.created_ms > 0
    assert (claim.checkpoint, claim.history, claim.expired) == (None, None, False)
    assert await desk.kinds() == "rs"
    assert await desk.claim() == []


async def test_a_finished_task_has_its_result_and_one_row_with_latency_and_cost(desk):
    await desk.admit()
    claim = await desk.claim_one()
    usage = task.Usage(1, 2, 3, 4, 5, 6, 7, 8)
    assert await desk.finish(claim, FAILED, usage)
    ended = await desk.store.tasks.get(claim.task.id, "acme-token")
    assert (ended.status, ended.outcome, ended.usage) == (task.TaskStatus.FAILED, FAILED, usage)
    row = (await desk.store.outcomes.rows(desk.agent))[-1]
    assert (row.kind, row.counting) == (outcomes.RowKind.FINISHED, task.Counting.ERROR)
    assert row.latency_ms == ended.finished_ms - ended.started_ms
    assert row.cost_micro_usd == 5 + 8, "the list price, at which nothing is cached"
    assert (await desk.work()).queued == (await desk.work()).running == 0
    assert 0 < await desk.raw.ttl(desk.keys.task(claim.task.id)) <= 86_400


async def test_finishing_twice_counts_once(desk):
    await desk.admit()
    claim = await desk.claim_one()
    assert await asyncio.gather(desk.finish(claim), desk.finish(claim, FAILED)) == [True, True]
    assert await desk.status(claim.task.id) is task.TaskStatus.SUCCEEDED
    assert await desk.kinds() == "rsf"


async def test_lanes_are_served_in_order_and_batch_gets_one_turn_in_ten(desk):
    for priority in (task.Priority.BATCH, task.Priority.NORMAL, task.Priority.CRITICAL):
        for _ in range(30):
            await desk.admit(priority=priority)
    singles = [(await desk.claim_one()).lane for _ in range(20)]
    assert singles == (["Critical"] * 9 + ["Batch"]) * 2
    many = [claim.lane for claim in await desk.claim(limit=30)]
    assert sorted(many) == ["Batch"] * 3 + ["Critical"] * 12 + ["Normal"] * 15
    assert len(await desk.claim(limit=100)) == 40


async def test_nothing_is_claimed_while_the_agent_is_suspended_or_the_revision_rejected(desk):
    await desk.set_route(percent=100)
    await desk.admit()
    await desk.set_route(suspended=True)
    assert await desk.claim(CANARY) == []
    await desk.set_route(suspended=False, standings={CANARY: traffic.Standing.REJECTED})
    assert await desk.claim(CANARY) == []
    await desk.set_route()
    assert len(await desk.claim(CANARY)) == 1


async def test_a_task_that_waited_too_long_is_claimed_as_expired(desk, eventually):
    await desk.set_route(limits=traffic.RevisionLimits(1000, 0, 60))
    await desk.admit()

    async def waited():
        work = await desk.work()
        return work.oldest_queued_ms

    await eventually(waited, lambda milliseconds: milliseconds > 2)
    claim = await desk.claim_one()
    assert claim.expired
    expired = task.Outcome(task.TaskStatus.EXPIRED, task.OutcomeReason.LIMIT_QUEUE_SECONDS)
    assert await desk.finish(claim, expired)
    rows = await desk.store.outcomes.rows(desk.agent)
    assert [row.kind for row in rows] == ["r", "f"]
    assert (rows[-1].counting, rows[-1].latency_ms) == (task.Counting.ERROR, 0)


async def test_a_started_task_does_not_expire_when_it_is_claimed_again(desk):
    await desk.admit()
    await desk.claim_one()
    await desk.set_route(limits=traffic.RevisionLimits(1000, 0, 60))
    (again,) = await desk.reclaim()
    assert not again.expired


async def test_a_checkpoint_comes_back_byte_for_byte_with_the_next_claim(desk):
    await desk.admit()
    claim = await desk.claim_one()
    state = bytes(range(256)) * 40
    told = [("model", {"text": "é \ud83d\ude00", "n": 1}), ("tool", {})]
    assert (
        await desk.store.claims.checkpoint(claim, state, task.Usage(3), told) is Directive.CONTINUE
    )
    (again,) = await desk.reclaim()
    assert again.checkpoint == state
    assert again.checkpoint_revision == STABLE
    assert again.task.usage == task.Usage(3)
    assert again.task.deliveries == 2
    assert again.id != claim.id
    assert await desk.event_types(claim.task.id) == [
        "queued",
        "started",
        "model",
        "tool",
        "started",
    ]
    assert await desk.kinds() == "rs"


async def test_only_the_present_claim_may_write(desk):
    await desk.admit()
    first = await desk.claim_one()
    (second,) = await desk.reclaim()
    assert await desk.store.claims.heartbeat([first, second], "w1") == {
        first.id: Directive.LOST,
        second.id: Directive.CONTINUE,
    }
    assert (
        await desk.store.claims.checkpoint(first, b"x", task.Usage(9), [("m", {})])
        is Directive.LOST
    )
    assert not await desk.finish(first, FAILED)
    assert not await desk.store.claims.release(first)
    forged = dataclasses.replace(second, id=first.id[::-1])
    assert not await desk.finish(forged)
    assert await desk.status(first.task.id) is task.TaskStatus.RUNNING
    assert await desk.finish(second)
    assert not await desk.finish(first)
    assert await desk.kinds() == "rsf"


async def test_a_heartbeat_keeps_a_task_from_being_claimed_again(desk, eventually):
    await desk.admit()
    claim = await desk.claim_one()

    async def idle():
        queue = desk.keys.queue(STABLE, "Normal")
        (pending,) = await desk.raw.xpending_range(queue, "w", "-", "+", 1)
        return pending["time_since_delivered"]

    await eventually(idle, lambda milliseconds: milliseconds > 100)
    await desk.store.claims.heartbeat([claim], "w1")
    assert await desk.reclaim(idle_ms=100) == []
    await eventually(idle, lambda milliseconds: milliseconds > 100)
    assert len(await desk.reclaim(idle_ms=100)) == 1


async def test_heartbeats_of_many_claims_of_several_agents_go_out_in_batches(desk, store):
    claims = []
    for _ in range(520):
        await desk.admit()
    claims = await desk.claim(limit=600)
    other = dataclasses.replace(
        desk, agent=dataclasses.replace(desk.agent, namespace="other"), route=desk.route
    )
    await other.set_route(version=1)
    await other.admit()
    claims += await other.claim()
    heard = await store.claims.heartbeat(claims, "w1")
    assert len(heard) == 521
    assert set(heard.values()) == {Directive.CONTINUE}


async def test_a_task_whose_worker_dies_each_time_it_ran_alone_ends_as_failed(desk):
    admission = await desk.admit(session="s")
    following = await desk.admit(session="s")
    await desk.claim_one()
    for _ in range(2):
        (claim,) = await desk.reclaim()
    assert (claim.suspects, claim.task.deliveries) == (1, 3)
    assert await desk.reclaim() == []
    ended = await desk.store.tasks.get(admission.task, "acme-token")
    assert ended.outcome == task.Outcome(
        task.TaskStatus.FAILED,
        task.OutcomeReason.INTERNAL,
        "its worker died each time it ran, at last when it ran alone",
    )
    assert not await desk.finish(claim)
    finished = (await desk.store.outcomes.rows(desk.agent))[-1]
    assert (finished.kind, finished.counting) == ("f", task.Counting.ERROR)
    assert (await desk.claim_one()).task.id == following.task


async def test_a_released_task_is_no_suspect_and_goes_on_from_its_checkpoint(desk):
    await desk.admit()
    for _ in range(12):
        claim = await desk.claim_one()
        assert claim.task.deliveries == 1
        await desk.store.claims.checkpoint(claim, b"state", task.Usage(1), [])
        assert await desk.store.claims.release(claim)
        assert await desk.status(claim.task.id) is task.TaskStatus.QUEUED
    again = await desk.claim_one()
    assert (again.checkpoint, again.task.started_ms) == (b"state", claim.task.started_ms)
    assert await desk.kinds() == "rs"


async def test_suspending_halts_what_runs_and_it_goes_on_afterwards(desk):
    await desk.admit()
    claim = await desk.claim_one()
    await desk.set_route(suspended=True)
    assert await desk.store.claims.heartbeat([claim], "w1") == {claim.id: Directive.GIVE_BACK}
    assert await desk.reclaim() == []
    await desk.store.claims.release(claim)
    assert await desk.status(claim.task.id) is task.TaskStatus.HALTED
    await desk.set_route(suspended=False)
    assert (await desk.claim_one()).task.status is task.TaskStatus.RUNNING


async def test_cancelling_a_queued_task_ends_it_at_once(desk):
    admission = await desk.admit()
    cancelled = await desk.store.tasks.cancel(admission.task, "acme-token")
    assert (cancelled.status, cancelled.outcome.reason) == (
        task.TaskStatus.CANCELLED,
        task.OutcomeReason.PERSON,
    )
    assert await desk.claim() == []
    assert (await desk.work()).queued == 0
    row = (await desk.store.outcomes.rows(desk.agent))[-1]
    assert (row.kind, row.counting) == (outcomes.RowKind.FINISHED, task.Counting.LEFT_OUT)


async def test_cancelling_a_running_task_is_heard_at_its_next_step(desk):
    await desk.admit()
    claim = await desk.claim_one()
    running = await desk.store.tasks.cancel(claim.task.id, "acme-token")
    assert running.status is task.TaskStatus.RUNNING
    assert await desk.store.claims.checkpoint(claim, b"", task.Usage(), []) is Directive.CANCEL
    await desk.finish(claim, task.Outcome(task.TaskStatus.CANCELLED))
    again = await desk.store.tasks.cancel(claim.task.id, "acme-token")
    assert again.status is task.TaskStatus.CANCELLED
    assert await desk.kinds() == "rsf"


async def test_a_cancelled_task_whose_worker_died_or_gave_it_back_ends(desk):
    for give_up in (desk.reclaim, None):
        await desk.admit()
        claim = await desk.claim_one()
        await desk.store.tasks.cancel(claim.task.id, "acme-token")
        assert await (give_up() if give_up else desk.store.claims.release(claim)) in ([], True)
        assert await desk.status(claim.task.id) is task.TaskStatus.CANCELLED


async def test_consumers_that_are_gone_for_long_are_forgotten_only_when_nothing_is_theirs(
    desk, server
):
    forgetful = Store.connect(server.url, guard=unguarded, retention=Retention(idle_consumer_ms=0))
    queue = desk.keys.queue(STABLE, "Normal")

    async def known():
        return {consumer["name"] for consumer in await desk.raw.xinfo_consumers(queue, "w")}

    for consumer in ("gone", "holding"):
        await desk.admit()
        claim = await desk.claim_one(consumer=consumer)
        if consumer == "gone":
            await desk.finish(claim)
    assert await known() == {b"gone", b"holding"}
    await forgetful.queue.part(desk.agent, STABLE, 60_000)
    assert await known() == {b"holding"}
    await forgetful.aclose()


async def test_the_outcome_log_keeps_about_as_many_rows_as_it_may(server, desk):
    store = Store.connect(
        server.url, guard=unguarded, retention=Retention(outcome_rows=100, evidence_rows=100)
    )
    small = dataclasses.replace(desk, store=store)
    for _ in range(350):
        await small.admit()
    rows = await small.store.outcomes.rows(desk.agent)
    assert 100 <= len(rows) < 300
    look = await small.store.routes.look(desk.agent, [])
    assert (look.first_row, look.last_row) == (rows[0].id, rows[-1].id)
    middle = rows[50].id
    assert await small.store.outcomes.rows(desk.agent, after=middle, limit=5) == rows[51:56]
    await store.aclose()


@pytest.mark.parametrize(("seconds", "stay"), [(3600, True), (0, False)])
@pytest.mark.parametrize(
    "leaves", [{"canary": ""}, {"percent": 0, "standings": {CANARY: traffic.Standing.REJECTED}}]
)
async def test_while_a_canary_is_tried_and_for_a_while_after_more_rows_are_kept(
    server, desk, seconds, stay, leaves
):
    retention = Retention(outcome_rows=100, evidence_rows=400, evidence_seconds=seconds)
    store = Store.connect(server.url, guard=unguarded, retention=retention)
    small = dataclasses.replace(desk, store=store)

    async def kept():
        for _ in range(350):
            await small.admit()
        return len(await store.outcomes.rows(desk.agent))

    await small.set_route(canary=CANARY, percent=5)
    assert await kept() == 350
    assert 400 <= await kept() < 600, "there is a bound"
    await small.set_route(**leaves)
    assert (await kept() >= 400) is stay, "the canary has just gone"
    until = await desk.raw.hget(desk.keys.route, "evidenceUntil")
    await small.set_route(canary="", percent=0)
    assert await desk.raw.hget(desk.keys.route, "evidenceUntil") == until, "it goes only once"
    await store.aclose()


async def test_a_long_conversation_is_saved_by_pieces_and_comes_back_whole(desk):
    await desk.admit()
    claim = await desk.claim_one()
    state = b"x" * 20_000
    for number in range(30):
        state += b"%d " % number * 50
        assert (
            await desk.store.claims.checkpoint(claim, state, task.Usage(), []) is Directive.CONTINUE
        )
    key = desk.keys.task(claim.task.id)
    assert int(await desk.raw.hget(key, "pieces")) > 0
    assert len(await desk.raw.hget(key, "checkpoint")) < len(state)
    (again,) = await desk.reclaim()
    assert again.checkpoint == state
    assert await desk.finish(again)
    left = await desk.raw.hkeys(key)
    assert not [name for name in left if name.startswith(b"piece") or name == b"checkpoint"]


async def test_a_piece_whose_beginning_redis_does_not_know_is_sent_whole(desk):
    await desk.admit()
    claim = await desk.claim_one()
    state = b"x" * 20_000
    await desk.store.claims.checkpoint(claim, state, task.Usage(), [])
    await desk.raw.hset(desk.keys.task(claim.task.id), "checkpoint", "older")
    await desk.raw.hset(desk.keys.task(claim.task.id), "whole", "older")
    await desk.store.claims.checkpoint(claim, state + b"y", task.Usage(), [])
    (again,) = await desk.reclaim()
    assert again.checkpoint == state + b"y"
