"""What a dead worker held is tried apart, by halves, in a process that may die of it."""

import asyncio
import collections
import contextlib
import math
import os
import signal
import sys

import pytest

from penstock.outcomes import RowKind
from penstock.task import OutcomeReason, TaskStatus
from penstock_store.testing import free_port
from tests import components
from tests.integration.runtime import callers
from tests.integration.runtime.conftest import ToolHandler, ToolServer
from tests.integration.runtime.shop import killed, tool
from tests.integration.runtime.test_worker import status

pytestmark = [
    pytest.mark.redis,
    pytest.mark.timeout(1200),  # each test starts three processes or more, one after the other
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to find the caller"),
]
SHARE = int(os.environ.get("PENSTOCK_TASKS_SUSPECTED", "40"))  # of one worker, in one lane
SCRIPT = {"toolCalls": [{"name": "act", "input": {}}], "text": "done"}
WAITS = {"latencyMs": 600_000}


class Deadly(ToolHandler):
    """Kills the process that calls for a task in ``poison``."""

    def handle(self):
        with contextlib.suppress(ConnectionError):  # what a killed caller leaves
            super().handle()

    def do_POST(self):  # noqa: N802 - a name of the standard library
        task = self.headers["idempotency-key"].rpartition(".")[0].rpartition(".")[0]
        if task in self.server.poison:
            pid = callers.process_at(self.client_address[1])
            if pid:  # else it died of something else while it asked
                self.server.deaths.append(pid)
                components.send(pid, signal.SIGKILL)
            self.close_connection = True
        else:
            super().do_GET()


@pytest.fixture
def deadly(tool_server):
    tool_server.RequestHandlerClass = Deadly
    tool_server.poison, tool_server.deaths = set(), []
    assert isinstance(tool_server, ToolServer)
    return tool_server


def finished_once(rows):
    finished = collections.Counter(row.task for row in rows if row.kind == RowKind.FINISHED)
    return set(finished.values()) == {1}


async def all_ended(shop, tasks):
    return [await shop.ended(each) for each in tasks]


async def rows_of(shop):
    page = await shop.store.outcomes.rows(shop.agent)
    return getattr(page, "rows", page)


async def test_one_poisonous_task_is_found_and_takes_no_innocent(shop, deadly):
    """A process that runs it dies; each death halves those that are suspected.

    ``PENSTOCK_TASKS_SUSPECTED=500`` tries a larger share.
    """
    act = tool("act", deadly.url + "/ok")
    cut = await shop.release(SCRIPT, tools=[act])
    tasks = [await shop.submit(user=f"u{number}") for number in range(SHARE)]
    poison = tasks[17]
    deadly.poison.add(poison)
    told = {"PENSTOCK_CONCURRENCY": str(SHARE), "PENSTOCK_LOG_LEVEL": "WARNING"}
    first = shop.worker(cut, **told)
    await asyncio.to_thread(first.communicate, timeout=400)
    assert first.returncode == -signal.SIGKILL
    second = shop.worker(cut, **told)
    ended = await all_ended(shop, tasks)
    later = await shop.ended(await shop.submit(user="later"))
    further = deadly.deaths[1:]
    assert second.poll() is None
    assert second.pid not in further
    assert len(further) <= math.ceil(math.log2(SHARE)), further
    assert later.status is TaskStatus.SUCCEEDED
    by_task = dict(zip(tasks, ended, strict=True))
    guilty = by_task.pop(poison)
    assert (guilty.status, guilty.outcome.reason) == (TaskStatus.FAILED, OutcomeReason.INTERNAL)
    assert {each.status for each in by_task.values()} == {TaskStatus.SUCCEEDED}
    assert finished_once(await rows_of(shop))


async def child_with_tasks(shop, cut, count=4, **more):
    """A worker whose child works on what another one left; the tasks wait for the model."""
    tasks = [await shop.submit(user=f"u{number}") for number in range(count)]
    dead = shop.worker(cut)

    async def started():
        return all([(await shop.task(each)).status is TaskStatus.RUNNING for each in tasks])

    await shop.until(started)
    await asyncio.to_thread(killed, dead)
    assert await shop.store.queue.part(shop.agent, cut.hash, 0) == 2
    worker = shop.worker(cut, **more)

    async def again():
        return all([await shop.starts(each) > 1 for each in tasks])

    await shop.until(again)
    children = callers.children_of(worker.pid)
    assert children, "nothing is tried in a child"
    return worker, children, tasks


async def started_thrice(shop, tasks):
    """Wait until one of the tasks was begun by a third process."""

    async def found():
        return any([await shop.starts(each) > 2 for each in tasks])

    await shop.until(found)


async def gone(shop, pids):
    async def none_left():
        return not any(callers.parent_of(pid) for pid in pids)

    await shop.until(none_left)


async def test_a_worker_that_is_killed_takes_its_children_along(shop):
    cut = await shop.release(WAITS)
    worker, children, _ = await child_with_tasks(shop, cut)
    await asyncio.to_thread(killed, worker)
    await gone(shop, children)


async def test_what_a_killed_child_held_is_tried_again_at_once(shop, fake_model):
    cut = await shop.release(WAITS)
    worker, children, tasks = await child_with_tasks(shop, cut, PENSTOCK_CLAIM_IDLE_SECONDS="600")
    for pid in children:
        components.send(pid, signal.SIGKILL)
    await started_thrice(shop, tasks)
    assert worker.poll() is None
    await gone(shop, children)


async def test_a_worker_told_to_stop_has_its_children_hand_back_what_they_hold(shop):
    cut = await shop.release(WAITS)
    worker, children, tasks = await child_with_tasks(shop, cut)
    worker.send_signal(signal.SIGTERM)
    await asyncio.to_thread(worker.communicate, timeout=240)
    assert worker.returncode == 0
    await gone(shop, children)
    left = [await shop.task(each) for each in tasks]
    assert {each.status for each in left} == {TaskStatus.QUEUED}


async def test_a_child_that_hangs_is_killed_and_its_tasks_are_tried_again(shop, monkeypatch):
    cut = await shop.release(WAITS)
    worker, children, tasks = await child_with_tasks(shop, cut)
    stopped = children[0]
    components.send(stopped, signal.SIGSTOP)
    await gone(shop, [stopped])
    await started_thrice(shop, tasks)
    assert worker.poll() is None


async def test_what_children_count_is_shown_by_their_worker(shop):
    cut = await shop.release({"text": "done", "latencyMs": 6000})
    port = free_port()
    listening = {"PENSTOCK_LISTEN": f"127.0.0.1:{port}"}
    _, _, tasks = await child_with_tasks(shop, cut, **listening)
    await all_ended(shop, tasks)
    counted = 'outcome="Succeeded",reason="",revision="' + cut.name + '"} 4.0'

    async def shown():
        return counted in (await asyncio.to_thread(status, port, "/metrics"))[1]

    await shop.until(shown)
