"""What each fault of a vendor costs: the ledger holds no call open, and says what it cannot know."""

from __future__ import annotations

import asyncio

import pytest

from penstock.money.ledger import Amount, Budget, Limit, Scope, Unit, Window
from tests.integration.runtime import storm
from tests.integration.runtime.shop import Shop
from tests.integration.runtime.test_fallbacks import FAULTS, away, seconds_for

pytestmark = pytest.mark.redis

BUDGET = Budget((Limit(Scope.AGENT, Window.DAY, Unit.MICRO_USD, 10_000_000),))
AT_ONCE = 6
#: Of these nobody knows what the vendor bills: a request went out, and no whole answer came back.
CUT = (
    "silence",
    "200, garbage",
    "error in a stream",
    "stream without its end",
    "connection lost",
    "one body instead of a stream",
)


async def spent_on(shop, script, **model):
    """What a task costs with a budget: how it ended, what is settled, and what of that is guessed."""
    # A busy machine must not be taken for a silent vendor.
    seconds = seconds_for(script)
    cut = await shop.release(away(script), retries=1, timeoutSeconds=seconds, **model)
    await shop.store.ledger.declare(shop.agent, BUDGET)
    async with shop.pool(cut):
        ended = await shop.ended(await shop.submit("Where is order A1?"))
    said = await shop.store.ledger.spending(shop.agent)
    (day,) = [one for one in said.windows if one.window is Window.DAY]
    assert day.held == Amount()
    return ended, day.settled


async def each_of(redis_server, fake_model, tmp_path, scripts, **model):
    """The same for several agents at once, by name; not for all, since each has a worker to start."""
    shops = {name: Shop(redis_server.url, fake_model.url, tmp_path) for name in scripts}
    turns = asyncio.Semaphore(AT_ONCE)

    async def in_turn(name):
        async with turns:
            return await spent_on(shops[name], scripts[name], **model)

    try:
        found = await asyncio.gather(*map(in_turn, scripts))
    finally:
        for shop in shops.values():
            await shop.close()
    return dict(zip(scripts, found, strict=True))


async def test_a_fault_costs_what_is_known_of_it_or_what_it_had_reserved(
    redis_server, fake_model, tmp_path
):
    scripts = {name: script for name, (script, *_) in FAULTS.items()}
    found = await each_of(redis_server, fake_model, tmp_path, scripts)
    for name, (ended, settled) in found.items():
        assert settled == ended.unsettled, f"{name}: no call of it was answered"
        assert (settled.micro_usd > 0) is (name in CUT), name


async def test_who_stands_in_is_billed_and_the_call_before_it_counts_what_it_may_have_cost(
    redis_server, fake_model, tmp_path
):
    helped = {name: script for name, (script, _, helps) in FAULTS.items() if helps}
    fallback = [{"name": "claude-sonnet-5"}]  # at the same price
    found = await each_of(redis_server, fake_model, tmp_path, helped, fallbacks=fallback)
    answered = [
        each
        for each in fake_model.journal(1000)["requests"]
        if each["usage"] and each["model"] == "claude-sonnet-5"
    ]
    known = [
        Amount(s.tokens - e.unsettled.tokens, s.micro_usd - e.unsettled.micro_usd)
        for e, s in found.values()
    ]
    assert sum(known, Amount()) == sum((storm.price(each["usage"]) for each in answered), Amount())
    for name, (ended, _) in found.items():
        assert (ended.unsettled.micro_usd > 0) is (name in CUT), name


async def test_an_answer_without_its_usage_counts_what_it_had_reserved(shop):
    ended, settled = await spent_on(shop, {"omitUsage": True, "text": "Soon."})
    assert ended.outcome.output == "Soon."
    assert settled == ended.unsettled
    assert settled.micro_usd > 0
