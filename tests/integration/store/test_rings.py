"""Rings on a real Redis: who is admitted to the canary, what his rows say, and what a route without rings leaves."""

from __future__ import annotations

import time

import pytest

from penstock import rings, traffic
from penstock.traffic import Arm
from penstock_store import codec
from tests.integration.store.conftest import CANARY, STABLE

pytestmark = pytest.mark.redis
SALT = "s"
STAFF = rings.members(SALT, ["ann", "bob"], [])
FRIENDS = rings.members(SALT, [], ["friends"])


async def give(desk, *chosen, percent=0, canary=CANARY, **more):
    await desk.set_route(canary=canary, percent=percent, salt=SALT, chosen=chosen, **more)


async def kept(desk, raw):
    return await raw.hgetall(f"{{{desk.agent}}}:rings")


async def test_users_and_tenants_of_a_ring_come_to_the_canary_and_their_rows_are_no_samples(desk):
    await give(desk, STAFF, FRIENDS)
    told = [
        await desk.admit(user="ann"),
        await desk.admit(user="eve", tenant="friends"),
        await desk.admit(user="eve"),
    ]
    assert [one.revision for one in told] == [CANARY, CANARY, STABLE]
    rows = {row.task: row for row in await desk.store.outcomes.rows(desk.agent)}
    assert [rows[one.task].bucket for one in told[:2]] == [100, 101]
    assert [rows[one.task].begin_version for one in told] == [0, 0, desk.route.version]
    assert [rows[one.task].is_chosen for one in told] == [True, True, False]


async def test_the_end_of_such_a_task_says_the_same(desk):
    await give(desk, STAFF)
    await desk.admit(user="ann")
    await desk.finish(await desk.claim_one(CANARY))
    rows = await desk.store.outcomes.rows(desk.agent)
    assert [(row.kind, row.bucket, row.begin_version) for row in rows] == [
        ("r", 100, 0), ("s", 100, 0), ("f", 100, 0),
    ]  # fmt: skip


async def test_a_session_that_began_on_stable_stays_there_and_a_new_one_comes_to_the_canary(desk):
    await give(desk)
    before = await desk.admit(user="ann", session="old")
    await desk.finish(await desk.claim_one())
    await give(desk, STAFF)
    again, new = [await desk.admit(user="ann", session=name) for name in ("old", "new")]
    assert [before.revision, again.revision, new.revision] == [STABLE, STABLE, CANARY]


async def test_who_was_chosen_keeps_the_canary_at_every_share_and_stays_no_sample(desk):
    for percent in (0, 5, 50, 100):
        await give(desk, STAFF, percent=percent)
        told = await desk.admit(user="ann", session="talk")
        assert (told.revision, told.arm) == (CANARY, Arm.CANARY)
        await desk.finish(await desk.claim_one(CANARY))
    rows = await desk.store.outcomes.rows(desk.agent)
    assert {(row.bucket, row.begin_version) for row in rows} == {(100, 0)}


async def test_without_rings_he_is_a_user_as_any_other_and_nothing_is_left_in_redis(desk, raw):
    await give(desk, STAFF)
    assert len(await kept(desk, raw)) == 2
    await give(desk)
    assert (await desk.admit(user="ann")).revision == STABLE
    assert await kept(desk, raw) == {}


async def test_a_session_of_a_ring_that_is_taken_off_for_a_while_stays_no_sample(desk):
    await give(desk, STAFF)
    await desk.admit(user="ann", session="talk")
    await desk.finish(await desk.claim_one(CANARY))
    await give(desk, standings={CANARY: traffic.Standing.WITHDRAWN})
    again = await desk.admit(user="ann", session="talk")
    assert again.revision == CANARY
    (row, *_) = reversed(await desk.store.outcomes.rows(desk.agent))
    assert row.begin_version == 0


async def test_a_rejected_canary_gives_its_ring_back(desk):
    await give(desk, STAFF)
    await desk.admit(user="ann", session="talk")
    await desk.finish(await desk.claim_one(CANARY))
    await give(desk, standings={CANARY: traffic.Standing.REJECTED})
    told = await desk.admit(user="ann", session="talk")
    assert (told.revision, told.arm) == (STABLE, Arm.STABLE)


async def test_a_route_by_an_operator_of_the_version_before_has_no_ring(desk, raw):
    await give(desk, STAFF)
    await raw.hset(
        f"{{{desk.agent}}}:route", "version", desk.route.version + 1
    )  # it does not know "ringsOf"
    assert (await desk.admit(user="ann")).revision == STABLE


async def test_members_are_written_again_where_another_hand_took_them(desk, raw):
    await give(desk, STAFF)
    await raw.delete(f"{{{desk.agent}}}:rings")
    assert (await desk.admit(user="ann")).revision == STABLE
    await give(desk, STAFF)
    assert (await desk.admit(user="ann")).revision == CANARY


@pytest.mark.parametrize("overwritten", [False, True])
async def test_a_look_says_that_members_are_gone_so_that_the_route_is_written_again(
    desk, raw, overwritten
):
    await give(desk, STAFF)
    key = f"{{{desk.agent}}}:rings"
    await raw.delete(key)
    if overwritten:
        await raw.set(key, "no hash")
    look = await desk.store.routes.look(desk.agent, [])
    assert look.route_record != codec.route_record(desk.route)
    await give(desk, STAFF)
    look = await desk.store.routes.look(desk.agent, [])
    assert look.route_record == codec.route_record(desk.route)
    assert (await desk.admit(user="ann")).revision == CANARY


@pytest.mark.parametrize(("canary", "arm"), [("", Arm.STABLE), (CANARY, Arm.CANARY)])
async def test_who_was_chosen_is_no_sample_in_a_session_of_others_and_leaves_it_as_it_is(
    desk, canary, arm
):
    """A user who is drawn, at a share of all or none, begins the session; one of a ring joins it, and he goes on."""
    await give(desk, STAFF, percent=100 if canary else 0)
    told = []
    for user in ("eve", "ann", "eve"):
        told.append(await desk.admit(user=user, session="talk", shared_session=True))
        await desk.finish(await desk.claim_one(canary or STABLE))
    began = desk.route.version
    assert [one.arm for one in told] == [arm] * 3
    rows = {row.task: row for row in await desk.store.outcomes.rows(desk.agent)}
    assert [rows[one.task].begin_version for one in told] == [began, 0, began]


@pytest.mark.parametrize("value", ["x", "", "1e9", "99999999999999999999"])
async def test_nonsense_in_the_key_harms_nobody(desk, raw, value):
    await give(desk, STAFF)
    key = f"{{{desk.agent}}}:rings"
    await raw.hset(key, rings.member(SALT, rings.Kind.USER, "ann"), value)
    assert (await desk.admit(user="ann")).revision == STABLE
    await raw.set(key, "no hash")
    assert (await desk.admit(user="ann")).revision == STABLE


async def test_a_look_tells_whether_the_rings_in_force_are_those_that_were_decided(desk):
    await give(desk, STAFF)
    look = await desk.store.routes.look(desk.agent, [])
    assert rings.mark((STAFF,)) in look.route_record
    assert STAFF not in "".join(look.route_record)


async def test_the_largest_rings_cost_admission_one_read(desk):
    """What the whole stage may hold: 8 x 500 users. The figures are printed, and judged by the docs alone."""
    whole = [
        rings.members(SALT, [f"{ring}-{user}" for user in range(500)], []) for ring in range(8)
    ]
    begun = time.perf_counter()
    await give(desk, *whole)
    wrote = time.perf_counter() - begun
    begun = time.perf_counter()
    for user in range(100):
        assert (await desk.admit(user=f"7-{user}")).revision == CANARY
    each = (time.perf_counter() - begun) / 100
    print(
        f"route of {len(','.join(whole))} bytes of members: {wrote * 1000:.1f} ms; an admission {each * 1000:.2f} ms"
    )
