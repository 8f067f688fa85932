"""The outbox of webhooks as Redis keeps it: told once, held while it is sent, at a bounded cost."""

from __future__ import annotations

import uuid

import pytest

from penstock.escalation import Verdict
from penstock.guard import unguarded
from penstock_store import users
from penstock_store.escalations import Word
from penstock_store.outbox import ASKED, DECIDED, KINDS, MOST_LOOKED_AT
from penstock_store.store import Store
from tests.integration.store.conftest import seen
from tests.integration.store.test_parked import commands, copied, waits

pytestmark = pytest.mark.redis
TO_ALL = [("all", KINDS), ("asked", (ASKED,))]
HELD_SECONDS = 0.5


async def look(desk, place=0):
    return await desk.store.outbox.look(desk.agent, TO_ALL, place)


async def take(desk, target="all", most=8, store=None):
    _, found = await (store or desk.store).outbox.take(desk.agent, target, most, HELD_SECONDS)
    return found


async def test_what_is_new_is_told_once_to_each_target_by_its_kinds(desk):
    _, escalation = await waits(desk)
    place, found = await look(desk)
    assert (place, [one.waiting for one in found]) == (0, [1, 1])
    assert all(one.due and one.waited_ms >= 1 for one in found)
    await look(desk)
    for target in ("all", "asked"):
        [one] = await take(desk, target)
        assert (one.kind, one.escalation) == (ASKED, escalation)
        await desk.store.outbox.done(one)
    await desk.store.escalations.decide(escalation, Word("ann", Verdict.DENY))
    _, found = await look(desk)
    assert [(one.due, one.waiting) for one in found] == [(True, 1), (False, 0)]
    [one] = await take(desk)
    assert (one.kind, one.escalation) == (DECIDED, escalation)
    await desk.store.outbox.done(one)
    _, found = await look(desk)
    assert [(one.waiting, one.waited_ms) for one in found] == [(0, 0), (0, 0)]


async def test_what_one_sender_has_taken_no_other_takes_until_its_time_is_over(desk):
    await waits(desk)
    await look(desk)
    [mine] = await take(desk)
    assert await take(desk) == []
    [again] = await seen(lambda: take(desk), bool)
    assert again == mine


async def test_what_failed_is_due_later_and_what_is_done_with_comes_back_no_more(desk):
    await waits(desk)
    await look(desk)
    [one] = await take(desk)
    await desk.store.outbox.postpone(one, 60)
    _, [found, _] = await look(desk)
    assert (found.due, found.waiting) == (False, 1)
    await desk.store.outbox.done(one)
    await desk.store.outbox.postpone(one, 0.001)  # said by a sender that was held up
    _, [found, _] = await look(desk)
    assert (found.waiting, found.waited_ms) == (0, 0)


async def test_one_gateway_leads_until_its_time_is_over_or_it_gives_up(desk):
    outbox = desk.store.outbox
    assert await outbox.lead("one", 60)
    assert not await outbox.lead("other", 60)
    assert await outbox.lead("one", 0.2)
    assert await seen(lambda: outbox.lead("other", 60), bool)
    assert not await outbox.lead("one", 60)
    assert await outbox.lead("other", 0)
    assert await outbox.lead("one", 60)


async def test_thousands_that_wait_are_all_told_in_rounds_each_of_which_costs_the_same(desk):
    await waits(desk)
    await copied(desk, 3000)
    place, waiting, costs = 0, 0, []

    async def once():
        nonlocal place, waiting
        place, found = await look(desk, place)
        waiting = found[0].waiting

    while waiting < 3001 and len(costs) < 40:
        costs.append(await commands(desk, once()))
    assert waiting == 3001
    assert max(costs) < 10 * 3 * MOST_LOOKED_AT
    assert await commands(desk, once()) < 400, "nothing is new"


async def test_what_the_outbox_says_the_gateways_user_may_say(desk, raw, server):
    name = f"gateway-{uuid.uuid4().hex[:6]}"
    await raw.execute_command(
        "ACL", "SETUSER", name, "reset", "resetchannels", "on", ">p", *users.gateway_rules()
    )
    limited = Store.connect(users.with_user(server.url, name, "p"), guard=unguarded)
    try:
        await waits(desk)
        assert await limited.outbox.lead("me", 1)
        await limited.outbox.look(desk.agent, TO_ALL)
        [one] = await take(desk, store=limited)
        await limited.outbox.postpone(one, 5)
        await limited.outbox.done(one)
    finally:
        await limited.aclose()
        await raw.execute_command("ACL", "DELUSER", name)
