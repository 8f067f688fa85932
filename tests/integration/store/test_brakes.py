"""What restricts tasks rides on what workers say anyway, and is said once to each."""

from __future__ import annotations

import pytest

from penstock import restrictions, task
from penstock.api.restrictions import NO_RESTRICTIONS, Restrictions
from tests.integration.store.conftest import STABLE

pytestmark = pytest.mark.redis
DENIED = Restrictions(deny_tools=["refund"])
OTHERS = Restrictions(deny_models=["claude-sonnet-5-5"])
USAGE = task.Usage()


async def pull(desk, restricted):
    await desk.set_route(restrictions=restrictions.written(restricted))


def known(desk):
    return desk.store.claims.brakes.of(desk.agent)


async def test_a_claim_brings_them(desk):
    await pull(desk, DENIED)
    await desk.admit()
    assert known(desk) == NO_RESTRICTIONS
    await desk.claim_one()
    assert known(desk) == DENIED


async def test_a_checkpoint_brings_what_has_changed_and_that_they_are_lifted(desk):
    await desk.admit()
    claim = await desk.claim_one()
    for restricted in (DENIED, OTHERS, NO_RESTRICTIONS):
        await pull(desk, restricted)
        await desk.store.claims.checkpoint(claim, b"state", USAGE, [])
        assert known(desk) == restricted


async def test_a_heartbeat_brings_them_with_claims_and_without(desk):
    await desk.claim()
    await pull(desk, DENIED)
    await desk.store.claims.heartbeat([], "w1")
    assert known(desk) == DENIED
    await desk.admit()
    claim = await desk.claim_one()
    await pull(desk, OTHERS)
    await desk.store.claims.heartbeat([claim], "w1")
    assert known(desk) == OTHERS


async def test_who_tries_suspects_hears_them_before_the_first_step(desk):
    await desk.admit()
    await desk.claim_one()
    await pull(desk, DENIED)
    (claim,) = await desk.reclaim()
    assert claim.revision == STABLE
    assert known(desk) == DENIED


async def test_a_route_that_redis_has_lost_lifts_nothing(desk):
    await pull(desk, DENIED)
    await desk.admit()
    claim = await desk.claim_one()
    await desk.raw.delete(desk.keys.route)
    await desk.store.claims.heartbeat([claim], "w1")
    await desk.store.claims.checkpoint(claim, b"state", USAGE, [])
    assert known(desk) == DENIED


@pytest.mark.parametrize("written", ["x {", "x {}{", 'x {"denyTools": 5}', "\xff"])
async def test_what_another_hand_has_written_leaves_those_before_in_force(desk, written):
    await pull(desk, DENIED)
    await desk.claim()
    await desk.store.claims.heartbeat([], "w1")
    await desk.raw.hset(desk.keys.route, "restrictions", written.encode("latin-1"))
    await desk.store.claims.heartbeat([], "w1")
    assert known(desk) == DENIED
    await pull(desk, OTHERS)
    await desk.store.claims.heartbeat([], "w1")
    assert known(desk) == OTHERS


async def test_a_look_shows_what_is_in_force(desk):
    await pull(desk, DENIED)
    look = await desk.store.routes.look(desk.agent, [])
    assert look.restrictions == restrictions.written(DENIED)
    await desk.raw.hdel(desk.keys.route, "restrictions")
    assert (await desk.store.routes.look(desk.agent, [])).restrictions == ""
