"""The ledger on real servers: a budget holds to the micro-dollar, and is used to its end."""

from __future__ import annotations

import asyncio
import time

import pytest

from penstock.guard import unguarded
from penstock.money.ledger import (
    Amount,
    Lift,
    Mode,
    Quote,
    Refused,
    Reserved,
    Scope,
    Settlement,
    Unit,
    Waiting,
    Window,
)
from penstock_store import ledger
from penstock_store.scripts import Retention
from penstock_store.store import Store
from tests.integration.store.ledger_desk import MOST, QUOTE, USD, Money, limit

pytestmark = pytest.mark.redis
NOTHING = Amount()


@pytest.fixture
async def store(server, retention):
    """A store that is patient: many callers share its few connections, also on a busy machine."""
    opened = Store.connect(server.url, guard=unguarded, retention=retention, timeout_seconds=60)
    yield opened
    await opened.aclose()


@pytest.fixture
def money(desk):
    return Money(desk)


async def test_without_a_budget_nothing_is_counted_and_nothing_is_kept(money, desk):
    task = await money.task()
    assert await money.reserve(task) is None
    keys = [key.decode() for key in await desk.raw.keys(f"{desk.keys.tag}*")]
    assert not [key for key in keys if ":led" in key or ":call" in key or key.endswith(":open")]
    assert (await desk.claim_one()).reserved is None


async def test_a_reservation_is_held_until_its_bill_counts_once(money, desk):
    await money.declare()
    task = await money.task()
    reserved = await money.reserve(task)
    assert (reserved.most, reserved.reply_tokens, reserved.cut_by) == (MOST, 1000, None)
    held = await money.spent()
    assert (held.settled, held.held) == (NOTHING, MOST)
    used = Amount(700, 1234)
    assert await money.settle(task, reserved, used)
    assert not await money.settle(task, reserved, used)
    assert not await desk.raw.zcard(f"{desk.keys.tag}:open")
    assert await desk.raw.hget(desk.keys.task(task), "calls") == b""
    for window in (Window.HOUR, Window.DAY, Window.MONTH):
        counted = await money.spent(window=window)
        assert (counted.settled, counted.held) == (used, NOTHING)


async def test_the_same_call_again_is_the_same_reservation(money):
    await money.declare()
    task, wish = await money.task(), money.wish()
    first = await money.reserve(task, wish)
    assert await money.reserve(task, wish) == first
    assert (await money.spent()).held == MOST
    await money.settle(task, first, NOTHING)
    with pytest.raises(ValueError, match="ledger answers"):
        await money.reserve(task, wish)


async def test_a_bill_above_its_bound_counts_in_full(money):
    await money.declare()
    task = await money.task()
    await money.settle(task, await money.reserve(task), Amount(9000, 2 * USD))
    assert (await money.spent()).settled == Amount(9000, 2 * USD)
    refused = await money.reserve(task)
    assert isinstance(refused, Refused)
    assert (refused.spent, refused.held, refused.limit.most) == (2 * USD, 0, USD)


async def test_every_scope_is_counted_and_the_narrowest_one_refuses(money, desk):
    scopes = [limit(scope, most=100_000) for scope in (Scope.USER, Scope.TENANT)]
    await money.declare(limit(), *scopes, limit(Scope.TASK, Window.TOTAL, 12_000))
    task = await money.task(user="ana")
    await money.settle(task, await money.reserve(task), Amount(10, 9000))
    refused = await money.reserve(task)
    assert (refused.limit.scope, refused.resets_ms) == (Scope.TASK, 0)
    for scope in (Scope.USER, Scope.TENANT, Scope.AGENT):
        found = await money.spent(scope, tenant="acme-token", user="ana")
        assert found.settled == Amount(10, 9000)
    other = await money.spent(Scope.USER, tenant="acme-token", user="bo")
    assert other.settled == NOTHING


async def test_a_canarys_calls_count_to_its_revision_and_stables_do_not(money, desk):
    await desk.set_route(canary="bbbb1111", percent=100)
    await money.declare(limit(Scope.CANARY, Window.TOTAL, MOST.micro_usd))
    task = await money.task()
    await money.settle(task, await money.reserve(task), MOST)
    refused = await money.reserve(task)
    assert refused.limit.scope is Scope.CANARY
    await desk.set_route(canary="bbbb1111", percent=0)
    assert isinstance(await money.reserve(await money.task()), Reserved)
    found = await money.spent(Scope.CANARY, Window.TOTAL, canary="bbbb1111")
    assert found.settled == MOST


async def test_a_reply_is_asked_shorter_before_the_call_is_refused(money):
    most = QUOTE.most(300).micro_usd
    await money.declare(limit(most=most))
    task = await money.task()
    reserved = await money.reserve(task)
    assert (reserved.reply_tokens, reserved.most.micro_usd) == (300, most)
    assert reserved.cut_by == limit(most=most)
    await money.settle(task, reserved, NOTHING)
    await money.declare(limit(most=QUOTE.most(256).micro_usd - 1))
    assert isinstance(await money.reserve(task), Refused)
    said = await money.ledger.spending(money.desk.agent)
    assert said.refusals == {(Scope.AGENT, Window.DAY, Unit.MICRO_USD): 1}


@pytest.mark.parametrize("rate", [1, 3, 333_333, 999_999, 1_000_001, 7_654_321, 75 * USD])
@pytest.mark.parametrize("left", [0, 1, 17, 2555, 19_999])
async def test_a_cut_reply_is_the_longest_that_is_paid(money, rate, left):
    quote = Quote(Amount(10, 0), 1000, 1, rate)
    await money.declare(limit(most=left))
    said = await money.reserve(await money.task(), quote=quote)
    paid = max((n for n in range(1, 1001) if quote.most(n).micro_usd <= left), default=0)
    assert (said.reply_tokens if isinstance(said, Reserved) else 0) == paid


async def test_an_edited_limit_counts_at_the_next_reservation_and_finds_what_was_spent(money):
    await money.declare(limit(window=Window.MONTH, most=10 * USD))
    task = await money.task()
    await money.settle(task, await money.reserve(task), Amount(1, USD))
    await money.declare(limit(window=Window.HOUR, most=USD))
    refused = await money.reserve(task)
    assert (refused.limit.window, refused.spent) == (Window.HOUR, USD)
    hour = refused.resets_ms - 3_600_000
    lift = Lift(Scope.AGENT, Window.HOUR, Unit.MICRO_USD, USD, hour)
    await money.declare(limit(window=Window.HOUR, most=USD), lifts=(lift,))
    assert isinstance(await money.reserve(task), Reserved)
    past = Lift(Scope.AGENT, Window.HOUR, Unit.MICRO_USD, USD, hour - 3_600_000)
    await money.declare(limit(window=Window.HOUR, most=USD), lifts=(past,))
    assert isinstance(await money.reserve(task), Refused)


async def test_report_mode_refuses_nothing_and_counts_what_it_would_have(money):
    await money.declare(limit(most=1), mode=Mode.REPORT)
    task = await money.task()
    for _ in range(3):
        reserved = await money.reserve(task)
        assert (reserved.reply_tokens, reserved.most) == (1000, MOST)
        await money.settle(task, reserved, MOST)
    said = await money.ledger.spending(money.desk.agent)
    assert said.refusals == {(Scope.AGENT, Window.DAY, Unit.MICRO_USD): 3}


async def test_windows_begin_and_end_with_the_calendar_in_utc(money, desk, eventually):
    await money.declare()
    said = await money.ledger.spending(desk.agent)
    now = time.gmtime(said.now_ms / 1000)
    ends = {one.window: one.resets_ms / 1000 for one in said.windows}
    following = time.gmtime(ends[Window.MONTH])
    assert (following.tm_mday, following.tm_hour, following.tm_min) == (1, 0, 0)
    assert following.tm_mon == now.tm_mon % 12 + 1
    assert time.gmtime(ends[Window.DAY] - 1)[:3] == now[:3]
    assert time.gmtime(ends[Window.HOUR] - 1)[:4] == now[:4]


@pytest.mark.parametrize("held_in", [0, 1])
async def test_what_others_hold_is_waited_for_in_order_and_nothing_is_shortened(
    money, held_in, monkeypatch
):
    monkeypatch.setattr(ledger, "_LOOK_SECONDS", 3600.0)  # woken by settlements, not by looking
    scope = (Scope.AGENT, Scope.TENANT)[held_in]
    await money.declare(limit(scope, most=MOST.micro_usd))
    task = await money.task()
    first = await money.reserve(task)
    order = []

    async def going_on(number, waiting):
        said = await waiting
        order.append(number)
        assert (said.most, said.cut_by) == (MOST, None)
        await money.settle(task, said, NOTHING)

    waiting = [await money.waiting(task) for _ in range(5)]
    assert not any(one.done() for one in waiting)
    await money.settle(task, first, NOTHING)
    async with asyncio.timeout(40):
        await asyncio.gather(*(going_on(*one) for one in enumerate(waiting)))
    assert order == [0, 1, 2, 3, 4]


async def test_a_small_call_does_not_overtake_a_large_one_that_waits(money):
    await money.declare(limit(most=2 * MOST.micro_usd - 1))
    task = await money.task()
    first = await money.reserve(task)
    large = await money.waiting(task)
    small = await money.waiting(task, quote=Quote(Amount(1, 1), 1, 1, 0))
    assert not large.done()
    assert not small.done()
    await money.settle(task, first, NOTHING)
    assert (await large).most == MOST
    assert (await small).most == Amount(2, 1)


async def test_who_has_waited_long_enough_takes_what_is_left_or_is_refused(money):
    most = 2 * MOST.micro_usd - 5000
    await money.declare(limit(most=most))
    task = await money.task()
    await money.reserve(task)
    cut = await money.reserve(task, patience_ms=200)
    assert (cut.reply_tokens, cut.most.micro_usd) == (500, MOST.micro_usd - 5000)
    refused = await money.reserve(task, patience_ms=0)
    assert isinstance(refused, Refused)
    assert (refused.spent, refused.held) == (0, most)


async def test_a_waiting_call_that_is_dropped_is_never_granted(money):
    await money.declare(limit(most=MOST.micro_usd))
    task = await money.task()
    first = await money.reserve(task)
    dropped, behind = await money.waiting(task), await money.waiting(task)
    dropped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dropped
    await money.settle(task, first, NOTHING)
    assert isinstance(await behind, Reserved)
    assert (await money.spent()).held == MOST


async def test_of_200_callers_none_passes_the_budget_and_it_is_used_to_its_end(money):
    most = 40 * MOST.micro_usd
    await money.declare(limit(most=most), limit(Scope.TENANT, most=2 * most))
    tasks = [await money.task(user=f"u{n % 7}") for n in range(20)]
    seen = []

    async def call(number):
        task = tasks[number % 20]
        while isinstance(said := await money.reserve(task, patience_ms=60_000), Reserved):
            await asyncio.sleep(0.001)
            spent = await money.spent()
            seen.append(spent.settled.micro_usd + spent.held.micro_usd)
            await money.settle(task, said)

    await asyncio.gather(*(call(number) for number in range(200)))
    assert max(seen) <= most
    left = await money.spent()
    assert (left.settled, left.held) == (money.billed, NOTHING)
    assert most - left.settled.micro_usd < QUOTE.most(256).micro_usd


async def test_200_callers_on_a_tenth_of_a_budget_see_nothing_shortened_and_no_refusal(money):
    await money.declare(limit(most=5 * MOST.micro_usd))
    task = await money.task()
    tenth = Amount(1, 5 * MOST.micro_usd // 10 // 200)

    async def call():
        said = await money.reserve(task, patience_ms=60_000)
        assert isinstance(said, Reserved)
        assert said.cut_by is None
        await money.settle(task, said, tenth)

    await asyncio.gather(*(call() for _ in range(200)))
    assert (await money.spent()).settled == Amount(200, 200 * tenth.micro_usd)


@pytest.mark.parametrize("retention", [Retention(users_per_agent=3)])
async def test_a_user_more_than_may_be_counted_is_refused_and_the_others_go_on(money, desk):
    await money.declare(limit(Scope.USER))
    tasks = [await money.task(user=f"u{n}") for n in range(4)]
    for task in tasks[:3] * 2:
        assert isinstance(await money.reserve(task), Reserved)
    refused = await money.reserve(tasks[3])
    assert refused.too_many_users


async def test_concurrent_first_calls_of_an_unknown_user_hold_its_limit(money):
    await money.declare(limit(Scope.USER, most=3 * MOST.micro_usd))
    task = await money.task(user="new")
    said = await asyncio.gather(*(money.reserve(task, patience_ms=0) for _ in range(50)))
    assert sum(isinstance(one, Reserved) for one in said) == 3


# ---------------------------------------------------------------------- what nobody settles


async def test_an_open_call_past_its_time_counts_what_it_held_until_its_bill_comes(money, desk):
    await money.declare()
    task = await money.task()
    reserved = await money.reserve(task, lasts_ms=1)
    await asyncio.sleep(0.01)
    assert (await desk.store.routes.look(desk.agent, [])).overdue_calls
    assert await money.ledger.give_up_overdue(desk.agent) == 1
    assert await money.ledger.give_up_overdue(desk.agent) == 0
    assert not (await desk.store.routes.look(desk.agent, [])).overdue_calls
    counted = await money.spent()
    assert (counted.settled, counted.held) == (MOST, NOTHING)
    key = desk.keys.task(task)
    fields = ("unsettledCalls", "unsettledTokens", "unsettledMicroUSD")
    assert [int(n) for n in await desk.raw.hmget(key, *fields)] == [1, MOST.tokens, MOST.micro_usd]
    assert await money.settle(task, reserved, Amount(5, 6))
    assert not await money.settle(task, reserved, Amount(5, 6))
    assert (await money.spent()).settled == Amount(5, 6)
    assert [int(n) for n in await desk.raw.hmget(key, *fields)] == [0, 0, 0]


@pytest.mark.parametrize("how", ["claimed", "cancelled", "given back"])
async def test_calls_of_a_worker_that_is_gone_count_what_they_held(money, desk, how):
    await money.declare()
    task = await money.task()
    claim = await desk.claim_one()
    await money.reserve(task)
    match how:
        case "claimed":
            (claim,) = await desk.reclaim()
        case "given back":
            await desk.store.claims.release(claim)
        case _:
            await desk.store.claims.release(claim)
            await money.reserve(task, quote=Quote(NOTHING, 1, 1, 0))
            await desk.store.tasks.cancel(task, "acme-token")
    counted = await money.spent()
    assert counted.held == NOTHING
    assert counted.settled.micro_usd == MOST.micro_usd


async def test_what_is_waited_for_in_vain_is_given_up_by_who_waits(money):
    await money.declare(limit(most=MOST.micro_usd))
    task = await money.task()
    await money.reserve(task, lasts_ms=300)
    refused = await money.reserve(task, patience_ms=8000)
    assert isinstance(refused, Refused)
    assert (refused.spent, refused.held) == (MOST.micro_usd, 0)


async def test_the_bill_of_a_reservation_that_redis_lost_counts_where_it_would_have(money, desk):
    await money.declare()
    task = await money.task()
    reserved = await money.reserve(task)
    await desk.raw.delete(*[key async for key in desk.raw.scan_iter(f"{desk.keys.tag}:led:*")])
    await desk.raw.delete(f"{desk.keys.tag}:call:{reserved.call}", f"{desk.keys.tag}:open")
    assert await money.settle(task, reserved, Amount(5, 6))
    assert not await money.settle(task, reserved, Amount(5, 6))
    assert (await money.spent()).settled == Amount(5, 6)


async def test_an_unknown_call_of_long_ago_may_have_been_settled_and_counts_no_more(money, desk):
    await money.declare()
    task = await money.task()
    now_ms = (await money.ledger.spending(desk.agent)).now_ms
    for age_ms, counts in ((1_801_000, False), (1_700_000, True)):
        one = Settlement(f"lost-{age_ms}", Amount(5, 6), now_ms - age_ms)
        assert await money.ledger.settle(desk.agent, task, [one]) == [counts]


async def test_of_a_settled_call_little_is_kept_and_not_for_long(money, desk):
    await money.declare()
    task = await money.task()
    reserved = await money.reserve(task)
    await money.settle(task, reserved, NOTHING)
    key = f"{desk.keys.tag}:call:{reserved.call}"
    assert await desk.raw.hgetall(key) == {b"state": b"settled"}
    assert 1700 < await desk.raw.ttl(key) <= 1800


async def test_a_call_that_waits_settles_with_nothing(money, desk):
    await money.declare(limit(most=MOST.micro_usd))
    task, wish = await money.task(), money.wish()
    first = await money.reserve(task)
    assert isinstance(await money.ledger._ask(desk.agent, task, wish), Waiting)
    one = Settlement(wish.call, NOTHING, 0)
    assert await money.ledger.settle(desk.agent, task, [one]) == [False]
    await money.settle(task, first, NOTHING)
    assert (await money.spent()).held == NOTHING
