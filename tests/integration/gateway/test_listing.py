"""The list of an agent's tasks at a gateway on a real Redis, which reviews tokens of a real API server."""

from __future__ import annotations

import json
import uuid

import pytest
from redis.asyncio import Redis

from penstock.names import AgentKey
from penstock.task import Outcome, OutcomeReason, TaskStatus, Usage
from penstock_store import users
from penstock_store.keys import AgentKeys
from tests.integration.gateway.conftest import CANARY, STABLE, Agent
from tests.integration.gateway.rights import rights, until_may

FAILED = Outcome(TaskStatus.FAILED, OutcomeReason.MODEL_ERROR, "400 no such model")


async def submit(client, agent, **fields):
    return (await client.post(agent.tasks, json={"input": "x", **fields})).json()["id"]


async def fail(agent):
    [claim] = await agent.claim()
    assert await agent.store.claims.finish(claim, FAILED, Usage(1, 0, 10, 5, 250, 40))


async def listed(client, agent, **query):
    """Every item, page by page."""
    items, more = [], {}
    while True:
        answer = await client.get(agent.tasks, params=query | more)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        items += page["items"]
        if not page["continue"]:
            return items
        more = {"continue": page["continue"]}


async def test_what_failed_is_found_by_revision_end_user_and_time_while_tasks_go_on(client, agent):
    failed = []
    for number in range(5):
        failed.append(await submit(client, agent, user=f"u{number % 2}"))
        await fail(agent)
        await submit(client, agent, user="u0")
        await agent.finish((await agent.claim())[0])
    found = await listed(client, agent, status="Failed", revision=STABLE, limit=2)
    assert [item["id"] for item in found] == failed[::-1]
    assert found[0]["outcome"] == {"reason": "ModelError", "message": "400 no such model"}
    assert found[0]["revision"] == f"{agent.key.name}-{STABLE}"
    assert (found[0]["usage"]["modelCalls"], found[0]["finishedAt"] is not None) == (1, True)
    one = await listed(client, agent, reason="ModelError", user="u1", since="3600")
    assert [item["id"] for item in one] == [failed[3], failed[1]]
    assert await listed(client, agent, since="2999-01-01T00:00:00Z") == []
    assert await listed(client, agent, status="Escalated,Expired") == []

    first = (await client.get(agent.tasks, params={"limit": 3})).json()
    newer = await submit(client, agent)
    rest = await listed(client, agent, **{"continue": first["continue"]})
    ids = [item["id"] for item in first["items"] + rest]
    assert len(ids) == len(set(ids)) == 10
    assert newer not in ids


async def test_tasks_are_found_by_the_version_that_one_revision_declares(client, agent):
    agent.versions = {STABLE: "v3", CANARY: "v4"}
    await agent.set_route(canary=CANARY)
    theirs = await submit(client, agent)
    assert [item["id"] for item in await listed(client, agent, revision="v3")] == [theirs]
    assert await listed(client, agent, revision="v4") == []
    refused = await client.get(agent.tasks, params={"revision": "v5"})
    assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (
        400,
        "invalid-query",
    )
    assert "(v3, v4)" in refused.json()["detail"]

    agent.versions = {STABLE: "v3", CANARY: "v3"}
    await agent.set_route(canary=CANARY)
    refused = await client.get(agent.tasks, params={"revision": "v3"})
    assert refused.status_code == 400
    for name in (STABLE, CANARY):
        assert f"{agent.key.name}-{name}" in refused.json()["detail"]
    assert [item["id"] for item in await listed(client, agent, revision=STABLE)] == [theirs]


@pytest.mark.parametrize("left", [None, "text of another hand"])
async def test_beside_an_operator_that_writes_no_versions_names_and_hashes_work(
    client, agent, redis, left
):
    raw = Redis.from_url(redis.url, protocol=2)
    await raw.delete(AgentKeys(agent.key).versions)
    if left:
        await raw.set(AgentKeys(agent.key).versions, left)
    await raw.aclose()
    theirs = await submit(client, agent)
    refused = await client.get(agent.tasks, params={"revision": "v3"})
    assert refused.status_code == 400
    assert "declared versions are not known here" in refused.json()["detail"]
    for said in (STABLE, f"{agent.key.name}-{STABLE}"):
        assert [item["id"] for item in await listed(client, agent, revision=said)] == [theirs]


async def test_under_the_rights_of_the_version_before_the_answer_is_a_problem_in_words(
    start, redis, agent
):
    raw = Redis.from_url(redis.url, protocol=2)
    former = [rule for rule in users.gateway_rules() if rule != "+lrange"]
    name = f"gateway-{uuid.uuid4().hex[:6]}"
    await raw.execute_command(
        "ACL", "SETUSER", name, "reset", "resetchannels", "on", ">secret", *former
    )
    await raw.aclose()
    running = start(PENSTOCK_REDIS_URL=users.with_user(redis.url, name, "secret"))
    async with running.client() as client:
        task = await submit(client, agent)
        refused = await client.get(agent.tasks)
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        assert refused.json()["type"].endswith("/store-unavailable")
        assert "the rights of another version" in refused.json()["detail"]
        assert (await client.get(f"/v1/tasks/{task}")).status_code == 200


@pytest.mark.cluster
async def test_the_roles_verb_list_shows_the_namespace_and_a_caller_without_it_his_tenant(
    start, reviewing, cluster, kubectl, namespace, store, environment, tmp_path
):
    agent = Agent(store, AgentKey(namespace, "support"))
    await agent.set_route()
    headers = {}
    for account, verbs in (("asks", ["create", "get"]), ("looks", ["list"])):
        kubectl("create", "serviceaccount", account)
        rule = {"apiGroups": ["penstock.dev"], "resources": ["agents/tasks"], "verbs": verbs}
        cluster.apply(*rights(namespace, account, [rule]))
        until_may(cluster, namespace, account, verbs[-1])
        token = kubectl("create", "token", account, "--audience=penstock").strip()
        headers[account] = {"Authorization": f"Bearer {token}"}
    running = start(**reviewing)
    async with running.client() as client:
        static = await submit(client, agent, user="ana")
        sent = {"content": json.dumps({"input": "x", "user": "bob"}), "headers": headers["asks"]}
        sent["headers"] = sent["headers"] | {"Content-Type": "application/json"}
        own = (await client.post(agent.tasks, **sent)).json()["id"]

        async def seen(account):
            page = (await client.get(agent.tasks, headers=headers[account])).json()
            return page["tenant"], [(item["id"], item.get("tenant")) for item in page["items"]]

        tenant = f"kubernetes:namespace:{namespace}"
        assert await seen("asks") == (tenant, [(own, None)])
        assert await seen("looks") == ("", [(own, tenant), (static, "acme")])
        assert (await client.get(f"/v1/tasks/{own}", headers=headers["looks"])).status_code == 403
