"""Redis dies without a word and loses the end of its log: what it still knows is whole."""

from __future__ import annotations

import itertools
import signal
from collections import Counter

import pytest

from penstock import outcomes, task, traffic
from penstock_store import testing
from penstock_store.scripts import Retention

STABLE, CANARY = "aaaa0000", "bbbb1111"
TENANT = "acme-token"
LOSES_TASKS_BYTES = 20_000  # from the end of the log
pytestmark = pytest.mark.redis


@pytest.fixture
def server(server):
    """A redis-server that the test may kill, with its log synced once a second."""
    with testing.redis_server(server.binary, "--appendfsync", "everysec") as own:
        yield own


@pytest.fixture
def retention():
    return Retention(orphan_idle_ms=0, quiet_ms=0)


async def work_half_of_it(desk):
    """Accept, claim, save and end tasks by turns; what was accepted, and the claims still held."""
    accepted, held = {}, []
    await desk.set_route(percent=50)
    for number in range(60):
        identifier = desk.new_id()
        accepted[identifier] = f"s{number % 7}" if number % 2 else ""
        await desk.admit(identifier=identifier, session=accepted[identifier])
        for claim in await desk.claim((STABLE, CANARY)[number % 2], limit=1):
            await desk.store.claims.checkpoint(claim, b"\x00state", task.Usage(), [("model", {})])
            held.append(claim)
        if number % 3 == 0 and held:
            await desk.finish(held.pop(0), history=b"h")
    await desk.reject_canary()
    await desk.store.queue.rehome(desk.agent, CANARY, 5)
    return accepted, held


def cut_the_log(server, count):
    """Take the last bytes from the append-only file, as a host that goes down does."""
    files = [*server.directory.glob("appendonly.aof"), *server.directory.rglob("*.incr.aof")]
    (log,) = files
    content = log.read_bytes()
    log.write_bytes(content[: len(content) - count])


async def work_off(desk, held):
    """Workers that lived through it go on, others take what is left."""
    for claim in held:
        if await desk.store.claims.heartbeat([claim], "w1") == {claim.id: "Continue"}:
            await desk.finish(claim)
    while True:
        found = [
            claim
            for revision in (STABLE, CANARY)
            for claim in [*await desk.claim(revision, 50), *await desk.reclaim(revision, 50)]
        ]
        moved = await desk.store.queue.rehome(desk.agent, CANARY)
        if not found and not moved:
            return
        for claim in found:
            await desk.finish(claim)


@pytest.mark.parametrize("lost_bytes", [0, 1, 300, 2000, 9000, LOSES_TASKS_BYTES])
async def test_after_a_sigkill_every_task_that_redis_still_knows_ends_once(
    server, desk, lost_bytes
):
    accepted, held = await work_half_of_it(desk)
    server.stop(signal.SIGKILL)
    cut_the_log(server, lost_bytes)
    server.start()
    known = [
        identifier for identifier in accepted if await desk.store.tasks.get(identifier, TENANT)
    ]
    assert known == list(accepted)[: len(known)], "not the last ones were lost"
    assert (len(known) == len(accepted)) or lost_bytes, "nothing was cut off, and yet it is lost"
    assert (len(known) < len(accepted)) or lost_bytes < LOSES_TASKS_BYTES
    await desk.set_route(standings={CANARY: traffic.Standing.REJECTED})
    for identifier in itertools.islice(accepted, len(known), None):  # the callers ask again
        assert not (await desk.admit(identifier=identifier, session=accepted[identifier])).existed
    await work_off(desk, held)
    rows = await desk.store.outcomes.rows(desk.agent)
    for kind in (outcomes.RowKind.ROUTED, outcomes.RowKind.FINISHED):
        assert Counter(row.task for row in rows if row.kind is kind) == Counter(accepted.keys())
    assert {await desk.status(identifier) for identifier in accepted} == {task.TaskStatus.SUCCEEDED}
    for revision in (STABLE, CANARY):
        work = await desk.work(revision)
        assert (work.queued, work.running) == (0, 0)
