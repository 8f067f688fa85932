"""A canary that has done what it may: the next call is stable's, and no limit is passed, by real workers."""

from __future__ import annotations

import json

import pytest

from penstock import traffic
from penstock.effects import EffectState, HarmDone
from penstock.escalation import Verdict
from penstock.task import TaskStatus
from penstock_store.effects import SoughtEffects
from tests.integration.runtime.shop import tool
from tests.integration.runtime.test_waiting import decide, waiting

pytestmark = pytest.mark.redis


def refunds(amount):
    return {"toolCalls": [{"name": "refund", "input": {"order": "A1", "amount": amount}}]}


async def route(shop, stable, canary, **bound):
    """Everybody new goes to the canary, which may do so much."""
    shop.version += 1
    routed = {
        cut.hash: traffic.RoutedRevision(cut.hash, traffic.Standing.OPEN, cut.limits)
        for cut in (stable, canary)
    }
    split = traffic.Split(stable.hash, canary.hash, 100, "salt")
    said = json.dumps({"once": {"refund": 1}, "tool": "refund", **bound})
    made = traffic.Route("uid-1", 1, shop.version, split, harm=said, revisions=routed)
    await shop.store.routes.put(shop.agent, made)


async def two(shop, tool_server, amount):
    """Stable and a canary that both refund so much."""
    refund = tool("refund", tool_server.url + "/ok", "Irreversible", amountFrom="amount")
    stable = await shop.release(refunds(amount), tools=[refund])
    canary = await shop.release(refunds(amount), tools=[refund], limits={"modelCalls": 9})
    return stable, canary


async def made_by(shop):
    """How many calls each revision has made, by its hash."""
    page = await shop.store.effects.page(shop.agent, SoughtEffects(), "", 50)
    done = [one.revision for one in page.items if one.state is EffectState.DONE]
    assert not page.unknown
    return {revision: done.count(revision) for revision in done}


@pytest.mark.parametrize("bound", [{"calls": 3}, {"micro": 50_000_000}])
async def test_the_call_that_would_pass_a_limit_is_made_by_stable_and_each_is_made_once(
    shop, tool_server, bound
):
    stable, canary = await two(shop, tool_server, 15)
    await route(shop, stable, canary, **bound)
    tasks = [await shop.submit(user=f"u{number}") for number in range(8)]
    async with shop.pool(canary), shop.pool(stable):
        ended = [await shop.ended(each) for each in tasks]
    assert {each.status for each in ended} == {TaskStatus.SUCCEEDED}
    assert await made_by(shop) == {canary.hash: 3, stable.hash: 5}
    keys = [call["headers"]["idempotency-key"] for call in tool_server.calls]
    assert len(keys) == len(set(keys)) == 8
    done = (await shop.store.routes.look(shop.agent, [])).harm
    assert (done.calls, done.micro) == (3 if "calls" in bound else 0, 45_000_000 if "micro" in bound else 0)  # fmt: skip
    assert done.calls_most == bound.get("calls")
    assert done.micro_most == bound.get("micro")


@pytest.mark.parametrize("amount", [-5, "many"])
async def test_a_call_that_does_not_say_what_it_is_worth_asks_a_person_and_is_made_when_approved(
    shop, tool_server, amount
):
    stable, canary = await two(shop, tool_server, amount)
    await route(shop, stable, canary, micro=50_000_000, calls=5)
    identifier = await shop.submit()
    async with shop.pool(canary):
        asked = await waiting(shop, identifier)
        assert asked.ask.why == (
            "analysis.harm counts what it is worth, and its argument amount is no amount from 0 on"
        )
        assert not tool_server.calls
        await decide(shop, asked.id, Verdict.APPROVE)
        ended = await shop.ended(identifier)
    assert (ended.status, len(tool_server.calls)) == (TaskStatus.SUCCEEDED, 1)
    assert (await shop.store.routes.look(shop.agent, [])).harm == HarmDone(calls=1)
