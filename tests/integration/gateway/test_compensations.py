"""Calls are undone over HTTP and by the terminal: what would be called, who may ask, what is refused and why."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import pytest
from redis.asyncio import Redis

from penstock import protocol
from penstock.effects import Undoing
from penstock.task import Outcome, TaskStatus, Usage
from penstock_store.effects import SoughtEffects
from tests.integration.gateway.conftest import CANARY, STABLE
from tests.integration.gateway.test_escalations import agent, shared
from tests.integration.gateway.test_terminal import ended

__all__ = ["agent", "shared"]
UNDO = {"tool": "undo_refund", "arguments": {"order": "A1"}}


def effect(state, number, **more):
    return "effect", {
        "state": state, "step": number, "position": 1, "tool": "refund", "amount": "150000000",
        "shown": {"amount": "150"}, "arguments": "a" * 64, "result": "", **more,
    }  # fmt: skip


async def paid(shared, agent, *effects, user="u-1"):
    """A task that has made calls; the revision that made them serves nobody any more."""
    async with shared.client("the-shop") as client:
        await client.post(agent.tasks, json={"input": "x", "user": user})
    (claim,) = await agent.claim()
    for one in effects:
        await agent.store.claims.checkpoint(claim, b"state", Usage(), [one])
    assert await agent.store.claims.finish(claim, Outcome(TaskStatus.SUCCEEDED), Usage())
    return claim.task.id


async def rolled_back(redis, agent, spoken=protocol.SPOKEN):
    """The other revision is stable, and its workers say what they keep."""
    await agent.set_route(stable=CANARY, canary="")
    key = f"{{{agent.key}}}:rev:{CANARY}"
    async with Redis.from_url(redis.url) as raw:
        await raw.hset(key, "protocol", f"1 {spoken}")


async def asked(shared, agent, token="ann-of-finance", **body):
    async with shared.client(token) as client:
        path = agent.tasks.replace("/tasks", "/compensations")
        answer = await client.post(path, json=body)
        return answer.status_code, answer.json()


async def typed(shared, agent, *words):
    """``penstock compensate`` for the agent."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "penstock_cli", "compensate", agent.key.name, "-n", "shop", *words),
        env={**os.environ, "PENSTOCK_GATEWAY_URL": shared.url, "PENSTOCK_TOKEN": "ann-of-finance"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    return await ended(process)


def states(answer):
    status, document = answer
    assert status == 200, document
    return [one["state"] for one in document["items"]]


async def test_a_dry_run_lists_and_the_same_without_it_asks_once(redis, shared, agent):
    task = await paid(
        shared,
        agent,
        effect("Intended", 1),
        effect("Done", 1, undo=UNDO),
        effect("Intended", 2, undo=UNDO),
        effect("Intended", 3),
        effect("Done", 3),
    )
    await rolled_back(redis, agent)
    dry = await asked(shared, agent, revision=STABLE, dryRun=True)
    assert states(dry) == ["Impossible", "WouldCall", "Impossible"]
    unknown, would, undeclared = dry[1]["items"]
    assert "nobody knows whether it was made" in unknown["message"]
    assert (would["effect"], would["tool"], would["arguments"]) == (
        f"{task}.1.1",
        "undo_refund",
        {"order": "A1"},
    )
    assert "declares no compensate" in undeclared["message"]
    made = await asked(shared, agent, revision=STABLE)
    assert states(made) == ["Impossible", "Asked", "Impossible"]
    again = await asked(shared, agent, effect=f"{task}.1.1")
    assert again[1]["items"][0]["taskId"] == made[1]["items"][1]["taskId"]
    look = await agent.store.routes.look(agent.key, [CANARY])
    assert look.work[CANARY].queued == 1
    assert states(await asked(shared, agent, effect=f"{task}.2.1", wasMade=True)) == ["Asked"]


async def test_who_may_ask(redis, shared, agent):
    task = await paid(
        shared, agent, effect("Intended", 1), effect("Done", 1, undo=UNDO), user="Ann"
    )
    await rolled_back(redis, agent)
    assert (await asked(shared, agent, "the-shop", revision=STABLE))[0] == 403, "no person"
    assert states(await asked(shared, agent, "cat-elsewhere", revision=STABLE)) == []
    own = await asked(shared, agent, effect=f"{task}.1.1")
    assert states(own) == ["Impossible"]
    assert "for the person who asks" in own[1]["items"][0]["message"]
    assert states(await asked(shared, agent, "bob-of-support", effect=f"{task}.1.1")) == ["Asked"]
    for body in ({}, {"revision": "r", "effect": "x"}, {"revision": "r", "wasMade": True}):
        assert (await asked(shared, agent, **body))[0] == 400
    assert (await asked(shared, agent, effect="nonsense"))[0] == 400


async def test_what_is_in_the_way_is_said(redis, shared, agent):
    task = await paid(shared, agent, effect("Intended", 1), effect("Done", 1, undo=UNDO))
    serves = await asked(shared, agent, effect=f"{task}.1.1")
    assert "roll it back first" in serves[1]["items"][0]["message"]
    await rolled_back(redis, agent, spoken=protocol.COMPENSATES - 1)
    older = await asked(shared, agent, effect=f"{task}.1.1")
    assert "spec.template.worker.image" in older[1]["items"][0]["message"]
    await agent.set_route(stable=CANARY, canary="", suspended=True)
    off = await asked(shared, agent, effect=f"{task}.1.1")
    assert off[1]["items"][0]["message"] == "the agent is suspended"


async def test_one_that_has_ended_is_tried_again_by_its_name_alone(redis, shared, agent):
    task = await paid(shared, agent, effect("Intended", 1), effect("Done", 1, undo=UNDO))
    await rolled_back(redis, agent)
    first = (await asked(shared, agent, revision=STABLE))[1]["items"][0]["taskId"]
    async with shared.client("the-shop") as client:
        assert (await client.delete(f"/v1/tasks/{first}")).status_code == 200
        refused = await client.post(f"/v1/tasks/{first}/retry", json={"evenIfActed": True})
        assert refused.status_code == 409
    assert states(await asked(shared, agent, revision=STABLE)) == ["Ended"]
    again = await asked(shared, agent, effect=f"{task}.1.1")
    assert again[1]["items"][0] | {"taskId": first} == again[1]["items"][0]
    assert states(again) == ["Asked"]
    page = await agent.store.effects.page(agent.key, SoughtEffects())
    (known,) = await agent.store.compensations.known(agent.key, page.items)
    assert (known.state, known.attempt) == (Undoing.ASKED, 1)


async def test_the_terminal_lists_what_would_be_called(redis, shared, agent):
    task = await paid(shared, agent, effect("Intended", 1), effect("Done", 1, undo=UNDO))
    await rolled_back(redis, agent)
    code, said, told = await typed(shared, agent, "--revision", STABLE, "--dry-run")
    assert (code, told) == (0, f"penstock: {STABLE} is {agent.key.name}-{STABLE}\n")
    row = said.splitlines()[1]
    assert row.split()[:5] == ["WouldCall", "refund", f"{task}.1.1", "150", "u-1"]
    assert 'undo_refund {"order": "A1"}' in row
    assert said.splitlines()[-1] == "1 WouldCall"


@pytest.mark.parametrize("text", ["1.0", "v1.0", STABLE[:5], "{agent}-" + STABLE[:4]])
async def test_calls_are_undone_of_a_revision_that_is_named_in_full(redis, shared, agent, text):
    """A pruned one may have had the version too, and its calls are kept."""
    agent.versions = {STABLE: "1.0", CANARY: "2.0"}
    await paid(shared, agent, effect("Intended", 1), effect("Done", 1, undo=UNDO))
    await rolled_back(redis, agent)
    text, name = text.format(agent=agent.key.name), f"{agent.key.name}-{STABLE}"
    for more in ({}, {"dryRun": True, "continue": "1-1"}):
        status, problem = await asked(shared, agent, revision=text, **more)
        assert status == 400
        assert "whole name" in problem["detail"]
    dry = await asked(shared, agent, revision=text, dryRun=True)
    assert (states(dry), dry[1]["revision"]) == (["WouldCall"], name)
    code, said, told = await typed(shared, agent, "--revision", text, "--dry-run")
    assert (code, told) == (0, f"penstock: {text} is {name}\n")
    code, said, told = await typed(shared, agent, "--revision", text)
    assert (code, said) == (2, "")
    assert f"{text} is {name} now" in told
    command = f"penstock compensate {agent.key.name} -n shop --revision {name}"
    assert told.rstrip().endswith(command)
    look = await agent.store.routes.look(agent.key, [CANARY])
    assert look.work[CANARY].queued == 0
    code, said, told = await typed(shared, agent, "--revision", name)
    assert (code, said.splitlines()[-1], told) == (0, "1 Asked", "")


async def test_all_pages_are_of_the_revision_that_the_first_one_was(redis, shared, agent):
    agent.versions = {STABLE: "1.0", CANARY: "2.0"}
    for _ in range(2):
        many = [effect("Done", number, undo=UNDO) for number in range(1, 41)]
        await paid(shared, agent, *many)
    await rolled_back(redis, agent)
    code, said, told = await typed(shared, agent, "--revision", "1.0", "--dry-run", "-o", "json")
    assert (code, told) == (0, "")
    found = json.loads(said)
    assert (found["revision"], len(found["items"])) == (f"{agent.key.name}-{STABLE}", 80)


@pytest.mark.parametrize("named", ["", "{agent}-", "{agent}", "a1b2c3"])
async def test_a_name_without_a_whole_hash_is_not_all_revisions(redis, shared, agent, named):
    await paid(shared, agent, effect("Intended", 1), effect("Done", 1, undo=UNDO))
    await rolled_back(redis, agent)
    revision = named.format(agent=agent.key.name)
    status, problem = await asked(shared, agent, revision=revision)
    assert (status, "hash" in problem["detail"]) == (400, True) or not revision
    async with shared.client("ann-of-finance") as client:
        path = agent.tasks.replace("/tasks", "/effects")
        listed = await client.get(path, params={"revision": revision})
    assert listed.status_code == (400 if revision else 200)
    look = await agent.store.routes.look(agent.key, [CANARY])
    assert look.work[CANARY].queued == 0


async def test_a_revision_that_serves_is_not_undone_and_a_dry_run_says_so(redis, shared, agent):
    await paid(shared, agent, effect("Intended", 1), effect("Done", 1, undo=UNDO))
    for route in ({"canary": ""}, {"stable": CANARY, "canary": STABLE, "percent": 50}):
        await agent.set_route(**route)
        for dry in (True, False):
            said = await asked(shared, agent, revision=STABLE, dryRun=dry)
            assert states(said) == ["Impossible"]
            assert "roll it back first" in said[1]["items"][0]["message"]


async def test_the_list_of_effects_says_what_is_undone_refused_and_open(redis, shared, agent):
    task = await paid(
        shared,
        agent,
        *(effect("Intended", 1), effect("Done", 1, undo=UNDO)),
        *(effect("Intended", 2), effect("Done", 2, undo=UNDO)),
        *(effect("Intended", 3), effect("Done", 3, undo=UNDO)),
        *(effect("Intended", 4), effect("Done", 4, undo=UNDO)),
        *(effect("Intended", 5), effect("Done", 5, undo=UNDO)),
    )
    await rolled_back(redis, agent)
    cancelled = (await asked(shared, agent, effect=f"{task}.5.1"))[1]["items"][0]["taskId"]
    async with shared.client("the-shop") as client:
        assert (await client.delete(f"/v1/tasks/{cancelled}")).status_code == 200
    for number, state in ((1, "Done"), (2, "Refused"), (3, "")):
        call = f"{task}.{number}.1"
        assert states(await asked(shared, agent, effect=call)) == ["Asked"]
        if state:
            (claim,) = await agent.store.claims.take(agent.key, CANARY, "worker", 1)
            undo = {"tool": "undo_refund", "compensates": call}
            for one in (effect("Intended", 1, **undo), effect(state, 1, **undo)):
                await agent.store.claims.checkpoint(claim, b"state", Usage(), [one])
            assert await agent.store.claims.finish(claim, Outcome(TaskStatus.SUCCEEDED), Usage())
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "penstock_cli", "effects", agent.key.name, "-n", "shop"),
        env={**os.environ, "PENSTOCK_GATEWAY_URL": shared.url, "PENSTOCK_TOKEN": "the-shop"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    code, said, _ = await ended(process)
    assert code == 0
    *rows, summed, undone = said.splitlines()
    told = {row.split()[-1]: row for row in rows[1:]}
    place = rows[0].index("UNDONE")
    calls = [f"{task}.{number}.1" for number in range(1, 6)]
    said = [told[call][place:].split()[0] for call in calls]
    assert said == ["Done", "Refused", "Asked", "-", "Ended"], (
        "nobody has asked for the last but one"
    )
    assert sum(f"undoes {calls[0]}" in row for row in rows) == 1
    assert summed.startswith("6 done, 0 unknown"), summed
    assert undone == (
        "of those 5: 1 undone, 1 asked for, not called yet, 1 refused by the tool that undoes them, "
        "1 not undone, for the task that should do it has ended before, 1 open"
    )


@pytest.mark.parametrize("said", ["1.0", "v1.0", STABLE, STABLE[:5], "{agent}-" + STABLE[:4]])
async def test_a_revision_is_said_as_everywhere_else(redis, shared, agent, said):
    agent.versions = {STABLE: "1.0", CANARY: "2.0"}
    await agent.set_route()
    await paid(shared, agent, effect("Done", 1))
    await rolled_back(redis, agent)
    named = said.format(agent=agent.key.name)
    assert states(await asked(shared, agent, revision=named, dryRun=True)) == ["Impossible"]
    path = agent.tasks.replace("/tasks", "/effects")
    async with shared.client("the-shop") as client:
        (found,) = (await client.get(path, params={"revision": named})).json()["items"]
        assert found["revision"] == f"{agent.key.name}-{STABLE}"
        refused = (await client.get(path, params={"revision": "9.0"})).json()["detail"]
    _, problem = await asked(shared, agent, revision="9.0", dryRun=True)
    words = "its hash or the beginning of it, or a version that one declares (1.0, 2.0)"
    assert words in refused
    assert words in problem["detail"]
