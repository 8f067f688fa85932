"""The response cache: the same request of the same tenant asks nobody, and counts as if it had."""

import asyncio

import pytest

from penstock.api.restrictions import Restrictions
from penstock.guard import unguarded
from penstock.restrictions import written
from penstock.task import TaskStatus
from penstock_store.answers import Asker
from penstock_store.scripts import Retention
from penstock_store.store import Store
from tests.integration.runtime.shop import MODEL, tool

pytestmark = pytest.mark.redis
EXACT = {"mode": "Exact"}
HAIKU = "claude-haiku-5-5"


def asked(fake_model):
    return len(fake_model.journal(100)["requests"])


async def answered(shop, *texts, **more):
    """Tasks one after another, each once it has ended."""
    found = []
    for text in texts:
        task = await shop.submit(text, **more)
        found.append(await shop.ended(task) if "tenant" not in more else task)
    return found


async def ended_rows(shop):
    return [row for row in await shop.store.outcomes.rows(shop.agent) if row.kind == "f"]


async def test_the_same_request_is_answered_again_for_nothing_and_counts_as_the_first_one(
    shop, fake_model
):
    cut = await shop.release({"text": "hello 🦊", "latencyMs": 300}, cache=EXACT)
    async with shop.pool(cut):
        first, again = await answered(shop, "Where is A1?", "Where is A1?")
    assert asked(fake_model) == 1
    assert again.outcome == first.outcome
    assert (again.usage.cost_micro_usd, again.usage.input_tokens) == (0, 0)
    assert again.usage.model_calls == 1
    one, other = await ended_rows(shop)
    assert one.cost_micro_usd == other.cost_micro_usd > 0
    assert other.latency_ms >= again.usage.stored_ms >= 300
    said = [(await shop.event(task.id, "model")).data for task in (first, again)]
    assert ["cached" in each for each in said] == [False, True]
    assert (said[1]["costUSD"], said[1]["attempts"]) == ("0.000000", 0)


@pytest.mark.parametrize("cache", [None, {"mode": "Disabled"}, {}])
async def test_without_the_cache_each_request_is_asked(shop, fake_model, cache):
    cut = await shop.release({"text": "hello"}, cache=cache)
    async with shop.pool(cut):
        await answered(shop, "Where is A1?", "Where is A1?")
    assert asked(fake_model) == 2


async def test_another_tenant_another_input_and_another_revision_are_asked_anew(shop, fake_model):
    cut = await shop.release({"text": "hello"}, cache=EXACT)
    async with shop.pool(cut):
        await answered(shop, "Where is A1?", "Where is A1? ")
        other = await shop.submit("Where is A1?", tenant="another")
        await shop.until(lambda: _is_ended(shop, other, "another"))
    assert asked(fake_model) == 3
    cut = await shop.release({"text": "hello"}, cache={**EXACT, "ttlSeconds": 7})
    async with shop.pool(cut):
        await answered(shop, "Where is A1?")
    assert asked(fake_model) == 4


async def _is_ended(shop, task, tenant):
    return (await shop.store.tasks.get(task, tenant)).status.ended


async def test_two_users_of_a_tenant_share_an_answer(shop, fake_model):
    cut = await shop.release({"text": "hello"}, cache=EXACT)
    async with shop.pool(cut):
        await answered(shop, "Where is A1?", user="one")
        await answered(shop, "Where is A1?", user="two")
    assert asked(fake_model) == 1


async def test_an_answer_is_kept_as_long_as_declared(shop, fake_model):
    cut = await shop.release({"text": "hello"}, cache={**EXACT, "ttlSeconds": 1})
    async with shop.pool(cut):
        await answered(shop, "Where is A1?")
        await asyncio.sleep(1.2)
        await answered(shop, "Where is A1?")
    assert asked(fake_model) == 2


async def test_a_tool_that_changes_nothing_is_called_again_and_the_answer_follows_its_result(
    shop, fake_model, tool_server
):
    look = tool("look", f"{tool_server.url}/ok")
    script = {"toolCalls": [{"name": "look", "input": {}}], "text": "it is on its way"}
    cut = await shop.release(script, tools=[look], cache=EXACT)
    async with shop.pool(cut):
        first, again = await answered(shop, "Where is A1?", "Where is A1?")
    assert first.outcome == again.outcome
    assert first.outcome.status is TaskStatus.SUCCEEDED
    assert (asked(fake_model), len(tool_server.calls)) == (2, 2)


@pytest.mark.parametrize("effect", ["Idempotent", "Irreversible"])
async def test_what_changes_something_is_never_answered_from_the_cache(
    shop, fake_model, tool_server, effect
):
    refund = tool("refund", f"{tool_server.url}/ok", effect)
    script = {"toolCalls": [{"name": "refund", "input": {}}], "text": "done"}
    cut = await shop.release(script, tools=[refund], cache=EXACT)
    async with shop.pool(cut):
        await answered(shop, "Refund A1", "Refund A1")
    assert (asked(fake_model), len(tool_server.calls)) == (4, 2)


@pytest.mark.parametrize(
    "script",
    [
        {"outputTokens": 5000},  # cut at maxTokens
        {"refusalPercent": 100},
        {"text": " "},
        {"text": "x" * 16_300, "outputTokens": 50},  # too long to be kept
    ],
)
async def test_what_is_no_whole_answer_is_not_kept(shop, fake_model, script):
    cut = await shop.release(script, cache=EXACT, maxTokens=200)
    async with shop.pool(cut):
        await answered(shop, "Where is A1?")
        before = asked(fake_model)
        await answered(shop, "Where is A1?")
    assert asked(fake_model) == 2 * before


async def test_an_answer_of_a_model_that_is_denied_by_now_is_not_given(shop, fake_model):
    cut = await shop.release({"text": "hello"}, cache=EXACT, fallbacks=[{"name": HAIKU}])
    async with shop.pool(cut):
        await answered(shop, "Where is A1?")
        await shop.route(cut, restrictions=written(Restrictions(deny_models=[MODEL])))
        await answered(shop, "Where is A1?")
        await shop.route(cut)
        await answered(shop, "Where is A1?")
    models = [each["model"] for each in fake_model.journal(100)["requests"]]
    assert models == [MODEL, HAIKU]


async def test_what_another_hand_has_written_is_asked_anew(shop, fake_model):
    cut = await shop.release({"text": "hello"}, cache=EXACT)
    async with shop.pool(cut):
        await answered(shop, "Where is A1?")
        raw = shop.store._connection._client
        tag = f"{{{shop.agent}}}"
        (key,) = await raw.keys(f"{tag}:answer:*")
        for stored in (b"", b"[]", b'{"content":[{}]}', b"\xff"):
            await raw.hset(key, "answer", stored)
            (ended,) = await answered(shop, "Where is A1?")
            assert ended.outcome.status is TaskStatus.SUCCEEDED
    assert asked(fake_model) == 5


async def test_the_store_keeps_a_bounded_number_of_answers(shop):
    agent, by = shop.agent, Asker("acme", "u")
    small = Store.connect(
        shop.redis_url,
        guard=unguarded,
        retention=Retention(answers_per_agent=3),
        timeout_seconds=30,
    )
    for number in range(5):
        await small.answers.keep(agent, f"digest-{number}", b"x", 60 + number, by)
    await small.answers.keep(agent, "digest-4", b"y", 64, by)
    found = [await small.answers.find(agent, f"digest-{number}") for number in range(5)]
    assert found == [None, None, b"x", b"x", b"y"]
    await small.aclose()
