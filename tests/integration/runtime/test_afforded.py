"""No task passes its limits by the price of a call, whatever it says and whatever is billed besides."""

import json

import pytest

from penstock.api.fields import micro_usd
from penstock.task import OutcomeReason, TaskStatus
from penstock_runtime import instrumentation
from tests.integration.runtime import raw
from tests.integration.runtime.shop import tool

OVERHEAD = {"call": 900, "message": 16, "tool": 64}
SAYS = {
    "arabic": "أين طلبيتي رقم ١٢٣٤؟ " * 150,
    "chinese": "我的訂單在哪裡？" * 400,
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈" * 200,
    "base64": "TWFuIGlzIGRpc3Rpbmd1aXNoZWQ=" * 200,
    "200 kB": "Where is A1? " * 15_400,
}


async def spend(shop, tool_server, script, says, **limits):
    """A task that loops until a limit stops it, and what its model billed."""
    look_up = tool("look_up", tool_server.url + "/ok")
    script = {"loopTool": "look_up", "overheadTokens": OVERHEAD, **script}
    limits = {"modelCalls": 30, "toolCalls": 30, "identicalActions": 100, **limits}
    cut = await shop.release(script, tools=[look_up], limits=limits)
    async with shop.pool(cut):
        ended = await shop.ended(await shop.submit(says))
    assert ended.status is TaskStatus.LIMIT_EXCEEDED
    return ended


def exceeded(cut):
    """Of how many bills it was seen that they were above their bound."""
    labels = ("test", cut.agent, cut.name, cut.template.model.name)
    return instrumentation.BOUND_EXCEEDED.labels(*labels)._value.get()


@pytest.mark.parametrize("says", SAYS)
@pytest.mark.parametrize("script", [{}, {"tokenPerByte": True}], ids=["words", "bytes"])
async def test_no_limit_is_passed_by_what_is_billed(shop, tool_server, fake_model, says, script):
    limits = {"costUSD": "0.50", "inputTokens": 10_000_000, "outputTokens": 100_000}
    limits["inputChars"] = 1_000_000
    if says != "200 kB":
        limits["costUSD"] = "0.08"
    ended = await spend(shop, tool_server, script, SAYS[says], **limits)
    assert ended.outcome.reason in (OutcomeReason.LIMIT_COST, OutcomeReason.LIMIT_MODEL_CALLS)
    assert ended.usage.cost_micro_usd <= micro_usd(limits["costUSD"])
    if ended.outcome.reason is OutcomeReason.LIMIT_COST:
        assert "it was not made" in ended.outcome.message


@pytest.mark.parametrize("limit", [3000, 10_000])
async def test_the_limit_of_input_is_not_passed_either(shop, tool_server, limit):
    ended = await spend(shop, tool_server, {}, "Where is A1?", inputTokens=limit)
    assert ended.outcome.reason is OutcomeReason.LIMIT_INPUT_TOKENS
    assert 0 < ended.usage.input_tokens <= limit
    assert f"limits.inputTokens is {limit}, this task used {ended.usage.input_tokens}" in (
        ended.outcome.message
    )


async def test_a_text_that_is_longer_in_bytes_than_in_tokens_is_counted_and_answered(shop):
    """20,000 characters are 60 kB: by its bytes alone the call would pass the limit of 40,000."""
    ended = await shop.run({"text": "Soon."}, text="漢" * 20_000)
    assert ended.status is TaskStatus.SUCCEEDED, ended.outcome
    assert ended.usage.input_tokens < 10_000


async def test_where_nobody_counts_the_bytes_decide(shop):
    async with raw.Raw(raw.says(raw.text("never asked"))) as server:
        cut = await shop.release({}, limits={"inputTokens": 5000}, baseURL=server.url)
        async with shop.pool(cut):
            ended = await shop.ended(await shop.submit("x" * 8000))
        (asked,) = server.requests
    assert (ended.status, ended.outcome.reason) == (
        TaskStatus.LIMIT_EXCEEDED,
        OutcomeReason.LIMIT_INPUT_TOKENS,
    )
    assert ended.usage.input_tokens == 0
    assert b"count_tokens" in bytes(str(asked), "utf-8")


async def test_for_want_of_money_a_reply_is_asked_shorter_before_the_task_ends(shop, fake_model):
    ended = await shop.run({"outputTokens": 5000}, limits={"costUSD": "0.0085"})
    (asked,) = fake_model.journal(10)["requests"]
    body = asked["body"] if isinstance(asked["body"], dict) else json.loads(asked["body"])
    assert 256 <= body["max_tokens"] < 2048
    assert ended.outcome.reason is OutcomeReason.LIMIT_OUTPUT_TOKENS
    told = (
        f"cut at the {body['max_tokens']} tokens it was asked for (what was left of limits.costUSD"
    )
    assert told in ended.outcome.message
    assert ended.usage.cost_micro_usd <= 8500


async def test_a_bill_above_its_bound_is_paid_and_the_next_one_is_bounded_wider(shop):
    """The vendor adds 9,000 tokens that nobody declared. By bytes and by its count it is learnt apart."""
    script = {"text": "Hi.", "overheadTokens": {"call": 9000}}
    cut = await shop.release(script, limits={"inputTokens": 9000})
    async with shop.pool(cut):
        first = await shop.ended(await shop.submit("One."))
        await shop.ended(await shop.submit("Two."))
        third = await shop.ended(await shop.submit("Six."))
        seen = exceeded(cut)
    assert first.usage.input_tokens > 9000, "it was billed in full"
    assert third.outcome.reason is OutcomeReason.LIMIT_INPUT_TOKENS
    assert third.usage.input_tokens == 0
    assert 1 <= seen <= 2
