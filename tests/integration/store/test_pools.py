"""Pools on real servers: a minute's worth for all who come with one credential, and for each agent its part."""

from __future__ import annotations

import asyncio

import pytest

from penstock.money.pool import NO_SHARE, PerMinute, Share
from penstock_store import keys
from penstock_store.pools import Wanted

pytestmark = pytest.mark.redis
URL = "https://api.example.com"
ONE = Share(1, 100, 50)


def about(count):
    """So many, and what comes back while they are asked for on a busy machine."""
    return range(count, count + 4)


class Pool:
    """One pool, asked by several agents."""

    def __init__(self, desk, **limits):
        self.desk = desk
        self.key = keys.pool(desk.agent.namespace, URL, desk.agent.name, "0a1b")
        self.limits = PerMinute(**limits)

    async def ask(self, need=ONE, agent="a", **more):
        wanted = Wanted(agent, need, declared=self.limits, **more)
        return await self.desk.store.pools.borrow(self.key, wanted)

    async def passes(self, seconds):
        """Time goes by: the pool was looked at so long before."""
        before = int(await self.desk.raw.hget(self.key, "at")) - round(seconds * 1000)
        await self.desk.raw.hset(self.key, "at", before)

    async def until_empty(self, agent="a"):
        asked = [await self.ask(agent=agent)]
        while asked[-1].share:
            asked.append(await self.ask(agent=agent))
        return asked


async def test_without_limits_nothing_is_counted_and_nothing_is_kept(desk):
    pool = Pool(desk)
    said = await pool.ask()
    assert said.is_unbounded
    assert said.share == ONE
    assert not await desk.raw.exists(pool.key)


@pytest.mark.parametrize(
    "limits",
    [{"requests": 20}, {"input_tokens": 2000}, {"output_tokens": 1000, "requests": 500}],
)
async def test_a_minutes_worth_is_lent_and_then_as_much_as_comes(desk, limits):
    pool = Pool(desk, **limits)
    *lent, refused = await pool.until_empty()
    assert len(lent) in about(20)
    assert refused.share is None
    assert 0 < refused.wait_ms <= 1000
    await pool.passes(15)
    assert len(await pool.until_empty()) - 1 in about(5)
    await pool.passes(3600)
    assert len(await pool.until_empty()) - 1 in about(20), "no more than a minute's worth is kept"


async def test_what_is_wished_besides_is_lent_as_far_as_it_is_there(desk):
    pool = Pool(desk, requests=20, output_tokens=100_000)
    said = await pool.ask(more=ONE.times(9))
    assert said.share.requests == 10
    assert said.share.output_tokens == 500
    assert said.share.input_tokens > 1e9, "of that nothing is counted"
    said = await pool.ask(more=ONE.times(99))
    assert said.share.requests in about(10)
    assert (await pool.ask()).share is None


async def test_what_was_not_used_comes_back(desk):
    pool = Pool(desk, requests=20)
    await pool.ask(more=ONE.times(19))
    assert (await pool.ask()).share is None
    assert (await pool.ask(back=ONE.times(7))).share
    assert len(await pool.until_empty()) - 1 in about(6)


async def test_a_call_that_is_larger_than_a_minutes_worth_is_made_and_paid_for(desk):
    pool = Pool(desk, input_tokens=1000)
    huge = Share(1, 5000, 10)
    assert (await pool.ask(huge)).share.input_tokens == 5000
    assert (await pool.ask(huge)).share is None
    await pool.passes(295)
    assert (await pool.ask(huge)).share is None
    await pool.passes(10)
    assert (await pool.ask(huge)).share.input_tokens == 5000


async def test_no_number_of_callers_is_lent_more_than_there_is(desk):
    pool = Pool(desk, requests=100)
    asked = [pool.ask(agent=f"a{n % 3}", more=ONE) for n in range(200)]
    said = await asyncio.gather(*asked)
    assert 100 <= sum(each.share.requests for each in said if each.share) <= 115


@pytest.mark.parametrize("greedy_asks", [1, 20])
async def test_an_agent_that_asks_oftener_takes_nobodys_part(desk, greedy_asks):
    """Both wait for more than there is: each gets half, whoever asks how often."""
    pool = Pool(desk, requests=600)
    await pool.until_empty("greedy")
    await pool.ask(agent="modest")
    served = {"greedy": 0.0, "modest": 0.0}
    for _ in range(60):
        await pool.passes(0.5)
        for agent in ["greedy"] * greedy_asks + ["modest"] * 10:
            said = await pool.ask(agent=agent, more=ONE.times(3))
            served[agent] += said.share.requests if said.share else 0
    assert sum(served.values()) >= 280
    assert served["modest"] >= 0.45 * sum(served.values()), served


async def test_who_asks_alone_has_all_of_it(desk):
    pool = Pool(desk, requests=600)
    await pool.until_empty("a")
    await pool.ask(agent="b")
    await asyncio.sleep(1.6)  # b has gone away
    await pool.until_empty("a")
    served = 0
    for _ in range(20):
        await pool.passes(0.5)
        served += len(await pool.until_empty("a")) - 1
    assert served >= 95


async def test_what_the_vendor_has_told_one_worker_holds_for_all_unless_it_is_declared(desk):
    open_pool, own = Pool(desk), Pool(desk, requests=0)
    told = PerMinute(requests=20)
    said = await open_pool.ask(told=told)
    assert said.told == told
    assert not said.is_unbounded
    assert (await open_pool.ask(NO_SHARE)).told == told
    assert len(await open_pool.until_empty("b")) - 1 in about(19)
    assert (await own.ask()).is_unbounded, "declared as not bounded"
    declared = Pool(desk, requests=40)
    await declared.passes(3600)
    assert len(await declared.until_empty("b")) - 1 in about(40)


async def test_a_pool_is_of_one_namespace_address_model_and_credential(desk):
    names = {
        keys.pool(namespace, url, model, account)
        for namespace in ("shop", "bank")
        for url in (URL, URL + "/v2")
        for model in ("one", "two")
        for account in ("0a", "0b")
    }
    assert len(names) == 16
    assert {name[: name.index("/")] for name in names} == {"{shop", "{bank"}
    with pytest.raises(ValueError, match="no namespace"):
        keys.pool("{shop", URL, "m", "0a")


async def test_what_bills_had_beyond_their_bounds_is_known_to_all_and_forgotten_by_and_by(desk):
    pool = Pool(desk)
    assert (await pool.ask(raised=(300, 0))).raised == (300, 0)
    assert (await pool.ask(agent="b")).raised == (300, 0)
    assert (await pool.ask(agent="b", raised=(200, 10))).raised == (300, 10), "the most of each"
    before = int(await desk.raw.hget(pool.key, "raised:at")) - 86_400_000
    await desk.raw.hset(pool.key, "raised:at", before)
    assert (await pool.ask()).raised == (150, 5)
    assert await desk.raw.ttl(pool.key) > 600_000
    assert (await pool.ask(raised=(160, 0))).raised == (160, 5)


async def test_it_is_forgotten_when_nobody_asks(desk):
    pool = Pool(desk, requests=10)
    await pool.ask()
    assert 3500 < await desk.raw.ttl(pool.key) <= 3600
