"""How short a reply may be, and what follows where a budget has no room: as the budget says."""

from __future__ import annotations

import pytest

from penstock.money.ledger import Amount, OnExceeded, Quote, Refused
from tests.integration.store.ledger_desk import QUOTE, Money, limit

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
