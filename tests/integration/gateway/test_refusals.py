"""What a real Redis refuses or lacks is a problem in words; streams and sessions as callers meet them."""

from __future__ import annotations

import asyncio
import json
import re

import httpx
import pytest
from redis.asyncio import Redis

from penstock_runtime.gateway import streams
from tests.integration.gateway.conftest import until
from tests.integration.gateway.test_serving import events_of

STREAM = {"Accept": "text/event-stream"}


def slug_of(response):
    return response.status_code, response.json()["type"].rpartition("/")[2]


@pytest.fixture
async def raw(redis):
    async with Redis.from_url(redis.url) as raw:
        yield raw


async def test_a_redis_without_memory_says_so_and_takes_tasks_again_when_it_has_some(
    shared, client, agent, raw
):
    used = int((await raw.info("memory"))["used_memory"])
    await raw.config_set("maxmemory", str(used // 2))
    try:
        refused = await client.post(agent.tasks, json={"input": "x" * 10_000})
        assert slug_of(refused) == (503, "store-full")
        assert int(refused.headers["retry-after"]) > 0
        assert "the store does not serve" in shared.log.read_text()
    finally:
        await raw.config_set("maxmemory", "0")
    assert (await client.post(agent.tasks, json={"input": "x"})).status_code == 202


@pytest.mark.parametrize("stream", [{}, STREAM], ids=["list", "stream"])
async def test_a_task_that_somebody_overwrote_is_a_problem_and_others_go_on(
    stream, client, agent, raw
):
    bad = (await client.post(agent.tasks, json={"input": "x"})).json()["id"]
    good = (await client.post(agent.tasks, json={"input": "x"})).json()["id"]
    key = f"{{{agent.key}}}:task:{bad}"
    await raw.delete(key)
    await raw.rpush(key, "not a task")
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/events")):
        answer = await client.request(method, f"/v1/tasks/{bad}{path}", headers=stream)
        assert slug_of(answer) == (500, "store-refused"), (method, path)
        assert "WRONGTYPE" not in answer.text
    assert (await client.get(f"/v1/tasks/{good}")).status_code == 200


async def test_a_session_is_its_users_and_a_shared_one_everybodys(client, agent):
    async def post(user, session, **more):
        body = {"input": "x", "user": user, "session": session, **more}
        return await client.post(agent.tasks, json=body)

    assert (await post("ana", "s1")).status_code == 202
    for other in ("bob", ""):
        assert slug_of(await post(other, "s1")) == (409, "session-of-another-user")
    assert (await post("ana", "s1")).status_code == 202
    assert (await post("ana", "s2", sharedSession=True)).status_code == 202
    assert (await post("bob", "s2")).status_code == 202


async def test_one_key_in_header_and_field_is_one_task(client, agent, store):
    posts = [
        client.post(agent.tasks, json={"input": "x"}, headers={"Idempotency-Key": "k"}),
        client.post(agent.tasks, json={"input": "x", "idempotencyKey": "k"}),
    ]
    answers = await asyncio.gather(*(post for post in posts))
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert (await store.routes.look(agent.key, ["aaaa0000"])).work["aaaa0000"].tasks == 1


@pytest.mark.parametrize("after", ["99999999999999-0", "18446744073709551615-0"])
async def test_a_stream_resumed_later_than_the_end_ends_with_its_task(after, client, agent):
    place = (await client.post(agent.tasks, json={"input": "x"})).headers["location"]
    [claim] = await agent.claim()
    headers = {**STREAM, "Last-Event-ID": after}
    async with client.stream("GET", f"{place}/events", headers=headers) as response:
        await agent.finish(claim)
        async with asyncio.timeout(streams.PING_SECONDS * 2):
            assert [event["type"] async for event in events_of(response)] == ["finished"]
    assert (await client.get(f"{place}/events", headers=headers)).status_code == 204


async def test_a_task_that_is_kept_no_longer_is_told_from_one_that_never_was(start, agent):
    gateway = start(PENSTOCK_ENDED_TASK_SECONDS="1")
    async with gateway.client() as client:
        place = (await client.post(agent.tasks, json={"input": "x"})).headers["location"]
        assert (await client.delete(place)).json()["status"] == "Cancelled"

        async def is_gone():
            return slug_of(answer) if (answer := await client.get(place)).is_error else None

        assert await until(is_gone, lambda: client.get(place)) == (404, "task-expired")
        other = place[:-4] + ("AAAA" if place[-4:] != "AAAA" else "BBBB")
        assert slug_of(await client.get(other.replace(".", ".AAAA")[:-4])) == (
            404,
            "task-not-found",
        )


async def test_measures_have_a_listener_of_their_own_where_one_is_named(start):
    gateway = start(PENSTOCK_METRICS_LISTEN="127.0.0.1:0")
    said = [json.loads(line) for line in gateway.log.read_text().splitlines()]
    [place] = [line["address"] for line in said if line["event"] == "measures are shown"]
    async with gateway.client() as client, httpx.AsyncClient(base_url=f"http://{place}") as inside:
        assert (await client.get("/metrics")).status_code == 404
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/openapi.json")).status_code == 200
        for path in ("/metrics", "/healthz", "/readyz"):
            assert (await inside.get(path)).status_code == 200
        assert re.search(
            r"^penstock_gateway_connections ", (await inside.get("/metrics")).text, re.MULTILINE
        )
        assert (await inside.get("/v1/tasks/x")).status_code == 404
