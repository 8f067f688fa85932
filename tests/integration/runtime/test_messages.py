"""The words that end users read instead of an answer, whoever ends the task."""

import pytest

from penstock.money.ledger import Budget, Limit, OnExceeded, Scope, Unit, Window
from penstock.task import OutcomeReason, TaskStatus
from tests.integration.runtime.shop import tool

pytestmark = pytest.mark.redis
WORDS = {
    "escalated": "A person will answer you.",
    "unavailable": "Please try again later.",
    "blocked": "We cannot help with that.",
}


def without(*fields):
    return {name: words for name, words in WORDS.items() if name not in fields}


@pytest.mark.parametrize(
    ("script", "messages", "status", "read"),
    [
        ({"text": "Hi."}, WORDS, "Succeeded", "Hi."),
        ({"errorPercent": 100}, WORDS, "Failed", WORDS["unavailable"]),
        ({"errorPercent": 100}, without("unavailable"), "Failed", ""),
        ({"errorPercent": 100}, None, "Failed", ""),
        ({"refusalPercent": 100}, WORDS, "Escalated", WORDS["blocked"]),
        ({"refusalPercent": 100}, without("blocked"), "Escalated", WORDS["escalated"]),
        ({"refusalPercent": 100}, {"unavailable": "x"}, "Escalated", ""),
    ],
)
async def test_what_an_end_user_reads_where_there_is_no_answer(
    shop, script, messages, status, read
):
    ended = await shop.run(script, messages=messages, retries=0)
    assert (ended.status.value, ended.outcome.output) == (status, read)


@pytest.mark.parametrize(
    ("then", "read"),
    [
        (OnExceeded.REJECT, WORDS["unavailable"]),
        (OnExceeded.ESCALATE, WORDS["escalated"]),
    ],
)
async def test_a_task_that_a_budget_ends_is_read_by_how_it_ended(shop, then, read):
    cut = await shop.release({}, messages=WORDS)
    least = Limit(Scope.AGENT, Window.DAY, Unit.MICRO_USD, 1)
    await shop.store.ledger.declare(shop.agent, Budget((least,), on_exceeded=then))
    task = await shop.submit()
    async with shop.pool(cut):
        ended = await shop.ended(task)
    assert (ended.outcome.reason, ended.outcome.output) == (OutcomeReason.BUDGET, read)


async def test_a_task_that_no_worker_ends_has_words_too(shop):
    await shop.release({}, messages=WORDS, limits={"queueSeconds": 1})
    task = await shop.submit()
    await shop.until(lambda: shop.older_than(task, 1100))
    await shop.store.queue.expire(shop.agent)
    ended = await shop.task(task)
    assert (ended.status, ended.outcome.output) == (TaskStatus.EXPIRED, WORDS["unavailable"])


async def test_a_part_of_an_answer_is_read_instead_of_words_for_none(shop, tool_server):
    look_up = tool("look_up", tool_server.url + "/ok")
    script = {"loopTool": "look_up", "textBefore": "I look.", "outputTokens": 40}
    bounds = {"toolCalls": 9, "identicalActions": 9}
    cut = await shop.release(script, tools=[look_up], messages=WORDS, limits=bounds, maxTokens=300)
    most = Limit(Scope.AGENT, Window.DAY, Unit.MICRO_USD, 9000)
    await shop.store.ledger.declare(shop.agent, Budget((most,)))
    task = await shop.submit()
    async with shop.pool(cut):
        ended = await shop.ended(task)
    assert (ended.outcome.reason, ended.outcome.output) == (OutcomeReason.BUDGET, "I look.")
