"""``penstock tasks`` against a real gateway; the test is the worker."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import pytest

from penstock.task import Outcome, OutcomeReason, TaskStatus, Usage
from penstock_store import listing
from tests.integration.gateway.test_terminal import ended

UNSURE = Outcome(TaskStatus.ESCALATED, OutcomeReason.TOOL_ERROR, "look for the refund")


@pytest.fixture
def penstock(shared, agent):
    """Carries out ``penstock``: exit code, standard output, standard error."""

    async def carried_out(*arguments, token="all-agents"):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "penstock_cli", *arguments),
            env={**os.environ, "PENSTOCK_GATEWAY_URL": shared.url, "PENSTOCK_TOKEN": token},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        return await ended(process)

    return carried_out


@pytest.fixture
def named(agent):
    return (agent.key.name, "-n", agent.key.namespace)


async def test_the_id_that_a_run_without_waiting_prints_is_taken_by_get_and_cancel(
    penstock, agent, named
):
    _, said, _ = await penstock("run", *named, "x", "--wait", "0", "--user", "ana")
    task = said.strip()
    code, said, told = await penstock("tasks", "get", task)
    assert (code, told) == (0, "")
    shown = dict(line.split(":", 1) for line in said.splitlines() if line[:1] not in (" ", ""))
    assert (shown["status"].strip(), shown["user"].strip()) == ("Queued", "ana")
    assert "queued" in said.partition("events:")[2]
    code, said, _ = await penstock("tasks", "cancel", task)
    assert (code, said) == (0, f"{task} is Cancelled\n")
    code, said, _ = await penstock("tasks", "get", task, "-o", "json")
    document = json.loads(said)
    assert document["task"]["outcome"]["reason"] == "Person"
    assert [event["type"] for event in document["events"]] == ["queued", "finished"]
    code, said, _ = await penstock("tasks", "cancel", task)
    assert (code, said) == (0, f"{task} is Cancelled\n"), "once more changes nothing"


async def test_one_that_runs_ends_at_its_next_step(penstock, agent, client):
    task = (await client.post(agent.tasks, json={"input": "x"})).json()["id"]
    await agent.claim()
    _, said, _ = await penstock("tasks", "cancel", task)
    assert said == f"{task} is Running and ends at its next step\n"


async def test_all_pages_are_one_list_and_where_it_was_cut_it_says_so(
    penstock, agent, named, client
):
    ids = []
    for _ in range(listing.MOST_READ // 2 + 6):
        for token in ("all-agents", "other-tenant"):
            sent = {"Authorization": f"Bearer {token}"}
            made = await client.post(agent.tasks, json={"input": "x"}, headers=sent)
            ids += [made.json()["id"]] * (token == "all-agents")
    code, said, _ = await penstock("tasks", "list", *named, "--limit", "0", "-o", "json")
    page = json.loads(said)
    assert (code, page["continue"], page["tenant"]) == (0, "", "acme")
    assert [item["id"] for item in page["items"]] == ids[::-1]
    _, said, told = await penstock("tasks", "list", *named)
    assert len(said.splitlines()) == 1 + 50
    assert "the newest 50; there may be more: --limit 0 shows all" in told
    assert "only tasks of the tenant acme" in told
    _, said, told = await penstock("tasks", "list", *named, "--by", "status")
    assert said.splitlines()[1].split()[:3] == ["Queued", str(len(ids)), "0"]


async def test_what_is_refused_or_not_there_is_said_and_exit_code_3(penstock, agent, named):
    code, _, told = await penstock("tasks", "list", *named, "--status", "bad")
    assert (code, "it must be one of Queued" in told) == (3, True)
    code, _, told = await penstock("tasks", "get", "c2hvcC94.AAAA")
    assert (code, "There is no task" in told) == (3, True)
    code, _, told = await penstock("tasks", "list", *named, token="nobody")
    assert (code, "the gateway refused the request" in told) == (3, True)


async def test_a_task_that_takes_a_person_ends_run_with_a_code_of_its_own(
    penstock, agent, named, store
):
    running = asyncio.create_task(penstock("run", *named, "x"))
    [claim] = await agent.claim()
    await store.claims.finish(claim, UNSURE, Usage())
    code, _, told = await running
    assert code == 5
    assert "Escalated (ToolError: look for the refund)" in told
