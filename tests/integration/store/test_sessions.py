"""Sessions: one running task, an ordered conversation, a pin that ends."""

from __future__ import annotations

import asyncio

import pytest

from penstock import task, traffic
from penstock_store.scripts import Retention

STABLE, CANARY = "aaaa0000", "bbbb1111"
pytestmark = pytest.mark.redis


async def test_fifty_posts_at_once_to_one_session_give_one_ordered_history(desk):
    await asyncio.gather(*(desk.admit(f"turn {n}", session="s") for n in range(50)))
    admitted = [row.task for row in await desk.store.outcomes.rows(desk.agent)]
    assert (await desk.work()).queued == 1

    async def worker(name):
        while claims := await desk.claim(limit=5, consumer=name):
            (claim,) = claims
            history = (claim.history or b"") + claim.task.id.encode() + b"\n"
            await asyncio.sleep(0)
            assert await desk.finish(claim, history=history)

    workers = (worker(f"w{n}") for n in range(4))
    await asyncio.gather(*workers)
    await worker("last")
    await desk.admit("what did I say", session="s")
    final = await desk.claim_one()
    assert final.history.decode().split() == admitted
    assert final.history_revision == STABLE


async def test_sessions_do_not_wait_for_each_other(desk):
    for session in ("a", "b", "a", "b", ""):
        await desk.admit(session=session)
    claimed = [claim.task.session for claim in await desk.claim()]
    assert claimed == ["a", "b", ""]


async def test_a_cancelled_task_lets_the_next_of_its_session_go(desk):
    first, second, third = [await desk.admit(session="s") for _ in range(3)]
    await desk.store.tasks.cancel(second.task, "acme-token")
    await desk.store.tasks.cancel(first.task, "acme-token")
    (claim,) = await desk.claim()
    assert claim.task.id == third.task
    await desk.finish(claim)
    assert await desk.raw.exists(desk.keys.waiting("acme-token", "s")) == 0
    assert await desk.kinds() == "rrrffsf"


async def test_history_is_left_as_it_was_when_a_task_brings_none(desk):
    for history in (b"one", None):
        await desk.admit(session="s")
        await desk.finish(await desk.claim_one(), history=history)
    await desk.admit(session="s")
    assert (await desk.claim_one()).history == b"one"


async def test_a_waiting_task_follows_its_session_when_the_revision_is_rejected(desk):
    await desk.set_route(percent=100)
    first, second = [await desk.admit(session="s") for _ in range(2)]
    claim = await desk.claim_one(CANARY)
    await desk.reject_canary()
    assert (await desk.store.claims.heartbeat([claim], "w1"))[claim.id] == "GiveBack"
    await desk.store.claims.release(claim)
    again = await desk.claim_one(STABLE)
    assert again.task.id == first.task
    await desk.finish(again, history=b"h")
    following = await desk.claim_one(STABLE)
    assert (following.task.id, following.task.revision) == (second.task, STABLE)
    await desk.finish(following)
    assert await desk.kinds(second.task) == "rmsf"
    assert "moved" in await desk.event_types(second.task)


class TestShortSessions:
    @pytest.fixture
    def retention(self):
        return Retention(session_seconds=1, session_max_seconds=0)

    async def test_a_session_that_is_over_is_dealt_anew_but_keeps_its_conversation(
        self, desk, eventually
    ):
        await desk.set_route(percent=100)
        await desk.admit(session="s")
        await desk.finish(await desk.claim_one(CANARY), history=b"h")
        await desk.set_route(percent=0)

        async def moved():
            return await desk.admit(session="s")

        admission = await eventually(moved, lambda seen: seen.revision == STABLE)
        assert admission.arm is traffic.Arm.STABLE
        for claim in await desk.claim(CANARY):
            await desk.finish(claim)
        assert "moved" in await desk.event_types(admission.task)
        claim = (await desk.claim(STABLE))[0]
        assert (claim.history, claim.history_revision) == (b"h", CANARY)

    async def test_a_pin_and_its_session_end_after_the_last_task(self, desk, eventually):
        await desk.admit(session="s")
        assert (await desk.work()).pinned == 1
        claim = await desk.claim_one()
        assert await desk.raw.ttl(desk.keys.session("acme-token", "s")) == -1
        await desk.finish(claim, history=b"h")
        assert (await desk.work()).pinned == 1
        work = await eventually(desk.work, lambda work: work.pinned == 0)
        assert work.idle

        async def session():
            return await desk.raw.exists(desk.keys.session("acme-token", "s"))

        await eventually(session, lambda exists: not exists)


async def test_a_failed_task_also_lets_the_next_one_go(desk):
    await desk.admit(session="s")
    await desk.admit(session="s")
    claim = await desk.claim_one()
    await desk.finish(claim, task.Outcome(task.TaskStatus.FAILED))
    assert len(await desk.claim()) == 1
