"""Many tasks in flight on one worker: each keeps its claim for as long as the model takes."""

import asyncio
import os
import resource

import pytest

from penstock.task import TaskStatus

pytestmark = pytest.mark.redis
TASKS = int(os.environ.get("PENSTOCK_TASKS_IN_FLIGHT", "100"))
LATENCY_MS = 10_000
CLAIM_IDLE_SECONDS = "6"  # shorter than a task takes, so that each lives by its heartbeats


async def test_tasks_in_flight_keep_their_claims_and_end_once(shop):
    """``PENSTOCK_TASKS_IN_FLIGHT=2000`` is the largest that ``worker.concurrency`` allows."""
    cut = await shop.release({"text": "done", "latencyMs": LATENCY_MS})
    submitted = [shop.submit(user=f"u{number}") for number in range(TASKS)]
    tasks = [await each for each in submitted]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    most = []

    async def all_ended():
        work = (await shop.store.routes.look(shop.agent, [cut.hash])).work[cut.hash]
        most.append(work.running)
        return not work.running and not work.queued

    worker = shop.worker(
        cut,
        PENSTOCK_CONCURRENCY=str(TASKS),
        PENSTOCK_CLAIM_IDLE_SECONDS=CLAIM_IDLE_SECONDS,
        PENSTOCK_HEARTBEAT_SECONDS="2",
        PENSTOCK_LOG_LEVEL="WARNING",  # nobody reads its output meanwhile
    )
    await shop.until(all_ended)
    ended = [await shop.task(each) for each in tasks]
    assert {each.status for each in ended} == {TaskStatus.SUCCEEDED}
    begun = [await shop.starts(each) for each in tasks]
    assert set(begun) == {1}
    assert max(most) > TASKS // 2, "never many at once"
    worker.terminate()
    await asyncio.to_thread(worker.communicate, timeout=30)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{TASKS} in flight: {after.ru_utime - before.ru_utime:.1f} CPU-s in user space")
