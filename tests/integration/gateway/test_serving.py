"""Tasks through a real gateway: waiting, streams, disconnects, several gateways, an absent Redis."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
from functools import partial
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from tests.integration.gateway import sockets
from tests.integration.gateway.conftest import CANARY, STABLE, launch, until

STREAM = {"Accept": "text/event-stream"}
WAITING_CALLERS = 2000
FEW_CONNECTIONS = 100


async def events_of(response):
    """The documents of a stream's events, as they arrive."""
    async for line in response.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


async def metric(client, name):
    lines = (await client.get("/metrics")).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


async def test_a_caller_who_waits_gets_the_result(client, agent):
    waiting = asyncio.create_task(client.post(agent.tasks, json={"input": "x", "wait": 30}))
    [claim] = await agent.claim()
    await agent.finish(claim, "Tomorrow.")
    response = await waiting
    task = response.json()
    assert (response.status_code, task["status"], task["output"]) == (200, "Succeeded", "Tomorrow.")
    assert task["usage"]["costUSD"] == "0.000250"
    assert task["revision"] == f"{agent.key.name}-{STABLE}"


async def test_a_stream_tells_a_task_to_its_end(client, agent):
    request = client.stream("POST", agent.tasks, json={"input": "x"}, headers=STREAM)
    async with request as response, asyncio.timeout(30):
        stream = events_of(response)
        assert (await anext(stream))["type"] == "queued"
        [claim] = await agent.claim()
        assert (await anext(stream))["type"] == "started"
        await agent.finish(claim, "Tomorrow.")
        last = await anext(stream)
        assert (last["type"], last["data"]["output"]) == ("finished", "Tomorrow.")
        assert [event async for event in stream] == []


async def test_a_broken_stream_is_resumed_after_the_last_event_that_was_seen(client, agent):
    request = client.stream("POST", agent.tasks, json={"input": "x"}, headers=STREAM)
    async with request as response:
        seen = await anext(events_of(response))
        place = response.headers["location"]
    [claim] = await agent.claim()
    await agent.finish(claim)
    again = client.stream("GET", f"{place}/events", headers={**STREAM, "Last-Event-ID": seen["id"]})
    async with again as response, asyncio.timeout(30):
        assert [event["type"] async for event in events_of(response)] == ["started", "finished"]


async def test_a_running_task_is_cancelled_at_its_next_step(client, agent, store):
    place = (await client.post(agent.tasks, json={"input": "x"})).headers["location"]
    [claim] = await agent.claim()
    assert (await client.delete(place)).json()["status"] == "Running"
    assert await store.claims.heartbeat([claim], "worker") == {claim.id: "Cancel"}


async def test_callers_who_hang_up_leave_one_task_each_and_nothing_waiting(
    shared, client, agent, store
):
    request = sockets.post(agent.tasks, {"input": "x", "wait": 300})
    connections = [await sockets.send(shared.url, request) for _ in range(20)]
    before = "penstock_gateway_waiting"
    await until(lambda: _is(client, before, 20), lambda: metric(client, before))
    await sockets.hang_up(*(writer for _, writer in connections))
    await until(lambda: _is(client, before, 0), lambda: metric(client, before))
    assert (await store.routes.look(agent.key, [STABLE])).work[STABLE].tasks == 20


async def test_a_caller_who_hangs_up_at_once_is_admitted_once_or_not_at_all(
    shared, client, agent, store
):
    request = sockets.post(agent.tasks, {"input": "x"})
    for _ in range(30):
        _, writer = await sockets.send(shared.url, request)
        await sockets.hang_up(writer)
    await client.post(agent.tasks, json={"input": "the last one"})
    work = (await store.routes.look(agent.key, [STABLE])).work[STABLE]
    assert 1 <= work.tasks <= 31
    assert work.queued == work.tasks


async def test_a_reader_who_hangs_up_ends_its_stream(shared, client, agent):
    request = sockets.post(agent.tasks, {"input": "x"}, "Accept: text/event-stream")
    reader, writer = await sockets.send(shared.url, request)
    await reader.readuntil(b"event: queued")
    name = "penstock_gateway_streams"
    assert await metric(client, name) == 1
    await sockets.hang_up(writer)
    await until(lambda: _is(client, name, 0), lambda: metric(client, name))


async def _is(client, name, value):
    return await metric(client, name) == value


async def test_first_messages_of_one_session_through_two_gateways_land_on_one_side(start, agent):
    await agent.set_route(canary=CANARY, percent=50, salt="s")
    rng = random.Random(7)
    async with start().client() as one, start().client() as other:

        async def first_messages(session):
            """Eight users' first messages at once: their own buckets would part them."""
            users = [f"u-{rng.random()}" for _ in range(8)]
            posts = [
                (one, other)[n % 2].post(
                    agent.tasks,
                    json={"input": "x", "user": user, "session": session, "sharedSession": True},
                )
                for n, user in enumerate(users)
            ]
            return {response.json()["revision"] for response in await asyncio.gather(*posts)}

        sides = [await first_messages(f"s-{n}") for n in range(12)]
    assert all(len(side) == 1 for side in sides), sides
    assert len(set.union(*sides)) == 2, "both sides served"


async def test_one_idempotency_key_through_two_gateways_at_once_is_one_task(start, agent, store):
    async with start().client() as one, start().client() as other:
        body = {"input": "x", "idempotencyKey": "k"}
        posts = [(one, other)[n % 2].post(agent.tasks, json=body) for n in range(40)]
        answers = await asyncio.gather(*posts)
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert (await store.routes.look(agent.key, [STABLE])).work[STABLE].tasks == 1


@pytest.fixture
async def callers():
    """Opens connections on which a request was sent; all are closed after the test."""
    opened = []

    async def call(url, request, number):
        more = await asyncio.gather(*(sockets.send(url, request) for _ in range(number)))
        opened.extend(more)
        return [reader for reader, _ in more]

    yield call
    await sockets.hang_up(*(writer for _, writer in opened))


async def test_two_thousand_waiting_callers_share_few_connections_and_all_get_an_answer(
    start, redis, agent, callers
):
    gateway = start(PENSTOCK_WAITS_PER_CALLER=str(WAITING_CALLERS))
    request = sockets.post(agent.tasks, {"input": "x", "wait": 300})
    readers = []
    name = "penstock_gateway_waiting"
    async with gateway.client() as client, Redis.from_url(redis.url) as raw:
        while len(readers) < WAITING_CALLERS:
            readers += await callers(gateway.url, request, 100)
            await until(partial(_is, client, name, len(readers)), partial(metric, client, name))
        assert len(await raw.client_list()) < FEW_CONNECTIONS

    answers = [asyncio.create_task(sockets.answer(reader)) for reader in readers]
    for claim in await agent.claim(20):
        await agent.finish(claim)

    async def twenty_have_their_result():
        return sum(answer.done() for answer in answers) == 20

    async def seen():
        return [answer.result() for answer in answers if answer.done()]

    await until(twenty_have_their_result, seen)
    code = await asyncio.to_thread(gateway.stop)
    statuses = [status for status, _ in await asyncio.gather(*answers)]
    assert code == 0
    assert (statuses.count(200), statuses.count(202)) == (20, WAITING_CALLERS - 20)


async def test_a_stopping_gateway_ends_its_streams_with_a_word_and_leaves_with_zero(start, agent):
    gateway = start()
    async with gateway.client() as client:
        request = client.stream("POST", agent.tasks, json={"input": "x"}, headers=STREAM)
        async with request as response:
            lines = response.aiter_lines()
            async for line in lines:
                if line.startswith("data: "):
                    break
            stopping = asyncio.create_task(asyncio.to_thread(gateway.stop))
            rest = [line async for line in lines]
        code = await stopping
    assert ": this gateway stops; resume with Last-Event-ID" in rest
    assert code == 0
    assert "error" not in gateway.log.read_text().lower()


async def test_without_redis_the_gateway_says_so_and_comes_back_with_it(start, redis, agent):
    async with start().client() as client:
        assert (await client.post(agent.tasks, json={"input": "x"})).status_code == 202
        waiting = asyncio.create_task(client.post(agent.tasks, json={"input": "x", "wait": 300}))
        await until(
            lambda: _is(client, "penstock_gateway_waiting", 1),
            lambda: metric(client, "penstock_gateway_waiting"),
        )
        redis.stop()
        try:
            refused = await client.post(agent.tasks, json={"input": "x"})
            assert refused.status_code == 503
            assert refused.json()["type"].endswith("/store-unavailable")
            assert int(refused.headers["retry-after"]) > 0
            assert (await client.get("/readyz")).status_code == 503
            assert (await client.get("/healthz")).status_code == 200
        finally:
            redis.start()

        async def accepts():
            return (await client.post(agent.tasks, json={"input": "x"})).status_code == 202

        await until(accepts, lambda: client.get("/readyz"))
        assert (await client.get("/readyz")).status_code == 200
        claims = await agent.claim(3)
        assert len({claim.task.id for claim in claims}) == 3, "what was accepted is still there"
        for claim in claims:
            await agent.finish(claim)
        answered = await waiting
        assert (answered.status_code, answered.json()["status"]) == (200, "Succeeded")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"tokens": [{"token": "secret-token"}]}', "tokens.0.name: Field required"),
        ("not json", "Invalid JSON"),
        (None, "No such file or directory"),
    ],
)
def test_a_tokens_file_that_cannot_be_used_ends_the_gateway_with_one_line(content, says, tmp_path):
    path = tmp_path / "tokens.json"
    if content is not None:
        path.write_text(content)
    done = subprocess.run(
        [sys.executable, "-m", "penstock_runtime.gateway"],
        env={"PENSTOCK_REDIS_URL": "redis://127.0.0.1:1/0", "PENSTOCK_TOKENS_FILE": str(path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("penstock gateway: ")
    assert says in line
    assert "secret-token" not in line


async def test_a_token_added_to_the_file_is_valid_soon(redis, agent, tmp_path):
    gateway = launch(redis.url, tmp_path)
    tokens = tmp_path / "tokens.json"
    known = json.loads(tokens.read_text())["tokens"]
    try:
        async with gateway.client("a-new-token") as client:
            assert (await client.get("/v1/tasks/x")).status_code == 401
            known.append({**known[0], "token": "a-new-token"})
            tokens.write_text(json.dumps({"tokens": known}))

            async def accepted():
                return (await client.get("/v1/tasks/x")).status_code == 404

            await until(accepted, lambda: client.get("/v1/tasks/x"))
    finally:
        assert gateway.stop() == 0


async def test_a_caller_who_sends_on_a_kept_connection_while_the_gateway_stops_is_answered(start):
    gateway = start()
    place = urlsplit(gateway.url)
    request = b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n"
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    writer.write(request)
    assert b" 200 " in await reader.readuntil(b"ok\n")
    gateway.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(60):  # it stops to listen as soon as it has heard the signal
        while True:
            try:
                _, other = await asyncio.open_connection(place.hostname, place.port)
            except ConnectionRefusedError:
                break
            other.close()
            await asyncio.sleep(0.005)
    writer.write(request)
    answered = await reader.read()
    assert b" 200 " in answered
    assert b"connection: close" in answered.lower()
    assert await asyncio.to_thread(gateway.process.wait, 60) == 0
    writer.close()
