"""What a budget is and what is spent of it, as callers and the terminal read it from a real gateway."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from datetime import UTC, datetime

import pytest

from penstock.money import lifts
from penstock.money.ledger import (
    Amount,
    Budget,
    Lift,
    Limit,
    Quote,
    Reserved,
    Scope,
    Settlement,
    Unit,
    Window,
    Wish,
)
from penstock.task import Outcome, TaskStatus, Usage
from penstock_runtime.gateway import documents
from tests.integration.gateway.conftest import CANARY, STABLE
from tests.integration.gateway.test_terminal import ended

USD = 1_000_000
DAY = (Scope.AGENT, Window.DAY, Unit.MICRO_USD)
LIMITS = (
    Limit(*DAY, 4 * USD),
    Limit(Scope.AGENT, Window.HOUR, Unit.TOKENS, 9000),
    Limit(Scope.USER, Window.DAY, Unit.MICRO_USD, USD),
    Limit(Scope.TENANT, Window.DAY, Unit.MICRO_USD, 2 * USD),
)


@pytest.fixture
async def path(agent, store):
    """Where the budget is read, of an agent that spent 1.5 USD of 5, one of them by a lift."""
    begins, _ = lifts.bounds(Window.DAY, datetime.now(UTC))
    begins_ms = int(begins.timestamp() * 1000)
    lift = Lift(*DAY, USD, begins_ms, "ada", begins_ms + 1)
    past = Lift(*DAY, USD, begins_ms - 86_400_000, "bob", begins_ms - 1)
    await store.ledger.declare(agent.key, Budget(LIMITS, lifts=(past, lift)))
    return agent.tasks.replace("/tasks", "/budget")


async def spend(agent, client, store, micro_usd, user="", call="1"):
    task = (await client.post(agent.tasks, json={"input": "x", "user": user})).json()["id"]
    wish = Wish(f"{task}-{call}", Quote(Amount(1000, 500_000), 100, 1, USD), 60_000)
    reserved = await store.ledger.reserve(agent.key, task, wish)
    assert isinstance(reserved, Reserved)
    bill = Settlement(reserved.call, Amount(1000, micro_usd), reserved.at_ms)
    await store.ledger.settle(agent.key, task, [bill])
    (claim,) = await agent.claim()
    usage = Usage(1, 0, 900, 100, micro_usd, 40)
    assert await store.claims.finish(claim, Outcome(TaskStatus.SUCCEEDED, output="x"), usage)


async def test_each_limit_says_what_is_spent_held_and_left_and_when_it_is_reset(
    path, agent, client, store
):
    await spend(agent, client, store, 250_000, "ana")
    await spend(agent, client, store, 150_000)
    said = (await client.get(path)).json()
    assert documents.Budget.model_validate(said), "as it is described"
    windows = {(one["scope"], one["window"]): one for one in said["windows"]}
    assert set(windows) == {("agent", "daily"), ("agent", "hourly"), ("tenant", "daily")}
    daily = windows["agent", "daily"]
    assert daily | {"resetsAt": ""} == {
        "scope": "agent", "window": "daily", "unit": "USD", "limit": "5.000000", "spent": "0.400000",
        "reserved": "0.000000", "left": "4.600000", "percent": 8, "resetsAt": "", "refuses": False,
    }  # fmt: skip
    assert daily["resetsAt"].endswith("T00:00:00.000Z")
    assert windows["agent", "hourly"]["spent"] == "2000"
    assert said["revisions"] == [{"revision": f"{agent.key.name}-{STABLE}", "costUSD": "0.400000"}]
    assert [(one["amount"], one["by"]) for one in said["lifts"]] == [("1.000000", "")]


async def test_a_user_s_windows_are_those_of_the_caller_s_tenant(
    path, agent, client, store, shared
):
    await spend(agent, client, store, 250_000, "ana")

    async def of_ana(reader):
        found = (await reader.get(path, params={"user": "ana"})).json()["windows"]
        return {one["scope"]: one["spent"] for one in found if one["window"] == "daily"}

    assert await of_ana(client) == {"agent": "0.250000", "user": "0.250000", "tenant": "0.250000"}
    async with shared.client("other-tenant") as other:
        assert await of_ana(other) == {
            "agent": "0.250000",
            "user": "0.000000",
            "tenant": "0.000000",
        }
    nobody = (await client.get(path, params={"user": ""})).json()["windows"]
    assert [one["spent"] for one in nobody if one["scope"] == "user"] == ["0.000000"]


async def test_what_was_refused_is_counted_and_its_limit_says_so(path, agent, client, store):
    await store.ledger.declare(agent.key, Budget((Limit(*DAY, 600_000),)))
    await spend(agent, client, store, 300_000)
    task = (await client.post(agent.tasks, json={"input": "x"})).json()["id"]
    wish = Wish("refused", Quote(Amount(1000, 500_000), 100, 1, USD), 60_000)
    await store.ledger.reserve(agent.key, task, wish)
    said = (await client.get(path)).json()
    assert [one["refuses"] for one in said["windows"]] == [True]
    assert said["refusals"] == [{"scope": "agent", "window": "daily", "unit": "USD", "count": 1}]


async def test_without_a_budget_there_is_the_cost_of_today_alone(agent, client, store):
    path = agent.tasks.replace("/tasks", "/budget")
    await agent.set_route(canary=CANARY, percent=100)
    said = (await client.get(path)).json()
    assert (said["windows"], said["lifts"], said["revisions"], said["refusals"]) == ([], [], [], [])


@pytest.mark.parametrize(
    ("query", "problem"),
    [("?users=a", "invalid-query"), ("?user=a&user=b", "invalid-query"), ("?user=" + "x" * 300, "invalid-query")],
)  # fmt: skip
async def test_another_query_is_refused(path, client, query, problem):
    answer = await client.get(path + query)
    assert answer.status_code == 400
    assert answer.json()["type"].endswith(problem)


async def test_a_token_for_another_agent_reads_nothing_and_nothing_can_be_written(
    path, client, shared
):
    async with shared.client("one-agent") as other:
        assert (await other.get(path)).json()["type"].endswith("agent-forbidden")
    assert (await client.put(path)).headers["allow"] == "GET"
    answer = await client.get("/v1/namespaces/Not_One/agents/x/budget")
    assert answer.json()["type"].endswith("agent-not-found")


# ----------------------------------------------------------------------------------- the terminal


@pytest.fixture
def show(shared, agent):
    async def carried_out(*arguments):
        where = (agent.key.name, "-n", agent.key.namespace)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "penstock_cli", "budget", "show", *where, *arguments),
            env={**os.environ, "PENSTOCK_GATEWAY_URL": shared.url, "PENSTOCK_TOKEN": "all-agents"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        return await ended(process)

    return carried_out


async def test_the_terminal_shows_windows_lifts_and_revisions(path, agent, client, store, show):
    await spend(agent, client, store, 250_000, "ana")
    code, said, told = await show("--user", "ana")
    assert (code, told) == (0, "")
    windows, lifted, revisions = said.split("\n\n")
    rows = [line.split() for line in windows.splitlines()]
    assert rows[0] == ["BUDGET", "UNIT", "LIMIT", "SPENT", "USED", "RESERVED", "LEFT", "RESETS-AT", "REFUSES"]  # fmt: skip
    (daily,) = [row for row in rows if row[0] == "agent/daily"]
    assert daily[1:7] == ["USD", "5", "0.25", "5%", "0", "4.75"]
    assert daily[7].endswith("T00:00:00Z"), "as kubectl shows it"
    assert [row[0] for row in rows if row[0].startswith("user")] == ["user/daily"]
    assert "agent/daily   1 USD" in lifted
    assert revisions.splitlines()[1].split() == [f"{agent.key.name}-{STABLE}", "0.25"]
    code, said, _ = await show("-o", "json")
    assert (code, json.loads(said)["agent"]) == (0, agent.key.name)


async def test_the_terminal_says_that_there_is_no_budget(agent, show):
    code, said, told = await show()
    assert (code, told) == (
        0,
        f"penstock: if {agent.key.name} should have a budget, check its name\n",
    )
    assert said == "no budget: nothing is limited\n\nno task of today has cost anything\n"
