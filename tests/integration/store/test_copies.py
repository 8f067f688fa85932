"""Copies of stable's tasks, on a real Redis: what is copied, that no task is among them, and what they may spend."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from penstock import shadow
from penstock import task as tasks
from penstock.money.ledger import (
    Amount,
    Mode,
    Money,
    Refused,
    Reserved,
    Scope,
    Settlement,
    Window,
)
from penstock.shadow import Intent, Shadow, Trial, Verdict
from penstock.task import TaskStatus, Usage
from penstock.traffic import RevisionLimits, Standing
from penstock_store.copies import Found
from tests import trials
from tests.integration.store.conftest import CANARY, STABLE, TENANT
from tests.integration.store.ledger_desk import QUOTE, USD, limit
from tests.integration.store.ledger_desk import Money as Purse

pytestmark = pytest.mark.redis

FAILED = tasks.Outcome(TaskStatus.FAILED, tasks.OutcomeReason.MODEL_ERROR)
PLANNED = tasks.Outcome(TaskStatus.ESCALATED, tasks.OutcomeReason.APPROVAL)
CANCELLED = tasks.Outcome(TaskStatus.CANCELLED, tasks.OutcomeReason.PERSON)
CAP = limit(Scope.SHADOW, Window.TOTAL, USD)
STATE = b'{"begun":[],"messages":[{"role":"user"}]}'
LATER = "cafe0001"
REFUND = Intent("refund", '{"order":"A1"}')


@pytest.fixture
async def purse(desk):
    """The desk's ledger, with a cap for copies."""
    made = Purse(desk)
    await made.declare(CAP)
    return made


async def shadowed(desk, percent=100, **route):
    said = shadow.written(Shadow(CANARY, percent, ("refund",)))
    await desk.set_route(**{"canary": CANARY, "percent": 0, "shadow": said, **route})


async def ends(desk, outcome=None, state=STATE, **fields):
    """A task of stable from its beginning to its end; the name that its copy has."""
    admitted = await desk.admit(**fields)
    claim = await desk.claim_one(STABLE)
    if state:
        await desk.store.claims.checkpoint(claim, state, Usage(), [])
    if outcome:
        await desk.finish(claim, outcome)
    else:
        await desk.finish(claim)
    return admitted.task.rpartition(".")[2]


async def heard(desk, revision=CANARY, seconds=0.05):
    return await desk.store.queue.wait_for_work(desk.agent, revision, seconds, copies=True)


async def taken(desk, **fields):
    name = await ends(desk, **fields)
    assert await heard(desk) == name
    return await desk.store.copies.take(desk.agent, CANARY, name)


async def seen(desk, revision=CANARY):
    return await trials.seen(desk.store, desk.agent, revision)


@pytest.mark.parametrize("outcome", [None, FAILED])
async def test_a_copy_has_what_its_task_was_told_and_did_however_that_ended(desk, purse, outcome):
    await shadowed(desk)
    copy = await taken(desk, outcome=outcome, text="refund A1", type="order", user="ana")
    assert (copy.input, copy.type, copy.checkpoint) == ("refund A1", "order", STATE)
    assert copy.stable_status is (TaskStatus.FAILED if outcome else TaskStatus.SUCCEEDED)
    assert copy.changing == {"refund"}
    assert (await seen(desk)).drawn == 1
    assert not await heard(desk)


async def test_what_is_kept_from_copies_is_told_apart_from_what_changes_something(desk, purse):
    said = shadow.written(shadow.Shadow(CANARY, 100, ("refund",), ("refund", "search")))
    await desk.set_route(shadow=said)
    copy = await taken(desk)
    assert (copy.changing, copy.kept) == ({"refund"}, {"search"})


async def test_a_copy_that_a_worker_of_the_version_before_made_is_called_for_no_less(desk, purse):
    said = json.loads(shadow.written(shadow.Shadow(CANARY, 100, ("refund",), ("search",))))
    del said["kept"]  # as its script passes it over
    await desk.set_route(shadow=json.dumps(said))
    copy = await taken(desk)
    assert (copy.changing, copy.kept) == ({"refund", "search"}, frozenset())


async def test_a_copy_of_a_later_turn_has_the_session_as_its_task_found_it(desk, purse):
    await shadowed(desk)
    await desk.admit(session="s", user="ana")
    claim = await desk.claim_one()
    await desk.finish(claim, history=b"first")
    await desk.store.copies.take(desk.agent, CANARY, await heard(desk))
    await desk.admit(session="s", user="ana")
    claim = await desk.claim_one()
    await desk.finish(claim, history=b"second")
    copy = await desk.store.copies.take(desk.agent, CANARY, await heard(desk))
    assert copy.history == b"first"
    assert copy.checkpoint is None


@pytest.mark.parametrize("outcome", [PLANNED, CANCELLED])
async def test_an_end_that_says_nothing_of_stable_makes_no_copy(desk, purse, outcome):
    await shadowed(desk)
    await ends(desk, outcome)
    assert not await heard(desk)


async def test_without_a_declared_stage_nothing_is_copied_and_nothing_written(desk, purse):
    await desk.set_route(canary=CANARY, percent=0)
    await ends(desk)
    assert not await desk.raw.keys(f"{desk.keys.tag}:shadow*")


async def test_which_tasks_are_copied_is_drawn_by_their_ids(desk, purse):
    await shadowed(desk, percent=30)
    for _ in range(100):
        await ends(desk)
        if name := await heard(desk, seconds=0.01):
            copy = await desk.store.copies.take(desk.agent, CANARY, name)
            await desk.store.copies.tell(copy, Found(Verdict.AGREES, TaskStatus.SUCCEEDED))
    drawn = (await seen(desk)).drawn
    assert 12 <= drawn <= 50, "30 of 100 by a hash: five deviations either way"


@pytest.mark.parametrize("standing", [Standing.REJECTED, Standing.CLOSED])
async def test_a_canary_that_is_gone_gets_no_copy_and_loses_those_that_wait(desk, purse, standing):
    await shadowed(desk)
    name = await ends(desk)
    await shadowed(desk, standings={CANARY: standing})
    await ends(desk)
    assert (await seen(desk)).drawn == 1
    assert await desk.store.copies.take(desk.agent, CANARY, name) is None
    assert not await desk.raw.keys(f"{desk.keys.tag}:shadow:copy:*")


async def test_under_the_kill_switch_and_after_the_stage_no_copy_begins(desk, purse):
    for change in ({"suspended": True}, {"shadow": ""}):
        await shadowed(desk, suspended=False)
        name = await ends(desk)
        await shadowed(desk, **change)
        assert await desk.store.copies.take(desk.agent, CANARY, name) is None


async def test_a_copy_is_in_no_lane_no_list_and_no_row(desk, purse):
    await shadowed(desk)
    await ends(desk)
    rows = await desk.raw.xlen(desk.keys.outcomes)
    name = await heard(desk)
    copy = await desk.store.copies.take(desk.agent, CANARY, name)
    await desk.store.copies.tell(copy, Found(Verdict.AGREES, TaskStatus.SUCCEEDED))
    assert await desk.raw.xlen(desk.keys.outcomes) == rows
    assert await desk.raw.llen(desk.keys.recent) == 1
    assert await desk.claim(CANARY) == [], "a worker of any version that claims tasks finds none"
    work = (await desk.store.routes.look(desk.agent, [STABLE, CANARY])).work
    assert work[CANARY].idle
    assert not work[CANARY].tasks


async def test_a_task_that_is_queued_is_heard_of_before_a_copy(desk, purse):
    await shadowed(desk, percent=100)
    await ends(desk)
    await desk.set_route(canary=CANARY, percent=100, shadow=desk.route.shadow)
    await desk.admit()
    assert await heard(desk) == ""
    assert len(await desk.claim(CANARY)) == 1
    assert await heard(desk)


async def test_so_many_copies_wait_at_most_and_a_large_one_is_not_made(desk, purse):
    await shadowed(desk)
    await ends(desk, text="x" * 900, state=b'{"begun":[]}' + b"x" * 262_144)
    for _ in range(34):
        await ends(desk)
    found = await seen(desk)
    assert (found.drawn, found.not_made) == (32, {"full": 2, "tooLarge": 1})


@pytest.mark.parametrize("running", [False, True])
async def test_copies_of_a_former_canary_take_no_place_of_the_next_one(desk, purse, running):
    await shadowed(desk)
    names = [await ends(desk) for _ in range(32)]
    if running:
        for name in names:
            assert await desk.store.copies.take(desk.agent, CANARY, name)
    said = shadow.written(Shadow(LATER, 100))
    open_now = {CANARY: Standing.OPEN, LATER: Standing.OPEN}
    await desk.set_route(canary=LATER, shadow=said, standings=open_now)
    name = await ends(desk)
    found = await seen(desk, LATER)
    assert (found.drawn, found.not_made) == (1, {})
    assert await heard(desk, LATER) == name
    assert await desk.raw.zrange(desk.keys.tag + ":shadow:copies", 0, -1) == [name.encode()]
    assert len(await desk.raw.keys(f"{desk.keys.tag}:shadow:copy:*")) == 1


async def test_a_copy_whose_worker_died_holds_its_place_no_longer_than_it_could_run(desk, purse):
    await shadowed(desk, limits=RevisionLimits(1000, 60, 90))
    copy = await taken(desk)
    now = (await desk.raw.time())[0]
    forgotten = await desk.raw.zscore(desk.keys.tag + ":shadow:copies", copy.name) / 1000
    left = await desk.raw.ttl(f"{desk.keys.tag}:shadow:copy:{copy.name}")
    for seconds in (forgotten - now, left):
        assert 90 < seconds <= 90 + 61


async def test_a_copy_whose_worker_died_before_it_took_it_gives_its_place_back(desk, purse):
    await shadowed(desk)
    for _ in range(32):
        await ends(desk)
    heard_of, taken_in_time = await heard(desk), await heard(desk)
    await ends(desk)
    assert (await seen(desk)).not_made == {"full": 1}, "they may be about to be taken"
    places = desk.keys.tag + ":shadow:copies"
    now = (await desk.raw.time())[0]
    times = dict(await desk.raw.zrange(places, 0, -1, withscores=True))
    for name in (heard_of, taken_in_time):
        assert 30 < times.pop(name.encode()) / 1000 - now <= 61
    assert all(ends / 1000 - now > 3000 for ends in times.values()), "those that wait stay"
    assert await desk.store.copies.take(desk.agent, CANARY, taken_in_time)
    await ends(desk)
    assert await desk.raw.zscore(places, taken_in_time) / 1000 - now > 90, "it runs"
    await desk.raw.zadd(places, {heard_of: 1})
    await ends(desk)
    assert (await seen(desk)).not_made == {"full": 2}
    assert (await seen(desk)).drawn == 33
    assert await desk.store.copies.take(desk.agent, CANARY, heard_of) is None


async def test_a_full_redis_gets_no_copy_and_the_task_ends(desk, purse, raw):
    await shadowed(desk)
    await desk.admit()
    claim = await desk.claim_one(STABLE)
    await desk.store.claims.checkpoint(claim, STATE, Usage(), [])
    used = (await raw.info("memory"))["used_memory"]
    await raw.config_set("maxmemory", str(used // 2))
    try:
        assert await desk.finish(claim)
    finally:
        await raw.config_set("maxmemory", "0")
    assert not await raw.keys(f"{desk.keys.tag}:shadow*")
    await ends(desk)
    assert (await seen(desk)).drawn == 1, "once there is memory copies are made again"


async def test_what_a_copy_shows_is_counted_once_without_a_word_that_was_said(desk, purse):
    await shadowed(desk)
    tell = desk.store.copies.tell
    agrees = await taken(desk)
    assert await tell(agrees, Found(Verdict.AGREES, TaskStatus.SUCCEEDED, TaskStatus.SUCCEEDED))
    assert not await tell(agrees, Found(Verdict.AGREES, TaskStatus.SUCCEEDED))
    other = Found(Verdict.OTHER_CALLS, TaskStatus.SUCCEEDED, None, (REFUND,), REFUND)
    differs = await taken(desk)
    assert await tell(differs, other)
    assert await tell(await taken(desk), Found(Verdict.LEFT_OUT, TaskStatus.SUCCEEDED))
    assert await tell(await taken(desk), None)
    found = await seen(desk)
    assert (found.drawn, found.judged, found.agreed, found.not_made) == (4, 2, 1, {"putDown": 1})
    (said,) = found.differing
    assert said["task"] == differs.name
    assert said["stoppedAt"] == {"tool": "refund", "arguments": REFUND.digest}
    assert "A1" not in json.dumps(said)


async def test_the_calls_of_what_differs_are_read_back_side_by_side(desk, purse):
    await shadowed(desk)
    mail = shadow.intent("mail", {"to": "A1"})
    known = Found(Verdict.OTHER_CALLS, TaskStatus.SUCCEEDED, None, (REFUND,), REFUND, (mail,))
    older = replace(known, stable_intents=None)
    for told in (older, known):
        assert await desk.store.copies.tell(await taken(desk), told)
    await desk.raw.lpush(f"{desk.keys.tag}:shadow:found:{CANARY}", "[]", "x", '{"task": 1}')
    now, before = await desk.store.copies.differing(desk.agent, CANARY)
    assert [(one.tool, one.says) for one in now.calls] == [
        ("mail", "OnlyStable"),
        ("refund", "OnlyCanary"),
    ]
    assert [one.says for one in before.calls] == ["Unknown"]
    assert (now.stable_end, now.copy_end, now.at_call.digest) == ("Succeeded", "", REFUND.digest)
    assert await desk.store.tasks.get(now.task, None), "the id of stable's task"
    assert await desk.store.copies.differing(desk.agent, STABLE) == []


@pytest.mark.parametrize("running", [False, True])
async def test_a_copy_is_erased_with_its_user(desk, purse, running):
    await shadowed(desk)
    name = await ends(desk, user="ana", text="secret")
    other = await ends(desk, user="bob")
    take, copy = desk.store.copies.take, None
    if running:
        copy = await take(desk.agent, CANARY, name)
    await desk.store.effects.erase(desk.agent, TENANT, "ana")
    if running:
        told = Found(Verdict.OTHER_CALLS, TaskStatus.SUCCEEDED, None, (REFUND,), REFUND)
        assert not await desk.store.copies.tell(copy, told)
        assert not (await seen(desk)).judged
    else:
        assert await take(desk.agent, CANARY, name) is None
    assert await take(desk.agent, CANARY, other) is not None


# ---------------------------------------------------------------------------- what copies spend


async def test_what_a_copy_spends_is_booked_in_its_own_place_alone(desk, purse):
    await shadowed(desk)
    copy = await taken(desk, user="ana")
    reserved = await purse.reserve(copy.id)
    bill = Settlement(reserved.call, Amount(100, 1500), reserved.at_ms)
    await desk.store.copies.tell(copy, None, Money((bill,)))
    assert (await seen(desk)).spent == Amount(100, 1500)
    assert (await purse.spent()).settled == Amount(), "not the agent's, nor anybody's"
    assert len(await desk.raw.keys(f"{desk.keys.tag}:led:*")) == 1


@pytest.mark.parametrize("mode", Mode)
async def test_no_call_passes_the_cap_and_behind_it_no_copy_is_made(desk, mode):
    purse = Purse(desk)
    most = QUOTE.most(1000).micro_usd
    await purse.declare(limit(Scope.SHADOW, Window.TOTAL, 2 * most + 1), mode=mode)
    await shadowed(desk)
    copies = [await taken(desk) for _ in range(3)]
    said = [await purse.reserve(copy.id, patience_ms=0) for copy in copies]
    assert [type(one) for one in said] == [Reserved, Reserved, Refused]
    assert said[2].limit.scope is Scope.SHADOW
    for copy, reserved in zip(copies, said[:2], strict=False):
        await purse.settle(copy.id, reserved, reserved.most)
    assert isinstance(await purse.reserve(copies[2].id), Refused)
    await ends(desk)
    found = await seen(desk)
    assert (found.drawn, found.not_made) == (3, {"capped": 1})
    await purse.declare(limit(Scope.SHADOW, Window.TOTAL, 9 * most), mode=mode)
    await ends(desk)
    assert (await seen(desk)).drawn == 4, "a higher cap lets copies go on"


async def test_a_reply_is_not_asked_shorter_for_want_of_the_cap(desk):
    purse = Purse(desk)
    await purse.declare(limit(Scope.SHADOW, Window.TOTAL, QUOTE.most(700).micro_usd))
    assert isinstance(await purse.reserve(f"copy.{CANARY}.x", patience_ms=0), Refused)


@pytest.mark.parametrize("declared", [(), (limit(),)])
async def test_without_a_cap_there_is_no_copy_and_no_call_of_one(desk, declared):
    purse = Purse(desk)
    if declared:
        await purse.declare(*declared)
    await shadowed(desk)
    await ends(desk)
    assert (await seen(desk)).not_made == {"capped": 1}
    assert await purse.reserve(f"copy.{CANARY}.x") is None


async def test_a_copy_whose_worker_died_counts_what_it_held(desk, purse, eventually):
    reserved = await purse.reserve(f"copy.{CANARY}.x", lasts_ms=1)
    assert isinstance(reserved, Reserved)

    async def swept():
        return await desk.store.ledger.give_up_overdue(desk.agent)

    assert await eventually(swept, bool) == 1
    assert (await seen(desk)).spent == reserved.most


async def test_what_another_hand_has_written_copies_nothing_and_breaks_nothing(desk, purse):
    await shadowed(desk)
    for said in ("{nonsense", "[]", '{"canary": 7}', '{"canary": "aaaa0000", "percent": 100}'):
        await desk.raw.hset(desk.keys.route, "shadow", said)
        await ends(desk)
    assert not await heard(desk)


async def test_a_look_tells_of_copies_as_long_as_they_are_made(desk, purse):
    assert (await desk.store.routes.look(desk.agent, [])).trial is None
    await shadowed(desk)
    assert (await desk.store.routes.look(desk.agent, [])).trial == Trial()
    copies = [await taken(desk) for _ in range(4)]
    for copy, verdict in zip(copies, Verdict, strict=True):
        await desk.store.copies.tell(copy, Found(verdict, TaskStatus.SUCCEEDED))
    reserved = await purse.reserve(copies[0].id)
    for _ in range(34):
        await ends(desk)
    look = await desk.store.routes.look(desk.agent, [])
    spent, begun = reserved.most.micro_usd, look.trial.begun_ms
    assert look.trial == Trial(begun, 36, 3, 1, full=2, micro_usd=spent)
    assert 0 < look.now_ms - begun < 600_000
    assert look.shadow == desk.route.shadow
    await shadowed(desk, shadow="")
    assert (await desk.store.routes.look(desk.agent, [])).trial is None
