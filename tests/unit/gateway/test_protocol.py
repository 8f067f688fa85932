"""The protocol on a socket of this process: what is heard, what is held, what a body may take."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import socket

import pytest
import uvicorn

from penstock_runtime.gateway import connections
from penstock_runtime.gateway.connections import Door, Reading
from penstock_runtime.gateway.protocol import BoundedProtocol

POST = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
GET = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
CONNECTION_BYTES = 1 << 20


class App:
    """Answers /quick at once, everything else when the gate is open and the body read."""

    def __init__(self):
        self.gate = asyncio.Event()
        self.heard = []
        self.gone = 0

    async def __call__(self, scope, receive, send):
        if scope["path"] != "/quick":
            await self.sleep()
            if not await self.is_whole(receive):
                self.gone += 1
                return
            await self.gate.wait()
            await self.sleep()
        self.heard.append((scope["path"], scope["headers"]))
        body = scope["path"].encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def sleep(self):
        """As long as it takes the server to read on, where it may."""
        for _ in range(3):
            await asyncio.sleep(0)

    async def is_whole(self, receive):
        while (message := await receive())["type"] != "http.disconnect":
            if not message["more_body"]:
                return True
        return False


class Unsignalled(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):
        yield


@pytest.fixture
def door():
    return Door(100, 100)


@pytest.fixture
def app():
    return App()


@pytest.fixture
async def address(app, door):
    """Where a server with bounded connections listens."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, http=functools.partial(BoundedProtocol, door), lifespan="off", log_config=None,
        log_level="warning", timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = Unsignalled(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    watching = asyncio.create_task(door.watch())
    yield listener.getsockname()
    app.gate.set()
    server.should_exit = True
    watching.cancel()
    await asyncio.wait([serving, watching])


@pytest.fixture
async def connect(address):
    opened = []

    async def connecting(sent=b""):
        reader, writer = await asyncio.open_connection(*address)
        opened.append(writer)
        writer.write(sent)
        await writer.drain()
        return reader, writer

    yield connecting
    for writer in opened:
        writer.transport.abort()


async def answer(reader):
    """(status, body) of the next answer."""
    async with asyncio.timeout(60):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        return int(head.split()[1]), (await reader.readexactly(length)).decode()


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - nothing rings
            await asyncio.sleep(0.01)


async def test_a_body_that_drips_is_given_up_and_its_request_hears_that_the_caller_is_gone(
    app, connect, monkeypatch
):
    monkeypatch.setitem(connections.PATIENCE_SECONDS, Reading.BODY, 0.3)
    reader, writer = await connect(POST % 100 + b"abc")

    async def drip():
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)

    dripping = asyncio.create_task(drip())
    status, body = await answer(reader)
    dripping.cancel()
    assert (status, json.loads(body)["type"].rpartition("/")[2]) == (408, "request-timeout")
    await until(lambda: app.gone == 1)


async def test_who_was_refused_is_not_asked_for_the_body_he_promised(app, connect, caplog):
    head = (
        b"POST /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    reader, _ = await connect(head + b"1;" + b"a" * (2 * connections.MAX_HEADER_BYTES))
    status, _ = await answer(reader)
    assert status == 431
    await until(lambda: app.gone == 1)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_body_that_goes_on_after_the_answer_is_ended_without_a_second_answer(
    connect, monkeypatch
):
    monkeypatch.setitem(connections.PATIENCE_SECONDS, Reading.BODY, 0.3)
    reader, _ = await connect(b"POST /quick HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
    assert await answer(reader) == (200, "/quick")
    async with asyncio.timeout(60):
        assert await reader.read() == b""


async def test_a_whole_request_may_wait_for_its_answer_however_long(app, connect, monkeypatch):
    for reading in connections.PATIENCE_SECONDS:
        monkeypatch.setitem(connections.PATIENCE_SECONDS, reading, 0.2)
    reader, writer = await connect(POST % 3 + b"abc")
    writer.write(b"GET /never-whole")  # and what is half sent behind it does not end it
    await asyncio.sleep(connections._SWEEP_SECONDS * 3)
    app.gate.set()
    assert await answer(reader) == (200, "/x")


async def test_many_requests_in_one_piece_are_answered_in_their_order_and_few_are_held(
    app, connect, door
):
    long = b"?" + b"a" * 2000  # so that all together is far more than is read at a time
    requests = b"".join(GET % (str(n).encode() + long) for n in range(3000))
    reader, writer = await asyncio.wait_for(connect(), 20)
    writer.write(requests)
    await until(lambda: door._held)
    [held] = door._held
    await until(lambda: held._behind)
    assert len(held._cycles) < 100
    assert len(held._behind) <= connections.MAX_BEHIND_BYTES
    app.gate.set()
    for n in range(3000):
        assert await answer(reader) == (200, f"/{n}")
    writer.close()


async def test_who_pipelines_without_end_is_not_read_any_more(app, connect, door):
    _, writer = await connect(GET % b"x")
    piece = b"".join([GET % b"y"] * 1000)
    with contextlib.suppress(ConnectionError, TimeoutError):
        for _ in range(1000):
            writer.write(piece)
            await asyncio.wait_for(writer.drain(), 0.05)
    held = [len(each._behind) for each in door._held]
    assert held
    assert all(size <= 2 * connections.MAX_BEHIND_BYTES for size in held)
    writer.transport.abort()
    app.gate.set()
    await until(lambda: not door._held)


async def test_all_requests_of_a_connection_hear_that_it_is_gone(app, connect, door):
    request = POST % 100 + b"abc"
    _, writer = await connect(GET % b"first" + request)
    await until(lambda: door._held and len(next(iter(door._held))._cycles) == 2)
    writer.transport.abort()
    await until(lambda: not door._held)
    app.gate.set()


async def test_a_request_to_change_the_protocol_is_answered_as_it_is_and_says_nothing_in_the_log(
    connect, caplog
):
    upgrade = b"GET /quick HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n"
    with caplog.at_level(logging.INFO):
        for protocol in (b"websocket", b"h2c"):
            reader, writer = await connect(upgrade % protocol + upgrade % protocol + GET % b"quick")
            for _ in range(3):
                assert await answer(reader) == (200, "/quick")
            writer.write(upgrade % protocol)
            assert await answer(reader) == (200, "/quick")
            writer.write(GET % b"quick")
            assert await answer(reader) == (200, "/quick")
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []


async def test_what_an_unfinished_request_holds_is_known_and_forgotten(connect, door):
    _, writer = await connect(b"GET /x HTTP/1.1\r\nX-Long: " + b"a" * 50_000)
    await until(lambda: door._request_bytes > 50_000)
    assert door._request_bytes < CONNECTION_BYTES
    writer.transport.abort()
    await until(lambda: door._request_bytes == 0)
    reader, _ = await connect(GET % b"quick")
    await answer(reader)
    assert door._request_bytes == 0


async def test_a_piece_cut_anywhere_is_the_same_request(app, connect):
    app.gate.set()
    request = b"POST /x?q=1 HTTP/1.1\r\nHost: x\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n3;e=f\r\nabc\r\n0\r\nX-T: u\r\n\r\n"
    for cut in range(1, len(request)):
        reader, writer = await connect(request[:cut])
        writer.write(request[cut:])
        assert await answer(reader) == (200, "/x")
        writer.write(GET % b"quick")
        assert await answer(reader) == (200, "/quick")
        writer.close()
    assert {tuple(name for name, _ in headers) for path, headers in app.heard if path == "/x"} == {
        (b"host", b"x-a", b"transfer-encoding")
    }
