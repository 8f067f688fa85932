"""Redis restarts, fails over, or loses the end of its log: what living workers did is not done again, and
what a worker did that is gone with it takes a person."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time

import pytest
from redis.asyncio import Redis

from penstock import errors, names, task, traffic
from penstock.escalation import EscalationStatus, Verdict
from penstock.guard import unguarded
from penstock_store import said_ends, testing
from penstock_store.escalations import Decided, Word
from penstock_store.records import Directive
from penstock_store.scripts import Retention
from penstock_store.store import Store
from penstock_store.wiring import Durability
from tests.integration.store.test_parked import waits

STABLE = "aaaa0000"
DONE = task.Outcome(task.TaskStatus.SUCCEEDED, output="done")
QUIET_MS = 1500  # instead of 15 s
pytestmark = pytest.mark.redis


@pytest.fixture
def server(server):
    """A redis-server that syncs each write, so that a test knows where to cut its log."""
    with testing.redis_server(server.binary, "--appendfsync", "always") as own:
        yield own


@pytest.fixture
def retention():
    return Retention(quiet_ms=QUIET_MS)


@pytest.fixture
async def other(server, retention):
    """The store of a second worker process."""
    opened = Store.connect(server.url, guard=unguarded, retention=retention, timeout_seconds=30)
    yield opened
    await opened.aclose()


def log_of(server):
    (log,) = [*server.directory.glob("appendonly.aof"), *server.directory.rglob("*.incr.aof")]
    return log


class LostTail:
    """Redis, cut back to what its log held at a moment: as a replica that lagged and took over."""

    def __init__(self, server):
        self.server = server
        self.size = log_of(server).stat().st_size

    def happen(self):
        """Kill it, forget what was written since, and start it again."""
        self.server.stop(signal.SIGKILL)
        log = log_of(self.server)
        log.write_bytes(log.read_bytes()[: self.size])
        self.server.start()


async def save(store, claim, state=b"state", intents=()):
    """A checkpoint; a connection of before the break is found broken by the first call."""
    for _ in range(3):
        with contextlib.suppress(errors.StoreUnavailable):
            return await store.claims.checkpoint(claim, state, task.Usage(), [], intents=intents)
    raise AssertionError("Redis is away")


async def again(call, *arguments):
    for _ in range(3):
        with contextlib.suppress(errors.StoreUnavailable):
            return await call(*arguments)
    raise AssertionError("Redis is away")


async def claimed_in_time(store, agent, consumer, eventually):
    async def claims():
        return await again(store.claims.take, agent, STABLE, consumer, 10)

    return await eventually(claims, len)


@pytest.fixture
async def workers(desk, other):
    """Two workers that have been heard of: "busy" on the desk's store, "idle" on the other."""
    await desk.claim(consumer="busy")
    await other.claims.take(desk.agent, STABLE, "idle", 1)


async def test_a_living_worker_keeps_the_task_whose_claim_redis_has_lost(
    server, desk, other, workers
):
    admission = await desk.admit()
    tail = LostTail(server)
    claim = await desk.claim_one(consumer="busy")
    await save(desk.store, claim, b"about to refund", ["refund"])
    tail.happen()
    assert await desk.status(admission.task) is task.TaskStatus.QUEUED, "nothing was lost"
    assert await again(other.claims.take, desk.agent, STABLE, "idle", 5) == [], (
        "nobody was waited for"
    )
    assert await save(desk.store, claim, b"refunded") is Directive.CONTINUE
    assert await again(other.claims.take, desk.agent, STABLE, "idle", 5) == [], "it holds others"
    assert (await desk.store.claims.heartbeat([claim], "busy"))[claim.id] is Directive.CONTINUE
    assert await again(other.claims.take, desk.agent, STABLE, "idle", 5) == [], "it has its worker"
    assert (await desk.work()).running == 1
    assert await desk.finish(claim)
    assert await desk.status(admission.task) is task.TaskStatus.SUCCEEDED
    assert await desk.kinds(admission.task) in ("rf", "rsf")


@pytest.mark.parametrize("asks", ["busy", "idle"])
@pytest.mark.parametrize("ends", [False, True], ids=["it works on it", "it has ended it"])
async def test_a_worker_that_has_said_something_may_still_hold_what_it_has_not_said(
    server, desk, other, workers, eventually, asks, ends
):
    """Its other tasks save at once; what it had claimed in the lost second it says with its heartbeat."""
    await desk.admit()
    known = await desk.claim_one(consumer="busy")
    admission = await desk.admit()
    tail = LostTail(server)
    claim = await desk.claim_one(consumer="busy")
    await save(desk.store, claim, b"about to refund", ["refund"])
    if ends:
        assert await desk.finish(claim)
    tail.happen()
    await again(other.claims.heartbeat, [], "idle")
    assert await save(desk.store, known, b"another") is Directive.CONTINUE
    store = desk.store if asks == "busy" else other
    assert await again(store.claims.take, desk.agent, STABLE, asks, 5) == [], "it is done twice"
    await again(desk.store.claims.heartbeat, [known] if ends else [known, claim], "busy")
    after = await desk.admit()
    (taken,) = await claimed_in_time(other, desk.agent, "idle", eventually)
    assert (taken.task.id, taken.doubt) == (after.task, "")
    if not ends:
        assert await desk.finish(claim)
    assert await desk.status(admission.task) is task.TaskStatus.SUCCEEDED


async def test_the_heartbeat_asks_for_what_may_be_lost_and_takes_it_back(
    server, desk, other, workers
):
    await desk.admit()
    claim = await desk.claim_one(consumer="busy")
    await save(desk.store, claim, b"before")
    tail = LostTail(server)
    await save(desk.store, claim, b"about to refund", ["refund"])
    tail.happen()
    assert (await again(desk.store.claims.heartbeat, [claim], "busy"))[
        claim.id
    ] is Directive.REWRITE
    assert await save(desk.store, claim, b"about to refund", ["refund"]) is Directive.CONTINUE
    assert (await desk.store.claims.heartbeat([claim], "busy"))[claim.id] is Directive.CONTINUE
    stored = await desk.raw.hmget(desk.keys.task(claim.task.id), "checkpoint", "intents")
    assert stored == [b"about to refund", b"refund"]


@pytest.mark.parametrize("dies", [False, True], ids=["it lives", "it dies"])
async def test_a_living_worker_goes_on_with_a_decision_that_redis_has_lost_and_nobody_is_asked_again(
    server, desk, other, workers, eventually, dies
):
    task_id, escalation = await waits(desk)
    tail = LostTail(server)
    said = await desk.store.escalations.decide(escalation, Word("ann", Verdict.APPROVE))
    assert said is Decided.DONE
    claim = await desk.claim_one(consumer="busy")
    tail.happen()
    await again(other.claims.heartbeat, [], "idle")
    asked = await again(desk.store.escalations.get, escalation)
    assert asked.doubt.startswith("between "), "whoever is asked again is not warned"
    assert (await again(desk.store.claims.heartbeat, [claim], "busy"))[claim.id] in (
        Directive.REWRITE,
        Directive.CONTINUE,
    )
    assert await save(desk.store, claim, b"about to refund", ["refund"]) is Directive.CONTINUE
    assert (await desk.store.escalations.get(escalation)).status is EscalationStatus.VOID
    assert (await desk.store.routes.look(desk.agent, [STABLE])).parked == 0
    if not dies:
        assert await desk.finish(claim)
        assert await desk.status(task_id) is task.TaskStatus.SUCCEEDED
        return

    async def claims():
        await again(other.claims.heartbeat, [], "idle")
        await other.queue.part(desk.agent, STABLE, QUIET_MS)
        suspects = await other.claims.take_suspects(desk.agent, STABLE, "idle")
        return suspects or await other.claims.take(desk.agent, STABLE, "idle", 5)

    (taken,) = await eventually(claims, len)
    assert taken.checkpoint == b"about to refund"


async def test_an_end_that_redis_has_lost_is_said_again(server, desk, other, workers, eventually):
    admission = await desk.admit()
    tail = LostTail(server)
    assert await desk.finish(await desk.claim_one(consumer="busy"))
    tail.happen()
    assert await again(other.claims.take, desk.agent, STABLE, "idle", 5) == []
    await again(desk.store.claims.heartbeat, [], "busy")
    assert await desk.status(admission.task) is task.TaskStatus.SUCCEEDED
    assert await other.claims.take(desk.agent, STABLE, "idle", 5) == []


@pytest.mark.parametrize("claimed_before", [True, False], ids=["it held", "it may have claimed"])
async def test_of_a_task_whose_worker_is_gone_with_the_lost_tail_one_is_in_doubt(
    server, desk, other, workers, eventually, claimed_before
):
    admission = await desk.admit()
    if claimed_before:
        await desk.claim_one(consumer="busy")
    tail = LostTail(server)
    if not claimed_before:
        await desk.claim_one(consumer="busy")
    tail.happen()

    async def claims():
        await again(other.claims.heartbeat, [], "idle")
        await other.queue.part(desk.agent, STABLE, QUIET_MS)
        suspects = await other.claims.take_suspects(desk.agent, STABLE, "idle")
        return suspects or await other.claims.take(desk.agent, STABLE, "idle", 5)

    (claim,) = await eventually(claims, len)
    assert claim.task.id == admission.task
    assert claim.doubt.startswith("between ")
    assert await other.claims.release(claim)
    (once_more,) = await other.claims.take(desk.agent, STABLE, "idle", 5)
    assert once_more.doubt == claim.doubt, "whoever takes it next does not know"
    after = await desk.admit()
    (fresh,) = await other.claims.take(desk.agent, STABLE, "idle", 5)
    assert (fresh.task.id, fresh.doubt) == (after.task, "")


async def test_after_a_clean_restart_living_workers_go_on_and_nobody_is_in_doubt(
    server, desk, other, workers
):
    for _ in range(2):
        await desk.admit()
    claim = await desk.claim_one(consumer="busy")
    server.stop()
    server.start()
    assert await again(other.claims.take, desk.agent, STABLE, "idle", 5) == []
    await again(desk.store.claims.heartbeat, [claim], "busy")
    (second,) = await other.claims.take(desk.agent, STABLE, "idle", 5)
    assert (second.doubt, claim.doubt) == ("", "")
    assert await desk.finish(claim)


async def test_a_worker_that_dies_without_a_break_leaves_nobody_waiting_and_nothing_in_doubt(
    desk, other, workers
):
    for _ in range(2):
        await desk.admit()
    await desk.claim_one(consumer="busy")
    (claim,) = await other.claims.take(desk.agent, STABLE, "idle", 5)
    await other.queue.part(desk.agent, STABLE, 0)
    (taken, *_) = await other.claims.take_suspects(desk.agent, STABLE, "idle")
    assert {claim.doubt, taken.doubt} == {""}


async def test_a_worker_that_left_in_order_is_not_waited_for(server, desk, other, workers):
    await desk.store.claims.leave(desk.agent, STABLE, "busy")
    await desk.admit()
    server.stop()
    server.start()
    (claim,) = await again(other.claims.take, desk.agent, STABLE, "idle", 5)
    assert claim.doubt == ""


@pytest.mark.parametrize("how", ["it leaves", "its parent says so", "it is buried"])
async def test_who_goes_after_a_break_without_a_word_of_what_redis_has_lost_leaves_a_doubt(
    server, desk, other, workers, eventually, how
):
    admission = await desk.admit()
    tail = LostTail(server)
    claim = await desk.claim_one(consumer="busy")
    await save(desk.store, claim, b"about to refund", ["refund"])
    tail.happen()
    if how != "it is buried":
        parent = other if how == "its parent says so" else desk.store
        await again(parent.claims.leave, desk.agent, STABLE, "busy")
    else:
        await again(other.queue.bury, desk.agent, STABLE, "busy")
    await again(other.claims.heartbeat, [], "idle")
    (taken,) = await claimed_in_time(other, desk.agent, "idle", eventually)
    assert taken.task.id == admission.task
    assert taken.doubt.startswith("between ")


async def test_two_breaks_in_a_row_do_not_make_up_for_what_was_lost_with_the_first(
    server, desk, other, workers, eventually
):
    admission = await desk.admit()
    tail = LostTail(server)
    await desk.claim_one(consumer="busy")
    tail.happen()
    await again(other.claims.heartbeat, [], "idle")
    server.stop()
    server.start()
    await again(other.claims.heartbeat, [], "idle")
    (taken,) = await claimed_in_time(other, desk.agent, "idle", eventually)
    assert (taken.task.id, taken.doubt.split()[0]) == (admission.task, "between")


async def test_a_break_is_seen_by_a_lost_write_where_the_life_of_the_server_may_not_be_asked(
    server, desk, other, workers, monkeypatch
):
    async def unknown(*_):
        return ""

    for store in (desk.store, other):
        monkeypatch.setattr(store._connection, "_life", unknown)
    await desk.admit()
    await desk.raw.hdel(f"{desk.keys.tag}:tail", "life")
    tail = LostTail(server)
    claim = await desk.claim_one(consumer="busy")
    tail.happen()
    assert (await again(desk.store.claims.heartbeat, [claim], "busy"))[
        claim.id
    ] is Directive.REWRITE
    assert await other.claims.take(desk.agent, STABLE, "idle", 5) == []


async def test_a_replicated_write_waits_for_its_replica_and_says_when_none_confirms(server):
    store = Store.connect(
        server.url, guard=unguarded, durability=Durability(replicas=1, timeout_ms=300)
    )
    agent = names.AgentKey("acme", "replicated")
    limits = traffic.RevisionLimits(1000, 60, 60)
    routed = traffic.RoutedRevision(STABLE, traffic.Standing.OPEN, limits)
    await store.routes.put(
        agent, traffic.Route("u", 1, 1, traffic.Split(STABLE), revisions={STABLE: routed})
    )
    await store.tasks.admit(agent, task.task_id(agent, b"1" * 16), task.Submission("hi", "t"))
    (claim,) = await store.claims.take(agent, STABLE, "w", 1)
    with pytest.raises(errors.NotReplicated, match="0 of 1 replicas"):
        await store.claims.checkpoint(claim, b"s", task.Usage(), [], replicated=True)
    assert await store.claims.checkpoint(claim, b"s", task.Usage(), []) is Directive.CONTINUE
    address = ("--replicaof", "127.0.0.1", str(server.port))
    with testing.redis_server(server.binary, *address):
        deadline = asyncio.get_running_loop().time() + 10
        while asyncio.get_running_loop().time() < deadline:
            with contextlib.suppress(errors.NotReplicated):
                await store.claims.checkpoint(claim, b"t", task.Usage(), [], replicated=True)
                break
        else:
            pytest.fail("the replica never confirmed")
    await store.aclose()


async def test_a_worker_whose_task_another_has_taken_does_not_get_it_back_by_a_break(
    desk, other, workers
):
    await desk.admit()
    late = await desk.claim_one(consumer="busy")
    await other.queue.part(desk.agent, STABLE, 0)
    (present,) = await other.claims.take_suspects(desk.agent, STABLE, "idle")
    await desk.raw.hset(f"{desk.keys.tag}:tail", "life", "the one before")
    assert (await other.claims.heartbeat([present], "idle"))[present.id] is Directive.REWRITE
    assert (await desk.store.claims.heartbeat([late], "busy"))[late.id] is Directive.LOST
    assert await save(desk.store, late, b"refund", ["refund"]) is Directive.LOST
    assert not await desk.finish(late)
    assert await other.claims.finish(present, DONE, task.Usage())


async def test_a_break_is_noticed_by_a_full_redis_too(server, desk, other, workers):
    await desk.admit()
    tail = LostTail(server)
    claim = await desk.claim_one(consumer="busy")
    tail.happen()
    raw = Redis.from_url(server.url, protocol=2)
    used = (await raw.info("memory"))["used_memory"]
    await raw.config_set("maxmemory", str(used // 2))
    assert await again(other.claims.take, desk.agent, STABLE, "idle", 5) == [], (
        "nobody was waited for"
    )
    held = await again(desk.store.claims.heartbeat, [claim], "busy")
    assert held[claim.id] is Directive.REWRITE
    assert await other.claims.take(desk.agent, STABLE, "idle", 5) == []
    assert await desk.finish(claim)
    await raw.config_set("maxmemory", "0")
    await raw.aclose()


async def a_millisecond_later(raw):
    """Wait until Redis' clock, in milliseconds, is another one: turns are told apart by it."""
    begun = now = await raw.time()
    while (now[0], now[1] // 1000) == (begun[0], begun[1] // 1000):
        now = await raw.time()


async def test_an_earlier_turn_that_is_said_again_does_not_overwrite_a_later_one(desk):
    first = await desk.admit(session="s")
    await a_millisecond_later(desk.raw)
    second = await desk.admit(session="s")
    claim = await desk.claim_one()
    await desk.finish(claim, history=b"first")
    later = await desk.claim_one()
    await desk.finish(later, history=b"first, second")
    key = desk.keys.task(first.task)  # Redis has lost the first end alone, as a test may have it
    await desk.raw.hset(
        key, mapping={"status": "Running", "claim": claim.id, "sess": "acme-token:s"}
    )
    await desk.finish(claim, history=b"first")
    history = await desk.raw.hget(desk.keys.session("acme-token", "s"), "history")
    assert history == b"first, second"
    assert second.task


async def test_workers_that_are_long_gone_leave_nothing_behind(desk, server):
    forgetful = Store.connect(server.url, guard=unguarded, retention=Retention(idle_consumer_ms=0))
    for number in range(5):
        await desk.claim(consumer=f"gone{number}")
    tail = f"{desk.keys.tag}:tail"
    assert len(await desk.raw.hkeys(tail)) > 5
    await forgetful.queue.part(desk.agent, STABLE, 60_000)
    assert not [name for name in await desk.raw.hkeys(tail) if name.startswith(b"s:")]
    await forgetful.aclose()


async def test_ends_are_remembered_for_a_minute_and_within_a_bound(desk, monkeypatch):
    monkeypatch.setattr(said_ends, "_BYTES", 3000)
    for _ in range(10):
        await desk.admit(session="s")
        await desk.finish(await desk.claim_one(), history=b"h" * 1000)
    kept = desk.store.claims._ends.of(desk.agent, time.monotonic())
    assert len(kept) == 2
    assert all(end.claim.history is None for end in kept)


async def test_an_end_that_redis_lost_is_said_again_with_its_step_whatever_was_ordered_since(
    server, desk, other, workers
):
    admission = await desk.admit()
    claim = await desk.claim_one(consumer="busy")
    tail, step = LostTail(server), [("model", {"text": "done"})]
    assert (
        await desk.store.claims.finish_step(claim, DONE, task.Usage(), None, step)
        is Directive.CONTINUE
    )
    tail.happen()
    await again(desk.store.tasks.cancel, admission.task, "acme-token")
    await again(desk.store.claims.heartbeat, [], "busy")
    assert await desk.status(admission.task) is task.TaskStatus.SUCCEEDED
    assert await desk.event_types(admission.task) == ["queued", "started", "model", "finished"]
    assert await desk.kinds(admission.task) == "rsf"
