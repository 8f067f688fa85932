"""Windows of the ledger by the calendar in UTC, whatever Redis's clock says, and over a restart."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from penstock import errors, names
from penstock.guard import unguarded
from penstock.money.ledger import Amount, Reserved, Scope, Settlement, Window
from penstock_store import money as texts
from penstock_store import testing
from penstock_store.scripts import Retention, Scripts
from penstock_store.store import Store
from tests.integration.store.conftest import Desk
from tests.integration.store.ledger_desk import MOST, USD, Money, limit

pytestmark = pytest.mark.redis
CLOCK = re.compile(r"^local NOW = .*$", re.MULTILINE)


@pytest.fixture
def money(desk):
    return Money(desk)


async def at(desk, moment, script, *arguments):
    """What a script answers at a moment that is not now."""
    text = Scripts(Retention())[script].text
    milliseconds = round(moment.timestamp() * 1000)
    text, changed = CLOCK.subn(f"local NOW = {milliseconds}", text)
    assert changed == 1
    own = desk.keys
    return await desk.raw.eval(text, 3, own.tag, own.route, own.outcomes, *arguments)


def begin_of(window, moment):
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match window:
        case Window.HOUR:
            return moment.replace(minute=0, second=0, microsecond=0)
        case Window.DAY:
            return day
        case _:
            return day.replace(day=1)


def end_of(window, moment):
    begin = begin_of(window, moment)
    match window:
        case Window.HOUR:
            return begin + timedelta(hours=1)
        case Window.DAY:
            return begin + timedelta(days=1)
        case _:
            return (begin + timedelta(days=32)).replace(day=1)


def moments():
    chance = random.Random(11)
    first = datetime(2020, 1, 1, tzinfo=UTC)
    yield from (first + timedelta(seconds=chance.randrange(90 * 365 * 86400)) for _ in range(150))
    for year in (2024, 2027, 2028, 2100, 2000 + 96):
        for month in range(1, 13):
            border = datetime(year, month, 1, tzinfo=UTC)
            yield from (border, border - timedelta(milliseconds=1))


async def test_each_window_ends_as_the_calendar_says(money, desk):
    await money.declare()
    for moment in moments():
        said = texts.spending(await at(desk, moment, "spent", "", "", 0, 0, ""))
        ends = {
            one.window: datetime.fromtimestamp(one.resets_ms / 1000, UTC) for one in said.windows
        }
        assert ends == {window: end_of(window, moment) for window in ends}, moment
        assert set(ends) == {Window.HOUR, Window.DAY, Window.MONTH}


async def test_a_call_settles_into_the_windows_in_which_it_was_reserved(money, desk):
    await money.declare(limit(most=MOST.micro_usd))
    task, wish = await money.task(), money.wish()
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    before = midnight - timedelta(milliseconds=1)
    text = texts.wish_text(wish, "p")
    said = texts.answer(wish.call, await at(desk, before, "reserve", task, text))
    assert isinstance(said, Reserved)
    again = await at(desk, before, "reserve", task, texts.wish_text(money.wish(patience_ms=0), "p"))
    assert again[0] == b"refused", "the window before is full"
    assert isinstance(await money.reserve(task), Reserved), "and the one of now is new"
    assert await money.settle(task, said, Amount(7, 8))
    found = texts.spending(await at(desk, before, "spent", "", "", 0, 0, ""))
    day = next(one for one in found.windows if one.window is Window.DAY)
    assert (day.settled, day.held) == (Amount(7, 8), Amount())
    assert (await money.spent()).settled == Amount()


async def test_a_limit_is_whole_again_when_its_window_ends(money, desk):
    await money.declare(limit(window=Window.MONTH, most=MOST.micro_usd))
    task = await money.task()
    await money.settle(task, await money.reserve(task), MOST)
    text = texts.wish_text(money.wish(patience_ms=0), "p")
    following = end_of(Window.MONTH, datetime.now(UTC))
    last = await at(desk, following - timedelta(milliseconds=1), "reserve", task, text)
    assert (last[0], last[4]) == (b"refused", round(following.timestamp() * 1000))
    assert (await at(desk, following, "reserve", task, text))[0] == b"reserved"


async def heard_by_20(money, desk, task, moment):
    wishes = (texts.wish_text(money.wish(patience_ms=0), "p") for _ in range(20))
    said = [at(desk, moment, "reserve", task, wish) for wish in wishes]
    return {word for word, *_ in await asyncio.gather(*said)}


async def test_the_end_of_a_window_is_seen_by_all_callers_at_once(money, desk):
    """Nobody keeps a copy of what is spent: of 20 connections each hears the same on both sides."""
    for years, window in enumerate((Window.HOUR, Window.DAY, Window.MONTH), 2):
        await money.declare(limit(window=window, most=20 * MOST.micro_usd))
        task = await money.task()
        following = end_of(window, datetime.now(UTC)) + timedelta(days=366 * years)
        border = begin_of(window, following)
        before = border - timedelta(milliseconds=1)

        assert await heard_by_20(money, desk, task, before) == {b"reserved"}
        assert await heard_by_20(money, desk, task, before) == {b"refused"}
        assert await heard_by_20(money, desk, task, border) == {b"reserved"}
        assert await heard_by_20(money, desk, task, border) == {b"refused"}


async def test_a_window_is_kept_until_late_bills_have_come_and_then_forgotten(money, desk):
    await money.declare(limit(Scope.USER))
    task = await money.task(user="ana")
    await money.settle(task, await money.reserve(task), Amount(1, 1))
    now = datetime.now(UTC)
    left = {
        window: (end_of(window, now) - now).total_seconds()
        for window in Window
        if window != "total"
    }
    async for key in desk.raw.scan_iter(f"{desk.keys.tag}:led:*"):
        window = Window(key.decode().rsplit(":", 2)[1])
        seconds = await desk.raw.ttl(key)
        assert left[window] + 172_000 < seconds <= left[window] + 172_810, key


async def test_a_user_has_a_window_only_where_he_spends(money, desk):
    await money.declare(limit(Scope.USER, most=10 * USD))
    for number in range(5):
        await money.task(user=f"u{number}")
    task = await money.task(user="spender")
    await money.reserve(task)
    keys = [key async for key in desk.raw.scan_iter(f"{desk.keys.tag}:led:user:*")]
    assert len(keys) == 1


async def test_what_is_spent_and_held_survives_a_restart(server):
    with testing.redis_server(server.binary, "--appendfsync", "always") as own:
        store = Store.connect(own.url, guard=unguarded)
        desk = Desk(store, None, names.AgentKey("acme", f"a-{uuid.uuid4().hex[:8]}"))
        await desk.set_route(version=1)
        money = Money(desk)
        await money.declare(limit(window=Window.MONTH, most=2 * MOST.micro_usd))
        task = await money.task()
        first, second = await money.reserve(task), await money.reserve(task)
        await money.settle(task, first, Amount(5, 6))
        own.stop()
        with pytest.raises(errors.StoreUnavailable):
            await money.reserve(task)
        own.start()
        for _ in range(3):
            with contextlib.suppress(errors.StoreUnavailable):
                await store.ping()
        month = await money.spent(window=Window.MONTH)
        assert (month.settled, month.held) == (Amount(5, 6), MOST)
        assert await money.settle(task, second, Amount(1, 1))
        assert not await money.settle(task, first, Amount(5, 6))
        assert (await money.spent(window=Window.MONTH)).settled == Amount(6, 7)
        await store.aclose()


async def test_money_is_whole_up_to_the_largest_limit(money, desk):
    most = 999_999_999 * USD
    await money.declare(limit(most=most))
    task = await money.task()
    one = await money.reserve(task)
    await money.settle(task, one, Amount(10**12, most - MOST.micro_usd))
    assert isinstance(await money.reserve(task), Reserved)
    said = await money.spent()
    assert said.settled.micro_usd + said.held.micro_usd == most
    fields = json.loads(
        json.dumps(texts.money_text(texts.Money((Settlement("c", said.settled, 1),)), "p"))
    )
    assert str(said.settled.micro_usd) in fields
