"""What workers keep of a declaration: a number on each heartbeat, in what a look reads."""

from __future__ import annotations

import pytest

from penstock import protocol

STABLE, CANARY = "aaaa0000", "bbbb1111"
pytestmark = pytest.mark.redis


async def spoken(desk):
    look = await desk.store.routes.look(desk.agent, [STABLE, CANARY])
    assert all(0 <= look.now_ms - word.at_ms < 10_000 for word in look.spoken.values())
    return {name: word.number for name, word in look.spoken.items()}


async def test_until_a_worker_has_beaten_nothing_is_known(desk):
    await desk.claim()
    assert await spoken(desk) == {}


async def test_the_number_rides_on_a_heartbeat_with_claims_and_without(desk):
    await desk.claim()
    await desk.store.claims.heartbeat([], "w1")
    assert await spoken(desk) == {STABLE: protocol.SPOKEN}
    await desk.raw.hdel(desk.keys.revision(STABLE), "protocol")
    await desk.admit()
    claim = await desk.claim_one()
    assert await desk.store.claims.heartbeat([claim], "w1") == {claim.id: "Continue"}
    assert await spoken(desk) == {STABLE: protocol.SPOKEN}


async def test_each_revision_has_its_own_and_takes_it_along(desk):
    await desk.claim(CANARY, 1, "w2")
    await desk.store.claims.heartbeat([], "w2")
    assert await spoken(desk) == {CANARY: protocol.SPOKEN}
    await desk.set_route(canary="", standings={CANARY: None})
    await desk.store.claims.heartbeat([], "w2")
    assert not await desk.raw.exists(desk.keys.revision(CANARY)), "nobody would remove it"


@pytest.mark.parametrize("written", ["", "x", "1 2 3 x", "5 -1", "5 " + "9" * 70, "9" * 200])
async def test_what_another_hand_has_written_is_no_number(desk, written):
    await desk.raw.hset(desk.keys.revision(STABLE), "protocol", written)
    assert await spoken(desk) == {}
