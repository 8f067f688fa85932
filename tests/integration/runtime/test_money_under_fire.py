"""Budgets under fire: 200 callers, two gateways and four workers, of which some are killed; Redis too.

What is spent never passes a budget, and what the ledger says is what the vendor has billed, line by
line, but for calls of which nobody knows what is billed: those are listed, at what they had reserved.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

import httpx
import pytest
import redis.asyncio

from penstock.money.ledger import Amount, Budget, Limit, Scope, Unit, Window
from penstock.task import TaskStatus
from penstock_store import keys
from penstock_store import testing as store_testing
from tests.integration.gateway.conftest import launch
from tests.integration.runtime import storm
from tests.integration.runtime.shop import Shop, tool

pytestmark = [pytest.mark.redis, pytest.mark.timeout(600)]

UNSETTLED = ("unsettledCalls", "unsettledTokens", "unsettledMicroUSD")
CALLERS = 200
WORKERS = 4
TENANT = "acme"  # of the gateway's token
OVERHEAD = {"call": 300, "message": 10, "tool": 50}
WORKER = {"PENSTOCK_CONCURRENCY": "8", "PENSTOCK_CLAIM_IDLE_SECONDS": "2"}


@pytest.fixture
def own_redis():
    """A Redis that may be restarted."""
    with store_testing.redis_server() as server:
        yield server


@pytest.fixture
async def shop(own_redis, fake_model, tmp_path):
    running = Shop(own_redis.url, fake_model.url, tmp_path)
    yield running
    await running.close()


@pytest.fixture
async def gateways(own_redis, tmp_path):
    running = [launch(own_redis.url, tmp_path) for _ in range(2)]
    async with contextlib.AsyncExitStack() as stack:
        limits = httpx.Limits(max_connections=CALLERS)
        headers = {"Authorization": "Bearer all-agents"}
        yield [
            await stack.enter_async_context(
                httpx.AsyncClient(
                    base_url=each.url, headers=headers, timeout=30, trust_env=False, limits=limits
                )
            )
            for each in running
        ]
    for each in running:
        each.process.kill()
        each.process.wait()


@pytest.fixture
async def raw(own_redis):
    client = redis.asyncio.Redis.from_url(own_redis.url)
    yield client
    await client.aclose()


def micro(most, scope=Scope.AGENT, window=Window.DAY):
    return Limit(scope, window, Unit.MICRO_USD, most)


LIMITS = (
    micro(1_100_000, window=Window.HOUR),
    micro(1_150_000),
    micro(1_200_000, window=Window.MONTH),
    micro(1_120_000, Scope.TENANT),
    micro(60_000, Scope.USER),
    micro(20_000, Scope.TASK, Window.TOTAL),
)


async def chaos(shop, fake_model, crew, own_redis):
    """Kill workers and Redis in the middle of the work."""

    async def billed(count):
        async def enough():
            return (await asyncio.to_thread(fake_model.journal, 0))["total"] >= count

        await shop.until(enough, 300)

    await billed(40)
    await asyncio.to_thread(own_redis.stop)
    await asyncio.to_thread(own_redis.start)
    for count in (100, 160):
        await billed(count)
        await crew.kill_one()


async def test_no_budget_is_passed_and_the_ledger_is_the_vendors_journal_line_by_line(
    shop, gateways, raw, own_redis, fake_model, tool_server
):
    look_up = tool("look_up", tool_server.url + "/ok")
    script = {
        "toolCalls": [{"name": "look_up", "input": {"order": "A1"}}],
        "outputTokens": 300,
        "latencyMs": 40,
        "overheadTokens": OVERHEAD,
    }
    cut = await shop.release(script, tools=[look_up], maxTokens=400)
    await shop.store.ledger.declare(shop.agent, Budget(LIMITS))
    crew, callers = storm.Crew(shop, cut, WORKERS, **WORKER), storm.Callers(gateways, shop.agent)
    calls = [callers.ask(storm.order(n), f"u{n % 25}") for n in range(CALLERS)]
    await asyncio.gather(*calls, chaos(shop, fake_model, crew, own_redis))

    tag = keys.AgentKeys(shop.agent).tag
    kept = await storm.places(raw, tag)
    for limit in LIMITS:
        spent = Counter()
        for place in kept:
            if (place.scope, place.window) == (limit.scope, limit.window):
                spent[place.subject] += place.settled.micro_usd + place.held.micro_usd
        assert spent, limit
        assert max(spent.values()) <= limit.most, limit
    assert not await raw.zcard(f"{tag}:open")
    assert all(place.held == Amount() for place in kept)

    accepted = [each for each in callers.answers if each.status == 200]
    told = Counter((each.status, each.document.get("status")) for each in callers.answers)
    print(dict(told), fake_model.journal(0)["total"], "calls")
    assert told[200, "Succeeded"] > 50
    assert told[200, "LimitExceeded"] + told[429, 429] > 5, "the budget is used up"
    billed, lines, gap = storm.bills(fake_model), {}, Amount()
    for place in kept:
        if place.scope == "task":
            lines[place.subject] = place.settled
    for each in accepted:
        identifier = each.document["id"]
        stored = await raw.hmget(keys.AgentKeys(shop.agent).task(identifier), *UNSETTLED)
        count, tokens, micro_usd = (int(value or 0) for value in stored)
        usage = each.document["usage"]
        assert usage["unsettledTokens"] == tokens
        line = lines.pop(identifier.rpartition(".")[2], Amount())
        gap += Amount(tokens, micro_usd)
        assert storm.explains(line, Amount(tokens, micro_usd), count, billed.get(each.order, [])), (
            f"{each}: {line} of {billed.get(each.order)}, unsettled {stored}"
        )
    assert not lines, "each line is of a task"
    print("unsettled", gap)


async def spent_by_one(shop, cut):
    async with shop.pool(cut):
        return (await shop.ended(await shop.submit("100?"))).usage.cost_micro_usd


async def test_200_callers_who_spend_a_tenth_in_the_end_are_neither_cut_nor_refused(
    shop, fake_model
):
    """What others only hold is waited for: there is room for half of the calls at once."""
    cut = await shop.release({"text": "Soon."}, maxTokens=2000)
    first = await spent_by_one(shop, cut)
    bound = 25_000  # of one call, and a tenth of what all of them bill
    most = max(10 * CALLERS * first, CALLERS // 2 * bound)
    await shop.store.ledger.declare(shop.agent, Budget((micro(most),)))
    tasks = [await shop.submit(f"{n}?", user=f"u{n % 7}") for n in range(CALLERS)]
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(WORKERS):
            await stack.enter_async_context(shop.pool(cut, PENSTOCK_CONCURRENCY="64"))
        ended = [await shop.ended(each) for each in tasks]
    assert Counter(each.status for each in ended) == {TaskStatus.SUCCEEDED: CALLERS}
    asked = {each["body"]["max_tokens"] for each in fake_model.journal(1000)["requests"]}
    assert asked == {2000}
    (spent,) = {
        one.settled.micro_usd
        for one in (await shop.store.ledger.spending(shop.agent)).windows
        if one.window is Window.DAY
    }
    assert spent == sum(each.usage.cost_micro_usd for each in ended)
    assert spent <= most / 10
