"""What calls have done, on a real Redis: said again after a loss, listed whole, and bounded."""

from __future__ import annotations

import json

import pytest

from penstock.effects import EffectState, Sums
from penstock.task import Usage
from penstock_store import scripts
from penstock_store.effects import SoughtEffects
from tests.integration.store.conftest import CANARY, STABLE

pytestmark = pytest.mark.redis
ANY = SoughtEffects()


def effect(state, position=1, amount="5000000"):
    return "effect", {
        "state": state.value, "step": 1, "position": position, "tool": "refund", "amount": amount,
        "shown": {}, "arguments": "", "result": "",
    }  # fmt: skip


@pytest.fixture
async def claim(desk):
    await desk.admit(user="ana")
    return await desk.claim_one()


async def say(desk, claim, *events):
    await desk.store.claims.checkpoint(claim, b"{}", Usage(), list(events))


async def listed(desk, most=50):
    """Places of all effects by what is known of them, page by page."""
    found, after = {"unknown": [], "known": []}, ""
    while True:
        page = await desk.store.effects.page(desk.agent, ANY, after, most)
        found["unknown"] += [(one.step, one.position) for one in page.unknown]
        found["known"] += [(one.step, one.position, one.state) for one in page.items]
        after = page.following
        if not after:
            return found


async def lose(desk, last):
    """Redis forgets the newest entries, as when its log was cut, and all that follows from them."""
    stream, sums = f"{desk.keys.tag}:effects", f"{desk.keys.tag}:effects:of:{STABLE}"
    entries = await desk.raw.xrevrange(stream)
    for (identifier, fields), before in zip(entries[:last], [*entries[1:], None], strict=False):
        said = json.loads(fields[b"said"])
        name = f"{fields[b'task'].decode()}.{said['step']}.{said['position']}"
        if said["state"] == "Intended":
            await desk.raw.hdel(f"{stream}:open", name)
            await desk.raw.hincrby(sums, "unknown", -1)
        else:
            await desk.raw.hset(f"{stream}:open", name, before[0])
            await desk.raw.hincrby(sums, "unknown", 1)
            await desk.raw.hincrby(sums, "n", -1)
            await desk.raw.hincrby(sums, "micro:refund", -int(said["amount"]))
        await desk.raw.xdel(stream, identifier)
    await desk.raw.hset(f"{desk.keys.tag}:tail", "life", "another")


@pytest.mark.parametrize("last", [0, 1, 2, 3])
async def test_what_redis_has_lost_of_effects_is_said_again_by_the_worker_that_lives_and_nothing_twice(
    desk, claim, last
):
    first, second = effect(EffectState.INTENDED), effect(EffectState.INTENDED, 2)
    for said in (first, effect(EffectState.DONE), second):
        await say(desk, claim, said)
    before = await listed(desk)
    await lose(desk, last)
    assert (await listed(desk) == before) is (last == 0)
    await desk.store.claims.heartbeat([claim], "w1")
    assert await listed(desk) == before
    await desk.store.claims.heartbeat([claim], "w1")
    assert await listed(desk) == before
    sums = await desk.store.effects.sums(desk.agent, STABLE)
    assert (sums.done, sums.unknown, dict(sums.micro)) == (1, 1, {"refund": 5_000_000})


async def test_a_call_that_was_answered_before_the_intent_is_said_again_is_not_in_doubt(
    desk, claim
):
    await say(desk, claim, effect(EffectState.INTENDED))
    await lose(desk, 1)
    await say(desk, claim, effect(EffectState.DONE))
    await desk.store.claims.heartbeat([claim], "w1")
    assert await listed(desk) == {"unknown": [], "known": [(1, 1, EffectState.DONE)]}
    sums = await desk.store.effects.sums(desk.agent, STABLE)
    assert (sums.done, sums.unknown, dict(sums.micro)) == (1, 0, {"refund": 5_000_000})


async def test_effects_of_a_task_that_is_lost_are_said_again_and_make_no_task_of_it(desk, claim):
    await say(desk, claim, effect(EffectState.INTENDED))
    await say(desk, claim, effect(EffectState.DONE))
    await lose(desk, 2)
    await desk.raw.delete(desk.keys.task(claim.task.id))
    await desk.store.claims.heartbeat([claim], "w1")
    assert (await listed(desk))["known"] == [(1, 1, EffectState.DONE)]
    assert not await desk.raw.exists(desk.keys.task(claim.task.id))


async def test_all_that_nobody_knows_of_is_listed_first_however_much_it_is(desk, claim):
    await say(desk, claim, effect(EffectState.INTENDED))
    await say(desk, claim, effect(EffectState.DONE))
    stream = f"{desk.keys.tag}:effects"
    [(_, fields)] = await desk.raw.xrevrange(stream, count=1)
    pipe = desk.raw.pipeline(transaction=False)
    for number in range(2, 2503):
        said = json.dumps(effect(EffectState.INTENDED, number)[1])
        pipe.xadd(stream, fields | {b"said": said})
    entries = await pipe.execute()
    named = {f"x.1.{number}": entry for number, entry in enumerate(entries, 2)}
    await desk.raw.hset(f"{stream}:open", mapping=named)
    found = await listed(desk, 1000)
    assert found["unknown"] == [(1, number) for number in range(2, 2503)]
    assert found["known"] == [(1, 1, EffectState.DONE)]


class TestBounded:
    """Where few effects are kept."""

    @pytest.fixture
    def retention(self):
        return scripts.Retention(effect_rows=100)

    async def test_calls_that_nobody_will_ever_know_of_are_not_kept_for_ever(self, desk, claim):
        for number in range(1, 801):
            await say(desk, claim, effect(EffectState.INTENDED, number))
        kept = await desk.raw.xlen(f"{desk.keys.tag}:effects")
        assert await desk.raw.hlen(f"{desk.keys.tag}:effects:open") < 2 * kept < 800


async def test_a_look_says_what_the_canary_has_done_and_nothing_without_one(desk, claim):
    await say(desk, claim, effect(EffectState.INTENDED), effect(EffectState.DONE))
    await say(desk, claim, effect(EffectState.INTENDED, 2))
    canary = (await desk.store.routes.look(desk.agent, [])).effects
    assert canary == Sums(), "stable has done it"
    await desk.raw.hset(f"{desk.keys.tag}:route", "candidate", STABLE)
    looked = (await desk.store.routes.look(desk.agent, [])).effects
    assert looked == await desk.store.effects.sums(desk.agent, STABLE)
    assert looked == Sums(1, 1, 1, {"refund": 5_000_000})
    await desk.raw.hset(f"{desk.keys.tag}:effects:of:{STABLE}", "n", "many")
    assert (await desk.store.routes.look(desk.agent, [])).effects is None, "another hand wrote it"
    await desk.raw.hset(f"{desk.keys.tag}:route", "candidate", "")
    assert (await desk.store.routes.look(desk.agent, [])).effects is None, "no canary"


async def test_what_becomes_of_a_call_is_booked_on_the_revision_that_has_wanted_it(desk, claim):
    """A canary wants it and goes; the task is handed over, and stable, which repeats the call, hears of it."""
    await say(desk, claim, effect(EffectState.INTENDED))
    await desk.raw.hset(desk.keys.task(claim.task.id), "revision", CANARY)  # as a hand-over has it
    await say(desk, claim, effect(EffectState.DONE))
    sums = desk.store.effects.sums
    assert await sums(desk.agent, STABLE) == Sums(1, 0, 1, {"refund": 5_000_000})
    assert await sums(desk.agent, CANARY) == Sums(0, 0, 0, {})
    page = await desk.store.effects.page(desk.agent, SoughtEffects(revision=STABLE), "", 5)
    assert ([one.state for one in page.items], page.unknown) == ([EffectState.DONE], ())
