"""A revision that loses its traffic strands no work, wherever the work is."""

from __future__ import annotations

import pytest

from penstock import outcomes, task, traffic
from penstock_store.agent_scripts import AgentScripts
from penstock_store.scripts import Retention, Scripts

STABLE, CANARY = "aaaa0000", "bbbb1111"
pytestmark = pytest.mark.redis


@pytest.fixture
def retention():
    return Retention(orphan_idle_ms=0)


def keep_claims(desk):
    """From now on a worker that is silent for an instant is not taken for dead."""
    desk.store.queue._scripts = AgentScripts(desk.store._connection, Scripts(Retention()))


async def drain(desk, revision=CANARY):
    moved = 0
    while now := await desk.store.queue.rehome(desk.agent, revision, 7):
        moved += now
    return moved


async def test_a_rollback_moves_queued_abandoned_and_waiting_work_to_stable(desk):
    await desk.set_route(percent=100)
    everything = [await desk.admit(session=f"s{n % 5}" if n % 2 else "") for n in range(40)]
    abandoned = await desk.claim(CANARY, limit=6, consumer="killed")
    await desk.store.claims.checkpoint(abandoned[0], b"half", task.Usage(1), [])
    await desk.reject_canary()
    moved = await drain(desk)
    work = await desk.work(CANARY)
    assert (work.queued, work.running) == (0, 0)
    assert moved == 20 + 5  # without a session, and the first of each
    ended = set()
    while claims := await desk.claim(STABLE, limit=50):
        for claim in claims:
            if claim.task.id == abandoned[0].task.id:
                assert (claim.checkpoint, claim.checkpoint_revision) == (b"half", CANARY)
            assert await desk.finish(claim)
            ended.add(claim.task.id)
    assert ended == {admission.task for admission in everything}
    assert not any([await desk.finish(claim) for claim in abandoned])
    rows = await desk.store.outcomes.rows(desk.agent)
    finished = [row for row in rows if row.kind is outcomes.RowKind.FINISHED]
    rehomed = {row.task for row in rows if row.kind is outcomes.RowKind.REHOMED}
    assert len(finished) == 40
    assert rehomed == ended
    assert {row.counting for row in finished} == {task.Counting.LEFT_OUT}
    assert {row.revision for row in rows if row.kind is outcomes.RowKind.REHOMED} == {CANARY}


async def test_a_living_worker_keeps_its_task_until_it_gives_it_back(desk):
    await desk.set_route(percent=100)
    await desk.admit()
    claim = await desk.claim_one(CANARY)
    await desk.reject_canary()
    keep_claims(desk)
    assert await drain(desk) == 0
    assert (await desk.store.claims.heartbeat([claim], "w1"))[claim.id] == "GiveBack"
    assert await desk.store.claims.release(claim)
    again = await desk.claim_one(STABLE)
    assert again.task.id == claim.task.id
    assert await desk.kinds() == "rsm"
    assert "moved" in await desk.event_types(claim.task.id)


@pytest.mark.parametrize("standing", ["Superseded", "Withdrawn"])
async def test_only_work_that_has_not_begun_and_has_no_older_session_is_given_back(desk, standing):
    keep_claims(desk)
    await desk.set_route(percent=100)
    await desk.admit(session="old")
    await desk.finish(await desk.claim_one(CANARY), history=b"h")
    begun = await desk.admit()
    await desk.store.claims.release(await desk.claim_one(CANARY))
    running = await desk.admit()
    claims = await desk.claim(CANARY, limit=2)
    (kept,) = [claim for claim in claims if claim.task.id == running.task]
    await desk.store.claims.release(next(claim for claim in claims if claim is not kept))
    older = await desk.admit(session="old")
    fresh = await desk.admit(session="new")
    loose = [await desk.admit() for _ in range(3)]
    await desk.set_route(canary="", percent=0, standings={CANARY: traffic.Standing(standing)})
    assert await drain(desk) == 4
    moved = {claim.task.id for claim in await desk.claim(STABLE)}
    assert moved == {fresh.task, *(admission.task for admission in loose)}
    assert (await desk.admit(session="new")).revision == STABLE
    stayed = {claim.task.id for claim in await desk.claim(CANARY)}
    assert stayed == {begun.task, older.task}
    assert await desk.finish(kept)


@pytest.mark.parametrize("standing", ["Superseded", "Withdrawn", "Draining"])
async def test_work_that_nobody_gets_to_moves_even_with_an_older_session(
    desk, eventually, standing
):
    await desk.set_route(percent=100)
    await desk.admit(session="old")
    await desk.finish(await desk.claim_one(CANARY), history=b"h")
    await desk.admit(session="old")
    claimed = await desk.claim_one(CANARY, consumer="killed")
    await desk.admit(session="other")
    await desk.finish(await desk.claim_one(CANARY), history=b"h")
    queued = await desk.admit(session="other")
    await desk.set_route(canary="", percent=0, standings={CANARY: traffic.Standing(standing)})

    async def moved():
        await desk.store.queue.rehome(desk.agent, CANARY)
        return (await desk.work(STABLE)).queued

    await eventually(moved, lambda count: count == 2)
    on_stable = await desk.claim(STABLE)
    assert {claim.task.id for claim in on_stable} == {claimed.task.id, queued.task}
    assert {claim.history for claim in on_stable} == {b"h"}
    for claim in on_stable:
        assert "moved" in await desk.event_types(claim.task.id)


async def test_nobody_loses_patience_with_a_revision_while_the_agent_is_suspended(desk, eventually):
    await desk.set_route(percent=100)
    admission = await desk.admit()
    await desk.set_route(
        canary="", percent=0, suspended=True, standings={CANARY: traffic.Standing.DRAINING}
    )
    created = int(await desk.raw.hget(desk.keys.task(admission.task), "createdAt"))

    async def now_ms():
        return (await desk.store.routes.look(desk.agent, [])).now_ms

    await eventually(now_ms, lambda now: now > created)  # and so is out of patience
    assert await drain(desk) == 0
    await desk.set_route(suspended=False, standings={CANARY: traffic.Standing.DRAINING})
    assert await eventually(lambda: drain(desk), bool) == 1


@pytest.mark.parametrize("standing", ["Open", "Draining"])
async def test_a_revision_that_keeps_its_work_is_not_touched(desk, standing):
    keep_claims(desk)
    await desk.set_route(percent=100)
    await desk.admit()
    await desk.set_route(percent=0, standings={CANARY: traffic.Standing(standing)})
    assert await drain(desk) == 0
    assert (await desk.work(CANARY)).queued == 1


async def test_the_tasks_of_a_revision_that_nobody_lists_or_names_are_seen_and_moved(desk):
    await desk.set_route(percent=100)
    tasks = {(await desk.admit(session=session)).task for session in ("", "s", "")}
    (claim,) = await desk.claim(CANARY, limit=1, consumer="killed")
    await desk.set_route(canary="", percent=0, standings={CANARY: None})
    work = (await desk.store.routes.look(desk.agent, [STABLE])).work
    assert set(work) == {STABLE, CANARY}
    assert (work[CANARY].queued, work[CANARY].running, work[CANARY].tasks) == (2, 1, 3)
    assert await desk.claim(CANARY) == []
    assert await desk.store.queue.rehome(desk.agent, CANARY) == 3
    assert set((await desk.store.routes.look(desk.agent, [STABLE])).work) == {STABLE}
    assert {claim.task.id for claim in await desk.claim(STABLE)} == tasks
    assert not await desk.finish(claim)


async def test_nothing_is_moved_when_stable_itself_is_gone(desk):
    await desk.set_route(percent=100)
    await desk.admit()
    await desk.set_route(
        standings={
            CANARY: traffic.Standing.REJECTED,
            STABLE: traffic.Standing.REJECTED,
        }
    )
    assert await drain(desk) == 0
    assert (await desk.work(CANARY)).queued == 1


async def test_work_is_moved_while_the_agent_is_suspended_and_waits_there(desk):
    await desk.set_route(percent=100)
    admission = await desk.admit()
    await desk.set_route(suspended=True, standings={CANARY: traffic.Standing.REJECTED})
    assert await drain(desk) == 1
    assert await desk.status(admission.task) is task.TaskStatus.HALTED
    assert (await desk.work(STABLE)).queued == 1


async def test_an_abandoned_task_that_kills_its_workers_ends_on_stable_too(desk):
    await desk.set_route(percent=100)
    admission = await desk.admit()
    await desk.claim_one(CANARY)
    for _ in range(2):
        await desk.reclaim(CANARY)
    await desk.reject_canary()
    assert await drain(desk) == 1
    assert len(await desk.claim(STABLE)) == 1
    assert len(await desk.reclaim(STABLE)) == 1
    assert await desk.reclaim(STABLE) == []
    assert await desk.status(admission.task) is task.TaskStatus.FAILED
