"""Tasks through a whole worker: queue, model, tools, limits, outcome."""

import json

import pytest

from penstock.task import OutcomeReason, TaskStatus
from penstock_runtime.worker import claims
from tests.integration.runtime.shop import tool

pytestmark = pytest.mark.redis

SUCCEEDED = (TaskStatus.SUCCEEDED, OutcomeReason.NONE)


def how(ended):
    return ended.status, ended.outcome.reason


async def test_a_task_is_claimed_answered_and_paid_for(shop):
    ended = await shop.run({"text": "On its way."})
    assert how(ended) == SUCCEEDED, ended
    assert ended.outcome.output == "On its way."
    assert ended.usage.model_calls == 1
    assert ended.usage.cost_micro_usd == 2 * ended.usage.input_tokens + 10 * 3
    kinds = [event.type for event in await shop.store.notifications.events(ended.id)]
    assert kinds == ["queued", "started", "model", "finished"]


# ------------------------------------------------------------------------------- stop reasons


@pytest.mark.parametrize(
    ("script", "limits", "status", "reason"),
    [
        ({"refusalPercent": 100}, {}, TaskStatus.ESCALATED, OutcomeReason.REFUSAL),
        (
            {"outputTokens": 3000},
            {},
            TaskStatus.LIMIT_EXCEEDED,
            OutcomeReason.LIMIT_OUTPUT_TOKENS,
        ),
        (
            {"stopReason": "model_context_window_exceeded"},
            {},
            TaskStatus.LIMIT_EXCEEDED,
            OutcomeReason.LIMIT_INPUT_TOKENS,
        ),
        (
            {"loopTool": "look_up"},
            {"modelCalls": 2},
            TaskStatus.LIMIT_EXCEEDED,
            OutcomeReason.LIMIT_MODEL_CALLS,
        ),
        (
            {"loopTool": "look_up"},
            {"toolCalls": 1},
            TaskStatus.LIMIT_EXCEEDED,
            OutcomeReason.LIMIT_TOOL_CALLS,
        ),
        (
            {"loopTool": "look_up"},
            {},
            TaskStatus.LIMIT_EXCEEDED,
            OutcomeReason.LIMIT_IDENTICAL_ACTIONS,
        ),
        (
            {"text": "x"},
            {"inputTokens": 3},
            TaskStatus.LIMIT_EXCEEDED,
            OutcomeReason.LIMIT_INPUT_TOKENS,
        ),
        (
            {"outputTokens": 60},
            {"outputTokens": 50},
            TaskStatus.LIMIT_EXCEEDED,
            OutcomeReason.LIMIT_OUTPUT_TOKENS,
        ),
        (
            {"outputTokens": 60},
            {"costUSD": "0.0001"},
            TaskStatus.LIMIT_EXCEEDED,
            OutcomeReason.LIMIT_COST,
        ),
        (
            {"latencyMs": 3000},
            {"wallSeconds": 1},
            TaskStatus.LIMIT_EXCEEDED,
            OutcomeReason.LIMIT_WALL_SECONDS,
        ),
    ],
)
async def test_a_task_stops_at_every_limit_and_refusal(
    shop, tool_server, script, limits, status, reason
):
    tools = [tool("look_up", tool_server.url + "/ok")]
    ended = await shop.run(script, tools=tools, limits=limits)
    assert how(ended) == (status, reason), ended.outcome
    # A call that alone could pass the limit is not made.
    unasked = "latencyMs" in script or "it was not made" in ended.outcome.message
    assert ended.usage.model_calls >= (not unasked)


async def test_a_paused_turn_is_sent_back_unchanged(shop, fake_model):
    ended = await shop.run(
        {"stopReason": "pause_turn", "text": "so far"},
        limits={"modelCalls": 2},
        name="claude-haiku-4-5",  # the fake takes a conversation that ends with the model here
    )
    assert how(ended) == (TaskStatus.LIMIT_EXCEEDED, OutcomeReason.LIMIT_MODEL_CALLS)
    messages = fake_model.journal(1)["requests"][-1]["body"]["messages"]
    assert messages[-1] == {"role": "assistant", "content": [{"type": "text", "text": "so far"}]}


# ----------------------------------------------------------------------------- a failing model


@pytest.mark.parametrize(
    ("script", "calls"),
    [
        ({"errorPercent": 100, "errorStatus": 500}, 3),
        ({"errorPercent": 100, "errorStatus": 529}, 3),
        ({"errorPercent": 100, "errorStatus": 429, "retryAfterSeconds": 0.01}, 3),
        ({"errorPercent": 100, "errorStatus": 429, "retryAfterSeconds": 3600}, 1),
        ({"errorPercent": 100, "errorStatus": 400}, 1),
        ({"errorPercent": 100, "errorStatus": 401}, 1),
        ({"cutStreamPercent": 100}, 3),
        ({"garbagePercent": 100}, 2),
    ],
)
async def test_a_model_that_keeps_failing_fails_the_task(shop, fake_model, script, calls):
    ended = await shop.run(script, retries=2)
    assert how(ended) == (TaskStatus.FAILED, OutcomeReason.MODEL_ERROR), ended.outcome
    assert len(fake_model.journal()["requests"]) == calls


@pytest.mark.parametrize(
    "script",
    [
        {"errorPercent": 50, "errorStatus": 529},
        {"cutStreamPercent": 50},
        {"garbagePercent": 20},
    ],
)
async def test_failures_that_pass_are_not_seen_by_the_caller(shop, fake_model, script):
    cut = await shop.release({**script, "text": "done"}, retries=10)
    tasks = [await shop.submit() for _ in range(6)]
    async with shop.pool(cut):
        ended = [await shop.ended(each) for each in tasks]
    good = [each for each in ended if how(each) == SUCCEEDED]
    assert len(good) >= 5, [each.outcome for each in ended]
    assert len(fake_model.journal(100)["requests"]) > 6


async def test_a_model_that_is_too_slow_fails_the_task_as_timeout(shop):
    ended = await shop.run({"latencyMs": 5000}, timeoutSeconds=1, retries=0)
    assert how(ended) == (TaskStatus.FAILED, OutcomeReason.TIMEOUT)
    assert ended.usage.cost_micro_usd > 0


# ---------------------------------------------------------------------------------------- tools


async def test_tools_are_called_and_their_results_reach_the_model(shop, tool_server):
    calls = [{"name": "look_up", "input": {"order": order}} for order in ("A1", "B2")]
    tools = [tool("look_up", tool_server.url + "/ok")]
    ended = await shop.run({"toolCalls": calls}, tools=tools)
    assert how(ended) == SUCCEEDED, ended.outcome
    assert "shipped" in ended.outcome.output
    assert ended.usage.tool_calls == 2
    first, second = tool_server.calls
    assert first["headers"]["idempotency-key"] != second["headers"]["idempotency-key"]
    assert first["headers"]["idempotency-key"].startswith(ended.id)
    assert first["headers"]["traceparent"].split("-")[1] == ended.trace_id


@pytest.mark.parametrize(
    ("path", "words"),
    [("/status/500", "HTTP 500"), ("/redirect", "not followed"), ("/drop", "broke")],
)
async def test_a_failing_tool_is_told_to_the_model_which_goes_on(shop, tool_server, path, words):
    script = {"toolCalls": [{"name": "look_up", "input": {}}]}
    ended = await shop.run(script, tools=[tool("look_up", tool_server.url + path)])
    assert how(ended) == SUCCEEDED, ended.outcome
    assert words in ended.outcome.output


async def test_a_slow_tool_is_told_to_the_model_as_timed_out(shop, tool_server):
    script = {"toolCalls": [{"name": "look_up", "input": {}}]}
    slow = tool("look_up", tool_server.url + "/slow/10", timeoutSeconds=1)
    ended = await shop.run(script, tools=[slow])
    assert how(ended) == SUCCEEDED, ended.outcome
    assert "did not answer" in ended.outcome.output


async def test_an_irreversible_tool_whose_result_is_unknown_escalates(shop, tool_server):
    script = {"toolCalls": [{"name": "refund", "input": {}}]}
    slow = tool("refund", tool_server.url + "/slow/10", "Irreversible", timeoutSeconds=1)
    ended = await shop.run(script, tools=[slow])
    assert how(ended) == (TaskStatus.ESCALATED, OutcomeReason.TOOL_ERROR)
    assert len(tool_server.calls) == 1


async def test_input_that_breaks_the_schema_never_reaches_the_tool(shop, tool_server):
    script = {"toolCalls": [{"name": "look_up", "input": {"order": 5}}]}
    schema = {"type": "object", "properties": {"order": {"type": "string"}}}
    strict = tool("look_up", tool_server.url + "/ok", inputSchema=schema)
    ended = await shop.run(script, tools=[strict])
    assert how(ended) == SUCCEEDED, ended.outcome
    assert "does not fit the schema" in ended.outcome.output
    assert tool_server.calls == []
    assert ended.usage.tool_calls == 1  # every call that the model makes counts


# ------------------------------------------------------------------------------------- sessions


async def test_a_session_remembers_what_was_said(shop, fake_model):
    cut = await shop.release({"text": "noted"})
    async with shop.pool(cut):
        for words in ("I am Ada.", "Who am I?"):
            assert how(await shop.ended(await shop.submit(words, session="s1"))) == SUCCEEDED
    messages = fake_model.journal(1)["requests"][-1]["body"]["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert "I am Ada." in json.dumps(messages[0])


async def test_a_failed_task_leaves_the_session_as_it_was(shop, fake_model):
    refusing = await shop.release({"refusalPercent": 100})
    async with shop.pool(refusing):
        await shop.ended(await shop.submit("Something bad.", session="s1"))
        await shop.ended(await shop.submit("Something good.", session="s1"))
    messages = fake_model.journal(1)["requests"][-1]["body"]["messages"]
    assert [message["content"] for message in messages] == ["Something good."]


async def test_a_task_that_waited_too_long_expires_unasked(shop, fake_model):
    cut = await shop.release({"text": "x"}, limits={"queueSeconds": 1})
    identifier = await shop.submit()
    await shop.until(lambda: shop.older_than(identifier, 1100))
    async with shop.pool(cut):
        ended = await shop.ended(identifier)
    assert how(ended) == (TaskStatus.EXPIRED, OutcomeReason.LIMIT_QUEUE_SECONDS)
    assert fake_model.journal()["requests"] == []


async def test_an_error_nobody_foresaw_ends_its_task_and_no_other(shop, monkeypatch):
    begin = claims.beginning

    def broken(claim, *more):
        if claim.task.input == "break":
            raise ZeroDivisionError("a bug")
        return begin(claim, *more)

    monkeypatch.setattr(claims, "beginning", broken)
    cut = await shop.release({"text": "fine"})
    broken_task, other = await shop.submit("break"), await shop.submit("hello")
    async with shop.pool(cut):
        ended = await shop.ended(broken_task)
        assert how(await shop.ended(other)) == SUCCEEDED
    assert how(ended) == (TaskStatus.FAILED, OutcomeReason.INTERNAL)
    assert "ZeroDivisionError" in ended.outcome.message


async def test_a_cancelled_task_stops_in_the_middle_of_a_model_call(shop):
    cut = await shop.release({"latencyMs": 60_000})
    async with shop.pool(cut):
        identifier = await shop.submit()
        await shop.event(identifier, "started")
        await shop.store.tasks.cancel(identifier, "test")
        ended = await shop.ended(identifier, seconds=40)
    assert how(ended) == (TaskStatus.CANCELLED, OutcomeReason.PERSON)
