"""What the real client library makes of every fault the fake Messages server can play."""

from __future__ import annotations

import asyncio
import json

import anthropic
import httpx
import httpx2
import pytest

from penstock_dev.model import server

STATUSES = {
    400: (anthropic.BadRequestError, "invalid_request_error"),
    401: (anthropic.AuthenticationError, "authentication_error"),
    402: (anthropic.PaymentRequiredError, "billing_error"),
    403: (anthropic.PermissionDeniedError, "permission_error"),
    404: (anthropic.NotFoundError, "not_found_error"),
    408: (anthropic.RequestTimeoutError, "timeout_error"),
    409: (anthropic.ConflictError, "conflict_error"),
    413: (anthropic.ContentTooLargeError, "request_too_large"),
    429: (anthropic.RateLimitError, "rate_limit_error"),
    500: (anthropic.InternalServerError, "api_error"),
    502: (anthropic.InternalServerError, None),
    503: (anthropic.ServiceUnavailableError, "api_error"),
    504: (anthropic.GatewayTimeoutError, "timeout_error"),
    529: (anthropic.OverloadedError, "overloaded_error"),
}


@pytest.mark.parametrize("status", STATUSES)
async def test_a_scripted_status_is_the_error_class_of_the_api(client, request_for, status):
    kind, error_type = STATUSES[status]
    with pytest.raises(kind) as caught:
        await client.messages.create(**request_for(errorPercent=100, errorStatus=status))
    error = caught.value
    assert type(error) is kind
    assert (error.status_code, error.type) == (status, error_type)
    assert error.request_id.startswith("req_01")
    if status != 502:
        assert error.body["request_id"] == error.request_id


async def test_an_error_is_a_bad_request_unless_the_script_says_otherwise(client, request_for):
    with pytest.raises(anthropic.BadRequestError):
        await client.messages.create(**request_for(errorPercent=100))


async def test_a_rate_limit_tells_when_to_come_back(client, request_for):
    with pytest.raises(anthropic.RateLimitError) as caught:
        await client.messages.create(
            **request_for(errorPercent=100, errorStatus=429, retryAfterSeconds=0.25)
        )
    assert caught.value.response.headers["retry-after"] == "0.25"


async def test_an_error_code_and_the_advice_not_to_retry_reach_the_client(client, request_for):
    request = request_for(
        errorPercent=100, errorStatus=429, errorCode="ramp_limit_exceeded", shouldRetry=False
    )
    with pytest.raises(anthropic.RateLimitError) as caught:
        await client.with_options(max_retries=5).messages.create(**request)
    assert caught.value.error_code == "ramp_limit_exceeded"
    assert type(caught.value).__name__ == "RampLimitExceededError"


async def test_a_client_that_retries_draws_again_until_it_is_served(client, model, request_for):
    patient = client.with_options(max_retries=20)
    keys = {"errorPercent": 50, "errorStatus": 529, "retryAfterSeconds": 0.001}
    for _ in range(20):
        message = await patient.messages.create(**request_for(**keys))
        assert message.stop_reason == "end_turn"
    outcomes = model.journal()["prompts"][0]["outcomes"]
    assert outcomes["end_turn"] == 20
    assert 8 <= outcomes["error 529"] <= 40


async def test_a_refusal_is_a_successful_answer_with_its_category(client, request_for):
    request = request_for(refusalPercent=100, refusalCategory="bio")
    plain = await client.messages.create(**request)
    async with client.messages.stream(**request) as stream:
        streamed = await stream.get_final_message()
    for message in (plain, streamed):
        assert (message.stop_reason, message.stop_details.category) == ("refusal", "bio")
        assert message.content == []


async def test_garbage_is_no_json_in_a_plain_answer(client, request_for):
    with pytest.raises(json.JSONDecodeError):
        await client.messages.create(**request_for(garbagePercent=100))


async def test_garbage_is_an_unreadable_event_in_a_stream(client, request_for):
    with pytest.raises(UnicodeDecodeError):
        async with client.messages.stream(**request_for(garbagePercent=100)) as stream:
            await stream.get_final_message()


async def test_a_cut_stream_ends_without_a_word_and_without_a_stop_reason(client, request_for):
    request = request_for(cutStreamPercent=100, outputTokens=100)
    async with client.messages.stream(**request) as stream:
        message = await stream.get_final_message()
    assert message.stop_reason is None
    assert 0 < len(message.content[0].text) < 400
    assert (await client.messages.create(**request)).stop_reason == "end_turn"


async def test_an_error_event_in_a_stream_is_an_error_with_status_200(client, request_for):
    with pytest.raises(anthropic.APIStatusError) as caught:
        async with client.messages.stream(**request_for(streamErrorPercent=100)) as stream:
            await stream.get_final_message()
    assert (caught.value.status_code, caught.value.type) == (200, "overloaded_error")


async def test_a_dropped_stream_is_a_broken_connection(client, request_for):
    with pytest.raises((httpx2.RemoteProtocolError, anthropic.APIConnectionError)):
        async with client.messages.stream(**request_for(dropStreamPercent=100)) as stream:
            await stream.get_final_message()


async def test_an_answer_may_lack_its_usage(client, request_for):
    message = await client.messages.create(**request_for(omitUsage=True))
    assert message.usage is None
    assert message.stop_reason == "end_turn"


@pytest.mark.parametrize(
    "keys", [{"unknownEvents": True}, {"chunkBytes": 1}, {"chunkBytes": 7}], ids=str
)
async def test_odd_events_and_split_bytes_do_not_change_the_message(client, request_for, keys):
    text = "Zürich – 東京 – 🚰 " * 5
    async with client.messages.stream(**request_for(text=text, **keys)) as stream:
        message = await stream.get_final_message()
    assert message.content[0].text == text
    assert message.stop_reason == "end_turn"


async def test_a_slow_stream_and_a_stall_lose_nothing(client, request_for):
    keys = {"text": "x" * 400, "tokensPerSecond": 2000, "stallMs": 20, "latencyMs": 10}
    async with client.messages.stream(**request_for(**keys)) as stream:
        message = await stream.get_final_message()
    assert message.content[0].text == "x" * 400


async def test_the_latency_comes_before_the_first_byte(client, request_for):
    late = request_for(latencyMs=60_000)
    with pytest.raises(anthropic.APITimeoutError):
        await client.with_options(timeout=0.2).messages.create(**late)


async def test_the_length_asked_for_is_written_and_charged(client, request_for):
    message = await client.messages.create(**request_for(outputTokens=250))
    assert message.usage.output_tokens == 250
    assert len(message.content[0].text) == 1000


async def test_too_few_tokens_cut_a_text_and_a_tool_input(client, request_for, with_tool):
    text = await client.messages.create(**request_for(outputTokens=250, max_tokens=100))
    assert (text.stop_reason, text.usage.output_tokens) == ("max_tokens", 100)
    assert len(text.content[0].text) == 400
    calls = [{"name": "look_up", "input": {"order": "4711", "note": "x" * 400}}]
    request = with_tool(toolCalls=calls, max_tokens=50)
    async with client.messages.stream(**request) as stream:
        tool = await stream.get_final_message()
    assert (tool.stop_reason, tool.usage.output_tokens) == ("max_tokens", 50)
    assert tool.content[0].input == {"order": "4711"}  # the note never ended


async def test_a_stop_sequence_ends_the_text(client, request_for):
    request = request_for(text="one END two") | {"stop_sequences": ["END", "two"]}
    message = await client.messages.create(**request)
    assert message.content[0].text == "one "
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")


@pytest.mark.parametrize("reason", ["pause_turn", "model_context_window_exceeded"])
async def test_the_rarer_stop_reasons_can_be_played(client, request_for, reason):
    message = await client.messages.create(**request_for(stopReason=reason))
    assert message.stop_reason == reason


async def test_an_empty_end_turn_can_be_played(client, request_for):
    message = await client.messages.create(**request_for(text=""))
    assert (message.content, message.stop_reason) == ([], "end_turn")


async def test_a_broken_script_is_told_in_the_error(client, request_for):
    for line, named in (("{errorPercent", "not JSON"), ('{"errorPercnt": 3}', "errorPercnt")):
        request = request_for() | {"system": f"You help.\n#fake {line}"}
        with pytest.raises(anthropic.BadRequestError, match=named):
            await client.messages.create(**request)


async def streamed(client, request):
    async with client.messages.stream(**request) as stream:
        return await stream.get_final_message()


@pytest.mark.parametrize("words", ["", "\n\n", "Let me see. "], ids=repr)
async def test_a_text_stands_before_and_after_whatever_is_answered(
    client, request_for, with_tool, words
):
    keys = {"textBefore": words, "textAfter": words}
    calls = [{"name": "look_up"}]
    for request in (request_for(text="yes", **keys), with_tool(toolCalls=calls, **keys)):
        for message in (await client.messages.create(**request), await streamed(client, request)):
            first, middle, last = message.content
            assert (first.text, last.text) == (words, words)
            assert middle.type == ("tool_use" if "tools" in request else "text")


async def test_what_the_model_said_can_be_refused_when_it_is_sent_back(
    client, request_for, answered
):
    request = request_for(text="yes", textAfter="")
    said = await client.messages.create(**request)
    messages = [
        *answered(request["messages"], said)[:-1],
        {"role": "user", "content": "and?"},
    ]
    with pytest.raises(anthropic.BadRequestError, match="text content blocks must be non-empty"):
        await client.messages.create(**request_for(messages=messages))


@pytest.mark.parametrize("model_name", ["claude-haiku-4-5", "claude-fable-5-2"])
async def test_a_thought_comes_first_and_is_taken_back_with_its_tool_call(
    client, with_tool, answered, model_name
):
    keys = {"thinking": "Which order? " * 9, "toolCalls": [{"name": "look_up"}]}
    request = with_tool(**keys) | {"model": model_name}
    for ask in (client.messages.create, lambda **asked: streamed(client, asked)):
        asked = await ask(**request)
        assert [block.type for block in asked.content] == ["thinking", "tool_use"]
        assert asked.content[0].thinking == keys["thinking"]
        told = await ask(**request | {"messages": answered(request["messages"], asked)})
        assert [block.type for block in told.content] == ["thinking", "text"]


async def test_an_id_of_the_script_comes_again_in_every_reply(client, with_tool, answered):
    same = {"name": "look_up", "id": "call_0"}
    twice = await client.messages.create(**with_tool(toolCalls=[same, same]))
    assert [block.id for block in twice.content] == ["call_0", "call_0"]
    request = with_tool(loopTool=same)
    first = await client.messages.create(**request)
    request |= {"messages": answered(request["messages"], first)}
    second = await client.messages.create(**request)
    assert (first.content[0].id, second.content[0].id) == ("call_0", "call_0")
    request |= {"messages": answered(request["messages"], second)}
    with pytest.raises(anthropic.BadRequestError, match="`tool_use` ids must be unique"):
        await client.messages.create(**request)


def lines_of(http, request):
    with http.stream("POST", "/v1/messages", json=request | {"stream": True}) as response:
        yield from response.iter_lines()


def test_words_may_follow_the_end_of_a_stream(http, request_for):
    lines = list(lines_of(http, request_for(afterStop="data: [DONE]\n\n")))
    assert lines[-5:] == [
        "event: message_stop",
        'data: {"type":"message_stop"}',
        "",
        "data: [DONE]",
        "",
    ]


def test_a_stream_may_stay_open_after_its_end(http, request_for):
    request = request_for(keepOpen=True) | {"stream": True}
    with http.stream("POST", "/v1/messages", json=request) as response:
        chunks = response.iter_bytes()
        got = b""
        while b'{"type":"message_stop"}' not in got:
            got += next(chunks)
    with (
        pytest.raises(httpx.ReadTimeout),
        http.stream("POST", "/v1/messages", json=request, timeout=0.5) as response,
    ):
        response.read()


def test_a_streamed_request_may_be_answered_with_one_document(http, request_for):
    response = http.post(
        "/v1/messages", json=request_for(text="whole", neverStream=True) | {"stream": True}
    )
    assert response.headers["content-type"] == "application/json"
    assert response.json()["content"] == [{"type": "text", "text": "whole"}]


@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
def test_an_error_may_repeat_the_key_it_was_asked_with(http, request_for, header):
    request = request_for(errorPercent=100, errorStatus=401, errorMessage="the key {key} is wrong")
    value = "sk-1234" if header == "x-api-key" else "Bearer sk-1234"
    response = http.post("/v1/messages", json=request, headers={header: value})
    assert response.json()["error"] == {
        "type": "authentication_error",
        "message": "the key sk-1234 is wrong",
    }


@pytest.mark.parametrize("keys", [{}, {"errorPercent": 100}], ids=["answer", "error"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_body_may_be_of_any_length(http, request_for, keys, streamed):
    request = request_for(paddingBytes=3_000_000, text="short", **keys) | {"stream": streamed}
    response = http.post("/v1/messages", json=request)
    assert 3_000_000 < len(response.content) < 3_010_000
    assert (b"short" in response.content) == (not keys)


def test_three_thousand_slow_answers_are_under_way_at_once(model, request_for):
    """Each waits its time on its own: so many take far less than one after another would."""
    server.take_many_connections()
    document = json.dumps(request_for(latencyMs=5000) | {"stream": True}).encode()

    async def ask():
        reader, writer = await asyncio.open_connection("127.0.0.1", int(model.url.rsplit(":")[-1]))
        writer.write(
            b"POST /v1/messages HTTP/1.1\r\nhost: model\r\nanthropic-version: 2026-10-21\r\n"
            b"connection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(document), document)
        )
        answer = await reader.read()
        writer.close()
        return answer.endswith(b'data: {"type":"message_stop"}\n\n\r\n0\r\n\r\n')

    async def ask_all():
        async with asyncio.timeout(300):
            return await asyncio.gather(*(ask() for _ in range(3000)))

    assert all(asyncio.run(ask_all()))
    assert model.journal()["total"] == 3000
