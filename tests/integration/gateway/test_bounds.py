"""Raw connections that send too much, too slowly or nothing: each reaches a bound, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pathlib
import socket
from urllib.parse import urlsplit

import pytest

from penstock_runtime.gateway import connections
from tests.integration.gateway import sockets
from tests.integration.gateway.conftest import until

MIB = 1 << 20
STREAM = {"Accept": "text/event-stream"}


def memory_bytes(gateway):
    """What the gateway's process holds in memory."""
    status = pathlib.Path(f"/proc/{gateway.process.pid}/status").read_text(encoding="ascii")
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) << 10


async def refusal(reader):
    """(status, last part of the type, Retry-After or None) of a problem, and that the line is closed."""
    async with asyncio.timeout(30):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        headers = dict(line.split(": ", 1) for line in head.splitlines()[1:] if line)
        problem = json.loads(await reader.readexactly(int(headers["content-length"])))
        assert await reader.read() == b"", "the connection is closed after it"
    assert headers["content-type"] == "application/problem+json"
    assert headers["connection"] == "close"
    assert problem["status"] == int(head.split()[1])
    return problem["status"], problem["type"].rpartition("/")[2], headers.get("retry-after")


async def flood(writer, piece, most_bytes=8 * MIB):
    """Send far more than is allowed, or until the other side takes no more."""
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < most_bytes:
            writer.write(piece)
            await writer.drain()
            sent += len(piece)


GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS = {
    "header lines": (GET, b"X-More: " + b"a" * 1000 + b"\r\n", 431, "headers-too-large"),
    "tiny header lines": (GET, b"a:\r\n" * 100, 431, "headers-too-large"),
    "one header line": (GET + b"X-More: ", b"a" * 10_000, 431, "headers-too-large"),
    "one header name": (GET, b"a" * 10_000, 431, "headers-too-large"),
    "spaces before a value": (GET + b"X-More:", b" " * 10_000, 431, "headers-too-large"),
    "a path": (b"GET /", b"a" * 10_000, 414, "url-too-long"),
    "a query": (b"GET /healthz?", b"a=b&" * 2500, 414, "url-too-long"),
}


@pytest.mark.parametrize(("head", "more", "status", "slug"), ENDLESS.values(), ids=list(ENDLESS))
async def test_a_head_without_end_is_refused_and_costs_no_memory(head, more, status, slug, shared):
    before = memory_bytes(shared)
    reader, writer = await sockets.send(shared.url, head)
    flooding = asyncio.create_task(flood(writer, more))
    assert (await refusal(reader))[:2] == (status, slug)
    await flooding
    await sockets.hang_up(writer)
    assert memory_bytes(shared) - before < 4 * MIB


TRAILED = {
    "trailers": (b"0\r\n", b"X-More: " + b"a" * 1000 + b"\r\n"),
    "one trailer": (b"0\r\nX-More: ", b"a" * 10_000),
    "a chunk's extension": (b"1;", b"a" * 10_000),
}


@pytest.mark.parametrize(("begin", "more"), TRAILED.values(), ids=list(TRAILED))
async def test_a_body_that_never_gets_to_its_point_is_refused(begin, more, shared, agent):
    before = memory_bytes(shared)
    head = sockets.post(agent.tasks, {}).partition(b"Content-Length")[0]
    reader, writer = await sockets.send(
        shared.url, head + b"Transfer-Encoding: chunked\r\n\r\n" + begin
    )
    flooding = asyncio.create_task(flood(writer, more))
    assert (await refusal(reader))[:2] == (431, "headers-too-large")
    await sockets.hang_up(writer)
    await flooding
    assert memory_bytes(shared) - before < 4 * MIB


async def test_headers_just_within_the_bound_are_heard(shared):
    line = b"X-Long: " + b"a" * (connections.MAX_HEADER_BYTES - 100) + b"\r\n"
    reader, writer = await sockets.send(shared.url, GET + line + b"\r\n")
    assert (await reader.readline()).split()[1] == b"200"
    await sockets.hang_up(writer)


async def test_a_trailer_is_no_header(shared, agent, store):
    """What the headers did not say, the end of a body cannot say either."""
    head = sockets.post(agent.tasks, {}).partition(b"Authorization")[0]
    body = b'{"input": "x"}'
    request = (
        head
        + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"%x\r\n%s\r\n0\r\nAuthorization: Bearer all-agents\r\n\r\n" % (len(body), body)
    )
    reader, writer = await sockets.send(shared.url, request)
    status, problem = await sockets.answer(reader)
    await sockets.hang_up(writer)
    assert (status, problem["type"].rpartition("/")[2]) == (401, "unauthorized")


@pytest.mark.parametrize(
    "request_line", [b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"GET  \r\n\r\n"]
)
async def test_what_is_no_http_is_a_problem_too_and_fills_no_log(request_line, shared):
    reader, writer = await sockets.send(shared.url, request_line)
    assert (await refusal(reader))[:2] == (400, "malformed-request")
    await sockets.hang_up(writer)
    assert "Invalid HTTP request" not in shared.log.read_text()


SLOW = {
    "half a request line": b"GET /heal",
    "half a header section": GET + b"X-Slow: ",
}


@pytest.mark.parametrize("begun", SLOW.values(), ids=list(SLOW))
async def test_a_request_whose_headers_never_end_is_told_so(begun, shared):
    reader, writer = await sockets.send(shared.url, begun)

    async def drip():
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"a")
                await writer.drain()
                await asyncio.sleep(0.2)

    dripping = asyncio.create_task(drip())
    assert (await refusal(reader))[:2] == (408, "request-timeout")
    dripping.cancel()
    await sockets.hang_up(writer)


async def test_a_connection_that_says_nothing_is_closed(shared):
    reader, writer = await sockets.send(shared.url, b"")
    async with asyncio.timeout(30):
        assert await reader.read() == b""
    await sockets.hang_up(writer)


async def test_requests_one_behind_another_are_answered_in_order_however_many(shared):
    reader, writer = await sockets.send(shared.url, (GET + b"\r\n") * 4)
    for _ in range(4):
        assert (await reader.readuntil(b"ok\n")).startswith(b"HTTP/1.1 200")
    await sockets.hang_up(writer)

    before = memory_bytes(shared)
    reader, writer = await sockets.send(shared.url, (GET + b"\r\n") * 2000)
    async with asyncio.timeout(60):
        await reader.readuntil(b"ok\n")
        assert memory_bytes(shared) - before < 4 * MIB
        for _ in range(1999):
            await reader.readuntil(b"ok\n")
    await sockets.hang_up(writer)


async def test_a_stream_with_a_request_behind_it_ends_with_its_connection(shared, client, agent):
    stream = sockets.post(agent.tasks, {"input": "x"}, "Accept: text/event-stream")
    before = await streams(client)
    _, writer = await sockets.send(shared.url, stream + GET + b"\r\n")
    await until(lambda: is_streams(client, before + 1), lambda: streams(client))
    await sockets.hang_up(writer)
    await until(lambda: is_streams(client, before), lambda: streams(client))


async def metric(client, name):
    lines = (await client.get("/metrics")).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


async def streams(client):
    return await metric(client, "penstock_gateway_streams")


async def is_streams(client, number):
    return await streams(client) == number


# --------------------------------------------------------------------------------- many connections


async def test_who_sends_nothing_makes_room_for_who_asks(start):
    gateway = start(PENSTOCK_MAX_CONNECTIONS="20")
    opened = [await sockets.send(gateway.url, begun) for begun in [b"", GET] * 50]
    async with gateway.client() as client:
        assert (await client.get("/v1/tasks/x")).status_code == 404
        assert await metric(client, "penstock_gateway_connections") <= 20
    await sockets.hang_up(*(writer for _, writer in opened))


async def waiting_callers(gateway, agent, store, number):
    """Connections of callers who wait for a task each."""
    request = sockets.post(agent.tasks, {"input": "x", "wait": 300})
    opened = []
    for made in range(1, number + 1):
        opened.append(await sockets.send(gateway.url, request))

        async def is_taken(made=made):
            return await tasks(store, agent) == made

        await until(is_taken, lambda: tasks(store, agent))
    return opened


async def tasks(store, agent):
    return (await store.routes.look(agent.key, ["aaaa0000"])).work["aaaa0000"].tasks


async def test_a_gateway_that_is_full_says_so_and_still_answers_probes(start, agent, store):
    gateway = start(PENSTOCK_MAX_CONNECTIONS="8")
    opened = await waiting_callers(gateway, agent, store, 8)
    await until_probed(gateway)
    opened.append(await sockets.send(gateway.url, sockets.post(agent.tasks, {"input": "x"})))
    status, slug, again = await refusal(opened[-1][0])
    assert (status, slug) == (503, "gateway-busy")
    assert int(again) > 0
    assert await tasks(store, agent) == 8
    await sockets.hang_up(*(writer for _, writer in opened))


async def until_probed(gateway):
    """Probes are answered, on a connection of their own each."""
    for path in ("/healthz", "/readyz"):
        reader, writer = await sockets.send(gateway.url, f"GET {path} HTTP/1.1\r\n\r\n".encode())
        assert (await reader.readline()).split()[1] == b"200"
        await sockets.hang_up(writer)


async def test_one_address_has_not_all_connections(start, agent, store):
    gateway = start(PENSTOCK_MAX_CONNECTIONS_PER_ADDRESS="4")
    opened = await waiting_callers(gateway, agent, store, 4)
    opened.append(await sockets.send(gateway.url, sockets.post(agent.tasks, {"input": "x"})))
    assert (await refusal(opened[-1][0]))[:2] == (503, "gateway-busy")
    await sockets.hang_up(*(writer for _, writer in opened))


# -------------------------------------------------------------------------------------- one caller


async def test_one_caller_has_so_many_streams_and_another_his_own(start, agent):
    gateway = start(PENSTOCK_STREAMS_PER_CALLER="3")
    async with gateway.client() as client, gateway.client("one-agent") as other:
        place = (await client.post(agent.tasks, json={"input": "x"})).headers["location"]
        async with contextlib.AsyncExitStack() as open_streams:
            for _ in range(3):
                stream = client.stream("GET", f"{place}/events", headers=STREAM)
                response = await open_streams.enter_async_context(stream)
                assert response.status_code == 200
            refused = await client.get(f"{place}/events", headers=STREAM)
            assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (
                429,
                "too-many-streams",
            )
            assert int(refused.headers["retry-after"]) > 0
            post = await client.post(agent.tasks, json={"input": "y"}, headers=STREAM)
            assert post.status_code == 429
            assert (await client.get(f"{place}/events")).status_code == 200, "a list is no stream"
            forbidden = await other.get(f"{place}/events", headers=STREAM)
            assert forbidden.status_code == 403, "not 429: the places are the caller's own"

        async def again():
            stream = client.stream("GET", f"{place}/events", headers=STREAM)
            async with stream as response:
                return response.status_code == 200

        await until(again, lambda: client.get("/metrics"))


async def test_one_caller_has_so_many_waits_and_is_refused_before_the_task_is_made(
    start, agent, store
):
    gateway = start(PENSTOCK_WAITS_PER_CALLER="2")
    opened = await waiting_callers(gateway, agent, store, 2)
    async with gateway.client() as client:
        refused = await client.post(agent.tasks, json={"input": "x", "wait": 1})
        assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (
            429,
            "too-many-waits",
        )
        assert (await client.post(agent.tasks, json={"input": "x"})).status_code == 202
    assert await tasks(store, agent) == 3
    await sockets.hang_up(*(writer for _, writer in opened))


async def test_a_caller_who_reads_nothing_is_given_up(shared, client, agent, store):
    """Answers to requests that nobody reads wait in the kernel, then here, and not for ever."""
    made = (await client.post(agent.tasks, json={"input": "x" * 20_000})).json()
    [claim] = await agent.claim()
    await agent.finish(claim, "y" * 200_000)
    place = urlsplit(shared.url)
    silent = socket.socket()
    silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    silent.connect((place.hostname, place.port))
    silent.setblocking(False)
    request = f"GET /v1/tasks/{made['id']} HTTP/1.1\r\nAuthorization: Bearer all-agents\r\n\r\n"
    asked = 0
    before = memory_bytes(shared)

    async def is_given_up():
        nonlocal asked
        with contextlib.suppress(BlockingIOError):
            try:
                for _ in range(8):
                    silent.send(request.encode())
                    asked += 1
            except ConnectionError:
                return True
        assert memory_bytes(shared) - before < 16 * MIB
        return False

    async def seen():
        return asked

    await until(is_given_up, seen, seconds=connections.STALLED_SECONDS + 30)
    silent.close()
