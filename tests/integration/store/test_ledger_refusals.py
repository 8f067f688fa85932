"""How short a reply may be, and what follows where a budget has no room: as the budget says."""

from __future__ import annotations

import pytest

from penstock.money.ledger import Amount, OnExceeded, Quote, Refused, Scope, Unit, Window
from tests.integration.store.ledger_desk import MOST, QUOTE, Money, limit

pytestmark = pytest.mark.redis
NOTHING = Amount()


@pytest.fixture
def money(desk):
    return Money(desk)


@pytest.mark.parametrize("floor", [10, 400])
async def test_a_budgets_own_floor_takes_the_place_of_the_callers(money, floor):
    task = await money.task()
    await money.declare(limit(most=QUOTE.most(floor).micro_usd), min_reply_tokens=floor)
    reserved = await money.reserve(task)
    assert reserved.reply_tokens == floor
    await money.settle(task, reserved, NOTHING)
    await money.declare(limit(most=QUOTE.most(floor).micro_usd - 1), min_reply_tokens=floor)
    assert isinstance(await money.reserve(task), Refused)
    short = Quote(QUOTE.fixed, floor - 1, floor - 1, QUOTE.reply_rate)
    assert (await money.reserve(task, money.wish(short))).reply_tokens == floor - 1


@pytest.mark.parametrize("then", OnExceeded)
async def test_who_is_refused_or_cut_hears_what_becomes_of_the_task(money, then):
    task = await money.task()
    await money.declare(limit(most=QUOTE.most(300).micro_usd), on_exceeded=then)
    cut = await money.reserve(task, call="cut")
    again = await money.reserve(task, call="cut")
    assert cut == again
    assert (cut.reply_tokens, cut.on_exceeded) == (300, then)
    await money.settle(task, cut, QUOTE.most(300))
    assert (await money.reserve(task)).on_exceeded is then


async def refusals(money):
    return (await money.ledger.spending(money.desk.agent)).refusals


async def test_a_refusal_counts_once_and_not_where_the_call_was_bounded_too_wide(money):
    task = await money.task()
    await money.declare(limit(most=1))
    assert isinstance(await money.reserve(task, call="claim@1.0"), Refused)
    assert await refusals(money) == {}, "it is asked about once more, as it is made"
    assert isinstance(await money.reserve(task, call="claim@1.1"), Refused)
    assert await refusals(money) == {(Scope.AGENT, Window.DAY, Unit.MICRO_USD): 1}


async def test_who_waits_and_is_refused_in_the_end_counts_once(money):
    task = await money.task()
    await money.declare(limit(most=MOST.micro_usd))
    first = await money.reserve(task)
    waiting = await money.waiting(task)
    await money.settle(task, first, MOST)
    assert isinstance(await waiting, Refused)
    assert await refusals(money) == {(Scope.AGENT, Window.DAY, Unit.MICRO_USD): 1}


async def test_windows_of_users_and_tenants_that_pass_a_mark_are_counted_once_each(money):
    await money.declare(
        limit(Scope.USER, most=10 * MOST.micro_usd),
        limit(Scope.USER, most=1000 * MOST.tokens, unit=Unit.TOKENS),
        limit(Scope.TENANT, Window.HOUR, most=27 * MOST.micro_usd),
    )
    for user, calls in (("one", 8), ("two", 5), ("three", 4), ("four", 10)):
        task = await money.task(user=user)
        for _ in range(calls):
            await money.settle(task, await money.reserve(task), MOST)
    said = await money.ledger.spending(money.desk.agent)
    assert said.marks == {
        (Scope.USER, Window.DAY, 50): 3,
        (Scope.USER, Window.DAY, 80): 2,
        (Scope.USER, Window.DAY, 95): 1,
        (Scope.TENANT, Window.HOUR, 50): 1,
        (Scope.TENANT, Window.HOUR, 80): 1,
        (Scope.TENANT, Window.HOUR, 95): 1,
    }
