"""A worker whose Redis user is not there yet, or is forgotten, waits for it and says so once."""

import json

import pytest
from redis.asyncio import Redis

from penstock.task import TaskStatus
from penstock_store import users

pytestmark = pytest.mark.redis
NAMESPACE, PASSWORD = "test", "p" * 64  # the namespace of a shop's agents
SCRIPT = {"text": "done"}


async def test_a_worker_waits_for_its_user_and_outlives_its_loss(shop):
    cut = await shop.release(SCRIPT)
    name = users.user_of("penstock", NAMESPACE)
    await shop.store.users.dismiss(NAMESPACE)
    own = users.with_user(shop.redis_url, name, PASSWORD)
    worker = shop.worker(cut, PENSTOCK_REDIS_URL=own)
    plain = Redis.from_url(shop.redis_url, protocol=2)

    async def refused():
        return [entry for entry in await plain.acl_log() if entry["username"] == name]

    await plain.acl_log_reset()
    await shop.until(refused)
    first = await shop.submit()
    assert (await shop.task(first)).status is TaskStatus.QUEUED
    assert worker.poll() is None
    await shop.store.users.permit(NAMESPACE, PASSWORD)
    assert (await shop.ended(first)).status is TaskStatus.SUCCEEDED
    await shop.store.users.dismiss(NAMESPACE)
    await plain.acl_log_reset()
    await shop.until(refused)
    second = await shop.submit()
    await shop.store.users.permit(NAMESPACE, PASSWORD)
    assert (await shop.ended(second)).status is TaskStatus.SUCCEEDED
    assert worker.poll() is None
    worker.terminate()
    out, error = worker.communicate(timeout=30)
    assert worker.returncode == 0, error
    lines = [json.loads(line) for line in (out + error).splitlines() if line.startswith("{")]
    waiting = [line for line in lines if line["event"] == "Redis does not answer; waiting for it"]
    # Those of its user: that Redis answered too late is the machine's, and said in other words.
    told = [line for line in waiting if "no answer within" not in line["error"]]
    assert len(told) == 2, f"once for each time that it waited: {waiting}"
    assert "operator makes Redis users again" in told[0]["error"]
    assert PASSWORD not in out + error
    await shop.store.users.dismiss(NAMESPACE)
    await plain.aclose()
