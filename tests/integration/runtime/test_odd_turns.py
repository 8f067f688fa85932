"""Whole tasks with models whose turns are odd: no session is spoiled, nothing is paid twice."""

import asyncio
import itertools
import json

import pytest

from penstock.task import OutcomeReason, TaskStatus
from tests.integration.runtime import raw
from tests.integration.runtime.shop import tool

pytestmark = pytest.mark.redis

SUCCEEDED = (TaskStatus.SUCCEEDED, OutcomeReason.NONE)


def how(ended):
    return ended.status, ended.outcome.reason


def sent(server, index=-1):
    return json.loads(server.requests[index][2])["messages"]


@pytest.mark.parametrize(
    "odd",
    [
        [raw.text("answer"), raw.text("")],
        [raw.text("answer"), raw.text(" \n")],
        [{"type": "thinking", "thinking": ""}, raw.text("answer")],
        [{"type": "surprise", "payload": 1}, raw.text("answer")],
        [raw.text("answer\x00")],
    ],
    ids=["empty", "blank", "thinking", "unknown", "NUL"],
)
async def test_an_odd_turn_spoils_no_session(shop, odd):
    async with raw.Raw(raw.says(*odd), raw.says(raw.text("second"))) as server:
        cut = await shop.release({}, baseURL=server.url)
        async with shop.pool(cut):
            assert how(await shop.ended(await shop.submit("one", session="s"))) == SUCCEEDED
            assert how(await shop.ended(await shop.submit("two", session="s"))) == SUCCEEDED
    (answer,) = sent(server)[1]["content"]
    assert answer["type"] == "text"
    assert answer["text"].startswith("answer")
    assert "\x00" not in answer["text"]


async def test_two_calls_with_one_id_are_both_made(shop, tool_server):
    call = {"type": "tool_use", "id": "call_0", "name": "refund", "input": {}}
    asked = raw.says(call, call, stop_reason="tool_use")
    async with raw.Raw(asked, raw.says(raw.text("done"))) as server:
        refund = tool("refund", tool_server.url + "/ok", "Irreversible")
        ended = await shop.run({}, tools=[refund], baseURL=server.url)
    assert how(ended) == SUCCEEDED, ended.outcome
    keys = [sent["headers"]["idempotency-key"] for sent in tool_server.calls]
    assert keys == [f"{ended.id}.1.1", f"{ended.id}.1.2"]


async def test_a_session_that_has_become_too_long_is_told_unpaid_and_goes_on(shop):
    long = raw.says(raw.text("x" * 300), usage=(1690, 80))
    async with raw.Raw(long) as server:
        cut = await shop.release({}, limits={"inputTokens": 1700}, baseURL=server.url)
        async with shop.pool(cut):
            first = await shop.ended(await shop.submit("one", session="s"))
            told = await shop.ended(await shop.submit("two", session="s"))
            asked = len(server.requests)
            third = await shop.ended(await shop.submit("three", session="s"))
    assert how(first) == how(third) == SUCCEEDED
    assert how(told) == (TaskStatus.LIMIT_EXCEEDED, OutcomeReason.LIMIT_INPUT_TOKENS)
    assert told.usage.model_calls == told.usage.input_tokens == 0
    assert "cut from its history" in told.outcome.message
    assert asked == 1


async def test_a_call_that_the_caller_cuts_is_booked(shop):
    begun = raw.streamed(raw.sse(*raw.message(raw.text("so far"))[:3]), end=False)

    async def hold(writer):
        writer.write(begun)
        await writer.drain()
        await asyncio.Event().wait()

    async with raw.Raw(hold) as server:
        cut = await shop.release({}, baseURL=server.url)
        async with shop.pool(cut):
            identifier = await shop.submit("x" * 4000)
            await shop.until(lambda: asyncio.sleep(0, bool(server.requests)))
            await shop.store.tasks.cancel(identifier, "test")
            ended = await shop.ended(identifier)
    assert ended.status == TaskStatus.CANCELLED
    assert ended.usage.input_tokens > 0
    assert ended.usage.cost_micro_usd > 0
    assert ended.usage.model_calls == 0


async def test_a_thinking_model_goes_on_in_a_session_that_was_shortened(
    shop, tool_server, fake_model
):
    calls = [{"name": "look_up", "input": {"order": "A1"}}]
    script = {"thinking": "Let me see. " * 20, "toolCalls": calls}
    look_up = tool("look_up", tool_server.url + "/ok")
    cut = await shop.release(script, tools=[look_up], limits={"inputTokens": 4000})
    async with shop.pool(cut):
        ended = [await shop.ended(await shop.submit("x" * 400, session="s")) for _ in range(9)]
    ends = [how(each) for each in ended]
    assert set(ends) == {SUCCEEDED, (TaskStatus.LIMIT_EXCEEDED, OutcomeReason.LIMIT_INPUT_TOKENS)}
    pairs = itertools.pairwise(ends)
    assert all(SUCCEEDED in pair for pair in pairs), [each.outcome for each in ended]


async def test_a_session_goes_on_with_another_key_without_what_was_thought_before(
    shop, fake_model, tmp_path
):
    key = tmp_path / "key"
    cut = await shop.release({"thinking": "Hm.", "text": "Hi."})

    async def thought(*inputs):
        """Which of the model's former turns went back with their thinking, with the last input."""
        async with shop.pool(cut, PENSTOCK_CREDENTIALS_FILE=str(key)):
            for text in inputs:
                assert how(await shop.ended(await shop.submit(text, session="s"))) == SUCCEEDED
        turns = fake_model.journal(1)["requests"][-1]["body"]["messages"][1::2]
        return ["thinking" in [block["type"] for block in turn["content"]] for turn in turns]

    key.write_text("one\n")
    assert await thought("1", "2") == [True]
    key.write_text("two\n")
    assert await thought("3") == [False, False]
    assert await thought("4") == [False, False, True]
