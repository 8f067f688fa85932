"""What calls have done is undone: once for each, by the stable revision, whatever dies meanwhile."""

import asyncio
import json
import random
import subprocess

import pytest

from penstock.effects import EffectState, Undoing, Undone
from penstock.task import TaskStatus
from penstock_store.compensations import Asked, By
from tests.integration.runtime.shop import killed, tool
from tests.integration.runtime.test_effects import effects

pytestmark = pytest.mark.redis

REFUND = {"name": "refund", "input": {"order": "A1", "amount": 12.5, "iban": "DE00"}}
UNDO = {"tool": "undo_refund", "arguments": {"order": "arguments.order", "at": "result.order"}}
BY = By("boss")
SEED = 20261129


def refund(tool_server, path="/ok", **more):
    declared = {"amountFrom": "amount", "compensate": UNDO} | more
    return tool("refund", tool_server.url + path, "Irreversible", **declared)


def undo_refund(tool_server, path="/undo", effect="Irreversible", **more):
    return tool("undo_refund", tool_server.url + path, effect, **more)


async def refunded(shop, tool_server, users=1, **more):
    """A revision that has paid so many users, and is stable no more: what it has done."""
    bad = await shop.release({"toolCalls": [REFUND]}, tools=[refund(tool_server, **more)])
    tasks = [await shop.submit(user=f"u{number}") for number in range(users)]
    async with shop.pool(bad):
        for one in tasks:
            await shop.ended(one)
    unknown, done = await effects(shop)
    tool_server.calls.clear()
    return [*unknown, *done]


async def ask(shop, effect):
    """Ask until the stable revision's workers have said what they keep."""

    async def asked():
        (known,) = await shop.store.compensations.known(shop.agent, [effect])
        said, task = await shop.store.compensations.ask(shop.agent, effect, effect.undo, known, BY)
        return None if said is Asked.OLDER_WORKERS else (said, task)

    return await shop.until(asked)


async def state(shop, effect):
    (known,) = await shop.store.compensations.known(shop.agent, [effect])
    return known.state


async def test_a_call_is_undone_by_the_tool_of_the_stable_revision_without_a_model(
    shop, tool_server, fake_model
):
    (paid,) = await refunded(shop, tool_server)
    assert json.loads(paid.undo.arguments) == {"order": "A1", "at": "shipped"}
    good = await shop.release({}, tools=[undo_refund(tool_server)])
    asked_before = len(fake_model.journal())
    async with shop.pool(good):
        said, task = await ask(shop, paid)
        ended = await shop.ended(task)
    assert (said, ended.status, ended.revision) == (Asked.ASKED, TaskStatus.SUCCEEDED, good.hash)
    (call,) = tool_server.calls
    assert json.loads(call["body"]) == {"order": "A1", "at": "shipped"}
    assert call["headers"]["idempotency-key"] == f"{task}.1.1"
    assert len(fake_model.journal()) == asked_before
    _, done = await effects(shop)
    assert [one.compensates for one in done] == ["", paid.call]
    assert await state(shop, paid) is Undoing.DONE


async def test_it_is_made_once_however_often_it_is_asked_and_also_after_its_task_is_forgotten(
    shop, tool_server
):
    (paid,) = await refunded(shop, tool_server)
    good = await shop.release({}, tools=[undo_refund(tool_server)])
    async with shop.pool(good):
        await ask(shop, paid)
        clicks = [
            shop.store.compensations.ask(shop.agent, paid, paid.undo, Undone(), BY)
            for _ in range(20)
        ]
        assert {said for said, _ in await asyncio.gather(*clicks)} == {Asked.CHANGED}
        await shop.until(lambda: is_done(shop, paid))
    assert len(tool_server.calls) == 1


async def is_done(shop, effect):
    return await state(shop, effect) is Undoing.DONE


async def test_where_stable_has_no_such_tool_nothing_is_called_and_it_is_said(shop, tool_server):
    (paid,) = await refunded(shop, tool_server)
    good = await shop.release({}, tools=[])
    async with shop.pool(good):
        _, task = await ask(shop, paid)
        ended = await shop.ended(task)
    assert (ended.status, tool_server.calls) == (TaskStatus.FAILED, [])
    assert "declares no tool undo_refund" in ended.outcome.message
    assert await state(shop, paid) is Undoing.ENDED, "it may be asked for again"


async def test_a_tool_that_needs_a_person_is_not_called_before_he_agrees(shop, tool_server):
    (paid,) = await refunded(shop, tool_server)
    asks = undo_refund(tool_server, approval={"mode": "Always"})
    good = await shop.release({}, tools=[asks])
    async with shop.pool(good):
        _, task = await ask(shop, paid)

        async def waits():
            return (await shop.task(task)).status is TaskStatus.WAITING_FOR_APPROVAL

        await shop.until(waits)
    assert tool_server.calls == []


async def test_one_that_the_tool_has_refused_is_another_attempt_with_a_key_of_its_own(
    shop, tool_server
):
    (paid,) = await refunded(shop, tool_server)
    broken = await shop.release({}, tools=[undo_refund(tool_server, "/status/400")])
    async with shop.pool(broken):
        _, first = await ask(shop, paid)
        await shop.ended(first)
        assert await state(shop, paid) is Undoing.REFUSED
        _, second = await ask(shop, paid)
        await shop.ended(second)
    keys = [call["headers"]["idempotency-key"] for call in tool_server.calls]
    assert keys == [f"{first}.1.1", f"{second}.1.1"]
    assert first != second


async def test_the_stable_revisions_own_calls_are_not_undone_and_older_workers_are_not_asked(
    shop, tool_server
):
    (paid,) = await refunded(shop, tool_server)
    said, _ = await shop.store.compensations.ask(shop.agent, paid, paid.undo, Undone(), BY)
    assert said is Asked.SERVES
    await shop.release({}, tools=[undo_refund(tool_server)])
    said, _ = await shop.store.compensations.ask(shop.agent, paid, paid.undo, Undone(), BY)
    assert said is Asked.OLDER_WORKERS


@pytest.mark.parametrize(
    ("compensate", "problem"),
    [
        (
            {"tool": "undo", "arguments": {"x": "arguments.none"}},
            "nothing is known of arguments.none",
        ),
        ({"tool": "undo", "arguments": {"x": "result.none"}}, "nothing is known of result.none"),
        ({"tool": "undo"}, ""),
    ],
)
async def test_what_it_takes_to_undo_a_call_is_kept_or_it_is_said_why_not(
    shop, tool_server, compensate, problem
):
    (paid,) = await refunded(shop, tool_server, compensate=compensate)
    assert (paid.state, paid.undo.problem) == (EffectState.DONE, problem)


async def test_an_erased_users_calls_hold_nothing_to_undo_them_with(shop, tool_server):
    await refunded(shop, tool_server)
    await shop.store.effects.erase(shop.agent, "test", "u0")
    (_, (paid,)) = await effects(shop)
    assert (paid.undo, paid.erased) == (None, True)


@pytest.mark.timeout(300)
async def test_workers_die_and_no_call_is_undone_twice(shop, tool_server):
    drawn = random.Random(SEED)
    paid = await refunded(shop, tool_server, users=8)
    good = await shop.release({}, tools=[undo_refund(tool_server, "/slow/0.15")])
    worker = shop.worker(good, output=subprocess.DEVNULL, PENSTOCK_CONCURRENCY="2")
    tasks = [(await ask(shop, one))[1] for one in paid]
    for last in (False, True):
        wanted = min(len(tool_server.calls) + drawn.randint(1, 3), len(paid))
        await asyncio.to_thread(tool_server.wait_for_calls, wanted)
        await asyncio.to_thread(killed, worker)
        for one in paid:  # and a person asks again meanwhile
            (known,) = await shop.store.compensations.known(shop.agent, [one])
            if known.state is Undoing.ASKED:
                await shop.store.compensations.ask(shop.agent, one, one.undo, known, BY)
        if not last:
            worker = shop.worker(good, output=subprocess.DEVNULL, PENSTOCK_CONCURRENCY="2")
    async with shop.pool(good):
        for task in tasks:
            await shop.ended(task, 120)
    journal = [call["headers"]["idempotency-key"] for call in tool_server.calls]
    states = {one.call: await state(shop, one) for one in paid}
    print(f"{len(journal)} calls; {sorted(states.values())}")
    assert len(journal) == len(set(journal)), "none was undone twice"
    done = sum(found is Undoing.DONE for found in states.values())
    assert set(states.values()) <= {Undoing.DONE, Undoing.INTENDED}
    assert done <= len(journal) <= len(paid)
