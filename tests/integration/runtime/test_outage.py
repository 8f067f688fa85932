"""Redis stops and comes back, or is full: running tasks go on, and none is lost or done twice."""

import asyncio
import collections
import contextlib
import uuid

import pytest
from redis import exceptions
from redis.asyncio import Redis

from penstock.outcomes import RowKind
from penstock.task import OutcomeReason, TaskStatus
from penstock_store import testing as store_testing
from tests.integration.runtime.shop import Shop, tool
from tests.integration.runtime.test_worker import status

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
    rows = await shop.store.outcomes.rows(shop.agent)
    finished = collections.Counter(row.task for row in rows if row.kind == RowKind.FINISHED)
    assert set(finished.values()) == {1}
    calls = collections.Counter(call["headers"]["idempotency-key"] for call in tool_server.calls)
    assert set(calls.values()) == {1}
    await shop.close()


# ------------------------------------------------------------------------------ a full Redis


@pytest.fixture
def small_redis():
    with store_testing.redis_server("", "--maxmemory", "16mb") as server:
        yield server


async def fill(redis):
    """Write to the last byte that it takes, as tasks kept for a day would."""
    size = 1 << 16
    while size >= 64:
        try:
            await redis.set(f"ballast:{uuid.uuid4().hex}", "x" * size)
        except exceptions.OutOfMemoryError:
            size //= 4


@contextlib.asynccontextmanager
async def kept_full(redis):
    """Full, and full again whenever Redis frees a buffer of its own."""

    over = asyncio.Event()  # the plain client forgets a cancellation

    async def fill_again():
        while not over.is_set():
            await fill(redis)
            await asyncio.sleep(0.02)

    await fill(redis)
    filling = asyncio.create_task(fill_again())
    try:
        yield
    finally:
        over.set()
        await filling
        await redis.delete(*[key async for key in redis.scan_iter("ballast:*", count=1000)])


async def test_a_full_redis_ends_tasks_by_their_wall_time_and_frees_their_places(
    small_redis, fake_model, tool_server, tmp_path
):
    shop = Shop(small_redis.url, fake_model.url, tmp_path)
    redis = Redis.from_url(small_redis.url, protocol=2)
    script = {"toolCalls": [{"name": "act", "input": {}}], "text": "done"}
    act = tool("act", tool_server.url + "/slow/90", timeoutSeconds=100)
    cut = await shop.release(script, tools=[act], limits={"wallSeconds": 5})
    tasks = [await shop.submit(user=f"u{number}") for number in range(6)]
    port = store_testing.free_port()
    listening = {"PENSTOCK_LISTEN": f"127.0.0.1:{port}"}
    worker = shop.worker(cut, PENSTOCK_CONCURRENCY="3", **listening)
    await asyncio.to_thread(tool_server.wait_for_calls, 3)

    async def told():
        return (await asyncio.to_thread(status, port, "/readyz"))[0] == 503

    async with kept_full(redis):
        tool_server.gate.set()  # what was done now cannot be written
        await shop.until(told)
        ended = [await shop.ended(each) for each in tasks]
    by_wall = [each for each in ended if each.status is TaskStatus.LIMIT_EXCEEDED]
    assert {each.outcome.reason for each in by_wall} == {OutcomeReason.LIMIT_WALL_SECONDS}
    assert len(by_wall) >= 3, ended
    later = await shop.ended(await shop.submit(user="later"))
    assert later.status is TaskStatus.SUCCEEDED
    assert worker.poll() is None
    await redis.aclose()
    await shop.close()
