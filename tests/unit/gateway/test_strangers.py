"""Tokens that nobody knows cost the API server little and known callers nothing."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from penstock.names import AgentKey
from penstock_runtime.gateway import strangers
from penstock_runtime.gateway.apiserver import APIServerAway
from penstock_runtime.gateway.identities import MAX_REMEMBERED, ClusterTokens, Verb
from penstock_runtime.gateway.problems import Problem
from penstock_runtime.gateway.tokens import digest
from tests.unit.gateway.memory_store import until
from tests.unit.gateway.reviewers import Reviewer, jwt, service_account


class Clock:
    now = 1_000_000.0

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def reviewer():
    return Reviewer()


@pytest.fixture
def tokens(reviewer, clock):
    cluster = ClusterTokens(reviewer, ("penstock",), 30, now=clock)
    cluster._callers._clock = cluster._rights._clock = clock
    cluster._strangers = strangers.Strangers(clock, clock.sleep)
    return cluster


async def refusals(tokens, number, address="10.0.0.9", begin=0):
    """Show so many unknown tokens, one after another."""
    for made in range(number):
        assert await tokens.find(jwt(f"nobody-{begin + made}"), address) is None


async def test_an_address_shows_so_many_unknown_tokens_and_then_so_many_a_second(
    tokens, reviewer, clock
):
    began = clock.now
    await refusals(tokens, strangers.REFUSALS_AT_ONCE)
    assert clock.now == began
    await refusals(tokens, 100, begin=1000)
    assert clock.now - began == pytest.approx(100 / strangers.REFUSALS_PER_SECOND, rel=0.05)
    later = clock.now
    await refusals(tokens, 10, "10.0.0.8", begin=2000)
    assert clock.now == later, "another address has its own"


def flood(tokens, number, address="10.0.0.9", name="flood"):
    """So many unknown tokens at once."""
    made = [tokens.find(jwt(f"{name}-{n}"), address) for n in range(number)]
    return [asyncio.ensure_future(one) for one in made]


async def test_a_caller_who_is_new_gets_in_by_an_address_of_which_many_tokens_are_refused(
    tokens, reviewer, clock
):
    await refusals(tokens, strangers.REFUSALS_AT_ONCE)
    token = jwt("web")
    reviewer.knows(token, service_account("web"))
    others = flood(tokens, strangers.IN_LINE_OF_ADDRESS - 1)
    assert await tokens.find(token, "10.0.0.9")
    assert await asyncio.gather(*others) == [None] * len(others)
    assert tokens._strangers._lines == {}


async def test_callers_who_are_new_get_in_while_many_tokens_are_refused_all_the_time(
    tokens, reviewer, clock
):
    await refusals(tokens, strangers.REFUSALS_AT_ONCE)
    new = [jwt(f"web-{n}") for n in range(3)]
    for token in new:
        reviewer.knows(token, service_account("web"))
    got_in, others = set(), []
    for wave in range(200):
        others += flood(tokens, 30, name=f"wave-{wave}")
        tries = [tokens.find(token, "10.0.0.9") for token in new if token not in got_in]
        others += [asyncio.ensure_future(one) for one in tries]
        for _ in range(7 + wave % 5):
            await asyncio.sleep(0)
        got_in = {token for token in new if not tokens._callers.is_news(digest(token))}
    await asyncio.gather(*others, return_exceptions=True)
    assert got_in == set(new)


async def test_so_many_tokens_wait_for_an_address_and_in_all_and_no_more(tokens, reviewer):
    await refusals(tokens, strangers.REFUSALS_AT_ONCE)
    reviewer.gate = asyncio.Event()
    waiting = flood(tokens, strangers.IN_LINE_OF_ADDRESS)
    await until(lambda: tokens._strangers._in_lines == len(waiting), lambda: len(waiting))
    one_more = flood(tokens, 1, name="one-more")
    await until(lambda: any(one.done() for one in waiting), lambda: len(waiting))
    (told,) = (one.exception() for one in waiting if one.done())
    assert told.kind.slug == "too-many-unknown-tokens"
    assert int(told.headers["Retry-After"]) > 0
    waiting = one_more + [one for one in waiting if not one.done()]
    assert len(reviewer.asked) == strangers.REFUSALS_AT_ONCE + 1, "one after another"
    reviewer.gate.set()
    assert await asyncio.gather(*waiting) == [None] * len(waiting)


async def test_all_addresses_together_have_so_many_tokens_in_line(clock):
    known = strangers.Strangers(clock, clock.sleep)
    addresses = [f"10.3.{n}.1" for n in range(strangers.IN_LINES + 1)]
    async with contextlib.AsyncExitStack() as held:
        for address in addresses:
            for _ in range(strangers.REFUSALS_AT_ONCE):
                known.refused(address)
            if address == addresses[-1]:
                break
            await held.enter_async_context(known.shown(address))
        with pytest.raises(Problem):
            await held.enter_async_context(known.shown(addresses[-1]))
    assert (known._lines, known._in_lines) == ({}, 0)


async def test_a_turn_that_does_not_come_in_time_is_told(tokens, reviewer, monkeypatch):
    monkeypatch.setattr(strangers, "DEADLINE_SECONDS", 0.05)
    await refusals(tokens, strangers.REFUSALS_AT_ONCE)
    reviewer.gate = asyncio.Event()
    first, second = flood(tokens, 2)
    with pytest.raises(Problem):
        await second
    reviewer.gate.set()
    assert await first is None


async def test_who_was_accepted_once_is_reviewed_again_whatever_else_comes_from_that_address(
    tokens, reviewer, clock
):
    token = jwt("web")
    reviewer.knows(token, service_account("web"))
    assert await tokens.find(token, "10.0.0.9")
    await refusals(tokens, 1000)
    clock.now += 31
    await refusals(tokens, 1000, begin=5000)
    assert await tokens.find(token, "10.0.0.9")


async def test_garbage_pushes_no_accepted_caller_and_no_right_out_of_memory(tokens, reviewer):
    token = jwt("web")
    reviewer.knows(token, service_account("web"), "create")
    caller = await tokens.find(token)
    assert await tokens.allows(caller, Verb.SUBMIT, AgentKey("shop", "support"))
    for made in range(MAX_REMEMBERED + 10):
        await refusals(tokens, 1, f"10.0.{made}.1", begin=made)
        assert not await tokens.allows(caller, Verb.SUBMIT, AgentKey("shop", f"a-{made}"))
    reviewer.asked.clear()
    assert await tokens.find(token)
    assert await tokens.allows(caller, Verb.SUBMIT, AgentKey("shop", "support"))
    assert reviewer.asked == []
    assert len(tokens._callers._refused) == len(tokens._rights._refused) == MAX_REMEMBERED


async def test_few_unknown_tokens_are_reviewed_at_a_time_and_a_known_caller_need_not_wait(
    tokens, reviewer, clock
):
    token = jwt("web")
    reviewer.knows(token, service_account("web"))
    await tokens.find(token)
    clock.now += 31
    reviewer.asked.clear()
    reviewer.gate = asyncio.Event()
    number = strangers.AT_A_TIME + strangers.MAX_WAITING
    waiting = [
        asyncio.create_task(tokens.find(jwt(f"n-{made}"), f"10.1.{made}.1"))
        for made in range(number)
    ]
    await until(lambda: len(reviewer.asked) == strangers.AT_A_TIME, lambda: len(reviewer.asked))
    with pytest.raises(APIServerAway):
        await tokens.find(jwt("one-more"), "10.2.0.1")
    known = asyncio.create_task(tokens.find(token, "10.0.0.9"))
    await until(lambda: len(reviewer.asked) == strangers.AT_A_TIME + 1, lambda: len(reviewer.asked))
    reviewer.gate.set()
    assert await known
    assert await asyncio.gather(*waiting) == [None] * number


def test_what_is_known_of_addresses_is_bounded_and_the_latest_stays(clock):
    known = strangers.Strangers(clock)
    for made in range(strangers.MAX_ADDRESSES + 100):
        known.refused(f"10.0.{made}.1")
    assert len(known._allowances) == strangers.MAX_ADDRESSES
    assert f"10.0.{strangers.MAX_ADDRESSES + 99}.1" in known._allowances
