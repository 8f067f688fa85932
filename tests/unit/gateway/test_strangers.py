"""Tokens that nobody knows cost the API server little and known callers nothing."""

from __future__ import annotations

import asyncio

import pytest

from penstock.names import AgentKey
from penstock_runtime.gateway import strangers
from penstock_runtime.gateway.apiserver import APIServerAway
from penstock_runtime.gateway.identities import MAX_REMEMBERED, ClusterTokens, Verb
from penstock_runtime.gateway.problems import Problem
from tests.unit.gateway.memory_store import until
from tests.unit.gateway.reviewers import Reviewer, jwt, service_account


class Clock:
    now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def reviewer():
    return Reviewer()


@pytest.fixture
def tokens(reviewer, clock):
    cluster = ClusterTokens(reviewer, ("penstock",), 30, now=clock)
    cluster._callers._clock = cluster._rights._clock = cluster._strangers._clock = clock
    return cluster


async def refusals(tokens, number, address="10.0.0.9", begin=0):
    """How many of so many unknown tokens were reviewed before the address was told to stop."""
    for made in range(number):
        try:
            assert await tokens.find(jwt(f"nobody-{begin + made}"), address) is None
        except Problem:
            return made
    return number


async def test_an_address_shows_so_many_unknown_tokens_and_then_so_many_a_second(
    tokens, reviewer, clock
):
    assert await refusals(tokens, 1000) == strangers.REFUSALS_AT_ONCE
    assert len(reviewer.asked) == strangers.REFUSALS_AT_ONCE
    with pytest.raises(Problem) as told:
        await tokens.find(jwt("one-more"), "10.0.0.9")
    assert told.value.kind.slug == "too-many-unknown-tokens"
    assert int(told.value.headers["Retry-After"]) > 0
    clock.now += 2.0
    assert await refusals(tokens, 1000, begin=1000) == 2 * strangers.REFUSALS_PER_SECOND
    assert await refusals(tokens, 10, "10.0.0.8", begin=2000) == 10, "another address has its own"


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
