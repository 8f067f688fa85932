"""A tool may answer anything, and its Secret may hold anything: what the model reads of it."""

import asyncio
import gzip
import json
import tracemalloc
import zlib

import pytest

from penstock.api.tool import Tool
from penstock_runtime import redaction
from penstock_runtime.agent.tools import http
from penstock_runtime.agent.tools.toolset import ToolRequest
from penstock_runtime.agent.transport import direct
from tests.integration.runtime import raw

SECRET = "tok-5up3r/s3cr3t+v4lue"


def tool(url, *, secret=False, **more):
    where = {"url": url, "method": more.pop("method", "POST")}
    if secret:
        where["headersFromSecretRef"] = {"name": "shop-api"}
    return Tool.model_validate(
        {"name": "look_up", "inputSchema": {"type": "object"}, "http": where, **more}
    )


async def call(url, *, given=None, mounted=None, seconds=5.0, before=None, **more):
    tools = http.HTTPTools(mounted)
    try:
        asked = tool(url, secret=mounted is not None, **more)
        return await tools.call(
            ToolRequest(asked, given or {}, {"Idempotency-Key": "t.1.1"}, seconds, before)
        )
    finally:
        await tools.aclose()


# -------------------------------------------------------------------------------- what it sends


async def test_the_tool_is_asked_for_a_plain_body():
    async with raw.Raw(raw.response(b"ok")) as server:
        await call(server.url)
    assert server.requests[0][1]["accept-encoding"] == "identity"


@pytest.mark.parametrize("status", ["200 OK", "302 Found", "500 No"])
async def test_what_one_call_is_asked_to_remember_goes_out_with_no_other_one(tmp_path, status):
    asks = raw.response(b"x", status, set_cookie="session=of-another-user; Path=/")
    async with raw.Raw(asks) as server:
        tools = http.HTTPTools(mounted(tmp_path, Cookie="shop=ours"))
        for secret in (False, False, True):
            await tools.call(ToolRequest(tool(server.url, secret=secret), {}, {}, 5.0))
        await tools.aclose()
    sent = [headers.get("cookie") for _, headers, _ in server.requests]
    assert sent == [None, None, "shop=ours"]


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_body_that_is_encoded_once_all_the_same_is_read(encoding):
    body = gzip.compress(b"shipped") if encoding == "gzip" else zlib.compress(b"shipped")
    async with raw.Raw(raw.response(body, content_encoding=encoding)) as server:
        assert (await call(server.url)).text == "shipped"


@pytest.mark.parametrize("layers", [1, 2, 3])
async def test_a_small_body_that_unfolds_to_a_gigabyte_costs_little(layers):
    deep = zlib.compressobj(9, wbits=31)
    body = b"".join(deep.compress(bytes(1 << 20)) for _ in range(256)) + deep.flush()
    for _ in range(layers - 1):
        body = gzip.compress(body)
    answer = raw.response(body, content_encoding=", ".join(["gzip"] * layers))
    async with raw.Raw(answer) as server:
        tracemalloc.start()
        result = await call(server.url, maxOutputBytes=1000)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 20 << 20
    assert len(result.text) < 1200
    assert result.known


@pytest.mark.parametrize(
    "body", [b"no gzip at all", gzip.compress(b"x" * 99, mtime=0)[:-9]], ids=["other", "cut"]
)
async def test_a_body_that_is_not_what_its_encoding_says_is_told(body):
    async with raw.Raw(raw.response(body, content_encoding="gzip")) as server:
        result = await call(server.url)
    assert "cannot be read" in result.text
    assert result.known


async def test_headers_without_end_are_given_up():
    async def endless(writer):
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"x: " + b"y" * 5000 + b"\r\n")
            await writer.drain()

    async with raw.Raw(endless) as server:
        result = await call(server.url, seconds=30)
    assert not result.ok
    assert "HTTP" in result.text


@pytest.mark.parametrize("after", [b"", b"HTTP/1.1 200 OK\r\n\r\nother", b"\x00\x01garbage"])
async def test_an_answer_is_whole_at_its_own_end_and_what_follows_is_no_next_answer(after):
    async with raw.Raw(raw.response(b"first") + after, raw.response(b"second")) as server:
        tools = http.HTTPTools(None)
        harmless = tool(server.url, effect="ReadOnly")
        told = [await tools.call(ToolRequest(harmless, {}, {}, 5.0)) for _ in range(2)]
        await tools.aclose()
    assert [result.text for result in told] == ["first", "second"]
    assert server.connections == (2 if after else 1)


async def test_a_server_that_keeps_the_connection_open_is_not_waited_for():
    async with raw.Raw(raw.streamed(b"whole", kind="text/plain")) as server:
        assert (await call(server.url, seconds=30)).text == "whole"


# ------------------------------------------------------------------------- sent, or not sent


async def test_a_call_that_cannot_be_sent_is_told_as_not_made():
    async with raw.closed_port() as port:
        for url in (f"http://127.0.0.1:{port}", f"https://127.0.0.1:{port}", "http://a..b/"):
            result = await call(url)
            assert (result.ok, result.known) == (False, True)
            assert "was not called" in result.text


async def test_a_tool_that_speaks_no_tls_was_not_called():
    async with raw.Raw(raw.response(b"x")) as server:
        result = await call(server.url.replace("http:", "https:"), seconds=2)
    assert result.known
    assert server.requests == []


async def test_what_is_done_before_sending_comes_after_the_connection_and_before_the_request():
    seen = []
    async with raw.Raw(raw.response(b"x")) as server:

        async def before():
            await raw.until(lambda: server.connections)
            seen.append(len(server.requests))
            return 60.0

        await call(server.url, before=before)
    assert seen == [0]


async def longer_than(seconds, left=60.0):
    """Something to do before sending."""
    await asyncio.sleep(seconds)
    return left


async def test_what_is_done_before_sending_takes_nothing_from_the_time_of_the_tool():
    async with raw.Raw(raw.response(b"shipped")) as server:
        result = await call(server.url, seconds=1.5, before=lambda: longer_than(2.0))
    assert result.text == "shipped"


async def test_a_tool_that_is_called_late_still_has_no_more_time_than_is_left():
    async def silent(writer):
        await asyncio.Event().wait()

    async with raw.Raw(silent) as server:
        result = await call(server.url, seconds=60.0, before=lambda: longer_than(0.0, left=0.2))
        assert len(server.requests) == 1
    assert (result.ok, result.known) == (False, False)


async def test_a_tool_is_not_called_when_no_time_is_left():
    async with raw.Raw(raw.response(b"x")) as server:
        result = await call(server.url, before=lambda: longer_than(0.0, left=0.0))
        assert (result.ok, result.known) == (False, True)
    assert server.requests == []


def gone(line):
    """Whether this side has heard that the connection is over."""
    return line.reader.at_eof() or line.reader.exception()


@pytest.mark.parametrize(
    "ends", [lambda line: line.write_eof(), lambda line: line.abort()], ids=["end", "reset"]
)
@pytest.mark.parametrize("effect", ["Irreversible", "Idempotent"])
async def test_a_connection_that_its_server_closed_before_the_request_carries_none(
    ends, effect, monkeypatch
):
    lines, connect = [], direct._connect

    async def kept(origin, context):
        lines.append(await connect(origin, context))
        return lines[-1]

    monkeypatch.setattr(direct, "_connect", kept)
    async with raw.Raw(raw.response(b"refunded")) as server:

        async def before():
            await raw.until(lambda: server.writers)
            ends(server.writers[0].transport)
            await raw.until(lambda: gone(lines[0]))
            return 60.0

        result = await call(server.url, before=before, effect=effect)
        assert (result.text, result.known) == ("refunded", True)
        assert (server.connections, len(server.requests)) == (2, 1)


async def test_a_server_that_is_gone_by_the_time_of_the_request_was_not_called(monkeypatch):
    lines, connect = [], direct._connect

    async def once(origin, context):
        if lines:
            raise ConnectionRefusedError
        lines.append(await connect(origin, context))
        return lines[-1]

    monkeypatch.setattr(direct, "_connect", once)
    async with raw.Raw(raw.response(b"x")) as server:

        async def before():
            await raw.until(lambda: server.writers)
            server.writers[0].transport.abort()
            await raw.until(lambda: gone(lines[0]))
            return 60.0

        result = await call(server.url, before=before)
    assert (result.ok, result.known) == (False, True)
    assert "was not called" in result.text


async def test_an_irreversible_call_has_a_connection_of_its_own():
    async with raw.Raw(raw.response(b"x")) as server:
        tools = http.HTTPTools(None)
        for effect in ("ReadOnly", "ReadOnly", "Irreversible"):
            await tools.call(ToolRequest(tool(server.url, effect=effect), {}, {}, 5.0))
        await tools.aclose()
    assert server.connections == 2


# ------------------------------------------------------------------------------------ secrets


def mounted(path, **headers):
    folder = path / "look_up"
    folder.mkdir()
    for name, value in headers.items():
        (folder / name.replace("_", "-")).write_bytes(value.encode())
    return path


@pytest.mark.parametrize(
    "value",
    [
        f"Bearer {SECRET}\nmore-of-it",
        f"{SECRET}\r\nX: y",
        f"{SECRET}\x00",
        f"{SECRET}é",
        f"\x7f{SECRET}",
    ],
)
async def test_a_value_that_no_header_may_have_is_named_by_its_key_and_never_shown(tmp_path, value):
    async with raw.Raw(raw.response(b"x")) as server:
        result = await call(server.url, mounted=mounted(tmp_path, Authorization=value))
    assert (result.ok, result.known) == (False, True)
    assert "shop-api" in result.text
    assert "Authorization" in result.text
    assert SECRET[:8] not in result.text
    assert server.requests == []


@pytest.mark.parametrize("name", ["content-length", "Transfer-Encoding", "connection", "TE"])
async def test_a_header_of_the_connection_is_left_to_the_client(tmp_path, name):
    where = mounted(tmp_path, **{name: "9999", "Authorization": f"Bearer {SECRET}", "Host": "shop"})
    async with raw.Raw(raw.response(b"x")) as server:
        result = await call(server.url, mounted=where)
    assert result.ok
    sent = server.requests[0][1]
    assert sent["authorization"] == f"Bearer {SECRET}"
    assert sent["host"] == "shop"
    assert sent.get(name.lower()) != "9999"


@pytest.mark.parametrize("name", ["bad name", "naïve", "a:b"])
async def test_a_name_that_is_no_header_is_refused(tmp_path, name):
    async with raw.Raw(raw.response(b"x")) as server:
        result = await call(server.url, mounted=mounted(tmp_path, **{name: "value"}))
    assert (result.ok, result.known) == (False, True)
    assert server.requests == []


async def test_our_own_headers_win_whatever_their_case(tmp_path):
    headers = {"idempotency_key": "theirs", "X_Api_Key": SECRET}
    async with raw.Raw(raw.response(b"x")) as server:
        await call(server.url, mounted=mounted(tmp_path, **headers))
    assert server.requests[0][1]["idempotency-key"] == "t.1.1"
    assert server.requests[0][1]["x-api-key"] == SECRET


@pytest.mark.parametrize("status", ["200 OK", "500 Oh", f"418 {SECRET}"])
@pytest.mark.parametrize("most", [4000, 60])
async def test_a_tool_that_repeats_its_headers_tells_the_model_nothing(tmp_path, status, most):
    words = json.dumps({"pad": "x" * 20, "authorization": f"Bearer {SECRET}"}).encode()
    async with raw.Raw(raw.response(words, status)) as server:
        where = mounted(tmp_path, Authorization=f"Bearer {SECRET}")
        result = await call(server.url, mounted=where, maxOutputBytes=most)
    assert server.requests[0][1]["authorization"] == f"Bearer {SECRET}"
    for start in range(len(SECRET) - 8):
        assert SECRET[start : start + 8] not in result.text
    assert redaction.INSTEAD in result.text


# ------------------------------------------------------------------------------------ addresses


@pytest.mark.parametrize(
    ("url", "given", "target"),
    [
        ("/a", {"q": "ü 🚢"}, "/a?q=%C3%BC+%F0%9F%9A%A2"),
        ("/a", {"q": ["🚢"]}, "/a?q=%5B%22%F0%9F%9A%A2%22%5D"),
        ("/a", {"ключ": "a&b=c#d"}, "/a?%D0%BA%D0%BB%D1%8E%D1%87=a%26b%3Dc%23d"),
        ("/a?v=1#part", {"q": 1}, "/a?v=1&q=1"),
        ("/a?v=1&w=%2F", {"v": "2"}, "/a?w=%2F&v=2"),
        ("/a#part", {}, "/a"),
    ],
)
async def test_an_input_is_written_into_an_address_whatever_it_holds(url, given, target):
    async with raw.Raw(raw.response(b"x")) as server:
        assert (await call(server.url + url, given=given, method="GET")).ok
    assert server.requests[0][0] == f"GET {target} HTTP/1.1"


async def test_an_input_that_is_too_long_for_an_address_is_told():
    async with raw.Raw(raw.response(b"x")) as server:
        given = {"q": "x" * http.MAX_QUERY_CHARACTERS}
        result = await call(server.url, given=given, method="DELETE")
    assert (result.ok, result.known) == (False, True)
    assert server.requests == []
