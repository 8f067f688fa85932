"""One task that ends whoever runs it is told apart by halves, and takes no other with it."""

from __future__ import annotations

import asyncio
import math
import uuid

import pytest

from penstock import task

STABLE = "aaaa0000"
DONE = task.Outcome(task.TaskStatus.SUCCEEDED, output="done")
pytestmark = pytest.mark.redis


async def admit_many(desk, count, **fields):
    return [(await desk.admit(**fields)).task for _ in range(count)]


async def finish_all(desk, claims):
    await asyncio.gather(*(desk.finish(claim) for claim in claims))


async def groups(desk):
    """All groups that wait, each taken by another process."""
    found = []
    while group := await desk.store.claims.take_suspects(desk.agent, STABLE, uuid.uuid4().hex):
        found.append(group)
    return found


@pytest.mark.parametrize("count", [2, 3, 7, 500])
async def test_what_a_silent_worker_held_waits_in_two_halves(desk, count):
    await admit_many(desk, count)
    await desk.claim(limit=count)
    assert await desk.store.queue.part(desk.agent, STABLE, 0) == 2
    assert await desk.store.queue.part(desk.agent, STABLE, 0) == 2, "parted twice"
    first, second = await groups(desk)
    assert [len(first), len(second)] == [math.ceil(count / 2), count // 2]
    assert {claim.suspects for claim in first} == {math.ceil(count / 2)}
    assert len({claim.task.id for claim in first + second}) == count


@pytest.mark.parametrize(("youngest_ms", "parted"), [(31_000, [4, 4]), (29_000, [2, 2])])
async def test_a_silent_worker_is_parted_at_once_and_a_living_one_only_of_what_it_lost(
    desk, youngest_ms, parted
):
    """A claim time of 60 s; what was taken later is no half of it old, or it is."""
    await admit_many(desk, 8)
    claims = await desk.claim(limit=8)
    for number, claim in enumerate(claims):
        await desk.silent_for(claim, 60_000 if number < 4 else youngest_ms)
    await desk.store.queue.part(desk.agent, STABLE, 60_000)
    assert [len(group) for group in await groups(desk)] == parted


@pytest.mark.parametrize("seen_to_die", [True, False], ids=["its parent saw it", "nobody saw it"])
async def test_one_poison_among_five_hundred_takes_ten_deaths_at_most_and_no_innocent(
    desk, seen_to_die
):
    identifiers = await admit_many(desk, 500)
    poison = identifiers[137]
    await desk.claim(limit=500)
    await desk.store.queue.part(desk.agent, STABLE, 0)
    deaths, number = 0, 0
    while True:
        number += 1
        consumer = f"child{number}"
        group = await desk.store.claims.take_suspects(desk.agent, STABLE, consumer)
        if not group:
            break
        if poison not in {claim.task.id for claim in group}:
            await finish_all(desk, group)
            continue
        deaths += 1
        if seen_to_die:
            await desk.store.queue.bury(desk.agent, STABLE, consumer)
        else:
            await desk.store.queue.part(desk.agent, STABLE, 0)
    ended = [await desk.status(identifier) for identifier in identifiers]
    assert ended.count(task.TaskStatus.SUCCEEDED) == 499
    assert ended[137] is task.TaskStatus.FAILED
    assert 9 <= deaths <= 10
    assert (await desk.work()).running == 0


async def test_an_innocent_that_was_in_many_groups_has_few_deliveries(desk):
    await admit_many(desk, 16)
    await desk.claim(limit=16)
    for _ in range(3):
        await desk.store.queue.part(desk.agent, STABLE, 0)
        held = await groups(desk)
    assert {len(group) for group in held} == {2}
    assert {claim.task.deliveries for group in held for claim in group} == {1}


async def test_each_lane_is_parted_for_itself(desk):
    for priority in task.Priority:
        await admit_many(desk, 4, priority=priority)
    await desk.claim(limit=12)
    assert await desk.store.queue.part(desk.agent, STABLE, 0) == 6
    lanes = [{claim.lane for claim in group} for group in await groups(desk)]
    assert sorted(map(len, lanes)) == [1] * 6


async def test_who_sends_heartbeats_is_no_suspect_and_who_leaves_in_order_makes_none(desk):
    await admit_many(desk, 4)
    first, *others = await desk.claim(limit=4)
    await desk.store.claims.heartbeat([first, *others], "w1")
    assert await desk.store.queue.part(desk.agent, STABLE, 60_000) == 0
    assert await desk.store.claims.leave(desk.agent, STABLE, "w1") == 4
    again = await desk.claim(limit=4)
    assert {(claim.suspects, claim.task.deliveries) for claim in again} == {(0, 2)}
    assert not await desk.finish(first), "who left still held it"


async def test_a_living_worker_that_was_cut_off_hears_that_its_tasks_are_lost_and_none_has_died(
    desk,
):
    await admit_many(desk, 1)
    held = await desk.claim_one()
    for number in range(5):  # cut off, it is taken for dead; nobody dies
        await desk.store.queue.part(desk.agent, STABLE, 0)
        (claim,) = await desk.store.claims.take_suspects(desk.agent, STABLE, f"child{number}")
        assert set((await desk.store.claims.heartbeat([held], held.consumer)).values()) == {"Lost"}
        held = claim
    assert await desk.finish(held)
    assert await desk.status(held.task.id) is task.TaskStatus.SUCCEEDED


async def test_suspects_of_a_rejected_revision_wait_for_stable(desk):
    await desk.set_route(percent=100)
    await admit_many(desk, 2)
    await desk.claim("bbbb1111", 2)
    await desk.reject_canary()
    assert await desk.store.queue.part(desk.agent, "bbbb1111", 0) == 0
    assert await desk.store.claims.take_suspects(desk.agent, "bbbb1111", "w2") == []


async def test_an_open_irreversible_call_is_not_lost_with_its_suspect(desk):
    (identifier,) = await admit_many(desk, 1)
    claim = await desk.claim_one()
    await desk.store.claims.checkpoint(claim, b"s", task.Usage(), [], intents=["refund"])
    await desk.reclaim()
    await desk.store.queue.bury(desk.agent, STABLE, "w2")
    assert await desk.reclaim(consumer="w3") == []
    ended = await desk.store.tasks.get(identifier, "acme-token")
    assert ended.outcome.status is task.TaskStatus.ESCALATED
    assert "refund" in ended.outcome.message


async def test_suspects_stay_suspects_when_who_tried_them_leaves_in_order(desk):
    await admit_many(desk, 4)
    await desk.claim(limit=4)
    await desk.store.queue.part(desk.agent, STABLE, 0)
    taken = await desk.store.claims.take_suspects(desk.agent, STABLE, "child")
    assert await desk.store.claims.leave(desk.agent, STABLE, "child") == 2
    assert await desk.claim(limit=4) == []
    held = await groups(desk)
    assert sorted(len(group) for group in held) == [2, 2]
    assert {claim.task.id for claim in taken} in [{one.task.id for one in group} for group in held]


async def test_no_group_is_larger_than_one_answer_may_be(desk):
    await admit_many(desk, 1100)
    await desk.claim(limit=1100)
    assert await desk.store.queue.part(desk.agent, STABLE, 0) == 5
    assert [len(group) for group in await groups(desk)] == [250, 250, 250, 250, 100]
