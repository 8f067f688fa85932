"""A long session on the fake Messages server, which refuses what was thought over another conversation."""

import pytest

from penstock.money.ledger import Budget, Limit, Scope, Unit, Window
from penstock.task import TaskStatus
from tests.integration.runtime.test_budgets import billed, of_today

pytestmark = pytest.mark.redis
HAIKU = "claude-haiku-5-5"
LONG = "Where is A1? " + "x" * 2000


async def converse(shop, cut, turns, session="s"):
    """So many tasks of one session, as they ended."""
    ended = []
    async with shop.pool(cut):
        for number in range(turns):
            task = await shop.submit(f"{number} {LONG}", session)
            ended.append(await shop.ended(task))
    return ended


async def condensed(shop, ended):
    events = await shop.store.notifications.events(ended.id)
    return [event.data for event in events if event.type == "condensed"]


@pytest.mark.parametrize("limit", [None, 3500])
async def test_a_long_session_is_summarised_where_that_is_declared(shop, fake_model, limit):
    bounds = {"inputTokens": 200_000, **({"contextTokens": limit} if limit else {})}
    script = {"text": "Soon.", "thinking": "It may be late."}
    cut = await shop.release(script, limits=bounds)
    await shop.store.ledger.declare(
        shop.agent, Budget((Limit(Scope.AGENT, Window.DAY, Unit.MICRO_USD, 50_000_000),))
    )
    ended = await converse(shop, cut, 10)
    assert {each.status for each in ended} == {TaskStatus.SUCCEEDED}
    told = [await condensed(shop, each) for each in ended]
    assert any(told) is bool(limit)
    if limit:
        first = next(number for number, each in enumerate(told) if each)
        assert told[first][0]["historyTokens"] > limit
        assert ended[first].usage.model_calls == 2
        assert first < 9, "and the session goes on"
    spent = (await of_today(shop))[Scope.AGENT]
    assert spent.settled == billed(fake_model)
    assert sum(each.usage.cost_micro_usd for each in ended) == spent.settled.micro_usd


async def test_the_cheapest_tier_summarises(shop, fake_model):
    bounds = {"inputTokens": 200_000, "contextTokens": 3500}
    tiers = [{"name": "cheap", "model": HAIKU, "taskTypes": ["never"]}]
    script = {"text": "Soon.", "thinking": "It may be late."}
    cut = await shop.release(script, limits=bounds, tiers=tiers)
    ended = await converse(shop, cut, 9)
    assert {each.status for each in ended} == {TaskStatus.SUCCEEDED}
    told = [data for each in ended for data in await condensed(shop, each)]
    assert {data["model"] for data in told} == {HAIKU}
    asked = [each["model"] for each in fake_model.journal(100)["requests"]]
    assert asked.count(HAIKU) == len(told) > 0
    assert all("tier" not in each.usage.wire() for each in ended)
