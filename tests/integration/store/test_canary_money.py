"""What a canary may spend, on a real Redis: never passed, told to the operator, and its tasks go to stable."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from penstock.money.ledger import Amount, Mode, Refused, Reserved, Scope, Stop, Unit, Window
from tests.integration.store.conftest import CANARY, STABLE, TENANT
from tests.integration.store.ledger_desk import MOST, QUOTE, USD, Money, limit

pytestmark = pytest.mark.redis


@pytest.fixture
async def money(desk):
    await desk.set_route(canary=CANARY, percent=100, budget_mark="m")
    return Money(desk)


def cap(most):
    return limit(Scope.CANARY, Window.TOTAL, most)


async def stops(desk):
    return (await desk.store.routes.look(desk.agent, [])).stops


async def test_a_call_that_finds_no_room_is_told_until_the_cap_is_another(money, desk):
    most = MOST.micro_usd + QUOTE.most(999).micro_usd
    await money.declare(cap(most))
    task = await money.task()
    assert await stops(desk) == ()
    await money.settle(task, await money.reserve(task), MOST)
    assert await stops(desk) == ()
    refused = await money.reserve(task)
    assert (refused.limit, refused.spent) == (cap(most), MOST.micro_usd)
    assert await stops(desk) == (Stop(cap(most), MOST.micro_usd),)
    await money.declare(cap(most + 1000))
    assert isinstance(await money.reserve(task), Reserved)
    assert await stops(desk) == (Stop(cap(most), MOST.micro_usd),), "as it was when it refused"
    assert (await desk.store.routes.look(desk.agent, [])).canary == CANARY


async def test_a_canarys_reply_is_not_asked_shorter_for_want_of_its_cap(money):
    await money.declare(cap(MOST.micro_usd - 1))
    assert isinstance(await money.reserve(await money.task()), Refused)
    await money.declare(limit(most=MOST.micro_usd - 1))
    assert isinstance(await money.reserve(await money.task()), Reserved), "as for other budgets"


async def test_what_is_refused_before_anybody_has_looked_at_the_task_stops_nobody(money, desk):
    await money.declare(cap(MOST.micro_usd - 1))
    task = await money.task()
    assert isinstance(await money.reserve(task, call="claim@1.0"), Refused)
    assert await stops(desk) == ()
    assert isinstance(await money.reserve(task, call="claim@1.10"), Refused)
    assert len(await stops(desk)) == 1


async def test_a_mark_at_a_place_where_nothing_was_spent_is_not_kept_for_ever(money, desk):
    await money.declare(cap(1))
    await money.reserve(await money.task())
    key = f"{desk.keys.tag}:led:canary:{CANARY}:total:0"
    assert 0 < await desk.raw.ttl(key) <= 35 * 86400


async def test_a_budget_that_only_reports_does_not_report_the_cap_alone(money):
    await money.declare(limit(most=1), cap(MOST.micro_usd), mode=Mode.REPORT)
    task = await money.task()
    await money.settle(task, await money.reserve(task), MOST)
    refused = await money.reserve(task)
    assert refused.limit == cap(MOST.micro_usd)
    said = await money.ledger.spending(money.desk.agent)
    assert said.refusals[Scope.AGENT, Window.DAY, Unit.MICRO_USD] == 2
    await money.desk.set_route(canary=CANARY, percent=0)
    assert isinstance(await money.reserve(await money.task()), Reserved), "stable's is only counted"


async def test_a_part_of_a_window_is_told_with_its_end(money, desk):
    part = limit(Scope.CANARY, Window.HOUR, 100, Unit.TOKENS)
    await money.declare(limit(), part)
    refused = await money.reserve(await money.task())
    (stop,) = await stops(desk)
    assert (stop.limit, stop.resets_ms) == (part, refused.resets_ms)
    assert stop.resets_ms % 3_600_000 == 0 < stop.resets_ms


async def test_without_a_canary_nothing_is_told(money, desk):
    await money.declare(cap(1))
    await money.reserve(await money.task())
    await desk.set_route(canary="", percent=0)
    assert await stops(desk) == ()


@pytest.mark.parametrize("written", ["", "x", "-1", "1:2", str(10**30)])
async def test_a_mark_that_is_no_number_is_passed_over_and_the_others_are_read(
    money, desk, written
):
    part = limit(Scope.CANARY, Window.DAY, 100, Unit.TOKENS)
    await money.declare(cap(10 * USD), part)
    await money.reserve(await money.task())
    key = f"{desk.keys.tag}:led:canary:{CANARY}:total:0"
    await desk.raw.hset(key, mapping={"xu": written, "u": "odd", "t": "odd"})
    assert [stop.limit for stop in await stops(desk)] == [part]


async def test_a_hundred_at_once_never_pass_the_cap(money, desk):
    most = 10 * MOST.micro_usd + 7
    await money.declare(limit(most=1000 * USD), cap(most))
    tasks = [await money.task(user=f"u{number}") for number in range(100)]
    highest = 0

    async def work(task):
        nonlocal highest
        while isinstance(reserved := await money.reserve(task, patience_ms=2000), Reserved):
            seen = await money.spent(Scope.CANARY, Window.TOTAL, canary=CANARY)
            highest = max(highest, seen.settled.micro_usd + seen.held.micro_usd)
            await money.settle(task, reserved)

    await asyncio.gather(*map(work, tasks))
    spent = await money.spent(Scope.CANARY, Window.TOTAL, canary=CANARY)
    assert (spent.settled, spent.held) == (money.billed, Amount())
    assert spent.settled.micro_usd <= highest <= most
    assert most - spent.settled.micro_usd < MOST.micro_usd
    assert (await stops(desk))[0].spent == spent.settled.micro_usd


# ---------------------------------------------------------------------------- hand over


async def test_a_canarys_task_is_handed_to_stable_with_its_state_and_its_session(money, desk):
    first = await desk.admit(session="s", user="ana")
    claim = await desk.claim_one(CANARY)
    await desk.store.claims.checkpoint(claim, b'{"state":1}', replace(claim.task.usage), [])
    assert await desk.store.claims.release(claim, to_stable=True)
    assert await desk.kinds(first.task) == "rsm"
    assert (await desk.work(CANARY)).queued == 0
    again = await desk.claim_one(STABLE, "w2")
    assert (again.task.id, again.checkpoint, again.checkpoint_revision) == (first.task, b'{"state":1}', CANARY)  # fmt: skip
    await desk.finish(again)
    assert (await desk.store.outcomes.rows(desk.agent))[-1].counting == "LeftOut"
    next_turn = await desk.admit(session="s", user="ana")
    assert next_turn.revision == STABLE
    assert (await desk.store.tasks.get(first.task, TENANT)).status.ended


async def test_who_was_promoted_meanwhile_keeps_its_task(money, desk):
    task = (await desk.admit()).task
    claim = await desk.claim_one(CANARY)
    await desk.set_route(stable=CANARY, canary="", percent=0)
    assert await desk.store.claims.release(claim, to_stable=True)
    assert (await desk.claim_one(CANARY)).task.id == task


async def test_nobody_hands_over_what_is_not_his(money, desk):
    await desk.admit()
    claim = await desk.claim_one(CANARY)
    await desk.store.claims.release(claim)
    assert not await desk.store.claims.release(claim, to_stable=True)
    assert (await desk.work(CANARY)).queued == 1
