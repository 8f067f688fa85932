"""Redis stops and comes back: running tasks go on, and none is lost or done twice."""

import asyncio
import collections

import pytest

from penstock.outcomes import RowKind
from penstock.task import TaskStatus
from penstock_store import testing as store_testing
from tests.integration.runtime.shop import Shop, tool

pytestmark = pytest.mark.redis


@pytest.fixture
def own_redis():
    with store_testing.redis_server() as server:
        yield server


async def test_tasks_outlive_an_outage_of_redis_and_end_once(
    own_redis, fake_model, tool_server, tmp_path
):
    shop = Shop(own_redis.url, fake_model.url, tmp_path)
    script = {"toolCalls": [{"name": "act", "input": {}}], "text": "done", "latencyMs": 100}
    act = tool("act", tool_server.url + "/ok", "Irreversible")
    cut = await shop.release(script, tools=[act])
    tasks = [await shop.submit(user=f"u{number}") for number in range(30)]
    async with shop.pool(cut, PENSTOCK_CONCURRENCY="10") as running:
        await asyncio.to_thread(tool_server.wait_for_calls, 3)
        await asyncio.to_thread(own_redis.stop)
        await asyncio.sleep(2.5)  # longer than a claim is kept without a heartbeat
        assert not running.done()
        await asyncio.to_thread(own_redis.start)
        ended = [await shop.ended(each) for each in tasks]
    assert {each.status for each in ended} == {TaskStatus.SUCCEEDED}, ended
    rows = await shop.store.rows(shop.agent)
    finished = collections.Counter(row.task for row in rows if row.kind == RowKind.FINISHED)
    assert set(finished.values()) == {1}
    calls = collections.Counter(call["headers"]["idempotency-key"] for call in tool_server.calls)
    assert set(calls.values()) == {1}
    await shop.close()
