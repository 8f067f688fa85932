"""Calls of one reply that change nothing, at the same time, from a real worker to a real server."""

import asyncio

import pytest

from penstock.task import TaskStatus
from tests.integration.runtime.shop import PATIENCE_SECONDS, killed, tool

pytestmark = pytest.mark.redis

ASKED = [{"name": "slow", "input": {"n": 1}}, {"name": "slow", "input": {"n": 2}}]


def script(*calls):
    return {"toolCalls": list(calls), "text": "Done."}


def slow(tool_server):
    """A tool that answers once the gate is open, or after a minute."""
    return tool("slow", tool_server.url + "/slow/60", timeoutSeconds=50)


async def arrived(tool_server, count, seconds=45):
    """So many calls have come before the first of them can have timed out."""
    await asyncio.to_thread(tool_server.wait_for_calls, count, seconds)


async def test_all_arrive_before_any_is_answered_and_the_model_is_told_in_its_own_order(
    shop, tool_server, fake_model
):
    calls = [*ASKED, {"name": "quick", "input": {}}]
    tools = [slow(tool_server), tool("quick", tool_server.url + "/ok")]
    cut = await shop.release(script(*calls), tools=tools)
    async with shop.pool(cut):
        identifier = await shop.submit()
        await arrived(tool_server, 3)
        tool_server.gate.set()
        ended = await shop.ended(identifier)
    assert ended.status == TaskStatus.SUCCEEDED, ended.outcome
    assert ended.usage.tool_calls == 3
    told = fake_model.journal(1)["requests"][-1]["body"]["messages"][-1]["content"]
    assert [block["content"] for block in told] == ["late", "late", '{"order": "shipped"}']
    events = await shop.store.notifications.events(identifier)
    names = [event.data["name"] for event in events if event.type == "tool"]
    assert names == ["slow", "slow", "quick"]


async def test_those_that_a_lost_worker_had_under_way_are_made_again_and_counted_once(
    shop, tool_server
):
    cut = await shop.release(script(*ASKED), tools=[slow(tool_server)])
    identifier = await shop.submit()
    lost = shop.worker(cut)
    await arrived(tool_server, 1, PATIENCE_SECONDS)
    await arrived(tool_server, 2)
    killed(lost)
    async with shop.pool(cut):
        await arrived(tool_server, 4)
        tool_server.gate.set()
        ended = await shop.ended(identifier)
    assert ended.status == TaskStatus.SUCCEEDED, ended.outcome
    assert ended.usage.tool_calls == 2
    keys = [call["headers"]["idempotency-key"] for call in tool_server.calls]
    expected = {f"{identifier}.1.1", f"{identifier}.1.2"}
    assert set(keys[:2]) == set(keys[2:]) == expected


async def test_calls_that_change_something_reach_the_server_one_by_one(shop, tool_server):
    held = {**slow(tool_server), "effect": "Irreversible"}
    cut = await shop.release(script(*ASKED), tools=[held])
    async with shop.pool(cut):
        identifier = await shop.submit()
        await arrived(tool_server, 1)
        started = await shop.task(identifier)
        assert started.status == TaskStatus.RUNNING
        assert len(tool_server.calls) == 1
        tool_server.gate.set()
        ended = await shop.ended(identifier)
    assert ended.status == TaskStatus.SUCCEEDED, ended.outcome
    assert len(tool_server.calls) == 2
