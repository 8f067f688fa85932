"""A breaker: opened by outages in a row over all workers, closed by an answer to anybody."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from penstock_store import keys
from penstock_store.breakers import BreakerRules

pytestmark = pytest.mark.redis

RULES = BreakerRules(outages=5, lasting_ms=0, open_ms=60_000, try_ms=10_000)
SHORT = BreakerRules(outages=5, lasting_ms=0, open_ms=500, try_ms=60_000)


class Endpoint:
    """One breaker, as several workers tell of it."""

    def __init__(self, store, rules=RULES):
        self.store = store
        self.rules = rules
        self.key = keys.breaker("test", "http://model", uuid.uuid4().hex)

    async def tell(self, **what):
        return await self.store.breakers.tell(self.key, self.rules, **what)

    async def fails(self, times):
        for _ in range(times):
            state = await self.tell(outage="Overloaded 529")
        return state


@pytest.fixture
def endpoint(desk):
    return Endpoint(desk.store)


async def test_five_outages_in_a_row_open_it_and_four_do_not(endpoint):
    assert not (await endpoint.fails(4)).is_open
    opened = await endpoint.fails(1)
    assert opened.is_open
    assert opened.opened
    assert 40_000 < opened.wait_ms <= 60_000
    heard = await endpoint.tell()
    assert (heard.is_open, heard.opened, heard.may_try) == (True, False, False)


async def test_an_answer_to_anybody_ends_the_row(endpoint):
    await endpoint.fails(4)
    assert (await endpoint.tell(answered_ms_ago=0)).outages == 0
    assert not (await endpoint.fails(4)).is_open


async def test_an_answer_from_before_the_row_does_not_end_it(endpoint):
    await endpoint.fails(4)
    assert (await endpoint.tell(answered_ms_ago=60_000)).outages == 4


async def test_outages_of_one_moment_wait_for_what_others_have_to_tell(desk):
    moment = Endpoint(desk.store, BreakerRules(lasting_ms=600_000))
    assert not (await moment.fails(9)).is_open
    assert not (await moment.tell()).is_open
    since = int(await desk.raw.hget(moment.key, "since"))
    await desk.raw.hset(moment.key, "since", since - 600_000)  # so long ago it began
    opened = await moment.tell()
    assert (opened.is_open, opened.opened) == (True, True)


async def test_after_its_time_one_is_let_through(desk):
    endpoint = Endpoint(desk.store, BreakerRules(lasting_ms=0, open_ms=60_000, try_ms=60_000))
    await endpoint.fails(5)
    assert not (await endpoint.tell(wants_try=True)).may_try
    until = int(await desk.raw.hget(endpoint.key, "until"))
    await desk.raw.hset(endpoint.key, "until", until - 60_000)  # so long ago it opened
    asked = [await endpoint.tell(wants_try=True) for _ in range(3)]
    assert [one.may_try for one in asked] == [True, False, False]
    assert all(one.is_open for one in asked)


async def test_the_one_that_was_let_through_closes_it_or_opens_it_again(desk):
    short = Endpoint(desk.store, SHORT)
    await short.fails(5)
    await asyncio.sleep(0.6)
    await short.tell(wants_try=True)
    again = await short.tell(outage="Overloaded 529")
    assert (again.opened, again.wait_ms > 0) == (True, True)
    await asyncio.sleep(0.6)
    assert (await short.tell(wants_try=True)).may_try
    assert not (await short.tell(answered_ms_ago=0)).is_open


async def test_one_that_was_let_through_and_never_came_back_keeps_nobody_out_for_ever(desk):
    lost = Endpoint(desk.store, BreakerRules(lasting_ms=0, open_ms=30, try_ms=50))
    await lost.fails(5)
    await asyncio.sleep(0.05)
    assert (await lost.tell(wants_try=True)).may_try
    await asyncio.sleep(0.1)
    assert (await lost.tell(wants_try=True)).may_try


async def test_an_outage_that_began_before_it_opened_does_not_hold_it_open(endpoint):
    await endpoint.fails(5)
    before = (await endpoint.tell()).wait_ms
    assert (await endpoint.tell(outage="Overloaded 529")).wait_ms <= before


async def test_endpoints_models_and_namespaces_have_one_each():
    found = {
        keys.breaker(namespace, address, model)
        for namespace in ("a", "b")
        for address in ("http://a", "http://b")
        for model in ("m", "n")
    }
    assert len(found) == 8
    with pytest.raises(ValueError, match="namespace"):
        keys.breaker("a/b", "http://a", "m")


async def test_it_is_forgotten_when_nobody_says_a_word(desk, endpoint):
    await endpoint.fails(5)
    assert 3600 < await desk.raw.ttl(endpoint.key) < 3700


async def test_what_the_endpoint_asks_of_one_it_asks_of_all_with_the_same_account(endpoint):
    told = await endpoint.tell(account="a", asked_to_wait_ms=60_000)
    assert 40_000 < told.asked_to_wait_ms <= 60_000
    assert 40_000 < (await endpoint.tell(account="a")).asked_to_wait_ms <= 60_000
    assert (await endpoint.tell(account="b")).asked_to_wait_ms == 0
    shorter = await endpoint.tell(account="a", asked_to_wait_ms=10)
    assert shorter.asked_to_wait_ms > 40_000, "the longest wish counts"


async def test_an_answer_ends_the_row_and_not_the_wait(endpoint):
    await endpoint.tell(account="a", asked_to_wait_ms=60_000)
    await endpoint.fails(4)
    ended = await endpoint.tell(account="a", answered_ms_ago=0)
    assert (ended.outages, ended.asked_to_wait_ms > 40_000) == (0, True)


async def test_nobody_waits_longer_than_ten_minutes_for_it(endpoint):
    told = await endpoint.tell(account="a", asked_to_wait_ms=86_400_000)
    assert told.asked_to_wait_ms <= 600_000
