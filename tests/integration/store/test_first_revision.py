"""The first revision climbs: a route without a stable side, on a real Redis."""

from __future__ import annotations

import pytest

from penstock import task, traffic
from penstock.errors import AdmissionRefused
from penstock.task import Usage
from penstock_store.records import Directive
from penstock_store.scripts import Retention
from tests.integration.store.conftest import CANARY, TENANT

pytestmark = pytest.mark.redis
ANOTHER = "cccc2222"
USERS = [f"user-{n}" for n in range(60)]


@pytest.fixture
def retention():
    return Retention(orphan_idle_ms=0)


async def climb(desk, percent, canary=CANARY, **more):
    standings = {canary: traffic.Standing.OPEN} | more.pop("standings", {})
    await desk.set_route(
        stable="", canary=canary, percent=percent, salt="s", standings=standings, **more
    )


async def admitted(desk, **fields):
    """The admission, or the problem of its refusal."""
    try:
        return await desk.admit(**fields)
    except AdmissionRefused as refusal:
        return refusal.problem


async def served(desk):
    told = {user: await admitted(desk, user=user) for user in USERS}
    assert {one for one in told.values() if isinstance(one, str)} <= {"not-assigned"}
    return {user for user, one in told.items() if not isinstance(one, str)}


async def test_only_users_of_the_share_are_served_and_who_is_stays_so(desk):
    before = set()
    for percent in (0, 5, 20, 50, 100):
        await climb(desk, percent)
        now = await served(desk)
        split = desk.route.split
        assert now == {user for user in USERS if split.pick(user)[0]}
        assert before <= now
        before = now
    assert before == set(USERS)


async def test_a_refusal_says_when_to_ask_again_and_that_it_was_made(desk):
    await climb(desk, 100)
    assert (await desk.work(CANARY)).turned_away_ms == 0
    await climb(desk, 0)
    with pytest.raises(AdmissionRefused) as refusal:
        await desk.admit(user="ada")
    assert (refusal.value.problem, refusal.value.retry_after_seconds) == ("not-assigned", 60)
    look = await desk.store.routes.look(desk.agent, [CANARY])
    assert 0 <= look.now_ms - look.work[CANARY].turned_away_ms < 60_000
    assert (look.work[CANARY].tasks, await desk.kinds()) == (0, "")


async def test_a_session_that_has_begun_goes_on_when_the_share_is_taken_down(desk):
    await climb(desk, 100)
    begun = await desk.admit(session="talk")
    await desk.finish(await desk.claim_one(CANARY))
    await climb(desk, 0)
    again = await desk.admit(session="talk")
    assert (begun.revision, again.revision, again.arm) == (CANARY, CANARY, traffic.Arm.CANARY)
    assert await admitted(desk, session="another") == "not-assigned"


async def test_what_a_rejected_one_holds_ends_since_nobody_can_take_it_over(desk):
    await climb(desk, 100)
    tasks = [await desk.admit(session="talk" if n % 2 else "") for n in range(12)]
    running = await desk.claim(CANARY, limit=2)
    rejected = {CANARY: traffic.Standing.REJECTED}
    await climb(desk, 0, standings=rejected)
    assert await desk.store.claims.checkpoint(running[0], b"{}", Usage(), []) is Directive.GIVE_BACK
    await desk.store.claims.release(running[0])
    while await desk.store.queue.rehome(desk.agent, CANARY, 5):
        pass
    ended = [await desk.store.tasks.get(one.task, TENANT) for one in tasks]
    assert {one.status for one in ended} == {task.TaskStatus.CANCELLED}
    assert {one.outcome.message for one in ended} == {
        "its revision was taken off, and no other serves that could take it over"
    }
    rows = await desk.store.outcomes.rows(desk.agent)
    assert {row.counting for row in rows if row.kind == "f"} == {task.Counting.LEFT_OUT}
    work = await desk.work(CANARY)
    assert (work.queued, work.running) == (0, 0)
    assert await admitted(desk, session="talk") == "not-assigned"


async def test_the_next_one_takes_sessions_of_a_rejected_one_as_it_takes_users(desk):
    await climb(desk, 100)
    await desk.admit(session="talk")
    await desk.finish(await desk.claim_one(CANARY))
    standings = {CANARY: traffic.Standing.REJECTED}
    await climb(desk, 0, canary=ANOTHER, standings=standings)
    assert await admitted(desk, session="talk") == "not-assigned"
    await climb(desk, 100, canary=ANOTHER, standings=standings)
    moved = await desk.admit(session="talk")
    assert (moved.revision, moved.arm) == (ANOTHER, traffic.Arm.CANARY)
    assert "moved" in await desk.event_types(moved.task)


async def test_what_a_superseded_one_holds_stays_with_it(desk):
    await climb(desk, 100)
    queued = await desk.admit()
    await climb(desk, 100, canary=ANOTHER, standings={CANARY: traffic.Standing.SUPERSEDED})
    assert await desk.store.queue.rehome(desk.agent, CANARY, 100) == 0
    assert (await desk.claim_one(CANARY)).task.id == queued.task
    assert (await desk.admit()).revision == ANOTHER


async def test_a_task_that_may_spend_no_more_ends_where_nobody_can_go_on_with_it(desk):
    await climb(desk, 100)
    await desk.admit()
    claim = await desk.claim_one(CANARY)
    assert await desk.store.claims.release(claim, to_stable=True)
    assert await desk.status(claim.task.id) is task.TaskStatus.LIMIT_EXCEEDED
    assert (await desk.work(CANARY)).queued == 0


async def test_promotion_gives_everybody_to_it_and_keeps_its_sessions(desk):
    await climb(desk, 5)
    assert await served(desk) != set(USERS)
    await desk.set_route(
        stable=CANARY, canary="", percent=0, standings={CANARY: traffic.Standing.OPEN}
    )
    assert await served(desk) == set(USERS)


async def test_a_route_to_nobody_is_no_climb(desk):
    await desk.set_route(stable="", canary="", percent=0)
    assert await admitted(desk) == "no-route"
