"""A task for whose calls nothing is left of a budget is not accepted, and hears until when."""

from __future__ import annotations

import re

import pytest

from penstock.money.ledger import (
    Amount,
    Budget,
    Limit,
    Mode,
    OnExceeded,
    Quote,
    Scope,
    Settlement,
    Unit,
    Window,
    Wish,
)
from tests.integration.store.test_bounds import refused

pytestmark = pytest.mark.redis


async def spend(desk, micro_usd, **whose):
    """Have a task of somebody spend so much."""
    task = (await desk.admit(**whose)).task
    wish = Wish(f"call-{task}", Quote(Amount(1, micro_usd), 1, 1, 0), 60_000)
    reserved = await desk.store.ledger.reserve(desk.agent, task, wish)
    bill = Settlement(reserved.call, Amount(1, micro_usd), reserved.at_ms)
    assert await desk.store.ledger.settle(desk.agent, task, [bill]) == [True]


async def declare(desk, *scopes, most=1000, mode=Mode.ENFORCE, **more):
    limits = tuple(Limit(scope, Window.DAY, Unit.MICRO_USD, most) for scope in scopes)
    await desk.store.ledger.declare(desk.agent, Budget(limits, mode, **more))


@pytest.mark.parametrize(
    ("scope", "field"),
    [
        (Scope.AGENT, "budgets.costUSD.daily"),
        (Scope.TENANT, "budgets.perTenant.costUSD.daily"),
        (Scope.USER, "budgets.perUser.costUSD.daily"),
    ],
)
async def test_what_is_spent_whole_refuses_with_what_is_spent_and_when_it_is_reset(
    desk, scope, field
):
    await declare(desk, scope)
    await spend(desk, 999, user="ana")
    await spend(desk, 1, user="ana")
    problem = await refused(desk, user="ana")
    assert (problem.problem, problem.scope) == ("budget-exceeded", scope.value)
    assert f"{field} of agent {desk.agent} is 0.001000 USD, and 0.001000 USD are spent" in (
        problem.detail
    )
    assert 0 < problem.retry_after_seconds <= 86_400
    assert re.search(r"; it is reset in [0-9]+ (s|min|h)$", problem.detail)
    if scope is not Scope.AGENT:
        await desk.admit(user="ben", tenant="another")


async def test_as_long_as_something_is_left_tasks_are_accepted(desk):
    await declare(desk, Scope.AGENT, Scope.USER)
    await spend(desk, 999, user="ana")
    await desk.admit(user="ana")


async def test_a_larger_budget_lets_tasks_in_again(desk):
    await declare(desk, Scope.AGENT)
    await spend(desk, 1000)
    await refused(desk)
    await declare(desk, Scope.AGENT, most=2000)
    await desk.admit()


async def test_one_that_only_reports_accepts_and_says_so(desk):
    await declare(desk, Scope.USER, mode=Mode.REPORT)
    await spend(desk, 5000, user="ana")
    assert (await desk.admit(user="ana")).over_rate == "user"


@pytest.mark.parametrize("scope", [Scope.AGENT, Scope.TENANT, Scope.USER])
async def test_one_that_hands_tasks_to_people_accepts_them_and_says_so(desk, scope):
    await declare(desk, scope, on_exceeded=OnExceeded.ESCALATE)
    await spend(desk, 1000, user="ana")
    admitted = await desk.admit(user="ana")
    assert (admitted.over_rate, admitted.escalates) == (scope.value, True)
    await declare(desk, scope)
    await refused(desk, user="ana")
