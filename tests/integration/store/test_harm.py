"""What a canary may do to the world, on a real Redis: reserved with the intent, never passed, looked at before routing."""

from __future__ import annotations

import json

import pytest

from penstock import task as tasks
from penstock.effects import EffectState, HarmDone
from penstock.task import Usage
from penstock_store.effects import SoughtEffects
from penstock_store.records import Directive
from tests.integration.store.conftest import CANARY, STABLE

pytestmark = pytest.mark.redis

BOUND = {"failed": 2, "calls": 3, "once": {"refund": 1}, "micro": 10_000_000, "tool": "refund"}
FAILED = tasks.Outcome(tasks.TaskStatus.FAILED, tasks.OutcomeReason.MODEL_ERROR)
BOTH = (Directive.CONTINUE, Directive.GIVE_BACK)


def call(position=1, amount="1000000", state=EffectState.INTENDED, tool="refund", **more):
    return "effect", {
        "state": state.value, "step": 1, "position": position, "tool": tool, "amount": amount,
        "shown": {}, "arguments": "", "result": "", **more,
    }  # fmt: skip


async def bound(desk, percent=100, **limits):
    await desk.set_route(canary=CANARY, percent=percent, harm=json.dumps(limits or BOUND))


async def claimed(desk, **fields):
    await desk.admit(**fields)
    return await desk.claim_one(CANARY)


async def say(desk, claim, *events):
    return await desk.store.claims.checkpoint(claim, b"{}", Usage(), list(events))


async def done(desk):
    return (await desk.store.routes.look(desk.agent, [])).harm


async def test_each_call_is_reserved_once_and_one_that_is_not_made_is_given_back(desk):
    assert await done(desk) is None
    await bound(desk)
    claim = await claimed(desk)
    for _ in range(2):  # a write that is repeated says the same
        assert await say(desk, claim, call()) is Directive.CONTINUE
    assert await done(desk) == HarmDone(calls=1, micro=1_000_000)
    await say(desk, claim, call(state=EffectState.DONE))
    for position, state in ((2, EffectState.REFUSED), (3, EffectState.NOT_MADE)):
        await say(desk, claim, call(position))
        await say(desk, claim, call(position, state=state))
    assert await done(desk) == HarmDone(calls=1, micro=1_000_000)
    await say(desk, claim, call(4, tool="note"))
    assert await done(desk) == HarmDone(calls=1, micro=1_000_000), "neither once nor the tool"


async def test_what_stable_does_is_not_counted(desk):
    await bound(desk, percent=0)
    await desk.admit()
    claim = await desk.claim_one(STABLE)
    for position in range(1, 9):
        assert await say(desk, claim, call(position)) is Directive.CONTINUE
    assert await done(desk) == HarmDone()


@pytest.mark.parametrize(
    ("amount", "calls", "marks"),
    [("1000000", 3, {"calls_most": 3}), ("4000000", 2, {"micro_most": 10_000_000})],
)
async def test_a_call_that_would_pass_a_limit_is_not_made_and_its_task_goes_to_stable(
    desk, amount, calls, marks
):
    await bound(desk)
    claim = await claimed(desk)
    said = [await say(desk, claim, call(position, amount)) for position in range(1, calls + 2)]
    assert said == [Directive.CONTINUE] * calls + [Directive.GIVE_BACK]
    reserved = HarmDone(calls=calls, micro=calls * int(amount), **marks)
    assert await done(desk) == reserved
    page = await desk.store.effects.page(desk.agent, SoughtEffects())
    assert len(page.unknown) == calls, "of what was refused there is no intent"
    await say(desk, claim, call(calls + 1, amount, EffectState.NOT_MADE))
    assert await desk.store.claims.release(claim)
    again = await desk.claim_one(STABLE, "w2")
    assert again.task.id == claim.task.id
    assert await say(desk, again, call(calls + 1, amount)) is Directive.CONTINUE
    assert await done(desk) == reserved
    await bound(desk, **{**BOUND, "calls": 9, "micro": 99_000_000})
    assert await say(desk, await claimed(desk), call(1, amount)) is Directive.CONTINUE


async def test_a_hundred_workers_at_once_never_pass_a_limit(desk):
    await bound(desk, **{**BOUND, "calls": 40, "micro": 30_000_000})
    for number in range(100):
        await desk.admit(user=f"u{number}")
    claims = await desk.claim(CANARY, 100)
    said = [await say(desk, claim, call(1, "700000")) for claim in claims]
    assert (said.count(BOTH[0]), said.count(BOTH[1])) == (40, 60)
    assert (await done(desk)).micro == 28_000_000


async def test_of_a_call_without_an_amount_a_person_is_asked_or_stable_makes_it(desk):
    await bound(desk)
    claim = await claimed(desk)
    assert await say(desk, claim, call(amount="", asks=True, approved=False)) is Directive.ASK
    assert await say(desk, claim, call(amount="", asks=True, approved=True)) is Directive.CONTINUE
    assert await done(desk) == HarmDone(calls=1)
    former = await claimed(desk)
    assert await say(desk, former, call(amount="")) is Directive.GIVE_BACK
    assert await done(desk) == HarmDone(calls=1)


async def test_failed_tasks_are_counted_and_the_next_one_goes_to_stable_with_its_session(desk):
    await bound(desk)
    pinned = await claimed(desk, session="s", user="ana")
    await desk.finish(pinned)
    for _ in range(2):
        await desk.finish(await claimed(desk), FAILED)
    assert await done(desk) == HarmDone(failed=2)
    assert (await desk.admit()).revision == STABLE
    assert (await desk.admit(session="s", user="ana")).revision == STABLE
    await bound(desk, **{**BOUND, "failed": 3})
    assert (await desk.admit()).revision == CANARY


async def test_what_another_hand_has_written_bounds_nothing_and_breaks_nothing(desk):
    await bound(desk)
    await desk.raw.hset(desk.keys.route, "harm", "{nonsense")
    claim = await claimed(desk)
    assert await say(desk, claim, call()) is Directive.CONTINUE
    assert await done(desk) is None
