"""Ends that no worker writes, what is kept of an ended task, and for how long."""

from __future__ import annotations

import json

import pytest

from penstock import outcomes, task, traffic
from penstock.guard import unguarded
from penstock_store.scripts import Retention
from penstock_store.store import Store

STABLE, CANARY = "aaaa0000", "bbbb1111"
DONE = task.Outcome(task.TaskStatus.SUCCEEDED, output="done")
pytestmark = pytest.mark.redis


@pytest.fixture
def retention():
    return Retention(orphan_idle_ms=0)


async def wait_for_age(desk, eventually, milliseconds=2):
    async def oldest():
        return (await desk.work()).oldest_queued_ms

    await eventually(oldest, lambda age: age > milliseconds)


# ------------------------------------------------------------------------- waiting without a worker


async def test_a_task_that_waits_too_long_ends_without_any_worker(desk, eventually):
    patient, hasty = traffic.RevisionLimits(1000, 60, 60), traffic.RevisionLimits(1000, 0, 60)
    admission = await desk.admit()
    await wait_for_age(desk, eventually)
    await desk.set_route(limits=patient)
    assert await desk.store.queue.expire(desk.agent) == 0
    await desk.set_route(limits=hasty)
    assert await desk.store.queue.expire(desk.agent) == 1
    ended = await desk.store.tasks.get(admission.task, "acme-token")
    assert ended.outcome.status is task.TaskStatus.EXPIRED
    assert "limits.queueSeconds is 0" in ended.outcome.message
    assert await desk.kinds() == "rf"
    assert (await desk.work()).queued == 0
    assert await desk.raw.ttl(desk.keys.task(admission.task)) > 0


async def test_what_waits_behind_an_expired_task_of_its_session_expires_with_it(desk, eventually):
    for session in ("one", "other", ""):
        for _ in range(5):
            await desk.admit(session=session)
    await desk.set_route(limits=traffic.RevisionLimits(1000, 0, 60))
    await wait_for_age(desk, eventually)
    assert (await desk.store.routes.look(desk.agent, [])).waiting == 8
    assert await desk.store.queue.expire(desk.agent) == 15
    rows = await desk.store.outcomes.rows(desk.agent)
    finished = [row for row in rows if row.kind is outcomes.RowKind.FINISHED]
    assert len(finished) == 15
    assert {row.counting for row in finished} == {task.Counting.ERROR}
    assert (await desk.store.routes.look(desk.agent, [])).waiting == 0


async def test_no_more_than_asked_for_expire_at_once_and_nobody_during_a_suspension(
    desk, eventually
):
    for _ in range(10):
        await desk.admit()
    await desk.set_route(limits=traffic.RevisionLimits(1000, 0, 60))
    await wait_for_age(desk, eventually)
    await desk.set_route(limits=traffic.RevisionLimits(1000, 0, 60), suspended=True)
    assert await desk.store.queue.expire(desk.agent) == 0
    await desk.set_route(limits=traffic.RevisionLimits(1000, 0, 60), suspended=False)
    await wait_for_age(desk, eventually, 20)

    async def expired():
        return await desk.store.queue.expire(desk.agent, 4)

    assert await eventually(expired, lambda count: count > 0) == 4


async def test_a_task_that_has_begun_does_not_expire(desk, eventually):
    await desk.admit()
    claim = await desk.claim_one()
    await desk.store.claims.release(claim)
    await desk.set_route(limits=traffic.RevisionLimits(1000, 0, 60))
    await wait_for_age(desk, eventually)
    assert await desk.store.queue.expire(desk.agent) == 0


# ------------------------------------------------------------------- an irreversible call is open


async def open_call(desk, **fields):
    """A task whose worker was lost while it called a tool that cannot be undone."""
    admission = await desk.admit(**fields)
    claim = await desk.claim_one()
    await desk.store.claims.checkpoint(claim, b"s", task.Usage(), [], intents=["refund", "ship"])
    return admission.task, claim


async def cancelled(desk, identifier):
    await desk.store.tasks.cancel(identifier, "acme-token")
    await desk.reclaim()


async def deleted(desk, identifier):
    await desk.store.routes.close(desk.agent, "uid-1")


async def cancelled_and_moved(desk, identifier):
    await desk.store.tasks.cancel(identifier, "acme-token")
    await desk.set_route(stable=CANARY, canary="", standings={STABLE: traffic.Standing.REJECTED})
    await desk.store.queue.rehome(desk.agent, STABLE)


@pytest.mark.parametrize(
    "how", [cancelled, deleted, cancelled_and_moved], ids=lambda how: how.__name__
)
async def test_no_other_end_hides_a_call_with_an_unknown_result(desk, how):
    identifier, _ = await open_call(desk)
    await how(desk, identifier)
    ended = await desk.store.tasks.get(identifier, "acme-token")
    assert ended.outcome.status is task.TaskStatus.ESCALATED
    assert ended.outcome.reason is task.OutcomeReason.TOOL_ERROR
    assert "refund, ship is unknown" in ended.outcome.message


async def test_once_its_result_is_kept_a_task_is_cancelled_as_any_other(desk):
    identifier, claim = await open_call(desk)
    await desk.store.claims.checkpoint(claim, b"t", task.Usage(), [])
    await cancelled(desk, identifier)
    assert await desk.status(identifier) is task.TaskStatus.CANCELLED


@pytest.mark.parametrize(("begun", "ends"), [('["toolu_1"]', "Escalated"), ("[]", "Cancelled")])
async def test_an_open_call_of_a_worker_of_the_version_before_is_seen_in_its_conversation(
    desk, begun, ends
):
    admission = await desk.admit()
    await desk.claim_one()
    saved = json.dumps({"format": 1, "text": '"begun":[]'})[:-1] + f',"begun":{begun}}}'
    await desk.raw.hset(desk.keys.task(admission.task), "checkpoint", saved)
    await cancelled(desk, admission.task)
    assert await desk.status(admission.task) == ends


# ------------------------------------------------------------------------------- what is kept


async def test_events_of_an_ended_task_become_one_short_text_and_are_read_as_before(desk):
    admission = await desk.admit()
    claim = await desk.claim_one()
    for number in range(40):
        told = [("model", {"text": "x" * 300, "n": number})]
        await desk.store.claims.checkpoint(claim, b"s", task.Usage(), told)
    await desk.finish(claim)
    stream = desk.keys.events(admission.task)
    before = await desk.store.notifications.events(admission.task)
    assert 0 < await desk.raw.ttl(stream) <= 30
    await desk.raw.delete(stream)
    after = await desk.store.notifications.events(admission.task)
    assert after == before[-len(after) :]
    assert 5 < len(after) < len(before)
    assert after[-1].type == "finished"
    middle = after[3].id
    assert await desk.store.notifications.events(admission.task, middle) == after[4:]
    assert await desk.store.notifications.events(admission.task, after[-1].id) == []
    assert await desk.store.notifications.events(admission.task, "99999999999999-0") == []


async def test_an_ended_task_weighs_little_once_its_stream_is_gone(desk):
    admission = await desk.admit("x" * 60)
    claim = await desk.claim_one()
    await desk.store.claims.checkpoint(
        claim, b"s" * 500, task.Usage(), [("model", {"text": "y" * 200})]
    )
    await desk.finish(claim, task.Outcome(task.TaskStatus.SUCCEEDED, output="y" * 200))
    weight = await desk.raw.memory_usage(desk.keys.task(admission.task), samples=0)
    assert weight < 3400


async def test_an_idempotency_key_lives_from_the_end_of_its_task_as_long_as_the_task(desk):
    admission = await desk.admit(idempotency_key="k")
    key = desk.keys.idempotency("acme-token", "k")
    assert 86_390 < await desk.raw.ttl(key) <= 86_400
    await desk.raw.expire(key, 5)  # it has waited for nearly a day
    await desk.store.claims.release(await desk.claim_one())
    assert await desk.raw.ttl(key) > 86_390, "its task begins only now"
    await desk.raw.expire(key, 5)
    await desk.finish(await desk.claim_one())
    assert 0 < await desk.raw.ttl(desk.keys.task(admission.task)) <= 3600
    assert 3590 < await desk.raw.ttl(key) <= 3600
    assert (await desk.admit(idempotency_key="k")).existed
    await desk.raw.delete(desk.keys.task(admission.task))
    assert not (await desk.admit(idempotency_key="k")).existed


def test_no_idempotency_key_is_kept_shorter_than_its_task():
    assert Retention(ended_task_seconds=900, idempotency_seconds=60).idempotency_seconds == 900


async def test_the_index_holds_the_newest_tasks_and_no_more_than_it_may(desk, server, monkeypatch):

    small = Store.connect(server.url, guard=unguarded, retention=Retention(recent_tasks=5))
    admitted = []
    for _ in range(8):
        identifier = desk.new_id()
        await small.tasks.admit(desk.agent, identifier, task.Submission("hi", "t"))
        admitted.append(identifier.rpartition(".")[2].encode())
    assert await desk.raw.lrange(f"{desk.keys.tag}:recent", 0, -1) == admitted[:2:-1]
    await small.aclose()


async def test_a_turn_behind_a_task_whose_worker_is_gone_expires_without_any_worker(
    desk, server, eventually
):
    impatient = Store.connect(server.url, guard=unguarded, retention=Retention(orphan_idle_ms=1))
    await desk.set_route(limits=traffic.RevisionLimits(1000, 0, 60))
    abandoned = await desk.admit(session="s")
    await desk.claim_one()
    behind = await desk.admit(session="s")

    async def expired():
        return await impatient.queue.expire(desk.agent)

    assert await eventually(expired, lambda count: count > 0) == 2
    for admission in (abandoned, behind):
        assert await desk.status(admission.task) is task.TaskStatus.EXPIRED
    await impatient.aclose()


async def test_an_open_call_is_seen_when_a_worker_of_the_version_before_wrote_last(desk):
    admission = await desk.admit()
    claim = await desk.claim_one()
    await desk.store.claims.checkpoint(claim, b"s", task.Usage(), [])
    key = desk.keys.task(
        admission.task
    )  # the former worker's script knows claim and checkpoint alone
    saved = '{"format":1,"begun":["toolu_1"]}'
    await desk.raw.hset(key, mapping={"claim": "former", "checkpoint": saved})
    await cancelled(desk, admission.task)
    assert await desk.status(admission.task) is task.TaskStatus.ESCALATED
