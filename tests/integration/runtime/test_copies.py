"""A canary on copies of stable's tasks, by real workers: no tool server sees a call that changes something."""

from __future__ import annotations

import asyncio

import pytest

from penstock import shadow, traffic
from penstock.effects import EffectState
from penstock.money.ledger import Budget, Limit, Scope, Unit, Window
from penstock.shadow import Shadow, Verdict
from penstock.task import TaskStatus
from penstock_runtime.worker import copies
from penstock_store.effects import SoughtEffects
from tests import trials
from tests.integration.runtime.shop import tool

pytestmark = pytest.mark.redis

USD = 1_000_000
SMALL_CAP = 8_000  # a call reserves less, and uses a small part of that


def calls(*wanted):
    return {"toolCalls": [{"name": name, "input": given} for name, given in wanted]}


REFUND = ("refund", {"order": "A1"})
READ = ("look_up", {"order": "A1"})


def tools(server):
    """One that reads, and one that refunds; both answer."""
    return [
        tool("look_up", f"{server.url}/ok/look_up"),
        tool("refund", f"{server.url}/ok/refund", "Irreversible"),
    ]


async def two(shop, server, stable_does, canary_does, **model):
    """Stable, and a canary that nobody is routed to and that runs copies of all tasks."""
    stable = await shop.release(stable_does, tools=tools(server))
    canary = await shop.release(canary_does, tools=tools(server), limits={"modelCalls": 9}, **model)
    await shadowed(shop, stable, canary)
    return stable, canary


async def shadowed(shop, stable, canary, cap=USD, said=None):
    limit = Limit(Scope.SHADOW, Window.TOTAL, Unit.MICRO_USD, cap)
    await shop.store.ledger.declare(shop.agent, Budget((limit,)) if cap else None)
    shop.version += 1
    routed = {
        cut.hash: traffic.RoutedRevision(cut.hash, traffic.Standing.OPEN, cut.limits)
        for cut in (stable, canary)
    }
    if said is None:
        said = shadow.written(Shadow(canary.hash, 100, ("refund",)))
    split = traffic.Split(stable.hash, canary.hash, 0, "salt")
    route = traffic.Route("uid-1", 1, shop.version, split, shadow=said, revisions=routed)
    await shop.store.routes.put(shop.agent, route)


async def seen(shop, canary):
    return await trials.seen(shop.store, shop.agent, canary.hash)


async def judged(shop, canary, count=1):
    async def known():
        found = await seen(shop, canary)
        return found if sum(found.verdicts.values()) >= count else None

    return await shop.until(known)


def refunds(server):
    return [call["headers"]["idempotency-key"] for call in server.calls if "refund" in call["path"]]


def models_asked(server):
    return len(server.journal(1000)["requests"])


async def test_an_irreversible_call_of_a_copy_is_not_made_and_its_intent_is_known(
    shop, tool_server
):
    stable, canary = await two(shop, tool_server, calls(READ), calls(READ, REFUND))
    identifier = await shop.submit()
    async with shop.pool(stable), shop.pool(canary):
        ended = await shop.ended(identifier)
        found = await judged(shop, canary)
    assert ended.status is TaskStatus.SUCCEEDED
    assert refunds(tool_server) == [], "the tool server has seen no call"
    read = [call for call in tool_server.calls if "look_up" in call["path"]]
    assert len(read) == 2, "what only reads is called by the task and by its copy"
    (differs,) = found.differing
    assert differs["verdict"] == Verdict.OTHER_CALLS
    wanted = shadow.intent(*REFUND)
    assert differs["stoppedAt"] == {"tool": "refund", "arguments": wanted.digest}
    assert differs["stableIntents"] == [], "what only reads is no call to compare"
    assert 0 < found.spent.micro_usd < USD
    page = await shop.store.effects.page(shop.agent, SoughtEffects())
    assert not page.items
    assert not page.unknown, "nothing has been done, and nothing is about to be"


SEARCH = ("search", {"order": "A1"})


def with_search(server, **more):
    return [*tools(server), tool("search", f"{server.url}/ok/search", **more)]


def searches(server):
    return [call for call in server.calls if "search" in call["path"]]


@pytest.mark.parametrize("side", ["stable", "canary"])
@pytest.mark.parametrize(("given", "agreed"), [({"order": "A1"}, 1), ({"order": "B2"}, 0)])
async def test_a_tool_that_is_kept_from_copies_sees_no_call_of_one(
    shop, tool_server, side, given, agreed
):
    kept = {"shadow": "Disabled"}
    own, other = (kept, {}) if side == "stable" else ({}, kept)
    stable = await shop.release(calls(SEARCH), tools=with_search(tool_server, **own))
    does = calls(READ, ("search", given))
    canary = await shop.release(does, tools=with_search(tool_server, **other))
    said = Shadow(canary.hash, 100, ("refund",), ("search",) if side == "stable" else ())
    await shadowed(shop, stable, canary, said=shadow.written(said))
    identifier = await shop.submit()
    async with shop.pool(stable), shop.pool(canary):
        await shop.ended(identifier)
        found = await judged(shop, canary)
    assert len(searches(tool_server)) == 1, "stable's task has called it, and no copy"
    assert len([call for call in tool_server.calls if "look_up" in call["path"]]) == 1
    assert found.agreed == agreed
    if not agreed:
        (differs,) = found.differing
        assert differs["verdict"] == Verdict.OTHER_END
        assert differs["stoppedAt"]["tool"] == "search"


async def test_a_copy_that_makes_stables_calls_hears_what_stable_heard_and_agrees(
    shop, tool_server
):
    stable, canary = await two(shop, tool_server, calls(READ, REFUND), calls(REFUND))
    tasks = [await shop.submit(user=f"u{number}") for number in range(6)]
    async with shop.pool(stable), shop.pool(canary):
        ended = [await shop.ended(each) for each in tasks]
        found = await judged(shop, canary, 6)
    assert {each.status for each in ended} == {TaskStatus.SUCCEEDED}
    assert (found.judged, found.agreed) == (6, 6), found
    keys = refunds(tool_server)
    assert len(keys) == len(set(keys)) == 6, "one of each task, none of a copy"
    page = await shop.store.effects.page(shop.agent, SoughtEffects(), "", 50)
    assert {one.revision for one in page.items} == {stable.hash}
    assert [one.state for one in page.items].count(EffectState.DONE) == 6
    rows = await shop.store.outcomes.rows(shop.agent)
    assert {row.revision for row in rows} == {stable.hash}, "no row is the canary's"
    account = await shop.store.ledger.account(shop.agent)
    (own,) = {one.settled for one in account.spending.windows if one.scope is Scope.AGENT and one.window is Window.DAY}  # fmt: skip
    assert own.micro_usd == sum(each.usage.cost_micro_usd for each in ended)
    assert set(account.cost_today) == {stable.hash}


async def test_a_copy_of_a_later_turn_writes_nothing_to_the_session(shop, tool_server):
    stable, canary = await two(shop, tool_server, calls(READ), calls(REFUND))
    async with shop.pool(stable), shop.pool(canary):
        for _ in range(3):
            await shop.ended(await shop.submit(session="s"))
        found = await judged(shop, canary, 3)
    assert found.judged == 3
    kept = await shop.store.claims._scripts.connection.read(
        "HMGET",
        f"{{{shop.agent}}}:sess:test:s",
        "turns",
        "historyRevision",
    )
    assert kept == [b"3", stable.hash.encode()]


async def test_without_a_cap_no_copy_is_made(shop, tool_server):
    stable, canary = await two(shop, tool_server, calls(READ), calls(REFUND))
    await shadowed(shop, stable, canary, cap=0)
    async with shop.pool(stable), shop.pool(canary):
        await shop.ended(await shop.submit())
    assert (await seen(shop, canary)).not_made == {"capped": 1}


async def test_a_copy_asks_no_model_once_its_cap_is_gone(shop, tool_server, fake_model):
    stable, canary = await two(shop, tool_server, calls(READ), calls(REFUND))
    async with shop.pool(stable):
        await shop.ended(await shop.submit())
    asked = models_asked(fake_model)
    await shop.store.ledger.declare(shop.agent, None)
    async with shop.pool(canary):

        async def put_down():
            return (await seen(shop, canary)).not_made

        assert await shop.until(put_down) == {"putDown": 1}
    assert models_asked(fake_model) == asked


async def test_no_copy_passes_the_cap_however_many_there_are(shop, tool_server):
    stable, canary = await two(shop, tool_server, calls(READ), calls(READ, READ), maxTokens=100)
    await shadowed(shop, stable, canary, cap=SMALL_CAP)
    async with shop.pool(stable), shop.pool(canary):
        for number in range(20):
            await shop.ended(await shop.submit(user=f"u{number}"))

        async def all_over():
            found = await seen(shop, canary)
            told = sum(found.verdicts.values()) + found.not_made.get("putDown", 0)
            return found if told == found.drawn else None

        found = await shop.until(all_over)
    assert found.agreed, found
    assert found.not_made.get("capped", 0) + found.verdicts.get(Verdict.LEFT_OUT, 0) > 0, found
    assert found.spent.micro_usd <= SMALL_CAP


async def test_a_worker_that_stops_or_dies_loses_its_copies_and_nothing_else(
    shop, tool_server, monkeypatch
):
    stable, canary = await two(shop, tool_server, calls(READ), calls(("look_up", {"slow": 1})))
    entered = asyncio.Event()

    async def hangs(*_):
        entered.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(copies.shadowing, "run_copy", hangs)
    async with shop.pool(stable), shop.pool(canary):
        await shop.ended(await shop.submit())
        await asyncio.wait_for(entered.wait(), 60)
    found = await seen(shop, canary)
    assert (found.drawn, found.judged, found.not_made) == (1, 0, {"putDown": 1})
