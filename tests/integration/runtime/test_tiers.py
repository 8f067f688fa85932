"""Cheap models for easy work, and for what a budget has no room for otherwise."""

import pytest

from penstock import errors, restrictions
from penstock.api.restrictions import Restrictions
from penstock.money.ledger import Budget, Limit, OnExceeded, Scope, Unit, Window
from penstock.task import Counting, OutcomeReason, TaskStatus
from penstock_runtime.worker import boot
from tests.integration.runtime.shop import MODEL, tool

pytestmark = pytest.mark.redis
HAIKU, OPUS = "claude-haiku-5-5", "claude-opus-4-5"
EASY = {"name": "easy", "model": HAIKU, "maxInputChars": 20, "maxTokens": 300}
QUESTIONS = {"name": "questions", "model": HAIKU, "taskTypes": ["qa", "faq"]}
HARD = {"name": "hard", "model": OPUS, "taskTypes": ["qa"]}


def asked(fake_model):
    return [each["model"] for each in fake_model.journal(100)["requests"]]


async def counted(shop):
    rows = await shop.store.outcomes.rows(shop.agent)
    return [row.counting for row in rows if row.kind == "f"]


@pytest.mark.parametrize(
    ("tiers", "text", "kind", "model"),
    [
        ([], "short", "qa", MODEL),
        ([EASY], "x" * 20, "", HAIKU),
        ([EASY], "x" * 21, "", MODEL),
        ([QUESTIONS], "short", "faq", HAIKU),
        ([QUESTIONS], "short", "", MODEL),
        ([HARD, QUESTIONS], "short", "qa", OPUS),
        ([QUESTIONS, HARD], "short", "qa", HAIKU),
        ([{**EASY, "taskTypes": ["qa"]}], "short", "chat", MODEL),
        ([{**EASY, "taskTypes": ["qa"]}], "short", "qa", HAIKU),
    ],
)
async def test_the_first_tier_that_fits_a_task_answers_it(
    shop, fake_model, tiers, text, kind, model
):
    cut = await shop.release({"text": "hello"}, tiers=tiers)
    task = await shop.submit(text, kind=kind)
    async with shop.pool(cut):
        assert (await shop.ended(task)).status is TaskStatus.SUCCEEDED
    assert asked(fake_model) == [model]
    assert await counted(shop) == [Counting.GOOD]


@pytest.mark.parametrize("name", ["easy", "cheap"])
async def test_a_tasks_usage_names_the_tier_that_answered(shop, name):
    cut = await shop.release({"text": "hello"}, tiers=[{**EASY, "name": name}])
    easy, other = await shop.submit("short"), await shop.submit("x" * 30)
    async with shop.pool(cut):
        assert (await shop.ended(easy)).usage.wire()["tier"] == name
        assert "tier" not in (await shop.ended(other)).usage.wire()
    said = (await shop.event(easy, "model")).data
    assert (said["model"], said["tier"]) == (HAIKU, name)


@pytest.mark.parametrize(("most", "cut_at"), [(100, 100), (None, 200)])
async def test_a_tier_asks_for_replies_of_its_own_length_or_the_models(shop, most, cut_at):
    tier = {**EASY, "maxTokens": most} if most else {"name": "easy", "model": HAIKU}
    cut = await shop.release({"outputTokens": 5000}, tiers=[tier], maxTokens=200)
    task = await shop.submit("short")
    async with shop.pool(cut):
        ended = await shop.ended(task)
    assert f"cut at the {cut_at} tokens" in ended.outcome.message


async def test_a_tiers_answer_costs_what_its_model_does(shop, fake_model):
    script = {"outputTokens": 100}
    cut = await shop.release(script, tiers=[EASY])
    easy, other = await shop.submit("short"), await shop.submit("x" * 30)
    async with shop.pool(cut):
        cheap, dear = await shop.ended(easy), await shop.ended(other)
    assert 0 < cheap.usage.cost_micro_usd < dear.usage.cost_micro_usd / 2


async def test_where_a_tiers_model_is_away_the_fallbacks_stand_in(shop, fake_model):
    script = {"text": "hello", "errorPercent": 100, "errorStatus": 529, "faultyModels": [HAIKU]}
    more = {"fallbacks": [{"name": OPUS}], "retries": 0}
    cut = await shop.release(script, tiers=[EASY], **more)
    task = await shop.submit("short")
    async with shop.pool(cut):
        assert (await shop.ended(task)).status is TaskStatus.SUCCEEDED
    assert asked(fake_model) == [HAIKU, OPUS]


async def test_a_tiers_model_can_be_denied(shop, fake_model):
    cut = await shop.release({"text": "hello"}, tiers=[EASY])
    denied = restrictions.written(Restrictions(deny_models=[HAIKU]))
    await shop.route(cut, restrictions=denied)
    easy, other = await shop.submit("short"), await shop.submit("x" * 30)
    async with shop.pool(cut):
        assert (await shop.ended(easy)).outcome.reason is OutcomeReason.RESTRICTED
        assert (await shop.ended(other)).status is TaskStatus.SUCCEEDED
    assert asked(fake_model) == [MODEL]


async def test_a_tier_without_a_price_keeps_a_worker_from_starting(shop):
    cut = await shop.release({}, tiers=[{"name": "odd", "model": "nobody-knows-it"}])
    settings = shop.settings(cut)
    with pytest.raises(errors.InvalidResource, match="nobody-knows-it"):
        boot.equip(settings, boot.load_revision(settings))


# ----------------------------------------------------------------------- what a budget refuses


def daily(most):
    return Limit(Scope.AGENT, Window.DAY, Unit.MICRO_USD, most)


async def with_budget(shop, most, then, tiers=(EASY,), **script):
    """A task of the model itself for whose reply of 1,000 tokens there is so much money."""
    cut = await shop.release(script, tiers=tiers, maxTokens=1000)
    budget = Budget((daily(most),), min_reply_tokens=1000, on_exceeded=then)
    await shop.store.ledger.declare(shop.agent, budget)
    task = await shop.submit("x" * 30)
    async with shop.pool(cut):
        return await shop.ended(task)


#: Enough for a call of the cheap model with its 300 tokens, and not for 1,000 of the other one.
LITTLE = 9000


@pytest.mark.parametrize(
    ("then", "status", "models"),
    [
        (OnExceeded.REJECT, TaskStatus.LIMIT_EXCEEDED, []),
        (OnExceeded.ESCALATE, TaskStatus.ESCALATED, []),
        (OnExceeded.DEGRADE, TaskStatus.SUCCEEDED, [HAIKU]),
    ],
)
async def test_what_follows_where_a_budget_has_no_room_for_the_model(
    shop, fake_model, then, status, models
):
    ended = await with_budget(shop, LITTLE, then, text="hello")
    assert (ended.status, asked(fake_model)) == (status, models)
    assert await counted(shop) == [Counting.LEFT_OUT]
    assert ended.usage.tier == ("easy" if models else "")


async def test_where_the_cheapest_tier_has_no_room_either_the_task_ends(shop, fake_model):
    ended = await with_budget(shop, 100, OnExceeded.DEGRADE, text="hello")
    assert (ended.status, ended.outcome.reason) == (
        TaskStatus.LIMIT_EXCEEDED,
        OutcomeReason.BUDGET,
    )
    assert not asked(fake_model)


async def test_the_cheapest_of_the_tiers_is_taken_and_none_that_is_dearer(shop, fake_model):
    both = [{"name": "a", "model": OPUS, "taskTypes": ["x"]}, {**EASY, "maxInputChars": 1}]
    ended = await with_budget(shop, LITTLE, OnExceeded.DEGRADE, both, text="hello")
    assert (ended.status, asked(fake_model)) == (TaskStatus.SUCCEEDED, [HAIKU])
    dearer = [{"name": "a", "model": OPUS, "taskTypes": ["x"]}]
    await shop.store.ledger.declare(shop.agent, None)
    ended = await with_budget(shop, 100, OnExceeded.DEGRADE, dearer, text="hello")
    assert ended.outcome.reason is OutcomeReason.BUDGET
    assert OPUS not in asked(fake_model)


async def test_a_task_may_be_degraded_between_two_calls(shop, fake_model, tool_server):
    look_up = tool("look_up", tool_server.url + "/ok")
    script = {"toolCalls": [{"name": "look_up", "input": {}}], "outputTokens": 900}
    cut = await shop.release(script, tiers=[EASY], tools=[look_up], maxTokens=1000)
    budget = Budget((daily(22_000),), min_reply_tokens=1000, on_exceeded=OnExceeded.DEGRADE)
    await shop.store.ledger.declare(shop.agent, budget)
    task = await shop.submit("x" * 30)
    async with shop.pool(cut):
        ended = await shop.ended(task)
    assert asked(fake_model) == [MODEL, HAIKU]
    assert ended.usage.tier == "easy"
    assert await counted(shop) == [Counting.LEFT_OUT]
    spent = await shop.store.ledger.spending(shop.agent)
    today = next(one for one in spent.windows if one.window is Window.DAY)
    assert today.settled.micro_usd == ended.usage.cost_micro_usd <= 22_000
    assert today.held.micro_usd == 0
