"""What tasks have cost today, by revision: counted once with their end, and read with one look."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from penstock import task
from penstock.money import lifts
from penstock.money.ledger import Amount, Lift, Refused, Scope, Settlement, Unit, Window
from tests.integration.store.conftest import CANARY, STABLE, TENANT
from tests.integration.store.ledger_desk import USD, Money, limit

COST = task.Usage(model_calls=1, cost_micro_usd=1_500, cache_saving_micro_usd=7_500)


async def today(desk):
    return dict((await desk.store.routes.look(desk.agent, [STABLE])).cost_today)


async def ended(desk, revision=STABLE, usage=COST, **fields):
    await desk.admit(**fields)
    claim = await desk.claim_one(revision)
    assert await desk.finish(claim, usage=usage)
    return claim


async def test_each_end_counts_once_what_the_task_has_cost_and_not_its_list_price(desk):
    assert await today(desk) == {}
    claim = await ended(desk)
    assert await today(desk) == {STABLE: 1_500}
    assert await desk.finish(claim, usage=COST)  # said again
    assert await today(desk) == {STABLE: 1_500}
    await ended(desk)
    assert await today(desk) == {STABLE: 3_000}


async def test_each_revision_has_its_own_and_what_costs_nothing_leaves_nothing(desk, raw):
    await ended(desk, usage=task.Usage(model_calls=1))
    assert await raw.keys(f"{desk.keys.tag}:spend:*") == []
    await desk.set_route(canary=CANARY, percent=100)
    await ended(desk, CANARY)
    assert await today(desk) == {CANARY: 1_500}
    (key,) = await raw.keys(f"{desk.keys.tag}:spend:*")
    assert 86_400 < await raw.ttl(key) <= 172_800


async def test_what_was_saved_counts_where_no_worker_ends_the_task(desk):
    admission = await desk.admit()
    claim = await desk.claim_one()
    await desk.store.claims.checkpoint(claim, b"{}", COST, [])
    assert await desk.store.claims.release(claim)
    assert await today(desk) == {}
    assert await desk.store.tasks.cancel(admission.task, "acme-token")
    assert await today(desk) == {STABLE: 1_500}


@pytest.mark.parametrize("written", ["text", "1e9", "9" * 40, "-5"])
async def test_what_another_hand_has_written_stops_no_end_and_no_look(desk, raw, written):
    await ended(desk)
    (key,) = await raw.keys(f"{desk.keys.tag}:spend:*")
    await raw.hset(key, STABLE, written)
    await ended(desk)
    assert (await today(desk))[STABLE] in (0, 1_495)
    await raw.set(key, "no hash")
    await ended(desk)
    assert set(await today(desk)) <= {STABLE}


async def test_a_day_that_is_over_is_another_one(desk, raw):
    await ended(desk)
    (key,) = await raw.keys(f"{desk.keys.tag}:spend:*")
    tag, _, day = key.decode().rpartition(":")
    await raw.rename(key, f"{tag}:{int(day) - 1}")
    assert await today(desk) == {}


async def test_a_look_has_the_windows_of_the_agent_and_of_its_canary_where_there_is_a_budget(desk):
    money = Money(desk)
    canary = limit(Scope.CANARY, Window.TOTAL, 2 * USD)
    await money.declare(limit(), limit(Scope.USER), canary)
    await desk.set_route(canary=CANARY, percent=100)
    look = await desk.store.routes.look(desk.agent, [STABLE])
    assert look.spending is None, "the route does not say yet that there is one"
    await desk.set_route(canary=CANARY, percent=100, budget_mark="a")
    identifier = await money.task(user="one")
    reserved = await money.reserve(identifier)
    await desk.store.ledger.settle(
        desk.agent, identifier, [Settlement(reserved.call, Amount(5, 7), reserved.at_ms)]
    )
    look = await desk.store.routes.look(desk.agent, [STABLE])
    seen = {(one.scope, one.window): one.settled for one in look.spending.windows}
    assert seen == {
        (Scope.AGENT, Window.HOUR): Amount(5, 7),
        (Scope.AGENT, Window.DAY): Amount(5, 7),
        (Scope.AGENT, Window.MONTH): Amount(5, 7),
        (Scope.CANARY, Window.TOTAL): Amount(5, 7),
    }
    assert look.spending.refusals == {}
    await money.declare(limit(most=1, unit=Unit.TOKENS))
    await asyncio.wait_for(money.reserve(identifier, patience_ms=0), 5)
    look = await desk.store.routes.look(desk.agent, [STABLE])
    assert look.spending.refusals == {(Scope.AGENT, Window.DAY, Unit.TOKENS): 1}


async def test_a_call_that_finds_too_little_left_is_noted_at_the_limit_of_its_agent(desk):
    money = Money(desk)
    await money.declare(limit(most=15_000), limit(Scope.USER, most=30_000))
    identifier = await money.task()
    assert (await money.spent()).short == ()
    held = await money.reserve(identifier)
    assert isinstance(await money.reserve(identifier, patience_ms=0), Refused)
    assert (await money.spent()).short == (), "others hold it, and may give it back"
    await money.settle(identifier, held, Amount(5, 11_000))
    assert isinstance(await money.reserve(identifier), Refused)
    assert (await money.spent()).short == (limit(most=15_000),)
    await money.declare(limit(most=25_000), limit(Scope.USER, most=1))
    assert isinstance(await money.reserve(identifier), Refused)
    assert (await money.spent()).short == (limit(most=15_000),)
    (user,) = [
        one
        for one in (await desk.store.ledger.spending(desk.agent, tenant=TENANT, user="")).windows
        if one.scope is Scope.USER
    ]
    assert user.short == ()


# ------------------------------------------------------------------------------------------ lifts


async def test_lifts_of_a_window_add_up_and_each_is_kept_with_who_asked(desk):
    money = Money(desk)
    now = (await desk.store.ledger.spending(desk.agent)).now_ms
    begins, _ = lifts.bounds(Window.DAY, datetime.fromtimestamp(now / 1000, UTC))
    begins_ms = int(begins.timestamp() * 1000)
    day = (Scope.AGENT, Window.DAY, Unit.MICRO_USD)
    first, second = Lift(*day, USD, begins_ms, "ada", now), Lift(*day, 2 * USD, begins_ms)
    past = Lift(*day, 5 * USD, begins_ms - 86_400_000)
    await money.declare(limit(most=4 * USD), lifts=(past, first, second))
    (lifted,) = (await money.spent()).limits
    assert lifted.most == 7 * USD
    assert await desk.store.ledger.lifts(desk.agent) == (past, first, second)
    await money.declare(limit(most=4 * USD), lifts=(past,))
    (limited,) = (await money.spent()).limits
    assert limited.most == 4 * USD
    await money.declare(limit())
    assert await desk.store.ledger.lifts(desk.agent) == ()


@pytest.mark.parametrize("window", [Window.HOUR, Window.DAY, Window.MONTH])
async def test_windows_begin_and_end_where_the_ledger_has_them(desk, window):
    await Money(desk).declare(limit(window=window))
    said = await desk.store.ledger.spending(desk.agent)
    (found,) = [one for one in said.windows if one.window is window]
    _, ends = lifts.bounds(window, datetime.fromtimestamp(said.now_ms / 1000, UTC))
    assert found.resets_ms == ends.timestamp() * 1000


@pytest.mark.parametrize("written", ["", "{", "[[1]]", '[["agent", "day", "money", 1, 1, "", 1]]'])
async def test_lifts_that_cannot_be_read_are_none(desk, raw, written):
    await Money(desk).declare(limit())
    await raw.hset(desk.keys.budget, "lifts", written)
    assert await desk.store.ledger.lifts(desk.agent) == ()


async def test_what_a_day_has_cost_is_read_by_itself_too(desk):
    await ended(desk)
    now = (await desk.store.ledger.spending(desk.agent)).now_ms
    assert await desk.store.ledger.cost_by_revision(desk.agent, now) == {STABLE: 1_500}
    assert await desk.store.ledger.cost_by_revision(desk.agent, now - 86_400_000) == {}
