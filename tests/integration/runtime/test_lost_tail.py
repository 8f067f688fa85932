"""Redis loses the end of its log, as when a replica that lagged takes over: no irreversible call is made twice."""

import asyncio
import signal

import pytest

from penstock.outcomes import RowKind
from penstock.task import Counting, OutcomeReason, TaskStatus
from penstock_store import testing as store_testing
from tests.integration.runtime.shop import Shop, killed, tool

pytestmark = pytest.mark.redis


@pytest.fixture
def synced_redis():
    """A Redis that syncs each write, so that a test knows where to cut its log."""
    with store_testing.redis_server("", "--appendfsync", "always") as server:
        yield server


def log_of(server):
    (log,) = [*server.directory.glob("appendonly.aof"), *server.directory.rglob("*.incr.aof")]
    return log


def fail_over(server, size):
    """Kill it, forget what was written after the log had this size, and start it again."""
    server.stop(signal.SIGKILL)
    log = log_of(server)
    log.write_bytes(log.read_bytes()[:size])
    server.start()


@pytest.fixture
async def refunding(synced_redis, fake_model, tool_server, tmp_path):
    """A worker in the middle of a refund that cannot be undone, and what Redis' log held before it began to."""
    shop = Shop(synced_redis.url, fake_model.url, tmp_path)
    script = {"toolCalls": [{"name": "refund", "input": {"order": "A1"}}], "latencyMs": 2000}
    refund = tool("refund", tool_server.url + "/slow/90", "Irreversible", timeoutSeconds=100)
    cut = await shop.release(script, tools=[refund])
    worker = shop.worker(cut)
    identifier = await shop.submit()
    await shop.event(identifier, "started")
    size = log_of(synced_redis).stat().st_size
    await asyncio.to_thread(tool_server.wait_for_calls, 1)
    yield shop, cut, worker, identifier, size
    await shop.close()


async def test_a_worker_that_lives_goes_on_with_the_call_that_redis_forgot(
    synced_redis, tool_server, refunding
):
    shop, _, _, identifier, size = refunding
    await asyncio.to_thread(fail_over, synced_redis, size)

    async def heard():
        """Whether the worker has written to the Redis that forgot."""
        return log_of(synced_redis).stat().st_size > size

    await shop.until(heard)
    tool_server.gate.set()
    ended = await shop.ended(identifier)
    assert ended.status is TaskStatus.SUCCEEDED, ended
    assert len(tool_server.calls) == 1
    rows = [
        row for row in await shop.store.outcomes.rows(shop.agent) if row.kind is RowKind.FINISHED
    ]
    assert [row.counting for row in rows] == [Counting.GOOD]


async def test_when_the_worker_is_gone_too_a_person_is_asked_and_nobody_calls_again(
    synced_redis, tool_server, refunding
):
    shop, cut, worker, identifier, size = refunding
    killed(worker)
    await asyncio.to_thread(fail_over, synced_redis, size)
    shop.worker(cut)
    ended = await shop.ended(identifier)
    assert (ended.status, ended.outcome.reason) == (TaskStatus.ESCALATED, OutcomeReason.PERSON)
    assert "refund" in ended.outcome.message
    key = tool_server.calls[0]["headers"]["idempotency-key"]
    assert key in ended.outcome.message, "whom to ask for it"
    assert len(tool_server.calls) == 1
    rows = [
        row for row in await shop.store.outcomes.rows(shop.agent) if row.kind is RowKind.FINISHED
    ]
    assert [row.counting for row in rows] == [Counting.LEFT_OUT]
