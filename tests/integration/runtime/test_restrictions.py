"""The brake on tasks that run: a real Redis, the fake Messages server, and a tool that is slow."""

import asyncio

import pytest

from penstock import restrictions
from penstock.api.restrictions import Restrictions
from penstock.task import Counting, OutcomeReason, TaskStatus
from tests.integration.runtime.shop import MODEL, tool

pytestmark = pytest.mark.redis
HAIKU = "claude-haiku-5-5"


async def counted(shop):
    rows = await shop.store.outcomes.rows(shop.agent)
    return [row.counting for row in rows if row.kind == "f"]


async def test_a_tool_that_is_denied_while_it_runs_is_not_called_again(shop, tool_server):
    slow = tool("look_up", tool_server.url + "/slow/30")
    bounds = {"toolCalls": 4, "identicalActions": 50}
    cut = await shop.release({"loopTool": "look_up"}, tools=[slow], limits=bounds)
    quiet = {"PENSTOCK_HEARTBEAT_SECONDS": "60", "PENSTOCK_CLAIM_IDLE_SECONDS": "600"}
    async with shop.pool(cut, **quiet):  # it waits for no heartbeat
        asked = await shop.submit()
        await asyncio.to_thread(tool_server.wait_for_calls, 1)
        denied = Restrictions(deny_tools=["look_up"])
        await shop.route(cut, restrictions=restrictions.written(denied))
        tool_server.gate.set()
        ended = await shop.ended(asked)
        assert len(tool_server.calls) == 1
        assert ended.outcome.reason is OutcomeReason.LIMIT_TOOL_CALLS
        assert await counted(shop) == [Counting.LEFT_OUT]
        await shop.route(cut)
        await shop.ended(await shop.submit())
    assert len(tool_server.calls) > 1
    assert await counted(shop) == [Counting.LEFT_OUT, Counting.ERROR]


@pytest.mark.parametrize(
    ("denied", "asked", "counting"),
    [
        ([], [MODEL], Counting.GOOD),
        ([HAIKU], [MODEL], Counting.GOOD),
        ([MODEL], [HAIKU], Counting.LEFT_OUT),
        ([MODEL, HAIKU], [], Counting.LEFT_OUT),
    ],
)
async def test_a_denied_model_is_not_asked_and_the_next_fallback_is(
    shop, fake_model, denied, asked, counting
):
    cut = await shop.release({"text": "hello"}, fallbacks=[{"name": HAIKU}])
    by = Restrictions(deny_models=denied)
    await shop.route(cut, restrictions=restrictions.written(by))
    task = await shop.submit()
    async with shop.pool(cut):
        ended = await shop.ended(task)
    assert [each["model"] for each in fake_model.journal(10)["requests"]] == asked
    wanted = TaskStatus.SUCCEEDED if asked else TaskStatus.ESCALATED
    assert ended.status is wanted
    assert await counted(shop) == [counting]


async def test_a_denied_model_is_not_even_asked_to_count(shop, fake_model):
    cut = await shop.release({"text": "hello"}, limits={"costUSD": "0.004"}, maxTokens=2000)
    by = Restrictions(deny_models=[MODEL])
    await shop.route(cut, restrictions=restrictions.written(by))
    task = await shop.submit("x" * 2000)
    async with shop.pool(cut):
        ended = await shop.ended(task)
    assert ended.outcome.reason is OutcomeReason.RESTRICTED
    assert ended.outcome.message.endswith("restrictions.denyModels names it")
    assert not fake_model.journal(10)["requests"]
