"""`revision` of a submission, and `penstock run --revision`, against a real gateway; the test is the worker."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from tests.integration.gateway.conftest import CANARY, STABLE
from tests.integration.gateway.test_escalations import park
from tests.integration.gateway.test_refusals import slug_of
from tests.integration.gateway.test_terminal import ended

ANN = {"Authorization": "Bearer ann-previews"}


@pytest.fixture
async def agent(agent):
    """Its canary has no share, and both revisions have a worker."""
    agent.versions = {STABLE: "1.0", CANARY: "2.0"}
    await agent.set_route(canary=CANARY, percent=0)
    for revision in (STABLE, CANARY):
        await agent.store.claims.take(agent.key, revision, f"w-{revision}", 1)
        await agent.store.claims.heartbeat([], f"w-{revision}")
    return agent


def preview(client, agent, revision=CANARY, headers=ANN, **fields):
    body = {"input": "x", "revision": revision, **fields}
    return client.post(agent.tasks, json=body, headers=headers)


async def claimed(agent, revision=CANARY):
    (claim,) = await agent.store.claims.take(agent.key, revision, "worker", 1)
    return claim


@pytest.mark.parametrize("named", [CANARY, f"support-{CANARY}", "2.0"])
async def test_who_may_chooses_by_name_hash_or_version(agent, client, named):
    name = named.replace("support", agent.key.name)
    told = await preview(client, agent, name)
    assert told.status_code == 202
    task = told.json()
    assert (task["revision"], task["preview"]) == (f"{agent.key.name}-{CANARY}", True)
    await agent.finish(await claimed(agent))
    again = (await client.get(f"/v1/tasks/{task['id']}", headers=ANN)).json()
    assert (again["status"], again["preview"]) == ("Succeeded", True)
    ordinary = (await client.post(agent.tasks, json={"input": "x"})).json()
    assert "preview" not in ordinary
    listed = (await client.get(agent.tasks, headers=ANN)).json()["items"]
    assert [one.get("preview") for one in listed] == [None, True]
    (row,) = await agent.store.outcomes.rows(agent.key)
    assert row.revision == STABLE


async def test_who_may_not_is_told_what_it_takes(agent, client):
    refused = await preview(client, agent, headers=None)
    assert slug_of(refused) == (403, "agent-forbidden")
    assert "preview: true" in refused.json()["detail"]
    assert (await agent.store.routes.look(agent.key, [CANARY])).work[CANARY].queued == 0


async def test_a_revision_that_nobody_knows_is_a_wrong_body(agent, client):
    refused = await preview(client, agent, "3.0")
    assert slug_of(refused) == (400, "invalid-body")
    assert "1.0, 2.0" in refused.json()["detail"]


async def test_sessions_and_revisions_without_workers_are_conflicts(agent, client):
    await client.post(agent.tasks, json={"input": "x", "session": "s"})
    assert slug_of(await preview(client, agent, session="s")) == (
        409,
        "session-of-another-revision",
    )
    told = await preview(client, agent, "0badcafe")
    assert slug_of(told) == (409, "preview-unavailable")
    assert f"Revision {agent.key.name}-0badcafe has no workers any more" in told.json()["detail"]


async def test_one_that_is_tried_again_is_a_preview_again(agent, client):
    task = (await preview(client, agent)).json()["id"]
    await agent.finish(await claimed(agent))
    again = await client.post(f"/v1/tasks/{task}/retry", json={}, headers=ANN)
    assert again.json()["preview"] is True
    assert again.json()["revision"].endswith(CANARY)
    assert slug_of(await client.post(f"/v1/tasks/{task}/retry", json={})) == (
        403,
        "agent-forbidden",
    )


async def test_a_resend_gets_its_task_whatever_the_version_means_by_now(agent, client):
    first = (await preview(client, agent, "2.0", idempotencyKey="k")).json()["id"]
    for versions in (
        {STABLE: "2.0", CANARY: "2.0"},
        {STABLE: "2.0", CANARY: "3.0"},
        {STABLE: "1.0"},
    ):
        agent.versions = versions
        await agent.set_route(canary=CANARY, percent=0)
        again = await preview(client, agent, "2.0", idempotencyKey="k")
        assert (again.status_code, again.json().get("id")) == (202, first), versions
    assert slug_of(await preview(client, agent, "2.0", idempotencyKey="k", input="y")) == (
        409,
        "idempotency-key-reused",
    )
    for more in ({}, {"idempotencyKey": "another"}):
        assert slug_of(await preview(client, agent, "2.0", **more)) == (400, "invalid-body")
    refused = await preview(client, agent, "2.0", idempotencyKey="k", headers=None)
    assert slug_of(refused) == (403, "agent-forbidden")


async def test_a_session_for_several_users_is_begun_by_no_preview(agent, client):
    refused = await preview(client, agent, session="s", sharedSession=True)
    assert slug_of(refused) == (400, "invalid-body")
    assert "sharedSession does not go with revision" in refused.json()["detail"]


async def penstock(agent, shared, *words):
    """The terminal of who may preview."""
    where = ("-n", agent.key.namespace, "--gateway", shared.url, "--token", "ann-previews")
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "penstock_cli", *words, *where),
        env={k: v for k, v in os.environ.items() if k[:9] != "PENSTOCK_"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_the_terminal_says_which_of_the_tasks_are_previews(agent, client, shared):
    chosen = (await preview(client, agent)).json()["id"]
    await agent.finish(await claimed(agent))
    ordinary = (await client.post(agent.tasks, json={"input": "x"}, headers=ANN)).json()["id"]
    _, said, _ = await ended(await penstock(agent, shared, "tasks", "list", agent.key.name))
    head, *rows = [line.split() for line in said.splitlines()]
    marks = {row[0]: row[head.index("PREVIEW")] for row in rows}
    assert marks == {chosen: "yes", ordinary: "-"}
    _, said, _ = await ended(await penstock(agent, shared, "tasks", "get", chosen))
    assert f"{agent.key.name}-{CANARY}, a preview" in said
    _, said, _ = await ended(await penstock(agent, shared, "tasks", "retry", chosen))
    assert said.endswith(f"in place of {chosen}, a preview on {agent.key.name}-{CANARY}\n")


async def test_who_decides_on_a_call_sees_that_a_preview_wants_it(agent, client, shared):
    await preview(client, agent)
    await park(agent, await claimed(agent))
    await client.post(agent.tasks, json={"input": "x"})
    await park(agent, await claimed(agent, STABLE))
    path = {"namespace": agent.key.namespace, "agent": agent.key.name}
    items = (await client.get("/v1/escalations", params=path, headers=ANN)).json()["items"]
    marks = {item["revision"]: item.get("preview") for item in items}
    assert marks == {f"{agent.key.name}-{CANARY}": True, f"{agent.key.name}-{STABLE}": None}
    [chosen] = [item["id"] for item in items if "preview" in item]
    _, said, _ = await ended(await penstock(agent, shared, "escalations", "list", agent.key.name))
    head, *rows = [line.split() for line in said.splitlines()]
    assert head.index("PREVIEW") == head.index("AGENT") + 1
    assert {row[0] for row in rows if "yes" in row} == {chosen}
    _, said, _ = await ended(await penstock(agent, shared, "escalations", "show", chosen))
    assert f"{agent.key.name}-{CANARY}, a preview, whose calls are really made" in said


@pytest.mark.parametrize("session", ["", "s-1"])
async def test_the_terminal_chooses_and_says_who_answers_and_goes_on(agent, shared, session):
    chosen = ("--revision", "2.0", *(("--session", session) if session else ()))
    process = await penstock(agent, shared, "run", agent.key.name, "x", *chosen)
    async with asyncio.timeout(60):
        while not (claims := await agent.store.claims.take(agent.key, CANARY, "worker", 1)):
            await agent.store.queue.wait_for_work(agent.key, CANARY, 0.2)
    await agent.finish(claims[0], "Here is the new one.")
    code, said, told = await ended(process)
    assert (code, said) == (0, "Here is the new one.\n")
    assert f"{agent.key.name}-{CANARY}, a preview" in told
    goes_on = (
        f"penstock: session s-1 is on {agent.key.name}-{CANARY}: what follows in it goes there"
    )
    assert (goes_on in told) == bool(session)
