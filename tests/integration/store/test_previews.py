"""A task on a revision that a person has chosen: it goes there, stays there, and is a sample of nobody."""

from __future__ import annotations

import asyncio
import json

import pytest

from penstock import task as tasks
from penstock.errors import AdmissionRefused
from penstock.money.ledger import Refused, Scope, Window
from penstock.task import Usage
from penstock.traffic import Standing, WayBack
from penstock_store.agent_scripts import AgentScripts
from penstock_store.records import Directive
from penstock_store.scripts import Retention, Scripts
from tests.integration.store.conftest import CANARY, STABLE, TENANT
from tests.integration.store.ledger_desk import MOST, Money, limit
from tests.integration.store.test_harm import call

pytestmark = pytest.mark.redis

FAILED = tasks.Outcome(tasks.TaskStatus.FAILED, tasks.OutcomeReason.MODEL_ERROR)


async def beat(desk, *revisions):
    """A worker of each has just been heard."""
    for revision in revisions or (STABLE, CANARY):
        await desk.claim(revision, 1, f"w-{revision}")
        await desk.store.claims.heartbeat([], f"w-{revision}")


async def canary(desk, percent=0, **more):
    await desk.set_route(canary=CANARY, percent=percent, **more)
    await beat(desk)


async def preview(desk, revision=CANARY, **fields):
    return await desk.admit(revision=revision, **fields)


async def refused(desk, revision=CANARY, **fields):
    with pytest.raises(AdmissionRefused) as refusal:
        await preview(desk, revision, **fields)
    return refusal.value


async def rows(desk):
    return [row.task for row in await desk.store.outcomes.rows(desk.agent)]


async def test_a_canary_without_a_share_gets_it_and_no_row_tells_of_it(desk):
    await canary(desk)
    ordinary = await desk.admit(user="ann")
    chosen = await preview(desk, user="ann")
    assert (ordinary.revision, chosen.revision) == (STABLE, CANARY)
    claim = await desk.claim_one(CANARY)
    assert claim.task.preview
    assert await desk.finish(claim, FAILED, Usage(1, 0, 10, 5, 250, 40))
    assert await rows(desk) == [ordinary.task]
    work = await desk.work(CANARY)
    assert (work.tasks, work.users) == (0, 0), "it was given nobody"
    ended = await desk.store.tasks.get(chosen.task, TENANT)
    assert (ended.preview, ended.status, ended.revision) == (True, "Failed", CANARY)
    assert ended.usage.cost_micro_usd == 250
    events = await desk.store.notifications.events(chosen.task)
    assert events[0].data == {"revision": CANARY, "preview": True}


@pytest.mark.parametrize("standing", ["Draining", "Superseded", "Withdrawn"])
async def test_a_former_revision_that_has_workers_gets_it_and_keeps_it(desk, standing):
    await canary(desk)
    await desk.set_route(canary="", standings={CANARY: Standing(standing)})
    chosen = await preview(desk)
    # What has not begun goes back to stable, but a preview does not.
    claim = await desk.claim_one(CANARY)
    assert await desk.store.queue.rehome(desk.agent, CANARY, 7) == 0
    assert await desk.finish(claim)
    assert (await desk.store.tasks.get(chosen.task, TENANT)).revision == CANARY


async def test_one_that_waits_stays_while_its_revision_takes_work(desk):
    await canary(desk)
    await preview(desk)
    ordinary = await desk.admit(revision="")
    assert ordinary.revision == STABLE
    await desk.set_route(percent=0, standings={CANARY: Standing.WITHDRAWN})
    assert await desk.store.queue.rehome(desk.agent, CANARY, 7) == 0
    assert (await desk.work(CANARY)).queued == 1


async def test_one_that_nobody_takes_from_a_former_revision_ends(desk):
    await canary(desk)
    await desk.set_route(canary="", standings={CANARY: Standing.DRAINING})
    chosen = await preview(desk)
    hasty = Scripts(Retention(orphan_idle_ms=0))  # whoever waits an instant waits for nobody
    desk.store.queue._scripts = AgentScripts(desk.store._connection, hasty)
    await asyncio.sleep(0.01)
    assert await desk.store.queue.rehome(desk.agent, CANARY, 7) == 1
    assert await desk.status(chosen.task) == "Cancelled"


@pytest.mark.parametrize("begun", [False, True])
async def test_it_ends_with_its_revision_and_goes_to_no_other(desk, begun):
    await canary(desk)
    chosen = await preview(desk)
    claim = await desk.claim_one(CANARY) if begun else None
    await desk.reject_canary()
    if claim:
        assert (await desk.store.claims.heartbeat([claim], "w1"))[claim.id] == "GiveBack"
        await desk.store.claims.release(claim)
    await desk.store.queue.rehome(desk.agent, CANARY, 7)
    ended = await desk.store.tasks.get(chosen.task, TENANT)
    assert (ended.status, ended.revision) == ("Cancelled", CANARY)
    assert "goes on with no other revision" in ended.outcome.message
    assert await desk.claim(STABLE) == []
    assert await rows(desk) == []


async def test_one_whose_worker_is_gone_goes_on_at_its_own_revision(desk):
    await canary(desk)
    chosen = await preview(desk)
    await desk.claim_one(CANARY, "killed")
    (again,) = await desk.reclaim(CANARY)
    assert (again.task.id, again.task.revision) == (chosen.task, CANARY)
    assert await desk.finish(again)
    assert await rows(desk) == []


# ------------------------------------------------------------------------------- refusals


GONE = "has no workers any more: "
AGAIN = "apply its template again"
UNKNOWN = "where it was rejected before, {retry} gives it another attempt then"
RETRIED = "give it another attempt with {retry}"


@pytest.mark.parametrize(
    ("standing", "way_back", "is_so", "helps"),
    [
        ("Rejected", "Retry", "was rejected, and its workers take no work: ", RETRIED),
        ("Closed", "Retry", f"was rejected, and {GONE}", RETRIED),
        ("Closed", "DeclareAndRetry", f"was rejected, and {GONE}", f"{AGAIN}, then {RETRIED}"),
        ("Closed", "Undo", GONE, f"{AGAIN}, or have it serve everybody with {{undo}}"),
        ("Closed", "Declare", GONE, AGAIN),
        ("Closed", "", GONE, f"{AGAIN}; {UNKNOWN}"),
    ],
)
async def test_a_revision_that_takes_no_work_is_refused_with_what_helps(
    desk, standing, way_back, is_so, helps
):
    await canary(desk)
    await desk.set_route(
        canary="",
        percent=0,
        standings={CANARY: Standing(standing)},
        ways_back={CANARY: WayBack(way_back)},
    )
    refusal = await refused(desk)
    assert refusal.problem == "preview-unavailable"
    name, namespace = desk.agent.name, desk.agent.namespace
    retry = f"penstock retry {name} --revision {name}-{CANARY} -n {namespace}"
    undo = f"penstock undo {name} --to {name}-{CANARY} -n {namespace}"
    said = (is_so + helps).format(retry=retry, undo=undo)
    assert refusal.detail == f"revision {name}-{CANARY} {said}"


async def test_of_one_that_is_not_on_record_nobody_knows_whether_it_was_rejected(desk):
    await canary(desk, ways_back={CANARY: WayBack.UNDO})
    await preview(desk)
    assert "where it was rejected before" in (await refused(desk, "0badcafe")).detail
    await desk.set_route(canary="", percent=0, standings={CANARY: None})
    assert await desk.raw.hget(desk.keys.revision(CANARY), "standing") == b"Closed", (
        "it holds a task"
    )
    assert "where it was rejected before" in (await refused(desk)).detail


@pytest.mark.parametrize("said", ["Later", ""])
async def test_what_a_later_release_has_written_is_not_known_either(desk, said):
    await desk.set_route(canary="", standings={CANARY: Standing.CLOSED})
    await desk.raw.hset(desk.keys.revision(CANARY), "wayBack", said)
    assert "where it was rejected before" in (await refused(desk)).detail


async def test_one_whose_workers_are_silent_or_old_is_refused(desk):
    await desk.set_route(canary=CANARY, percent=0)
    refusal = await refused(desk)
    assert "no worker of" in refusal.detail
    assert f"penstock.dev/revision={CANARY}" in refusal.detail
    key = desk.keys.revision(CANARY)
    now_ms = (await desk.store.routes.look(desk.agent, [])).now_ms
    await desk.raw.hset(key, "protocol", f"{now_ms} 4")
    assert "of a release that does not keep previews apart" in (await refused(desk)).detail
    await desk.raw.hset(key, "protocol", f"{now_ms - 61_000} 9")
    assert "no worker of" in (await refused(desk)).detail
    await desk.raw.hset(key, "protocol", "nonsense")
    assert "no worker of" in (await refused(desk)).detail


async def test_the_kill_switch_holds(desk):
    await canary(desk, suspended=True)
    assert (await refused(desk)).problem == "agent-suspended"


@pytest.mark.parametrize("former", [False, True])
async def test_those_that_wait_are_bounded_at_a_former_revision_too(desk, former):
    await canary(desk, max_queued=2)
    if former:
        standings = {CANARY: Standing.DRAINING}
        await desk.set_route(canary="", standings=standings, max_queued=2)
    for _ in range(2):
        await preview(desk)
    assert (await refused(desk)).problem == "queue-full"
    await desk.claim_one(CANARY)
    await preview(desk)
    assert (await refused(desk)).problem == "queue-full"


async def test_what_the_canary_may_do_to_the_world_holds_and_its_failures_do_not_count(desk):
    bound = {"failed": 1, "calls": 1, "once": {"refund": 1}}
    await canary(desk, harm=json.dumps(bound))
    await preview(desk)
    claim = await desk.claim_one(CANARY)
    said = await desk.store.claims.checkpoint(claim, b"{}", Usage(), [call()])
    assert said is Directive.CONTINUE
    assert await desk.finish(claim, FAILED)
    assert (await desk.store.routes.look(desk.agent, [])).harm.failed == 0
    chosen = await preview(desk)
    claim = await desk.claim_one(CANARY)
    said = await desk.store.claims.checkpoint(claim, b"{}", Usage(), [call()])
    assert said is Directive.GIVE_BACK
    await desk.store.claims.release(claim)
    ended = await desk.store.tasks.get(chosen.task, TENANT)
    assert (ended.status, ended.revision) == ("Cancelled", CANARY), "stable makes no preview's call"


# ------------------------------------------------------------------------------- sessions, keys


async def test_a_session_of_another_revision_is_no_place_for_it(desk):
    await canary(desk)
    await desk.admit(session="s", user="ann")
    refusal = await refused(desk, session="s", user="ann")
    assert refusal.problem == "session-of-another-revision"
    assert STABLE in refusal.detail
    assert (await preview(desk, STABLE, session="s", user="ann")).revision == STABLE
    assert (await refused(desk, STABLE, session="s", user="bob")).problem == (
        "session-of-another-user"
    )


async def test_a_session_that_begins_with_it_stays_there_and_is_no_sample(desk):
    await canary(desk)
    first = await preview(desk, session="s")
    second = await desk.admit(session="s")
    assert (first.revision, second.revision) == (CANARY, CANARY)
    for _ in range(2):
        assert await desk.finish(await desk.claim_one(CANARY), history=b"[]")
    told = await desk.store.outcomes.rows(desk.agent)
    assert {row.task for row in told} == {second.task}
    assert {row.begin_version for row in told} == {0}, "begun before any route of a canary"


async def test_a_key_is_of_one_revision(desk):
    await canary(desk)
    first = await preview(desk, idempotency_key="k")
    again = await preview(desk, idempotency_key="k")
    assert (again.task, again.existed) == (first.task, True)
    assert (await refused(desk, STABLE, idempotency_key="k")).problem == "idempotency-key-reused"


# ---------------------------------------------------------------------------------- money


async def test_it_spends_of_the_budget_and_not_of_the_canarys_cap(desk):
    await canary(desk, percent=100, budget_mark="m")
    money = Money(desk)
    await money.declare(limit(Scope.CANARY, Window.TOTAL, 1), limit(most=MOST.micro_usd))
    assert isinstance(await money.reserve(await money.task()), Refused), "the canary's cap"
    chosen = (await preview(desk)).task
    reserved = await money.reserve(chosen)
    assert await money.settle(chosen, reserved, MOST)
    refused_ = await money.reserve(chosen, call="another")
    assert (refused_.limit.scope, refused_.spent) == (Scope.AGENT, MOST.micro_usd)
    look = await desk.store.routes.look(desk.agent, [])
    assert [stop.spent for stop in look.stops] == [0], "what it has spent is not the canary's"
