"""The vendor's client against a Messages server: every answer it can give, good or bad."""

import dataclasses
import json
import math

import pytest

from penstock.api.agent import Effort
from penstock_dev.model import testing
from penstock_runtime.agent.models import anthropic
from penstock_runtime.agent.models.model import NOBODY, Failure, ModelFailed, Request

MODEL = "claude-sonnet-5-5"
TOOL = {"name": "look_up", "description": "", "input_schema": {"type": "object"}}


def scripted(script, tools=(), effort=None):
    return anthropic.Prompt(MODEL, "Help.\n#fake " + json.dumps(script), tools, effort)


async def ask(url, script, *, timeout_seconds=10.0, max_tokens=500, **prompt):
    model = anthropic.AnthropicModel(scripted(script, **prompt), url, anthropic.no_key)
    asked = Request([{"role": "user", "content": "Where is A1?"}], max_tokens, timeout_seconds)
    try:
        return await model.reply(asked)
    finally:
        await model.aclose()


async def failure(url, script, **more):
    with pytest.raises(ModelFailed) as failed:
        await ask(url, script, **more)
    return failed.value


async def test_a_text_comes_back_with_its_usage(fake_model):
    reply = await ask(fake_model.url, {"text": "On its way."})
    assert reply.content == ({"type": "text", "text": "On its way."},)
    assert reply.stop_reason == "end_turn"
    assert reply.tokens.input > 5
    assert reply.tokens.output == 3


async def test_the_request_says_what_the_revision_declares(fake_model):
    await ask(fake_model.url, {"text": "x"}, tools=(TOOL,), effort=Effort.HIGH, max_tokens=123)
    body = fake_model.journal(1)["requests"][-1]["body"]
    assert body["model"] == MODEL
    assert body["max_tokens"] == 123
    assert body["tools"] == [TOOL]
    assert body["output_config"] == {"effort": "high"}
    assert body["stream"] is True


async def test_tool_calls_come_back_in_order_with_their_input(fake_model):
    calls = [{"name": "look_up", "input": {"order": order}} for order in ("A1", "B2")]
    reply = await ask(fake_model.url, {"toolCalls": calls}, tools=(TOOL,))
    assert reply.stop_reason == "tool_use"
    asked = [block for block in reply.content if block["type"] == "tool_use"]
    assert [block["input"] for block in asked] == [{"order": "A1"}, {"order": "B2"}]


@pytest.mark.parametrize(
    ("script", "stop_reason"),
    [
        ({"refusalPercent": 100, "refusalCategory": "cyber"}, "refusal"),
        ({"stopReason": "pause_turn"}, "pause_turn"),
        ({"stopReason": "model_context_window_exceeded"}, "model_context_window_exceeded"),
        ({"outputTokens": 600}, "max_tokens"),
    ],
)
async def test_every_stop_reason_comes_through(fake_model, script, stop_reason):
    assert (await ask(fake_model.url, script)).stop_reason == stop_reason


async def test_a_refusal_brings_its_category(fake_model):
    reply = await ask(fake_model.url, {"refusalPercent": 100, "refusalCategory": "cyber"})
    assert reply.detail == "cyber"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Failure.REFUSED),
        (401, Failure.CREDENTIALS),
        (402, Failure.REFUSED),
        (403, Failure.CREDENTIALS),
        (404, Failure.REFUSED),
        (408, Failure.OVERLOADED),
        (409, Failure.OVERLOADED),
        (413, Failure.REFUSED),
        (429, Failure.RATE_LIMITED),
        (500, Failure.OVERLOADED),
        (502, Failure.OVERLOADED),
        (503, Failure.OVERLOADED),
        (504, Failure.OVERLOADED),
        (529, Failure.OVERLOADED),
    ],
)
async def test_every_error_status_has_its_kind_and_is_named(fake_model, status, kind):
    failed = await failure(fake_model.url, {"errorPercent": 100, "errorStatus": status})
    assert failed.kind == kind
    assert str(status) in failed.message


async def test_a_rate_limit_says_how_long(fake_model):
    script = {"errorPercent": 100, "errorStatus": 429, "retryAfterSeconds": 7}
    assert math.isclose((await failure(fake_model.url, script)).retry_after_seconds, 7.0)


async def test_a_spend_limit_is_no_rate_limit(fake_model):
    script = {"errorPercent": 100, "errorStatus": 429, "errorCode": "enforced_spend_limit_reached"}
    assert (await failure(fake_model.url, script)).kind == Failure.REFUSED


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ({"cutStreamPercent": 100}, Failure.INCOMPLETE),
        ({"dropStreamPercent": 100}, Failure.CONNECTION),
        ({"streamErrorPercent": 100}, Failure.OVERLOADED),
        ({"garbagePercent": 100}, Failure.GARBLED),
    ],
)
async def test_a_broken_stream_is_never_taken_for_an_answer(fake_model, script, kind):
    assert (await failure(fake_model.url, script)).kind == kind


async def test_a_cut_stream_is_charged_for_what_was_seen(fake_model):
    failed = await failure(fake_model.url, {"cutStreamPercent": 100, "outputTokens": 200})
    assert failed.tokens.input > 5
    assert failed.tokens.output >= 1


async def test_a_reply_without_usage_is_charged_an_estimate(fake_model):
    reply = await ask(fake_model.url, {"omitUsage": True, "text": "x" * 400})
    assert reply.tokens.input > 5
    assert reply.tokens.output >= 100


async def test_split_bytes_and_unknown_events_change_nothing(fake_model):
    reply = await ask(fake_model.url, {"text": "naïve ☂ 𝄞", "chunkBytes": 1, "unknownEvents": True})
    assert reply.content[-1]["text"] == "naïve ☂ 𝄞"


@pytest.mark.parametrize(
    "script",
    [
        {"outputTokens": 40, "stallMs": 60_000},  # it falls silent
        {"outputTokens": 200, "tokensPerSecond": 10},  # it is never silent for long
    ],
)
async def test_the_time_of_a_call_covers_its_silence_and_its_whole(fake_model, script):
    failed = await failure(fake_model.url, script, timeout_seconds=3.0)
    assert failed.kind == Failure.TIMEOUT
    assert failed.tokens.output > 0


async def test_no_answer_in_time_is_a_timeout_charged_for_what_was_sent(fake_model):
    failed = await failure(fake_model.url, {"latencyMs": 60_000}, timeout_seconds=1.0)
    assert failed.kind == Failure.TIMEOUT
    assert failed.tokens.input > 0


async def test_nobody_at_the_address_is_a_connection_failure():
    assert (await failure("http://127.0.0.1:9", {})).kind == Failure.CONNECTION


async def test_what_was_thought_is_sent_to_the_same_model_with_the_same_key_only(
    fake_model, tmp_path
):
    key = tmp_path / "key"
    key.write_text("one\n")
    model = anthropic.AnthropicModel(
        scripted({"thinking": "Hm.", "text": "Hi."}), fake_model.url, anthropic.key_file(key)
    )

    async def sent(after):
        """What the model was sent of its own reply, when it was asked again."""
        said = {"role": "assistant", "content": list(after.content)}
        asked = [{"role": "user", "content": "x"}, said, {"role": "user", "content": "y"}]
        await model.reply(Request(asked, 100, 10.0, said_by=after.by))
        blocks = fake_model.journal(1)["requests"][-1]["body"]["messages"][1]["content"]
        return [block["type"] for block in blocks]

    first = await model.reply(Request([{"role": "user", "content": "x"}], 100, 10.0))
    assert first.by.model == MODEL
    assert "one" not in str(first.by)
    assert await sent(first) == ["thinking", "text"]
    key.write_text("two\n")
    assert model.renew_credentials()
    assert await sent(first) == ["text"]
    assert await sent(dataclasses.replace(first, by=NOBODY)) == ["thinking", "text"]
    await model.aclose()


async def test_a_rotated_key_is_read_again(tmp_path):
    key = tmp_path / "key"
    key.write_text("old\n")
    asked = Request([{"role": "user", "content": "x"}], 100, 10.0)
    with testing.model_server(1, "--require-key", "new") as server:
        model = anthropic.AnthropicModel(scripted({}), server.url, anthropic.key_file(key))
        with pytest.raises(ModelFailed) as failed:
            await model.reply(asked)
        assert failed.value.kind == Failure.CREDENTIALS
        assert not model.renew_credentials()
        key.write_text("new\n")
        assert model.renew_credentials()
        assert (await model.reply(asked)).stop_reason == "end_turn"
        await model.aclose()
