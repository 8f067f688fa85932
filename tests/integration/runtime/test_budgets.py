"""A budget that workers keep, on a real Redis: reserved before each call, settled by its bill."""

import collections
import socket

import pytest

from penstock.money.ledger import Amount, Budget, Limit, Mode, OnExceeded, Scope, Unit, Window
from penstock.task import Counting, OutcomeReason, TaskStatus
from penstock_store.agent_scripts import AgentScripts
from tests.integration.runtime.shop import MODEL, tool
from tests.integration.runtime.test_afforded import OVERHEAD, SAYS, exceeded

USD = 1_000_000
HAIKU = "claude-haiku-5-5"


def daily(most, scope=Scope.AGENT, unit=Unit.MICRO_USD):
    return Limit(scope, Window.DAY, unit, most)


async def of_today(shop, **whose):
    said = await shop.store.ledger.spending(shop.agent, **whose)
    return {one.scope: one for one in said.windows if one.window is Window.DAY}


def billed(fake_model):
    """What the vendor has billed, each call rounded up, at the prices of claude-sonnet-5-5."""
    total = Amount()
    for each in fake_model.journal(1000)["requests"]:
        used = each["usage"]
        fresh, out = used["input_tokens"], used["output_tokens"]
        read, written = used["cache_read_input_tokens"], used["cache_creation_input_tokens"]
        cost = -(-(200 * fresh + 1000 * out + 10 * read + 250 * written) // 100)
        total += Amount(fresh + read + written + out, cost)
    return total


async def test_the_ledger_equals_the_vendors_journal_to_the_micro_dollar(
    shop, tool_server, fake_model
):
    look_up = tool("look_up", tool_server.url + "/ok")
    script = {"toolCalls": [{"name": "look_up", "input": {"order": "A1"}}]}
    cut = await shop.release(script, tools=[look_up])
    await shop.store.ledger.declare(shop.agent, Budget((daily(USD),)))
    tasks = [await shop.submit(f"Where is A{number}?") for number in range(12)]
    async with shop.pool(cut):
        ended = [await shop.ended(each) for each in tasks]
    assert {each.status for each in ended} == {TaskStatus.SUCCEEDED}
    spent = (await of_today(shop))[Scope.AGENT]
    assert spent.settled == billed(fake_model)
    assert spent.held == Amount()
    assert sum(each.usage.cost_micro_usd for each in ended) == spent.settled.micro_usd


class Trips:
    """Counts the calls of the store in which a worker waits for Redis, by script."""

    def __init__(self, monkeypatch):
        self.made = collections.Counter()
        run = AgentScripts.run

        async def counted(scripts, name, *arguments, **more):
            self.made[name] += 1
            return await run(scripts, name, *arguments, **more)

        monkeypatch.setattr(AgentScripts, "run", counted)

    def of_tasks(self):
        """Those of tasks that are worked on; the claim is there for several, and asks again for none."""
        without = ("claim", "heartbeat", "admit", "leave", "route", "budget", "spent", "part")
        return {script: count for script, count in self.made.items() if script not in without}


LOOKS = [{"name": "look_up", "input": {"order": f"A{number}"}} for number in range(3)]
LOOPS = {"loopTool": "look_up"}


@pytest.mark.parametrize("budget", [None, Budget((daily(USD),))], ids=["no budget", "budget"])
@pytest.mark.parametrize(
    ("script", "model_calls", "checkpoints"),
    [({}, 1, 0), ({"toolCalls": LOOKS[:1]}, 2, 2), ({"toolCalls": LOOKS}, 2, 4), (LOOPS, 4, 8)],
    ids=["no tool", "one", "three at once", "four in a row"],
)
async def test_money_has_no_round_trip_of_its_own(
    shop, tool_server, monkeypatch, script, model_calls, checkpoints, budget
):
    """The first call reserves with the claim, each later one with the checkpoint, and the end settles."""
    look_up = tool("look_up", tool_server.url + "/ok")
    limits = {"modelCalls": 4, "identicalActions": 100}
    cut = await shop.release(script, tools=[look_up], limits=limits)
    await shop.store.ledger.declare(shop.agent, budget)
    trips = Trips(monkeypatch)
    async with shop.pool(cut):
        ended = await shop.ended(await shop.submit())
        made = trips.of_tasks()
    assert ended.usage.model_calls == model_calls
    assert made == {"finish": 1} | ({"checkpoint": checkpoints} if checkpoints else {})
    if budget:
        spent = (await of_today(shop))[Scope.AGENT]
        assert spent.settled.micro_usd == ended.usage.cost_micro_usd > 0
        assert spent.held == Amount()


async def test_later_turns_of_a_session_have_none_either(shop, monkeypatch):
    """What the turns before have used is bounded with the claim, whether it was counted or not."""
    cut = await shop.release({"overheadTokens": {"call": 900, "message": 16, "tool": 64}})
    await shop.store.ledger.declare(shop.agent, Budget((daily(USD),)))
    trips = Trips(monkeypatch)
    async with shop.pool(cut):
        for says in ("Hi.", "Bye.", 'One "role" more.', "\n\u00fc/" * 50):
            ended = await shop.ended(await shop.submit(says, session="s"))
            assert ended.status is TaskStatus.SUCCEEDED
        made = trips.of_tasks()
    assert made == {"finish": 4}


async def test_concurrent_tasks_never_pass_a_budget_and_use_it_to_the_end(shop, fake_model):
    cut = await shop.release({"outputTokens": 700}, maxTokens=1000, limits={"queueSeconds": 300})
    most = 100_000
    await shop.store.ledger.declare(shop.agent, Budget((daily(most),)))
    tasks = [await shop.submit(user=f"u{number}") for number in range(40)]
    async with shop.pool(cut), shop.pool(cut):
        ended = [await shop.ended(each, 90) for each in tasks]
    spent = (await of_today(shop))[Scope.AGENT]
    assert spent.settled == billed(fake_model)
    assert spent.settled.micro_usd <= most
    bound = 15_000  # of one call at the floor: what is left is less than that
    assert most - spent.settled.micro_usd < bound
    refused = [each for each in ended if each.status is TaskStatus.LIMIT_EXCEEDED]
    assert refused
    assert {each.outcome.reason for each in refused} == {OutcomeReason.BUDGET}
    assert all(
        "budgets.costUSD.daily is 0.100000 USD" in e.outcome.message
        or "what was left of budgets.costUSD.daily" in e.outcome.message
        for e in refused
    )


@pytest.mark.parametrize("says", SAYS)
async def test_no_text_and_no_framing_passes_a_budget(shop, tool_server, fake_model, says):
    """A vendor with a token for each byte, which bills framing and tools besides; eight at once."""
    script = {"loopTool": "look_up", "tokenPerByte": True, "overheadTokens": OVERHEAD}
    look_up = tool("look_up", tool_server.url + "/ok")
    limits = {"inputChars": 1_000_000, "inputTokens": 10_000_000, "costUSD": "100"}
    limits |= {"modelCalls": 5, "toolCalls": 30, "identicalActions": 100}
    most = 2 * USD if says == "200 kB" else USD // 4
    cut = await shop.release(script, tools=[look_up], limits=limits, maxTokens=300)
    await shop.store.ledger.declare(shop.agent, Budget((daily(most),)))
    tasks = [await shop.submit(SAYS[says], user=f"u{number}") for number in range(8)]
    async with shop.pool(cut), shop.pool(cut):
        ended = [await shop.ended(each) for each in tasks]
    spent = (await of_today(shop))[Scope.AGENT]
    assert spent.settled == billed(fake_model)
    assert most * 0.6 < spent.settled.micro_usd <= most
    assert {each.outcome.reason for each in ended} >= {OutcomeReason.BUDGET}
    assert not exceeded(cut), "no bill was above its bound"


@pytest.mark.parametrize("unit", Unit)
async def test_a_user_who_has_spent_his_budget_stops_nobody_else(shop, unit):
    most = 20_000 if unit is Unit.MICRO_USD else 6000
    cut = await shop.release({"outputTokens": 400}, maxTokens=500)
    await shop.store.ledger.declare(shop.agent, Budget((daily(most, Scope.USER, unit),)))
    async with shop.pool(cut):
        ana = [await shop.ended(await shop.submit(user="ana")) for _ in range(12)]
        ben = await shop.ended(await shop.submit(user="ben"))
    assert ana[0].status is TaskStatus.SUCCEEDED
    assert ana[-1].outcome.reason is OutcomeReason.BUDGET
    assert "budgets.perUser." in ana[-1].outcome.message
    assert ben.status is TaskStatus.SUCCEEDED
    spent = (await of_today(shop, tenant="test", user="ana"))[Scope.USER]
    assert getattr(spent.settled, unit.value) <= most


async def test_what_only_reports_refuses_nothing_and_counts(shop):
    cut = await shop.release({"outputTokens": 400}, maxTokens=500)
    await shop.store.ledger.declare(shop.agent, Budget((daily(1),), Mode.REPORT))
    async with shop.pool(cut):
        ended = await shop.ended(await shop.submit())
    assert ended.status is TaskStatus.SUCCEEDED
    said = await shop.store.ledger.spending(shop.agent)
    assert said.refusals[Scope.AGENT, Window.DAY, Unit.MICRO_USD] >= 1


@pytest.mark.parametrize(
    ("then", "status"),
    [
        (OnExceeded.REJECT, TaskStatus.LIMIT_EXCEEDED),
        (OnExceeded.ESCALATE, TaskStatus.ESCALATED),
    ],
)
async def test_a_task_that_a_budget_refuses_ends_as_the_budget_says(
    shop, tool_server, then, status
):
    look_up = tool("look_up", tool_server.url + "/ok")
    script = {"toolCalls": [{"name": "look_up", "input": {}}], "inputTokens": 100}
    cut = await shop.release(script, tools=[look_up], maxTokens=300)
    budget = Budget((daily(1, Scope.USER),), on_exceeded=then)
    await shop.store.ledger.declare(shop.agent, budget)
    first = await shop.submit(user="ana")
    async with shop.pool(cut):
        ended = await shop.ended(first)
    assert (ended.status, ended.outcome.reason) == (status, OutcomeReason.BUDGET)
    assert ended.usage.model_calls == 0
    rows = await shop.store.outcomes.rows(shop.agent)
    assert [row.counting for row in rows if row.kind == "f"] == [Counting.LEFT_OUT]


async def test_a_task_that_is_cancelled_before_it_was_asked_for_gives_back_what_it_held(shop):
    cut = await shop.release({"latencyMs": 20_000})
    await shop.store.ledger.declare(shop.agent, Budget((daily(USD),)))
    async with shop.pool(cut, PENSTOCK_CONCURRENCY="1"):
        first = await shop.submit()
        await shop.until(lambda: shop.starts(first))
        await shop.store.tasks.cancel(first, "test")
        await shop.ended(first)
    spent = (await of_today(shop))[Scope.AGENT]
    assert (await shop.task(first)).unsettled == spent.settled
    assert spent.held == Amount(), "a call that was cut counts what it held, and holds nothing"
    assert spent.settled.micro_usd > 0


async def test_an_attempt_that_failed_is_not_in_the_way_of_the_next_one(shop):
    """The budget has room for one call at a time, and the vendor bills nothing for the first."""
    script = {"text": "hello", "errorPercent": 100, "errorStatus": 529, "faultyModels": [MODEL]}
    cut = await shop.release(script, retries=0, maxTokens=4000, fallbacks=[{"name": HAIKU}])
    tokens = daily(8_000, unit=Unit.TOKENS)
    await shop.store.ledger.declare(shop.agent, Budget((tokens,), min_reply_tokens=4000))
    async with shop.pool(cut):
        ended = await shop.ended(await shop.submit())
    assert (ended.status, ended.outcome.message) == (TaskStatus.SUCCEEDED, "")


async def test_without_a_budget_nothing_is_written(shop):
    ended = await shop.run({"text": "Hi."})
    assert ended.status is TaskStatus.SUCCEEDED
    said = await shop.store.ledger.spending(shop.agent)
    assert all(one.settled == one.held == Amount() for one in said.windows)


@pytest.mark.parametrize("most", [USD, 1])
async def test_where_the_model_cannot_be_asked_to_count_who_stands_in_reserves_for_itself(
    shop, fake_model, most
):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    bounds = {"inputTokens": 30_000, "inputChars": 1_000_000}
    stand_in = [{"name": "claude-haiku-5-5", "baseURL": fake_model.url}]
    cut = await shop.release(
        {"text": "hello"}, limits=bounds, baseURL=gone, fallbacks=stand_in, retries=0
    )
    await shop.store.ledger.declare(shop.agent, Budget((daily(most),)))
    task = await shop.submit("x" * 60_000)
    async with shop.pool(cut):
        ended = await shop.ended(task)
    spent = (await of_today(shop))[Scope.AGENT]
    assert spent.held == Amount()
    assert spent.settled.micro_usd == ended.usage.cost_micro_usd
    answered = [each["model"] for each in fake_model.journal(100)["requests"]]
    if most == USD:
        assert ended.status is TaskStatus.SUCCEEDED
        assert answered == ["claude-haiku-5-5"]
    else:
        assert (ended.status, ended.outcome.reason) == (
            TaskStatus.LIMIT_EXCEEDED,
            OutcomeReason.BUDGET,
        )
        assert not answered
