"""What living workers have put down in a second that Redis has lost is put down again, with what they had done until then."""

from __future__ import annotations

import pytest

from penstock.escalation import EscalationStatus, Verdict
from penstock.task import TaskStatus
from penstock_store.escalations import Decided, Word
from penstock_store.records import Directive
from tests.integration.store import test_breaks
from tests.integration.store.test_breaks import STABLE, LostTail, again, claimed_in_time, save
from tests.integration.store.test_lost_waits import all_are_heard_of
from tests.integration.store.test_parked import CANARY, park, waits

server, retention, other, workers = (
    test_breaks.server, test_breaks.retention, test_breaks.other, test_breaks.workers,
)  # fmt: skip
pytestmark = pytest.mark.redis
REFUNDED = b"refunded"


async def taken_next(desk, other, eventually, revision=STABLE):
    """The task, as another worker takes it once all have said what they hold."""
    await again(desk.store.claims.heartbeat, [], "busy")
    await again(other.claims.heartbeat, [], "idle")

    async def claims():
        return await other.claims.take(desk.agent, revision, "idle", 10)

    (taken,) = await eventually(claims, len)
    return taken


@pytest.mark.parametrize("is_known", [False, True], ids=["its claim is lost too", "it is known"])
async def test_a_task_that_was_given_back_in_the_lost_second_goes_on_where_it_stood(
    server, desk, other, workers, eventually, is_known
):
    await desk.admit()
    tail = LostTail(server)
    claim = await desk.claim_one(consumer="busy")
    tail = LostTail(server) if is_known else tail
    await save(desk.store, claim, REFUNDED)
    assert await desk.store.claims.release(claim)
    tail.happen()
    taken = await taken_next(desk, other, eventually)
    assert (taken.checkpoint, taken.doubt, taken.task.id) == (REFUNDED, "", claim.task.id)
    assert (await desk.work()).running == 1


async def test_a_task_that_was_handed_over_in_the_lost_second_is_handed_over(
    server, desk, other, workers, eventually
):
    await desk.set_route(canary=CANARY, percent=100, salt="salt")
    await desk.admit()
    await other.claims.take(desk.agent, STABLE, "idle", 1)
    tail = LostTail(server)
    (claim,) = await desk.claim(CANARY, consumer="busy")
    await save(desk.store, claim, REFUNDED)
    assert await desk.store.claims.release(claim, to_stable=True)
    tail.happen()
    taken = await taken_next(desk, other, eventually)
    assert (taken.checkpoint, taken.doubt) == (REFUNDED, "")


@pytest.mark.parametrize("waited", [False, True], ids=["its first call", "its second call"])
async def test_a_task_that_began_to_wait_in_the_lost_second_waits_as_it_did(
    server, desk, other, workers, eventually, waited
):
    admission = task = None
    if waited:
        task, first = await waits(desk)
    else:
        admission = await desk.admit()
    tail = LostTail(server)
    if waited:
        said = await desk.store.escalations.decide(first, Word("ann", Verdict.APPROVE))
        assert said is Decided.DONE
    claim = await desk.claim_one(consumer="busy")
    task = task or admission.task
    await save(desk.store, claim, REFUNDED)
    assert await park(desk, claim, timeout_seconds=60) is Directive.CONTINUE
    name = (await desk.store.tasks.get(task, "acme-token")).escalation
    asked = await desk.store.escalations.get(name)
    tail.happen()
    await again(desk.store.claims.heartbeat, [], "busy")
    after = await desk.store.escalations.get(name)
    assert (after.id, after.status) == (asked.id, EscalationStatus.OPEN)
    for before, now in ((asked.asked_ms, after.asked_ms), (asked.deadline_ms, after.deadline_ms)):
        assert abs(now - before) < 1000, "it is asked anew"
    assert after.doubt, "it may have been decided, and made, in what is lost"
    assert (await desk.store.routes.look(desk.agent, [STABLE])).parked == 1
    if waited:
        assert (await desk.store.escalations.get(first)).status is EscalationStatus.VOID
    await all_are_heard_of(desk, other, eventually)
    sure = Word("ann", Verdict.APPROVE, digest="d")
    assert await again(desk.store.escalations.decide, name, sure) is Decided.DONE
    (taken,) = await claimed_in_time(other, desk.agent, "idle", eventually)
    assert (taken.task.id, taken.checkpoint) == (task, REFUNDED)


@pytest.mark.parametrize("parks", [False, True], ids=["it is given back", "it waits"])
async def test_a_task_that_is_put_down_after_the_loss_takes_along_what_it_had_saved_before(
    server, desk, other, workers, eventually, parks
):
    """Redis knows an older state, and nobody would write the newer one any more."""
    await desk.admit()
    tail = LostTail(server)
    claim = await desk.claim_one(consumer="busy")
    await save(desk.store, claim, REFUNDED, ["refund"])
    tail.happen()
    await again(other.claims.heartbeat, [], "idle")
    if parks:
        assert await again(park, desk, claim) is Directive.CONTINUE
        key = desk.keys.task(claim.task.id)
        assert await desk.raw.hmget(key, "checkpoint", "intents") == [REFUNDED, b"refund"]
        return
    assert await again(desk.store.claims.release, claim)
    taken = await taken_next(desk, other, eventually)
    assert (taken.checkpoint, taken.doubt) == (REFUNDED, "")


async def test_who_took_it_on_in_the_lost_second_keeps_it_with_all_that_was_done_since(
    server, desk, other, workers
):
    await desk.admit()
    tail = LostTail(server)
    claim = await desk.claim_one(consumer="busy")
    await save(desk.store, claim, REFUNDED)
    assert await desk.store.claims.release(claim)
    (later,) = await other.claims.take(desk.agent, STABLE, "idle", 1)
    await save(other, later, b"refunded twice")
    tail.happen()
    await again(desk.store.claims.heartbeat, [], "busy")
    heard = await again(other.claims.heartbeat, [later], "idle")
    assert heard[later.id] is Directive.REWRITE, "the older state stays"
    assert await save(other, later, b"refunded twice") is Directive.CONTINUE
    await again(desk.store.claims.heartbeat, [], "busy")
    assert await other.claims.finish(later, test_breaks.DONE, later.task.usage)
    assert await desk.status(later.task.id) is TaskStatus.SUCCEEDED


async def test_what_redis_has_kept_is_not_done_again(server, desk, other, workers, eventually):
    """Given back, waiting, or decided since: a clean restart changes none of it."""
    await desk.admit()
    back = await desk.claim_one(consumer="busy")
    assert await desk.store.claims.release(back)
    again_taken = await desk.claim_one(consumer="busy")
    assert await desk.finish(again_taken)
    waiting = await desk.admit()
    assert await park(desk, await desk.claim_one(consumer="busy")) is Directive.CONTINUE
    decided, escalation = await waits(desk)
    said = await desk.store.escalations.decide(escalation, Word("ann", Verdict.APPROVE))
    assert said is Decided.DONE
    before = await desk.kinds()
    server.stop()
    server.start()
    await all_are_heard_of(desk, other, eventually)
    assert await desk.kinds() == before
    assert (await desk.store.tasks.get(waiting.task, "acme-token")).escalation.endswith(".1")
    assert (await desk.store.escalations.get(escalation)).status is EscalationStatus.APPROVED
    assert await desk.status(again_taken.task.id) is TaskStatus.SUCCEEDED
    assert (await desk.store.tasks.get(decided, "acme-token")).escalation == ""


@pytest.mark.parametrize("how", ["a heartbeat", "a write"])
async def test_after_a_restart_redis_has_heard_of_a_worker_only_since(server, desk, workers, how):
    """What it was told before may be lost; and nobody would miss a worker of which it knows nothing."""
    await desk.admit()
    claim = await desk.claim_one(consumer="busy")
    known = desk.store.claims.consumers
    known._heard[desk.agent, "busy"] -= 3600
    assert known.heard_seconds(desk.agent, "busy") > 3600
    server.stop()
    server.start()
    if how == "a write":
        await save(desk.store, claim)
    else:
        await again(desk.store.claims.heartbeat, [claim], "busy")
    since = known.heard_seconds(desk.agent, "busy")
    assert 0 < since < 3600
    await desk.store.claims.heartbeat([claim], "busy")
    assert known.heard_seconds(desk.agent, "busy") > since, "it is young with each heartbeat"
