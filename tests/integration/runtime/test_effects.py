"""What calls have done to the world is written down: each line of a tool's own journal has one effect."""

import asyncio

import pytest

from penstock import task as tasks
from penstock.effects import EffectState
from penstock.task import TaskStatus
from penstock_store.effects import SoughtEffects
from tests.integration.runtime.shop import tool

pytestmark = pytest.mark.redis

REFUND = {"name": "refund", "input": {"order": "A1", "amount": 12.5, "iban": "DE00"}}
ANY = SoughtEffects()


def refund(tool_server, path="/ok", effect="Irreversible", **more):
    return tool("refund", tool_server.url + path, effect, amountFrom="amount", **more)


async def effects(shop, sought=ANY):
    """All of them, page by page: unknown ones, known ones."""
    page = await shop.store.effects.page(shop.agent, sought, "", 3)
    unknown, known = list(page.unknown), list(page.items)
    while page.following:
        page = await shop.store.effects.page(shop.agent, sought, page.following, 3)
        known += page.items
    return unknown, known


def place(effect):
    """What the tool knows the call by."""
    return f"{effect.task}.{effect.step}.{effect.position}"


@pytest.mark.parametrize("effect", ["Irreversible", "Idempotent"])
async def test_a_call_that_changes_something_is_one_effect_with_its_amount(
    shop, tool_server, effect
):
    ended = await shop.run({"toolCalls": [REFUND]}, tools=[refund(tool_server, effect=effect)])
    unknown, [one] = await effects(shop)
    assert (unknown, one.state, one.amount_micro) == ([], EffectState.DONE, 12_500_000)
    assert (one.task, one.user, one.revision) == (ended.id, "u", ended.revision)
    assert one.shown == '{"amount": "12.5"}', "in clear only what amountFrom names"
    assert place(one) == tool_server.calls[0]["headers"]["idempotency-key"]
    assert len(one.arguments_digest) == len(one.result_digest) == 64
    assert await effects(shop, SoughtEffects(user="another")) == ([], [])
    assert len((await effects(shop, SoughtEffects(task=ended.id.rpartition(".")[2])))[1]) == 1


async def test_what_only_reads_has_no_effect_and_what_a_tool_refuses_is_none_that_was_done(
    shop, tool_server
):
    await shop.run({"toolCalls": [REFUND]}, tools=[refund(tool_server, effect="ReadOnly")])
    assert await effects(shop) == ([], [])
    await shop.run({"toolCalls": [REFUND]}, tools=[refund(tool_server, "/status/400")])
    unknown, [one] = await effects(shop)
    assert (unknown, one.state) == ([], EffectState.REFUSED)


@pytest.mark.parametrize("effect", ["Irreversible", "Idempotent"])
async def test_a_call_whose_result_nobody_knows_stays_unknown(shop, tool_server, effect):
    await shop.run({"toolCalls": [REFUND]}, tools=[refund(tool_server, "/drop", effect=effect)])
    [one], known = await effects(shop)
    assert (one.state, known, one.amount_micro) == (EffectState.INTENDED, [], 12_500_000)


async def test_a_task_that_is_put_down_before_its_call_was_sent_has_no_effect(shop, tool_server):
    cut = await shop.release(
        {"toolCalls": [REFUND], "latencyMs": 60_000}, tools=[refund(tool_server)]
    )
    identifier = await shop.submit()
    async with shop.pool(cut):
        await shop.event(identifier, "started")
        await shop.store.tasks.cancel(identifier, "test")
        ended = await shop.ended(identifier)
    assert ended.status is TaskStatus.CANCELLED
    unknown, known = await effects(shop)
    assert (unknown, [one for one in known if one.state is not EffectState.NOT_MADE]) == ([], [])
    assert tool_server.calls == []


@pytest.mark.timeout(300)
async def test_workers_die_and_each_line_of_the_journal_has_one_effect_and_each_known_one_a_line(
    shop, tool_server
):
    guarded = refund(tool_server, "/slow/0.15")
    cut = await shop.release({"toolCalls": [REFUND], "latencyMs": 20}, tools=[guarded])
    identifiers = [await shop.submit(user=f"u{number % 5}") for number in range(40)]
    for _ in range(3):
        worker = shop.worker(cut, PENSTOCK_CONCURRENCY="6")
        seen = len(tool_server.calls)
        await asyncio.to_thread(tool_server.wait_for_calls, seen + 3)
        worker.kill()
        await asyncio.to_thread(worker.wait, 30)  # its child has its pipes for a while longer
    async with shop.pool(cut, PENSTOCK_CONCURRENCY="20"):
        for identifier in identifiers:
            await shop.ended(identifier, 120)
    journal = [call["headers"]["idempotency-key"] for call in tool_server.calls]
    unknown, known = await effects(shop)
    done = [place(one) for one in known if one.state is EffectState.DONE]
    doubtful = [place(one) for one in unknown]
    print(f"{len(journal)} lines, {len(done)} known, {len(doubtful)} unknown")
    assert len(done) == len(set(done))
    assert set(done) <= set(journal)
    assert set(journal) <= {*done, *doubtful}
    assert not {*done} & {*doubtful}
    assert len(journal) == len(set(journal)), "no irreversible call was made twice"
    assert doubtful, "a call was under way when its worker died"
    assert all(tasks.agent_of(one.task) == shop.agent for one in unknown)
