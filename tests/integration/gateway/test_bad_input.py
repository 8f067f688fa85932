"""Bad input of every kind gets a clear problem from a real gateway on a real Redis, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from penstock_runtime.gateway import bodies
from tests.integration.gateway import sockets

GOOD = json.dumps({"input": "Where is my order?"}).encode()
DEEP = b'{"input": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"

CASES = {
    "an empty body": (b"", {}, 400, "invalid-body", "empty"),
    "an empty input": (b'{"input": ""}', {}, 400, "invalid-body", "blank"),
    "a blank input": (b'{"input": " \\u2003\\n"}', {}, 400, "invalid-body", "blank"),
    "50,000 characters": (
        json.dumps({"input": "ü" * 50_000}).encode(),
        {},
        400,
        "input-too-long",
        "The input has 50,000 characters: input has more than 20000",
    ),
    "invalid UTF-8": (b'{"input": "\xc3\x28"}', {}, 400, "invalid-body", "not UTF-8"),
    "a lone surrogate": (b'{"input": "\\udc00"}', {}, 400, "invalid-body", "not JSON"),
    "a control character": (b'{"input": "a\\u0007"}', {}, 400, "invalid-body", "U+0007"),
    "deep JSON": (DEEP, {}, 400, "invalid-body", "32 levels"),
    "no JSON": (b"input=x", {}, 400, "invalid-body", "not JSON"),
    "a wrong type": (b'{"input": ["x"]}', {}, 400, "invalid-body", "input: must be"),
    "an unknown field": (b'{"input": "x", "foo": 1}', {}, 400, "invalid-body", "foo is not known"),
    "a form": (
        GOOD,
        {"Content-Type": "application/x-www-form-urlencoded"},
        415,
        "unsupported-media-type",
        "application/json",
    ),
    "more than 1 MiB": (
        b'{"input": "' + b"x" * bodies.MAX_BODY_BYTES + b'"}',
        {},
        413,
        "body-too-large",
        "1,048,576",
    ),
    "no token": (GOOD, {"Authorization": ""}, 401, "unauthorized", "Bearer"),
    "a wrong token": (GOOD, {"Authorization": "Bearer wrong"}, 401, "unauthorized", "not known"),
    "another agent's token": (
        GOOD,
        {"Authorization": "Bearer one-agent"},
        403,
        "agent-forbidden",
        "'one'",
    ),
}


@pytest.mark.parametrize(
    ("body", "headers", "status", "slug", "says"), CASES.values(), ids=list(CASES)
)
async def test_bad_input_is_a_problem_and_no_task(
    body, headers, status, slug, says, client, agent, store
):
    sent = {"Content-Type": "application/json", **headers}
    response = await client.post(agent.tasks, content=body, headers=sent)
    problem = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, problem["type"]) == (
        status,
        f"https://penstock.dev/problems/{slug}",
    )
    assert says in problem["detail"], problem
    assert (await store.routes.look(agent.key, ["aaaa0000"])).work["aaaa0000"].tasks == 0


async def test_a_good_body_is_accepted_by_the_same_gateway(client, agent, store):
    headers = {"Content-Type": "application/json"}
    assert (await client.post(agent.tasks, content=GOOD, headers=headers)).status_code == 202
    assert (await store.routes.look(agent.key, ["aaaa0000"])).work["aaaa0000"].tasks == 1


async def test_a_caller_who_sends_far_too_much_reads_the_reason_not_a_broken_connection(
    client, agent
):
    headers = {"Content-Type": "application/json"}
    response = await client.post(agent.tasks, content=b"x" * (16 << 20), headers=headers)
    assert response.status_code == 413
    assert response.headers["connection"] == "close"


async def test_an_endless_body_is_answered_while_it_is_sent(shared, client, agent):
    head = sockets.post(agent.tasks, {}).partition(b"Content-Length")[0]
    request = head + b"Transfer-Encoding: chunked\r\n\r\n"
    reader, writer = await sockets.send(shared.url, request)

    async def flood():
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
                await writer.drain()

    flooding = asyncio.create_task(flood())
    async with asyncio.timeout(30):
        status, problem = await sockets.answer(reader)
    flooding.cancel()
    await asyncio.wait([flooding])
    await sockets.hang_up(writer)
    assert (status, problem["title"]) == (413, "The body is too large")
    assert (await client.get("/healthz")).status_code == 200


async def test_an_unknown_agent_is_absent_only_when_the_index_says_so(client, store):
    path = "/v1/namespaces/nowhere/agents/nobody/tasks"
    unsure = await client.post(path, json={"input": "x"})
    assert (unsure.status_code, unsure.json()["type"].rpartition("/")[2]) == (503, "no-route")
    assert int(unsure.headers["retry-after"]) > 0
    await store.routes.set_index({})
    sure = await client.post(path, json={"input": "x"})
    assert (sure.status_code, sure.json()["type"].rpartition("/")[2]) == (404, "agent-not-found")
    named = await client.post("/v1/namespaces/a}b/agents/x/tasks", json={"input": "x"})
    assert (named.status_code, named.json()["type"].rpartition("/")[2]) == (404, "agent-not-found")


async def test_a_suspended_agent_takes_nothing_and_says_when_to_try_again(client, agent):
    await agent.set_route(suspended=True)
    response = await client.post(agent.tasks, json={"input": "x"})
    assert (response.status_code, response.json()["title"]) == (503, "The agent is suspended")
    assert int(response.headers["retry-after"]) > 0


async def test_an_idempotency_key_with_another_body_is_refused(client, agent):
    first = await client.post(agent.tasks, json={"input": "x", "idempotencyKey": "k"})
    same = await client.post(agent.tasks, json={"input": "x", "idempotencyKey": "k", "wait": 0.01})
    assert (same.status_code, same.json()["id"]) == (202, first.json()["id"])
    other = await client.post(agent.tasks, json={"input": "y", "idempotencyKey": "k"})
    assert other.status_code == 409
    assert other.json()["type"].endswith("/idempotency-key-reused")


async def test_another_tenants_task_and_key_are_unknown(client, shared, agent):
    mine = (await client.post(agent.tasks, json={"input": "x", "idempotencyKey": "k"})).json()
    async with shared.client("other-tenant") as other:
        for method in ("GET", "DELETE"):
            answer = await other.request(method, f"/v1/tasks/{mine['id']}")
            assert answer.status_code == 404
        theirs = await other.post(agent.tasks, json={"input": "y", "idempotencyKey": "k"})
        assert theirs.status_code == 202
    assert (await client.get(f"/v1/tasks/{mine['id']}")).json()["status"] == "Queued"
