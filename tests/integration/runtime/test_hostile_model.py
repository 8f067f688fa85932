"""A model's endpoint may send anything: each answer ends in time, in bounds and in our words."""

import asyncio
import json
import tracemalloc

import pytest

from penstock_runtime import redaction
from penstock_runtime.agent.models import anthropic, sse, stream
from penstock_runtime.agent.models.model import Failure, ModelFailed, Request
from tests.integration.runtime import raw

PROMPT = anthropic.Prompt("claude-sonnet-5-5", "Help.")
HELLO = raw.sse(*raw.message(raw.text("hello")))


async def ask(url, *, seconds=5.0, key="none", request=None):
    model = anthropic.AnthropicModel(PROMPT, url, lambda: key)
    try:
        asked = request or Request([{"role": "user", "content": "Hi"}], 100, seconds)
        return await model.reply(asked)
    finally:
        await model.aclose()


async def failure(url, **more):
    with pytest.raises(ModelFailed) as failed:
        await ask(url, **more)
    return failed.value


async def reset(writer):
    writer.write(raw.streamed(HELLO, end=False))
    await writer.drain()
    writer.transport.abort()


@pytest.mark.parametrize(
    "answer",
    [
        raw.streamed(HELLO + b"data: [DONE]\n\n"),
        raw.streamed(HELLO + b"\xff\xfe garbage {{{ \n\n"),
        raw.streamed(HELLO + raw.sse({"type": "error", "error": {"type": "api_error"}})),
        raw.streamed(HELLO + raw.sse({"type": "content_block_start", "index": 9})),
        raw.streamed(HELLO, end=False),
        raw.streamed(HELLO, end=False) + b"this is no chunk\r\n",
        raw.response(HELLO, content_type="text/event-stream"),
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + HELLO,
        reset,
    ],
)
async def test_an_answer_is_whole_at_its_own_end_whatever_follows(answer):
    async with raw.Raw(answer) as server:
        reply = await ask(server.url)
    assert reply.content == ({"type": "text", "text": "hello"},)
    assert len(server.requests) == 1


async def test_what_follows_an_answer_is_not_taken_for_the_next_one():
    async with raw.Raw(
        raw.streamed(HELLO) + raw.says(raw.text("not asked for")), raw.says(raw.text("second"))
    ) as server:
        model = anthropic.AnthropicModel(PROMPT, server.url, anthropic.no_key)
        asked = Request([{"role": "user", "content": "Hi"}], 100, 5.0)
        first, second = await model.reply(asked), await model.reply(asked)
        await model.aclose()
    assert [first.content[0]["text"], second.content[0]["text"]] == ["hello", "second"]


async def test_a_connection_is_used_again_after_a_whole_answer():
    async with raw.Raw(raw.says(raw.text("x"))) as server:
        model = anthropic.AnthropicModel(PROMPT, server.url, anthropic.no_key)
        for _ in range(3):
            await model.reply(Request([{"role": "user", "content": "Hi"}], 100, 5.0))
        await model.aclose()
    assert server.connections == 1


async def test_an_endpoint_is_not_told_what_it_asked_to_remember():
    asks = raw.says(raw.text("x")).replace(b"\r\n", b"\r\nset-cookie: a=of-another-user\r\n", 1)
    async with raw.Raw(asks) as server:
        model = anthropic.AnthropicModel(PROMPT, server.url, anthropic.no_key)
        for _ in range(2):
            await model.reply(Request([{"role": "user", "content": "Hi"}], 100, 5.0))
        await model.aclose()
    assert [headers.get("cookie") for _, headers, _ in server.requests] == [None, None]


def endless(head, part):
    async def write(writer):
        writer.write(head)
        while True:
            writer.write(part)
            await writer.drain()

    return write


STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
FAILING = b"HTTP/1.1 500 Oh\r\ncontent-type: text/plain\r\n\r\n"
DELTA = raw.sse({"type": "content_block_delta", "index": 0, "delta": {"type": "novel"}})


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (endless(STREAM, b"data: " + b"x" * 65536), Failure.GARBLED),  # a line without end
        (endless(STREAM, b"data: " + b"x" * 1000 + b"\n"), Failure.GARBLED),  # an event
        (endless(STREAM, b": comment " + b"x" * 65536 + b"\n"), Failure.GARBLED),  # comments
        (endless(STREAM, DELTA * 500), Failure.GARBLED),  # events
        (endless(FAILING, b"e" * 65536), Failure.OVERLOADED),  # the body of an error
        (endless(b"HTTP/1.1 200 OK\r\nx: ", b"h" * 65536), Failure.GARBLED),  # headers
        (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 99), Failure.GARBLED),
    ],
    ids=["line", "event", "comments", "events", "error", "headers", "interim"],
)
async def test_what_never_ends_is_given_up_at_a_bound(answer, kind, monkeypatch):
    monkeypatch.setattr(sse, "MAX_STREAM_BYTES", 8 << 20)
    async with raw.Raw(answer) as server:
        tracemalloc.start()
        failed = await failure(server.url, seconds=60)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert failed.kind == kind, failed.message
    assert len(failed.message) < 600
    assert peak < 40 << 20


async def test_a_drip_without_end_ends_with_the_time():
    async def drip(writer):
        writer.write(STREAM)
        while True:
            writer.write(b": ping\n\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with raw.Raw(drip) as server:
        failed = await failure(server.url, seconds=1.0)
    assert failed.kind == Failure.TIMEOUT
    assert failed.tokens.input > 0


async def test_a_reply_of_too_many_blocks_is_garbled():
    blocks = [raw.text("x")] * (stream.MAX_BLOCKS + 1)
    async with raw.Raw(raw.says(*blocks)) as server:
        assert "blocks" in (await failure(server.url)).message


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": "7"},
        {"input_tokens": -5},
        {"input_tokens": 1e300},
        [1],
        {"output_tokens": {}},
    ],
)
async def test_a_count_of_tokens_that_is_none_is_estimated(usage):
    events = raw.message(raw.text("hello"))
    events[0]["message"]["usage"] = usage
    async with raw.Raw(raw.streamed(raw.sse(*events))) as server:
        answers = await asyncio.gather(ask(server.url), return_exceptions=True)
    (answer,) = answers
    if not (isinstance(answer, ModelFailed) and answer.kind == Failure.GARBLED):
        assert 0 < answer.tokens.input < 1000


@pytest.mark.parametrize("said", ["inf", "nan", "1e308", "-5", "9" * 400, "soon", "Mon, 32 Foo"])
async def test_an_absurd_time_to_wait_is_bounded(said):
    answer = raw.response(b"{}", "429 Slow", retry_after=said, date="Sat, 28 Nov 2026 10:00:00 GMT")
    async with raw.Raw(answer) as server:
        waits = (await failure(server.url)).retry_after_seconds
    assert waits is None or 0 <= waits <= 86_400


# ---------------------------------------------------------------------------- words that help


async def test_one_json_body_instead_of_a_stream_is_told():
    body = json.dumps({"type": "message", "content": [raw.text("hi")]}).encode()
    async with raw.Raw(raw.response(body, content_type="application/json")) as server:
        failed = await failure(server.url)
    assert failed.kind == Failure.GARBLED
    assert "instead of a stream" in failed.message


async def test_a_base_url_that_ends_with_v1_is_told():
    async with raw.Raw(raw.response(b'{"detail":"Not Found"}', "404 Not Found")) as server:
        failed = await failure(server.url + "/v1")
    assert "ends with /v1" in failed.message


async def test_a_redirect_takes_no_key_elsewhere():
    async with raw.Raw(raw.response(b"", "200 OK")) as other:
        moved = raw.response(b"", "307 Moved", location=other.url)
        async with raw.Raw(moved) as server:
            failed = await failure(server.url)
    assert other.requests == []
    assert "not followed" in failed.message


@pytest.mark.parametrize(
    "words", ["prompt is too long: 210000 tokens > 200000 maximum", "exceeds the context window"]
)
async def test_a_prompt_that_is_too_long_is_told_apart(words):
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": words}}
    body = json.dumps(error).encode()
    async with raw.Raw(raw.response(body, "400 Bad", content_type="application/json")) as server:
        assert (await failure(server.url)).kind == Failure.TOO_LONG


# ------------------------------------------------------------------------------- secrets, money


@pytest.mark.parametrize(
    "echoed",
    [
        lambda key: f'{{"error": {{"type": "x", "message": "bad key {key}"}}}}',
        lambda key: f"<html>{'y' * 280}{key}</html>",
        lambda key: "x-api-key%3A%20" + key.replace("/", "%2F").replace("+", "%2B"),
    ],
    ids=["json", "where it is cut", "escaped"],
)
async def test_a_key_that_the_endpoint_repeats_goes_no_further(echoed):
    key = "sk-test-9+f/Zz81Qw44"
    redaction.learn(key)
    body = echoed(key).encode()
    for status in ("401 No", "500 No", "400 No"):
        async with raw.Raw(raw.response(body, status)) as server:
            message = (await failure(server.url, key=key)).message
        for start in range(len(key) - 8):
            assert key[start : start + 8] not in message


LONG_KEY = "sk-ant-" + "Zz81Qw44-9f" * 9


@pytest.mark.parametrize(
    "answer",
    [
        raw.response(json.dumps({"error": {"type": LONG_KEY, "message": "no"}}).encode(), "400 No"),
        raw.streamed(raw.sse({"type": "error", "error": {"type": LONG_KEY, "message": "no"}})),
        raw.says(raw.text("x"), stop_reason=LONG_KEY),
    ],
    ids=["error", "error in a stream", "stop reason"],
)
async def test_a_key_that_is_longer_than_the_word_it_stands_for_is_no_half_shown(answer):
    redaction.learn(LONG_KEY)
    async with raw.Raw(answer) as server:
        model = anthropic.AnthropicModel(PROMPT, server.url, lambda: LONG_KEY)
        try:
            said = (
                await model.reply(Request([{"role": "user", "content": "Hi"}], 100, 5.0))
            ).stop_reason
        except ModelFailed as failed:
            said = failed.message
        await model.aclose()
    assert redaction.INSTEAD in said
    assert "Zz81" not in said


async def test_a_call_that_is_cut_is_charged_for_what_was_sent_and_read():
    started = raw.message(raw.text("so far " * 50))[:3]

    async def hold(writer):
        writer.write(raw.streamed(raw.sse(*started), end=False))
        await writer.drain()
        await asyncio.Event().wait()

    async with raw.Raw(hold) as server:
        request = Request([{"role": "user", "content": "Hi"}], 100, 60.0)
        asked = asyncio.create_task(ask(server.url, request=request))
        await raw.until(lambda: server.requests)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
    assert request.bill.charge.tokens.input > 0


async def closed(writer):
    writer.close()


async def aborted(writer):
    writer.transport.abort()


async def closed_after_its_head(writer):
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
    writer.close()


@pytest.mark.parametrize("breaks", [closed, aborted, closed_after_its_head])
async def test_a_call_that_was_sent_and_broke_is_charged_as_one_that_was_late(breaks):
    async def silent(writer):
        await asyncio.Event().wait()

    async with raw.Raw(breaks) as broken, raw.Raw(silent) as late:
        charged = (await failure(broken.url)).tokens
        assert charged.input > 0
        assert charged == (await failure(late.url, seconds=1.0)).tokens


async def test_an_answer_that_says_no_costs_nothing():
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    async with raw.Raw(raw.streamed(raw.sse(error))) as server:
        assert (await failure(server.url)).tokens.input == 0


async def test_a_call_that_was_not_sent_costs_nothing():
    async with raw.closed_port() as port:
        failed = await failure(f"http://127.0.0.1:{port}")
    assert failed.kind == Failure.CONNECTION
    assert failed.tokens.input == failed.tokens.output == 0
