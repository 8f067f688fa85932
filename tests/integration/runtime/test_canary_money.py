"""A canary that spends its cap: its tasks are answered by stable, and the cap is never passed."""

from __future__ import annotations

import pytest

from penstock import traffic
from penstock.money.ledger import Budget, Limit, Mode, Scope, Unit, Window
from penstock.task import TaskStatus
from tests.integration.runtime.shop import tool

CAP = 60_000


def capped(most=CAP, **more):
    return Budget((Limit(Scope.CANARY, Window.TOTAL, Unit.MICRO_USD, most),), **more)


async def route(shop, stable, canary, percent=100):
    """Everybody new goes to the canary."""
    shop.version += 1
    routed = {
        cut.hash: traffic.RoutedRevision(cut.hash, traffic.Standing.OPEN, cut.limits)
        for cut in (stable, canary)
    }
    split = traffic.Split(stable.hash, canary.hash, percent, "salt")
    await shop.store.routes.put(
        shop.agent,
        traffic.Route("uid-1", 1, shop.version, split, budget_mark="m", revisions=routed),
    )


async def spent(shop, canary):
    said = await shop.store.ledger.spending(shop.agent, canary=canary.hash)
    (found,) = [one for one in said.windows if one.scope is Scope.CANARY]
    return found


@pytest.mark.parametrize("mode", Mode)
async def test_a_looping_canary_is_held_to_its_cap_and_stable_answers_its_users(
    shop, tool_server, mode
):
    look_up = tool("look_up", tool_server.url + "/ok")
    limits = {
        "modelCalls": 1000,
        "identicalActions": 100,
        "toolCalls": 900,
        "inputTokens": 1000000,
        "outputTokens": 900000,
        "costUSD": "5",
    }
    stable = await shop.release({}, tools=[look_up], limits=limits)
    canary = await shop.release({"loopTool": "look_up"}, tools=[look_up], limits=limits)
    await route(shop, stable, canary)
    await shop.store.ledger.declare(shop.agent, capped(mode=mode))
    async with shop.pool(canary), shop.pool(stable):
        tasks = [await shop.submit(user=f"u{number}") for number in range(4)]
        ended = [await shop.ended(each) for each in tasks]
        late = await shop.ended(await shop.submit(session="s", user="late"))
    assert {each.status for each in (*ended, late)} == {TaskStatus.SUCCEEDED}
    assert {each.revision for each in (*ended, late)} == {stable.hash}
    found = await spent(shop, canary)
    assert found.held.micro_usd == 0
    assert CAP / 2 < found.settled.micro_usd <= CAP
    for each in tasks:
        told = [event.type for event in await shop.store.notifications.events(each)]
        assert "moved" in told
    (stop,) = (await shop.store.routes.look(shop.agent, [])).stops
    assert (stop.limit.most, stop.spent) == (CAP, found.settled.micro_usd)


async def test_a_raised_cap_lets_the_canary_answer_again(shop):
    stable = await shop.release({"text": "stable"})
    canary = await shop.release({"text": "canary"})
    await route(shop, stable, canary)
    await shop.store.ledger.declare(shop.agent, capped(1))
    async with shop.pool(canary), shop.pool(stable):
        first = await shop.ended(await shop.submit())
        await shop.store.ledger.declare(shop.agent, capped(10_000_000))
        second = await shop.ended(await shop.submit())
    assert [each.revision for each in (first, second)] == [stable.hash, canary.hash]
    assert (await spent(shop, canary)).settled.micro_usd == second.usage.cost_micro_usd > 0
