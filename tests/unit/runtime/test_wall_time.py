"""A task's wall time ends it whatever Redis does, and its place is free then."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest

from penstock import errors
from penstock.task import Counting, OutcomeReason, TaskStatus, Usage
from penstock_runtime.agent import endings
from penstock_runtime.agent.keeper import Interrupted
from penstock_runtime.agent.models import scripted
from penstock_runtime.agent.models.access import LastWord
from penstock_runtime.agent.step import Run
from penstock_runtime.agent.transcript import Transcript
from penstock_runtime.worker.account import OutOfTime
from penstock_runtime.worker.contact import Contact
from penstock_runtime.worker.heart import Heart
from penstock_runtime.worker.hold import Hold
from penstock_runtime.worker.keeping import Patience
from penstock_store.records import Directive
from tests.unit.runtime import fakes
from tests.unit.runtime.test_bad_neighbour import working

FULL = errors.StoreUnavailable("OOM command not allowed")
TOO_LATE = 0.05


@pytest.fixture
def goes_on():
    """A run in the middle of its work: the model asked for a tool."""
    said = scripted.tool_use(("t1", "look_up", {"order": "A1"}))
    return Run(Transcript.start((), "next").with_reply(said), Usage(model_calls=1))


@pytest.fixture
def ends():
    """A run that has only to be ended."""
    return Run(Transcript.start((), "next").with_reply(scripted.text("done")), Usage())


def hold(store, template, wall_seconds=60.0, used_ms=0, writers=None):
    agent = fakes.agent(template)
    claimed = fakes.claim(usage=Usage(wall_ms=used_ms))
    patience = Patience(wall_seconds, TOO_LATE, writers or asyncio.Semaphore(4))
    held = Hold(store, claimed, agent.meter, patience)
    held.begin()
    return held


async def test_state_that_cannot_be_written_is_given_up_with_the_wall_time(template, goes_on):
    store = fakes.Store()
    store.failing["checkpoint"] = fakes.failing(FULL)
    held = hold(store, template, wall_seconds=60.2, used_ms=60_000)
    with pytest.raises(OutOfTime):
        await held.save(goes_on, [])
    assert store.times("checkpoint") > 1
    assert held.wall_ms() >= 60_200


async def test_state_is_written_as_soon_as_redis_takes_it(template, goes_on):
    store = fakes.Store()
    store.failing["checkpoint"] = fakes.failing(FULL, times=2)
    held = hold(store, template)
    await held.save(goes_on, [])
    assert store.times("checkpoint") == 3
    assert not held.unwritten


@pytest.mark.parametrize("said", [Directive.CANCEL, Directive.LOST])
async def test_who_waits_for_redis_still_hears_that_the_task_is_over(template, goes_on, said):
    store = fakes.Store()
    store.failing["checkpoint"] = fakes.failing(FULL)
    held = hold(store, template)
    saving = asyncio.create_task(held.save(goes_on, []))
    await store.until(lambda: store.times("checkpoint") > 1)
    assert held.unwritten
    held.tell(said)
    with pytest.raises(Interrupted) as heard:
        await saving
    assert heard.value.directive is said


async def test_who_gives_a_task_back_writes_its_state_first(template, goes_on):
    store = fakes.Store()
    store.failing["checkpoint"] = fakes.failing(FULL, times=3)
    held = hold(store, template)
    saving = asyncio.create_task(held.save(goes_on, []))
    await store.until(lambda: store.times("checkpoint") > 1)
    held.tell(Directive.GIVE_BACK)
    with pytest.raises(Interrupted):
        await saving
    assert store.times("checkpoint") == 4


async def test_a_last_reply_is_written_with_the_end_and_not_before(template, ends):
    store = fakes.Store()
    held = hold(store, template)
    await held.save(ends, [("model", {"text": "done"})])
    assert not store.calls
    assert await held.finish(endings.succeeded("done"), Usage(), None)
    assert [name for name, *_ in store.calls] == ["finish_step", "finish"]
    assert store.calls[0][2] == [("model", {"text": "done"})]


@pytest.mark.parametrize("said", [Directive.CANCEL, Directive.GIVE_BACK])
async def test_a_task_that_is_called_off_at_its_end_keeps_its_last_step(template, ends, said):
    store = fakes.Store()
    held = hold(store, template)
    store.directives[held.claim.id] = said
    await held.save(ends, [("model", {})])
    with pytest.raises(Interrupted) as put_down:
        await held.finish(endings.succeeded("done"), Usage(), None)
    assert put_down.value.directive is said
    assert [name for name, *_ in store.calls] == ["finish_step", "checkpoint"]
    assert not store.finished


async def test_a_task_that_was_called_off_before_is_saved_and_put_down(template, ends):
    store = fakes.Store()
    held = hold(store, template)
    held.tell(Directive.GIVE_BACK)
    with pytest.raises(Interrupted):
        await held.save(ends, [])
    assert store.times("checkpoint") == 1


async def test_an_end_that_redis_does_not_take_is_given_up_too(template):
    store = fakes.Store()
    store.failing["finish"] = fakes.failing(FULL)
    held = hold(store, template, wall_seconds=0.0)
    with pytest.raises(errors.StoreUnavailable):
        await held.finish(endings.cancelled(), Usage(), None)
    assert store.times("finish") > 1


async def test_what_is_written_again_waits_for_its_turn_like_every_other_write(template, goes_on):
    store = fakes.Store()
    writers = asyncio.Semaphore(2)
    holds = [hold(store, template, writers=writers) for _ in range(5)]
    for held in holds:
        await held.save(goes_on, [])
    under_way, most, go = [], [], asyncio.Event()

    async def slow(*_, **__):
        under_way.append(1)
        most.append(len(under_way))
        store.news.set()
        await go.wait()
        under_way.pop()
        return Directive.CONTINUE, None

    store.claims.checkpoint_and_reserve = slow
    for held in holds:
        held.tell(Directive.REWRITE)
    await store.until(lambda: len(most) == 2)
    for _ in range(len(holds)):
        await asyncio.sleep(0)
    go.set()
    await store.until(lambda: len(most) == 5)
    assert max(most) == 2


async def test_a_process_says_that_it_has_named_all_once_every_state_is_saved_again(
    template, goes_on
):
    """Before that, others would do again what Redis has lost of it if this process died now."""
    store = fakes.Store()
    held, other = hold(store, template), hold(store, template)
    other.claim = fakes.claim(1)
    await held.save(goes_on, [])
    await other.save(goes_on, [])
    other.directive = Directive.GIVE_BACK  # said by the heartbeat in the place of Rewrite
    crew = SimpleNamespace(
        holds=[held, other], meter=held._meter, unwritten=0, dropped=0, last_word=LastWord(),
        renew_refused_credentials=lambda: None, refresh_prices=lambda: None, asks="",
    )  # fmt: skip
    duty = fakes.duty()
    heart = Heart(store, crew, duty, Contact(held._meter), lambda: None)
    store.failing["heartbeat"] = lambda _: store.breaks.met(duty.agent, 7)
    store.failing["checkpoint"] = fakes.failing(FULL, when=lambda _, state: not go_on)
    store.directives[held.claim.id] = Directive.REWRITE
    go_on = False
    await heart._renew()
    assert (store.times("heartbeat"), store.times("name_all")) == (2, 0)
    asked = {call[1] for call in store.calls[2:] if call[0] == "checkpoint"}
    assert asked == {held.claim.id, other.claim.id}
    go_on, crew.dropped = True, 1
    await heart._renew()
    assert store.times("name_all") == 0, "of a task that was dropped nobody knows"
    crew.dropped = 0
    await heart._renew()
    await heart._renew()
    assert store.times("name_all") == 1


async def test_an_older_state_never_overwrites_a_newer_one(template, goes_on):
    store = fakes.Store()
    held = hold(store, template)
    await held.save(goes_on, [])
    held.tell(Directive.REWRITE)
    (call,) = goes_on.transcript.calls
    newer = replace(goes_on, transcript=goes_on.transcript.with_intent(call))
    await held.save(newer, [])
    await store.until(lambda: store.times("checkpoint") == 3)
    assert [call[2] for call in store.calls][-1] == newer.transcript.encode()


# ------------------------------------------------------------------------------ in a pool


def asks_for_a_tool(text):
    return scripted.tool_use(("t1", "look_up", {"order": "A1"}))


async def test_tasks_end_by_their_wall_time_while_redis_takes_no_state(template):
    """They count for no revision, which has done nothing wrong."""
    store = fakes.Store(*[fakes.claim(n, usage=Usage(wall_ms=59_700)) for n in range(6)])
    store.failing["checkpoint"] = fakes.failing(FULL)
    agent = fakes.agent(template, fakes.Model(asks_for_a_tool), wallSeconds=60)
    async with working(store, agent, concurrency=3) as pool:
        await store.until(lambda: store.times("checkpoint") > 3)
        assert not pool.ready
        assert pool.problem == "Redis takes no writes"
        await store.until(lambda: len(store.finished) == 6)
    for ended in store.finished.values():
        assert (ended.status, ended.reason) == (
            TaskStatus.LIMIT_EXCEEDED,
            OutcomeReason.LIMIT_WALL_SECONDS,
        )
        assert ended.counting is Counting.LEFT_OUT


async def test_a_task_with_no_way_to_end_leaves_its_place_to_the_next(template):
    store = fakes.Store(fakes.claim(1, usage=Usage(wall_ms=59_900)), fakes.claim(2))
    store.failing["checkpoint"] = fakes.failing(FULL, when=lambda held, _: held == "claim-1")
    store.failing["finish"] = fakes.failing(FULL, when=lambda held: held == "claim-1")
    model = fakes.Model(lambda text: asks_for_a_tool(text) if text == "stuck" else fakes.DONE)
    store.waiting[0] = fakes.claim(1, "stuck", usage=Usage(wall_ms=59_900))
    agent = fakes.agent(template, model, wallSeconds=60)
    async with working(store, agent, concurrency=1, claim_idle_seconds=TOO_LATE):
        await store.until(lambda: "task-2" in store.finished)
    assert "task-1" not in store.finished


async def test_a_task_that_waits_for_redis_can_be_cancelled(template):
    store = fakes.Store(fakes.claim(1))
    store.failing["checkpoint"] = fakes.failing(FULL)
    async with working(store, fakes.agent(template, fakes.Model(asks_for_a_tool))):
        await store.until(lambda: store.times("checkpoint") > 1)
        store.directives["claim-1"] = Directive.CANCEL
        await store.until(lambda: store.finished)
    assert store.finished["task-1"].status is TaskStatus.CANCELLED


# ------------------------------------------------------------------------------- in turn


async def test_the_writes_of_many_tasks_leave_a_way_for_heartbeats(template):
    gate = asyncio.Event()
    store = fakes.Store(*[fakes.claim(number) for number in range(200)])
    at_once = []

    async def slow(held, *state, **more):
        at_once.append(held.id)
        await gate.wait()
        return Directive.CONTINUE

    store.claims.finish_step = slow
    async with working(store, fakes.agent(template), concurrency=200):
        await store.until(lambda: len(at_once) > 1)
        beats = store.times("heartbeat")
        await store.until(lambda: store.times("heartbeat") > beats + 3)
        assert len(set(at_once)) <= 16
        gate.set()
        await store.until(lambda: len(set(at_once)) == 200)


async def test_who_waits_for_others_writes_waits_no_longer_than_for_redis(template, goes_on):
    """A Redis that swallows calls must not add up over all tasks of a process."""
    store = fakes.Store()
    held = hold(store, template, wall_seconds=0.0)
    for _ in range(4):
        await held._patience.writers.acquire()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("penstock_runtime.worker.hold._TURN_SECONDS", TOO_LATE)
        with pytest.raises(OutOfTime):
            await held.save(goes_on, [])
    assert store.times("checkpoint") == 0
