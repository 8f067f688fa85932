"""What workers say and ask while nothing happens is no news: an operator may rest over it."""

from __future__ import annotations

import asyncio

import pytest

from penstock.access import Access
from penstock_operator.reconcile.rest import lasting
from penstock_store.records import Telling
from tests.integration.store.conftest import CANARY, STABLE

pytestmark = pytest.mark.redis


async def live(desk, access=Access.ACCEPTED):
    """A worker that finds nothing to do, and says that it lives."""
    await desk.claim()
    await desk.store.claims.heartbeat([], "w1", Telling(desk.agent, STABLE, access, 100))
    await asyncio.sleep(0.02)


async def seen(desk):
    return lasting(await desk.store.routes.look(desk.agent, [STABLE, CANARY]))


async def test_workers_that_only_live_are_no_news(desk):
    await live(desk)
    first = await seen(desk)
    assert first.heard[STABLE].access is Access.ACCEPTED
    assert STABLE in first.spoken
    for _ in range(3):
        await live(desk)
        assert await seen(desk) == first


async def test_another_word_of_theirs_is(desk):
    await live(desk)
    first = await seen(desk)
    await live(desk, Access.CREDENTIALS_REFUSED)
    assert await seen(desk) != first


async def test_so_is_each_thing_that_happens_to_a_task(desk):
    await live(desk)
    looks = [await seen(desk)]
    await desk.admit()
    looks.append(await seen(desk))
    claim = await desk.claim_one()
    looks.append(await seen(desk))
    await desk.finish(claim)
    looks.append(await seen(desk))
    assert all(look not in looks[:place] for place, look in enumerate(looks))


async def test_so_is_a_log_that_is_lost_and_a_route_of_another_hand(desk):
    await desk.finish((await desk.admit()) and await desk.claim_one())
    first = await seen(desk)
    await desk.raw.delete(desk.keys.outcomes)
    second = await seen(desk)
    await desk.raw.hset(desk.keys.route, "percent", "100")
    third = await seen(desk)
    assert first != second != third
