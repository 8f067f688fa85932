"""What workers say of their credential and model: one word a revision, the newest, in what a look reads."""

from __future__ import annotations

import pytest

from penstock import traffic
from penstock.access import Access
from penstock_store.records import Telling

STABLE, CANARY = "aaaa0000", "bbbb1111"
pytestmark = pytest.mark.redis


async def heard(desk):
    look = await desk.store.routes.look(desk.agent, [STABLE, CANARY])
    return {name: word.access for name, word in look.heard.items()}


async def tell(desk, access, *, ago_ms=0, revision=STABLE, consumer="w1", claims=()):
    await desk.claim(revision, 1, consumer)  # a worker beats to the agents it has asked for tasks
    telling = Telling(desk.agent, revision, access, ago_ms)
    await desk.store.claims.heartbeat(list(claims), consumer, telling)


async def test_until_a_worker_has_said_it_nothing_is_known(desk):
    await desk.claim()
    await desk.store.claims.heartbeat([], "w1")
    assert await heard(desk) == {}


@pytest.mark.parametrize("access", list(Access))
async def test_a_word_rides_on_a_heartbeat_with_claims_and_without(desk, access):
    await tell(desk, access)
    assert await heard(desk) == {STABLE: access}
    await desk.admit()
    claim = await desk.claim_one()
    other = Access.ACCEPTED if access is Access.UNTRIED else Access.UNTRIED
    telling = Telling(desk.agent, STABLE, other, 0)
    assert await desk.store.claims.heartbeat([claim], "w1", telling) == {claim.id: "Continue"}
    assert await heard(desk) == {STABLE: other}


async def test_the_newest_call_counts_whoever_passes_it_on_last(desk):
    await tell(desk, Access.ACCEPTED, ago_ms=1000, consumer="w1")
    await tell(desk, Access.CREDENTIALS_REFUSED, ago_ms=60_000, consumer="w2")
    assert await heard(desk) == {STABLE: Access.ACCEPTED}
    await tell(desk, Access.CREDENTIALS_REFUSED, consumer="w2")
    assert await heard(desk) == {STABLE: Access.CREDENTIALS_REFUSED}


async def test_each_revision_has_a_word_of_its_own_and_takes_it_along(desk):
    await tell(desk, Access.ACCEPTED)
    await tell(desk, Access.MODEL_NOT_FOUND, revision=CANARY)
    assert await heard(desk) == {STABLE: Access.ACCEPTED, CANARY: Access.MODEL_NOT_FOUND}
    await desk.set_route(canary="", standings={CANARY: None})
    assert await heard(desk) == {STABLE: Access.ACCEPTED}
    await tell(desk, Access.ACCEPTED, revision=CANARY)
    assert not await desk.raw.exists(desk.keys.revision(CANARY)), "nobody would remove it"


async def test_a_closed_revision_is_not_heard(desk):
    await desk.set_route(standings={CANARY: traffic.Standing.CLOSED})
    await tell(desk, Access.CREDENTIALS_REFUSED, revision=CANARY)
    assert await heard(desk) == {}


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "5",
        "5 ",
        "x Accepted",
        "-1 Accepted",
        "5 Whatever",
        "\ufffd\x00",
        "9" * 70,
        "5 " + "A" * 9000,
    ],
)
async def test_a_word_that_this_version_does_not_know_is_passed_over(desk, stored):
    await desk.raw.hset(desk.keys.revision(STABLE), "access", stored)
    look = await desk.store.routes.look(desk.agent, [STABLE])
    assert look.heard == {}
    assert look.work[STABLE].idle
    await tell(desk, Access.ACCEPTED)
    assert await heard(desk) == {STABLE: Access.ACCEPTED}


async def test_what_a_later_version_adds_to_a_word_is_passed_over(desk):
    await desk.raw.hset(desk.keys.revision(STABLE), "access", "5 ModelNotFound since=3")
    assert await heard(desk) == {STABLE: Access.MODEL_NOT_FOUND}


async def test_a_stamp_from_the_future_keeps_nobody_silent(desk):
    await desk.raw.hset(desk.keys.revision(STABLE), "access", "99999999999999 Accepted")
    await tell(desk, Access.CREDENTIALS_REFUSED)
    assert await heard(desk) == {STABLE: Access.CREDENTIALS_REFUSED}
