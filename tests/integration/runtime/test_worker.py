"""The worker as a process: how it starts, refuses to, is stopped, dies, and what becomes of its tasks."""

import asyncio
import collections
import json
import signal
import urllib.error
import urllib.request

import pytest

from penstock import traffic
from penstock.outcomes import RowKind
from penstock.task import OutcomeReason, TaskStatus
from penstock_store.testing import free_port
from tests.integration.runtime.shop import killed, tool

pytestmark = pytest.mark.redis


def exit_of(process, seconds=240):
    """Exit code and last line of stderr."""
    _, errors = process.communicate(timeout=seconds)
    return process.returncode, (errors.strip().splitlines() or [""])[-1]


# ------------------------------------------------------------------------------------- starting


async def test_a_worker_that_cannot_start_says_why_in_its_last_line(shop):
    cut = await shop.release({})
    document = shop.directory / f"{cut.name}.json"
    document.write_text("{}")
    code, line = await asyncio.to_thread(exit_of, shop.worker(cut))
    assert code == 1
    assert line.startswith("penstock worker: ")
    assert cut.name in line


def status(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""
    except OSError:
        return 0, ""


async def test_a_worker_is_ready_when_it_loaded_its_revision_and_redis_answers(shop):
    cut = await shop.release({"text": "x"})
    port = free_port()
    process = shop.worker(cut, PENSTOCK_LISTEN=f"127.0.0.1:{port}")

    async def ready():
        return (await asyncio.to_thread(status, port, "/readyz"))[0] == 200

    await shop.until(ready)
    ended = await shop.ended(await shop.submit())

    async def counted():
        """Its metrics, once it has counted the end: that comes after Redis has it."""
        _, metrics = await asyncio.to_thread(status, port, "/metrics")
        return metrics if 'outcome="Succeeded"' in metrics else ""

    assert f'agent="{shop.agent.name}"' in await shop.until(counted)
    process.send_signal(signal.SIGTERM)
    logged, _ = await asyncio.to_thread(process.communicate, timeout=60)
    lines = [json.loads(line) for line in logged.splitlines()]
    assert [line for line in lines if line.get("trace_id") == ended.trace_id], logged
    assert all(line["agent"] == str(shop.agent) for line in lines), logged
    assert process.returncode == 0


async def test_a_worker_without_redis_lives_but_is_not_ready(shop):
    cut = await shop.release({})
    port = free_port()
    nowhere = {
        "PENSTOCK_REDIS_URL": "redis://127.0.0.1:9/0",
        "PENSTOCK_LISTEN": f"127.0.0.1:{port}",
    }
    process = shop.worker(cut, **nowhere)

    async def healthy():
        return (await asyncio.to_thread(status, port, "/healthz"))[0] == 200

    await shop.until(healthy)
    assert (await asyncio.to_thread(status, port, "/readyz"))[0] == 503
    process.send_signal(signal.SIGTERM)
    assert (await asyncio.to_thread(exit_of, process))[0] == 0


# ------------------------------------------------------------------------------------- stopping


async def test_a_worker_runs_no_more_tasks_at_once_than_it_is_told_to(shop):
    cut = await shop.release({"latencyMs": 200, "text": "done"})
    tasks = [await shop.submit(user=f"u{number}") for number in range(6)]
    seen = []

    async def all_ended():
        work = (await shop.store.routes.look(shop.agent, [cut.hash])).work[cut.hash]
        seen.append(work.running)
        return not work.running and not work.queued

    async with shop.pool(cut, PENSTOCK_CONCURRENCY="2"):
        await shop.until(all_ended)
    assert max(seen) == 2, seen
    assert {(await shop.task(each)).status for each in tasks} == {TaskStatus.SUCCEEDED}


async def test_a_worker_told_to_stop_finishes_what_it_can(shop):
    cut = await shop.release({"latencyMs": 700, "text": "done"})
    process = shop.worker(cut, PENSTOCK_DRAIN_SECONDS="10")
    identifier = await shop.submit()
    await shop.event(identifier, "started")
    process.send_signal(signal.SIGTERM)
    ended = await shop.ended(identifier)
    assert ended.status == TaskStatus.SUCCEEDED
    assert await shop.starts(identifier) == 1
    assert (await asyncio.to_thread(exit_of, process))[0] == 0


async def test_a_worker_told_to_stop_hands_back_what_it_cannot_finish(shop):
    cut = await shop.release({"latencyMs": 60_000})
    process = shop.worker(cut, PENSTOCK_DRAIN_SECONDS="0.2")
    identifier = await shop.submit()
    await shop.event(identifier, "started")
    process.send_signal(signal.SIGTERM)
    assert (await asyncio.to_thread(exit_of, process))[0] == 0
    left = await shop.task(identifier)
    assert left.status == TaskStatus.QUEUED
    assert left.deliveries == 0


# ---------------------------------------------------------------------------------------- dying


@pytest.mark.parametrize(
    ("effect", "calls", "status"),
    [("Idempotent", 2, TaskStatus.SUCCEEDED), ("Irreversible", 1, TaskStatus.ESCALATED)],
)
async def test_a_worker_killed_in_a_tool_call_repeats_only_what_may_be_repeated(
    shop, tool_server, fake_model, effect, calls, status
):
    script = {"toolCalls": [{"name": "act", "input": {"order": "A1"}}], "text": "done"}
    act = tool("act", tool_server.url + "/slow/90", effect, timeoutSeconds=100)
    cut = await shop.release(script, tools=[act])
    first = shop.worker(cut)
    identifier = await shop.submit()
    await asyncio.to_thread(tool_server.wait_for_calls, 1)
    await asyncio.to_thread(killed, first)
    tool_server.gate.set()
    async with shop.pool(cut):
        ended = await shop.ended(identifier)
    assert ended.status == status, ended.outcome
    assert len(tool_server.calls) == calls
    keys = {call["headers"]["idempotency-key"] for call in tool_server.calls}
    assert len(keys) == 1
    if status == TaskStatus.ESCALATED:
        assert ended.outcome.reason == OutcomeReason.TOOL_ERROR
    # The model's first reply was kept: it is asked once for the tool and once for the answer.
    assert len(fake_model.journal()["requests"]) == ended.usage.model_calls


async def test_a_stored_result_is_not_fetched_again_after_a_crash(shop, tool_server):
    script = {
        "toolCalls": [{"name": "first", "input": {}}, {"name": "second", "input": {}}],
        "text": "done",
    }
    tools = [
        tool("first", tool_server.url + "/ok/first", "Irreversible"),
        tool("second", tool_server.url + "/slow/90", timeoutSeconds=100),
    ]
    cut = await shop.release(script, tools=tools)
    identifier = await shop.submit()
    async with shop.pool(cut) as running:
        await asyncio.to_thread(tool_server.wait_for_calls, 2)
        running.cancel()
    tool_server.gate.set()
    async with shop.pool(cut):
        ended = await shop.ended(identifier)
    assert ended.status == TaskStatus.SUCCEEDED, ended.outcome
    called = collections.Counter(call["path"] for call in tool_server.calls)
    assert called == {"/ok/first": 1, "/slow/90": 2}


async def test_every_accepted_task_ends_once_though_workers_are_killed_under_load(shop):
    cut = await shop.release({"latencyMs": 600, "text": "done"})
    doomed = [shop.worker(cut, PENSTOCK_CONCURRENCY="16") for _ in range(2)]
    tasks = [await shop.submit(user=f"u{number}") for number in range(240)]

    async def some_done():
        rows = await shop.store.outcomes.rows(shop.agent)
        return sum(row.kind == RowKind.FINISHED for row in rows) > 20

    await shop.until(some_done)
    for process in doomed:
        await asyncio.to_thread(killed, process)
    waiting = [each for each in tasks if not (await shop.task(each)).status.ended]
    assert waiting, "the workers were killed too late to lose anything"
    async with shop.pool(cut, PENSTOCK_CONCURRENCY="128"):
        ended = [await shop.ended(each) for each in tasks]
    assert {each.status for each in ended} == {TaskStatus.SUCCEEDED}
    rows = await shop.store.outcomes.rows(shop.agent)
    finished = collections.Counter(row.task for row in rows if row.kind == RowKind.FINISHED)
    assert set(finished.values()) == {1}
    assert len(finished) == len(tasks)


# ----------------------------------------------------------------------------- changing hands


async def test_a_rejected_revision_hands_its_running_task_to_stable_without_its_thinking(
    shop, fake_model
):
    good = await shop.release({"text": "from stable"})
    bad = await shop.release({"latencyMs": 60_000})
    identifier = await shop.submit()
    async with shop.pool(bad), shop.pool(good):
        await shop.event(identifier, "started")
        await shop.route(good, **{f"h{bad.hash}": traffic.Standing.REJECTED})
        ended = await shop.ended(identifier)
    assert ended.outcome.output == "from stable"
    assert ended.revision == good.hash


async def test_a_suspended_agent_halts_and_goes_on_later(shop):
    cut = await shop.release({"latencyMs": 3000, "text": "done"})
    identifier = await shop.submit()
    async with shop.pool(cut):
        await shop.event(identifier, "started")
        await shop.route(cut, suspended=True)

        async def halted():
            return (await shop.task(identifier)).status == TaskStatus.HALTED

        await shop.until(halted)
        await shop.route(cut)
        assert (await shop.ended(identifier)).status == TaskStatus.SUCCEEDED
