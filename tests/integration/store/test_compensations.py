"""The mark that a call is undone once, on a real Redis: also where the newest second is lost, and with a foreign hand."""

from __future__ import annotations

import asyncio
import json

import pytest

from penstock.effects import EffectState, Undoing, Undone
from penstock.task import Outcome, TaskStatus, Usage
from penstock_store.compensations import Asked, By
from penstock_store.records import Directive
from tests.integration.store.conftest import CANARY, STABLE, TENANT
from tests.integration.store.test_effects import ANY, claim, effect, say

__all__ = ["claim"]
pytestmark = pytest.mark.redis

UNDO = {"tool": "undo_refund", "arguments": {"order": "A1"}}
BY = By("boss")
FAILED = Outcome(TaskStatus.FAILED)


@pytest.fixture
async def paid(desk, claim):
    """A call that stable has made; another revision is stable now, and its workers are of this release."""
    kind, said = effect(EffectState.DONE)
    await say(desk, claim, effect(EffectState.INTENDED))
    await say(desk, claim, (kind, said | {"undo": UNDO}))
    await desk.raw.hset(f"{desk.keys.tag}:route", mapping={"stable": CANARY, "candidate": ""})
    await desk.raw.hset(f"{desk.keys.tag}:rev:{CANARY}", "protocol", "1 5")
    (found,) = (await desk.store.effects.page(desk.agent, ANY)).items
    return found


@pytest.fixture
def undone(desk):
    return f"{desk.keys.tag}:effects:undone"


async def known(desk, paid):
    (found,) = await desk.store.compensations.known(desk.agent, [paid])
    return found


async def ask(desk, paid, seen=None):
    seen = seen or await known(desk, paid)
    return await desk.store.compensations.ask(desk.agent, paid, paid.undo, seen, BY)


def compensating(state, paid):
    kind, said = effect(state)
    return kind, said | {"tool": "undo_refund", "compensates": paid.call}


async def test_it_is_a_task_of_stable_that_is_no_sample_and_says_what_it_undoes(desk, paid):
    said, task = await ask(desk, paid)
    assert said is Asked.ASKED
    (made,) = await desk.claim(CANARY)
    assert made.task.id == task
    wanted = made.task.compensation
    assert (wanted.call, wanted.tool, wanted.arguments) == (
        paid.call,
        "undo_refund",
        '{"order": "A1"}',
    )
    assert (made.task.tenant, made.task.user) == (paid.tenant, paid.user)
    assert await desk.store.claims.finish(made, Outcome(TaskStatus.FAILED), Usage())
    rows = await desk.raw.xrange(f"{desk.keys.tag}:outcomes")
    assert b"LeftOut" in rows[-1][1][b"f"]


async def test_who_comes_later_changes_nothing(desk, paid):
    _, first = await ask(desk, paid)
    assert (await ask(desk, paid, Undone()))[0] is Asked.CHANGED
    assert (await ask(desk, paid))[0] is Asked.CHANGED, "its task goes on"
    assert len(await desk.claim(CANARY)) == 1
    assert (await known(desk, paid)).task == first


async def test_the_calls_own_effect_is_the_mark_where_redis_has_lost_the_asking(desk, paid, undone):
    _, task = await ask(desk, paid)
    (made,) = await desk.claim(CANARY)
    await say(desk, made, compensating(EffectState.INTENDED, paid))
    assert (await known(desk, paid)).state is Undoing.INTENDED
    await desk.raw.delete(undone, desk.keys.task(task))
    await say_again(desk, made, compensating(EffectState.DONE, paid))
    assert (await known(desk, paid)).state is Undoing.DONE


async def say_again(desk, made, told):
    """What a worker that lives says after a break, of a task that Redis has lost."""
    desk.store.claims._effects.remember(made, [told[0], json.dumps(told[1])])
    await desk.store.claims._effects.say_again(desk.agent)


async def test_made_again_after_a_loss_it_has_the_same_id_and_after_a_refusal_another(
    desk, paid, undone
):
    _, first = await ask(desk, paid)
    await desk.raw.delete(undone, desk.keys.task(first))
    assert (await ask(desk, paid))[1] == first
    await desk.raw.hset(
        undone, paid.call.partition(".")[2], f"Refused {first.rpartition('.')[2]} 1"
    )
    _, second = await ask(desk, paid)
    assert second != first


async def broken(desk):
    """Redis is another one, or was started anew: what it lacks is said again."""
    await desk.raw.hset(f"{desk.keys.tag}:tail", "life", "the one before")


@pytest.mark.parametrize("said_before_a_break", ["an end", "a claim"])
async def test_an_attempt_is_not_ended_or_kept_by_what_is_said_again_of_the_one_before(
    desk, paid, said_before_a_break
):
    _, first = await ask(desk, paid)
    (late,) = await desk.claim(CANARY, consumer="late")
    (ends,) = [late] if said_before_a_break == "an end" else await desk.reclaim(CANARY, "w1")
    assert await desk.store.claims.finish(ends, FAILED, Usage())
    _, again = await ask(desk, paid)
    assert again == first, "it has the same key"
    await broken(desk)
    heard = await desk.store.claims.heartbeat([late], "late")
    assert heard == {late.id: Directive.LOST}
    assert not await desk.store.claims.finish(late, FAILED, Usage())
    assert await desk.status(again) is TaskStatus.QUEUED
    await desk.store.claims.heartbeat([], "w1")  # all are waited for
    (made,) = await desk.claim(CANARY, consumer="late")
    assert made.task.id == again
    await broken(desk)
    assert (await desk.store.claims.heartbeat([made], "late"))[made.id] is not Directive.LOST
    assert await desk.store.claims.finish(made, Outcome(TaskStatus.SUCCEEDED), Usage())
    assert await desk.status(again) is TaskStatus.SUCCEEDED


async def test_a_worker_goes_on_with_an_attempt_that_redis_has_lost_and_that_was_asked_for_again(
    desk, paid, undone
):
    _, first = await ask(desk, paid)
    (made,) = await desk.claim(CANARY, consumer="w")
    await desk.raw.delete(undone, desk.keys.task(first))
    assert (await ask(desk, paid))[1] == first
    await broken(desk)
    assert (await desk.store.claims.heartbeat([made], "w"))[made.id] is not Directive.LOST
    assert await desk.store.claims.finish(made, Outcome(TaskStatus.SUCCEEDED), Usage())
    assert await desk.status(first) is TaskStatus.SUCCEEDED


async def test_what_is_done_stays_done_and_what_another_hand_writes_is_not_made_again(
    desk, paid, undone
):
    await ask(desk, paid)
    (made,) = await desk.claim(CANARY)
    for state in (EffectState.INTENDED, EffectState.DONE, EffectState.INTENDED):
        await say(desk, made, compensating(state, paid))
    assert (await known(desk, paid)).state is Undoing.DONE
    await desk.raw.hset(undone, paid.call.partition(".")[2], "rubbish")
    assert (await known(desk, paid)).state is Undoing.INTENDED
    assert (await ask(desk, paid))[0] is Asked.CHANGED


async def test_stables_own_call_and_workers_of_a_release_before_are_refused(desk, paid):
    await desk.raw.hset(f"{desk.keys.tag}:rev:{CANARY}", "protocol", "1 4")
    assert (await ask(desk, paid))[0] is Asked.OLDER_WORKERS
    await desk.raw.hset(f"{desk.keys.tag}:route", "stable", STABLE)
    assert (await ask(desk, paid))[0] is Asked.SERVES
    assert await known(desk, paid) == Undone()


async def test_the_sums_of_a_revision_say_what_of_its_calls_is_undone(desk, paid):
    assert await undoing(desk) == (0, 0, 0)
    for state, counted in ((EffectState.REFUSED, (0, 1, 0)), (EffectState.DONE, (1, 0, 0))):
        assert (await ask(desk, paid))[0] is Asked.ASKED
        assert await undoing(desk) == (0, 0, 1)
        (made,) = await desk.claim(CANARY)
        await say(desk, made, compensating(EffectState.INTENDED, paid))
        assert await undoing(desk) == (0, 0, 1)
        for _ in range(2):  # the answer to a write may be lost
            await say(desk, made, compensating(state, paid))
        assert await desk.store.claims.finish(made, Outcome(TaskStatus.SUCCEEDED), Usage())
        assert await undoing(desk) == counted
    assert (await desk.store.effects.sums(desk.agent, CANARY)).undone == 0, "its own are stable's"


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ({"percent": "5"}, Asked.SERVES),
        ({"percent": "0"}, Asked.ASKED),
        ({"percent": "0", "rings": "mark", "ringsOf": "{version}"}, Asked.SERVES),
        ({"percent": "0", "rings": "mark", "ringsOf": "0"}, Asked.ASKED),
    ],
)
async def test_calls_of_a_canary_that_serves_somebody_are_its_own(desk, paid, route, said):
    """A share of the users, or those of rings that this version of the route has."""
    version = (await desk.raw.hget(f"{desk.keys.tag}:route", "version")).decode()
    fields = {name: value.format(version=version) for name, value in route.items()}
    await desk.raw.hset(f"{desk.keys.tag}:route", mapping={"candidate": STABLE, **fields})
    assert (await ask(desk, paid))[0] is said


async def cancelled(desk, task):
    await desk.store.tasks.cancel(task, TENANT)


async def expired(desk, task):
    await desk.raw.hset(f"{desk.keys.tag}:rev:{CANARY}", "queueSeconds", "0")
    await asyncio.sleep(0.002)
    assert await desk.store.queue.expire(desk.agent) == 1


async def with_its_agent(desk, task):
    await desk.store.routes.close(desk.agent, "uid-1")


async def failed(desk, task):
    assert await desk.finish(await desk.claim_one(CANARY), FAILED)


async def cancelled_in_the_worker(desk, task):
    made = await desk.claim_one(CANARY)
    await desk.store.tasks.cancel(task, TENANT)
    assert await desk.finish(made, Outcome(TaskStatus.CANCELLED))


async def undoing(desk):
    said = await desk.store.effects.sums(desk.agent, STABLE)
    return said.undone, said.undo_refused, said.undo_asked


@pytest.mark.parametrize(
    "end", [cancelled, expired, with_its_agent, failed, cancelled_in_the_worker]
)
async def test_a_task_that_ends_before_its_call_leaves_nothing_asked_for(desk, paid, end):
    _, task = await ask(desk, paid)
    assert await undoing(desk) == (0, 0, 1)
    await end(desk, task)
    assert await known(desk, paid) == Undone(Undoing.ENDED, task, 1)
    assert await undoing(desk) == (0, 1, 0)


async def test_asked_again_it_is_asked_for_under_the_same_id(desk, paid):
    _, task = await ask(desk, paid)
    await cancelled(desk, task)
    assert await ask(desk, paid) == (Asked.ASKED, task)
    assert await undoing(desk) == (0, 0, 1)


async def test_the_end_of_a_task_whose_call_is_told_of_changes_nothing(desk, paid):
    _, first = await ask(desk, paid)
    made = await desk.claim_one(CANARY)
    await say(desk, made, compensating(EffectState.INTENDED, paid))
    assert await desk.finish(made, FAILED)
    assert await known(desk, paid) == Undone(Undoing.INTENDED, first, 1)
    assert await undoing(desk) == (0, 0, 1)


async def test_of_a_call_that_changes_nothing_the_success_of_its_task_tells(desk, paid):
    _, task = await ask(desk, paid)
    assert await desk.finish(await desk.claim_one(CANARY))
    assert await known(desk, paid) == Undone(Undoing.DONE, task, 1)
    assert await undoing(desk) == (1, 0, 0)


async def test_the_end_of_an_attempt_before_says_nothing_of_this_one(desk, paid, undone):
    _, first = await ask(desk, paid)
    name = paid.call.partition(".")[2]
    await desk.raw.hset(undone, name, "Asked another-task 2")
    await cancelled(desk, first)
    assert await desk.raw.hget(undone, name) == b"Asked another-task 2"
