"""What the kill switch holds up is not held against the revision."""

from __future__ import annotations

import pytest

from penstock import outcomes, task

BROKEN = task.Outcome(task.TaskStatus.FAILED, task.OutcomeReason.TOOL_ERROR, "no")
ALLOWED_MS = 60_000  # to wait, by the limits of the desk's route
pytestmark = pytest.mark.redis


async def suspend_and_resume(desk):
    await desk.set_route(suspended=True)
    await desk.set_route(suspended=False)


async def came_earlier(desk, identifier, by_ms):
    """Make a task look as if it had been admitted that much earlier."""
    created = int(await desk.raw.hget(desk.keys.task(identifier), "createdAt"))
    await desk.raw.hset(desk.keys.task(identifier), "createdAt", created - by_ms)


async def countings(desk):
    """What each ended task counted as."""
    rows = await desk.store.outcomes.rows(desk.agent)
    return {row.task: row.counting for row in rows if row.kind is outcomes.RowKind.FINISHED}


async def test_tasks_that_a_suspension_held_up_are_left_out_and_later_ones_count(desk):
    running, queued = await desk.admit(), await desk.admit()
    for held_up in (running, queued):
        await came_earlier(desk, held_up.task, 1)
    claim = await desk.claim_one()
    await desk.set_route(suspended=True)
    assert (await desk.store.claims.heartbeat([claim], "w1"))[claim.id] == "GiveBack"
    assert await desk.store.claims.release(claim)
    await desk.set_route(suspended=False)
    later = await desk.admit()
    for claim in await desk.claim():
        await desk.finish(claim, BROKEN)
    assert await countings(desk) == {
        running.task: task.Counting.LEFT_OUT,
        queued.task: task.Counting.LEFT_OUT,
        later.task: task.Counting.ERROR,
    }


async def test_a_task_that_ended_before_the_suspension_counts(desk):
    before = await desk.admit()
    await desk.finish(await desk.claim_one(), BROKEN)
    await suspend_and_resume(desk)
    assert await countings(desk) == {before.task: task.Counting.ERROR}


@pytest.mark.parametrize("suspended", [True, False])
async def test_a_suspension_does_not_use_up_the_time_a_task_may_wait(desk, suspended):
    admission = await desk.admit()
    await came_earlier(desk, admission.task, 2 * ALLOWED_MS)
    if suspended:
        await suspend_and_resume(desk)
    assert (await desk.claim_one()).expired is not suspended


async def test_waiting_goes_on_after_a_suspension(desk):
    admission = await desk.admit()
    await suspend_and_resume(desk)
    resumed = int(await desk.raw.hget(desk.keys.route, "resumedAt"))
    await desk.raw.hset(desk.keys.route, "resumedAt", resumed - 2 * ALLOWED_MS)
    await came_earlier(desk, admission.task, 3 * ALLOWED_MS)
    assert (await desk.claim_one()).expired


async def test_a_new_agent_of_the_same_name_was_never_suspended(desk):
    await suspend_and_resume(desk)
    assert await desk.raw.hexists(desk.keys.route, "resumedAt")
    await desk.set_route(uid="uid-2", epoch=1, version=1)
    assert not await desk.raw.hexists(desk.keys.route, "resumedAt")
