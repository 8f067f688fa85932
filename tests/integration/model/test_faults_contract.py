"""What the real client library makes of every fault the fake Messages server can play."""

from __future__ import annotations

import json

import anthropic
import httpx2
import pytest

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
