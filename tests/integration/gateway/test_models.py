"""Models as callers and the terminal read them from a real gateway, told by a real worker whose vendor fails."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys

import httpx
import pytest
from redis.asyncio import Redis

from penstock.names import AgentKey
from penstock.task import TaskStatus
from penstock_dev.model import testing
from penstock_runtime.gateway import app, model_documents, state
from penstock_runtime.gateway.access import Access
from penstock_runtime.gateway.identities import ClusterTokens
from penstock_store import keys
from tests.integration.gateway.conftest import until
from tests.integration.gateway.test_terminal import ended
from tests.integration.runtime.shop import MODEL, Shop
from tests.unit.gateway.reviewers import Reviewer, jwt, service_account

HAIKU = "claude-haiku-5-5"
AWAY = {"text": "hello", "faultyModels": [MODEL], "errorPercent": 100, "errorStatus": 529}
FALLING_BACK = {"retries": 0, "fallbacks": [{"name": HAIKU}]}


@pytest.fixture
def vendor():
    """At an address of its own: what workers know of a breaker is of that address."""
    with testing.model_server(seed=3) as server:
        yield server


@pytest.fixture
async def shop(redis, vendor, tmp_path):
    """An agent whose worker runs in this process, on the gateway's Redis."""
    made = Shop(redis.url, vendor.url, tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def read(shop):
    """Reads an agent's models as a caller of the cluster with these verbs."""
    reviewer = Reviewer()
    cluster = ClusterTokens(reviewer, ("penstock",), 30, now=lambda: 0)
    gateway = state.Gateway(shop.store, Access(None, cluster))
    transport = httpx.ASGITransport(app.application(gateway))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:

        async def carried_out(*verbs, agent=shop.agent, query=""):
            user = service_account("-".join(("looks", *verbs)))
            headers = reviewer.knows(jwt(user.username), user, *verbs, agent=str(agent))
            path = f"/v1/namespaces/{agent.namespace}/agents/{agent.name}/models{query}"
            return await client.get(path, headers=headers)

        yield carried_out


@pytest.fixture
def show(shared, shop):
    """``penstock models`` for the agent, with a static token."""

    async def carried_out(*arguments):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "penstock_cli", "models", *arguments),
            *("-n", shop.agent.namespace),
            env={**os.environ, "PENSTOCK_GATEWAY_URL": shared.url, "PENSTOCK_TOKEN": "all-agents"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        return await ended(process)

    return carried_out


@contextlib.asynccontextmanager
async def working(shop, script, **more):
    cut = await shop.release(script, **more)
    async with shop.pool(cut, breakers=True, PENSTOCK_BREAKER_SECONDS="600"):
        yield cut


async def after(shop, tasks):
    for _ in range(tasks):
        assert (await shop.ended(await shop.submit())).status is TaskStatus.SUCCEEDED


async def told(read, *verbs):
    """The models once a worker has told them."""

    async def known():
        found = (await read(*verbs)).json()
        return found if found["models"] else None

    found = await until(known, known)
    assert model_documents.ModelList.model_validate(found), "as it is described"
    return found


def by_name(found):
    return {one["model"]: one for one in found["models"]}


async def test_what_opens_an_address_is_told_to_nobody(redis, shop, read, vendor):
    """The installation's address is in the environment of the worker, and is looked at by no schema."""
    shop.model_url = f"{vendor.url.replace('://', '://user:hunter2@')}?key=hunter2"
    cut = await shop.release({"text": "hello"})
    async with shop.pool(cut):
        found = await told(read, "list")
    assert [one["address"] for one in found["models"]] == [vendor.url]
    async with Redis.from_url(redis.url) as raw:
        stored = await raw.hgetall(keys.AgentKeys(shop.agent).revision(cut.hash))
    assert b"asks" in stored
    assert "hunter2" not in str(stored) + str(found)


async def test_a_model_that_fails_is_open_and_the_fallback_has_the_cost(shop, read, vendor, show):
    async with working(shop, AWAY, **FALLING_BACK) as cut:

        async def opened():
            await after(shop, 3)
            return by_name(await told(read, "list"))[MODEL]["breaker"]["state"] == "Open"

        await shop.until(opened)
        found = await told(read, "list")
    models = by_name(found)
    away, fallback = models[MODEL], models[HAIKU]
    assert (away["address"], away["provider"]) == (vendor.url, "Anthropic")
    assert away["breaker"]["failuresInRow"] >= 5
    assert away["breaker"]["lastFailure"] == "Overloaded 529"
    assert away["breaker"]["openUntil"] > found["asOf"]
    assert away["usedBy"] == [{"revision": cut.name, "role": "stable", "as": ["primary"]}]
    assert fallback["breaker"] | {"state": "Closed", "failuresInRow": 0} == fallback["breaker"]
    assert fallback["usedBy"][0]["as"] == ["fallback 1"]
    assert float(fallback["spend"]["todayUSD"]) > 0 == float(away["spend"]["todayUSD"])
    assert fallback["spend"]["monthUSD"] == fallback["spend"]["todayUSD"]
    assert found["unattributedTodayUSD"] == "0.000000"
    assert away["prices"][0]["source"] == "genai-prices"
    code, said, _ = await show(shop.agent.name)
    assert code == 0
    first, _, table = said.partition("\n\n")
    until = away["breaker"]["openUntil"][11:19]
    assert first.startswith(f"{MODEL} at {vendor.url} is left alone: ")
    assert f"the last: Overloaded 529. It is tried again at {until}Z" in first
    assert first.endswith(f"Affected in test: {shop.agent.name} (primary).")
    assert f"Open until {until}Z" in table.splitlines()[1]


async def test_what_is_of_all_tenants_is_told_to_who_sees_all_and_nothing_to_who_may_not_read(
    shop, read, show
):
    async with working(shop, {"text": "hello"}):
        await after(shop, 1)
        found = await told(read, "get")
    assert (found["former"], found["unattributedTodayUSD"]) == (None, None)
    assert [(one["pools"], one["spend"]) for one in found["models"]] == [(None, None)]
    refused = await read("create")
    assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (403, "agent-forbidden")  # fmt: skip
    code, said, remarks = await show(shop.agent.name, "-o", "json")
    assert (code, json.loads(said)["models"][0]["spend"]) == (0, None)
    assert "verb list" in remarks


async def test_a_tier_and_the_model_itself_are_one_where_they_are_the_same(shop, read):
    tiers = [{"name": "easy", "model": HAIKU, "maxInputChars": 4}, {"name": "long", "model": MODEL}]
    async with working(shop, {"text": "hello"}, tiers=tiers):
        await after(shop, 1)
        models = by_name(await told(read, "list"))
    assert models[MODEL]["usedBy"][0]["as"] == ["primary", "tier long"]
    assert models[HAIKU]["usedBy"][0]["as"] == ["tier easy"]


async def test_a_revision_whose_workers_tell_nothing_is_named_and_words_say_so(agent, shared, read):
    found = (await read("list", agent=agent.key)).json()
    assert found["models"] == []
    assert len(found["silent"]) == 1
    environment = {"PENSTOCK_GATEWAY_URL": shared.url, "PENSTOCK_TOKEN": "all-agents"}
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "penstock_cli",
            "models",
            agent.key.name,
            "-n",
            agent.key.namespace,
        ),
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    code, said, remarks = await ended(process)
    assert (code, said) == (0, "no model is known: no worker has said yet which it asks\n")
    assert f"{agent.key.namespace}/{found['silent'][0]}" in remarks


async def test_an_agent_that_is_not_there_is_not_found(shop, read):
    await shop.store.routes.set_index({})
    answer = await read("list", agent=AgentKey("test", "nobody"))
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (404, "agent-not-found")  # fmt: skip


async def test_a_parameter_is_refused_because_there_is_none(shop, read):
    answer = await read("list", query="?revision=v3")
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (400, "invalid-query")
