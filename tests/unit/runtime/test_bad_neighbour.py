"""Whatever a task, its claim or its end does, it ends alone, and the worker goes on."""

import asyncio
import contextlib

import pytest

from penstock import errors
from penstock.task import OutcomeReason, TaskStatus
from penstock_runtime.agent.boundary import Broken, caught
from penstock_runtime.worker.pool import Pool
from tests.unit.runtime import fakes

REFUSED = errors.StoreRefused("WRONGTYPE at redis-0.internal:6379")
AWAY = errors.StoreUnavailable("no answer")


class Panic(BaseException):
    """What a library in another language raises when it breaks."""


async def no_child(consumer, concurrency, report):
    raise OSError("no process")


@contextlib.asynccontextmanager
async def working(store, agent, **more):
    """A pool on a store; fails the test when it ends by itself."""
    stop = asyncio.Event()
    pool = Pool(store, agent, fakes.duty(**more), no_child)
    running = asyncio.create_task(pool.run(stop))
    try:
        yield pool
        assert not running.done(), running
    finally:
        stop.set()
        await running


def raising(error):
    def answer(text):
        if text == "bad":
            raise error
        return fakes.DONE

    return answer


async def not_asked_for(text):
    raise asyncio.CancelledError


BREAKS = [
    ZeroDivisionError("sk-secret"),
    RecursionError("too deep"),
    MemoryError(),
    REFUSED,
    errors.NotReplicated("0 of 1"),
    SystemExit(3),
    Panic("a panic"),
    ExceptionGroup("several", [TypeError("a"), KeyError("b")]),
    asyncio.CancelledError(),
]


@pytest.mark.parametrize("error", BREAKS, ids=lambda error: type(error).__name__)
async def test_a_task_that_breaks_ends_alone_and_says_no_word_of_what_broke(template, error):
    store = fakes.Store(fakes.claim(1, "bad"), fakes.claim(2), fakes.claim(3))
    async with working(store, fakes.agent(template, fakes.Model(raising(error)))):
        await store.until(lambda: len(store.finished) == 3)
        store.waiting.append(fakes.claim(4))
        await store.until(lambda: "task-4" in store.finished)
    failed = store.finished.pop("task-1")
    assert (failed.status, failed.reason) == (TaskStatus.FAILED, OutcomeReason.INTERNAL)
    assert not any(word in failed.message for word in ("secret", "redis-0", "panic"))
    assert {ended.status for ended in store.finished.values()} == {TaskStatus.SUCCEEDED}


@pytest.mark.parametrize("error", [REFUSED, TypeError("no such field"), Panic(), MemoryError()])
async def test_a_task_whose_end_breaks_as_well_is_dropped_and_its_place_is_free(template, error):
    store = fakes.Store(fakes.claim(1), fakes.claim(2), fakes.claim(3))
    store.failing["finish"] = fakes.failing(error, when=lambda held: held == "claim-1")
    async with working(store, fakes.agent(template), concurrency=1):
        await store.until(lambda: len(store.finished) == 2)
    assert "task-1" not in store.finished


@pytest.mark.parametrize("call", ["claim", "heartbeat", "wait_for_work", "part", "ping"])
@pytest.mark.parametrize("error", [REFUSED, AWAY, TypeError("no such field"), Panic()])
async def test_a_call_that_breaks_is_made_again_and_ends_nothing(template, call, error):
    gate = asyncio.Event()

    async def opened():
        await gate.wait()
        return fakes.DONE

    waits = [] if call == "ping" else [fakes.claim(1)]
    store = fakes.Store(*waits)
    store.failing[call] = fakes.failing(error, times=2)
    model = fakes.Model(lambda _: opened())
    async with working(store, fakes.agent(template, model)):
        await store.until(lambda: store.times(call) > 2)
        store.waiting += [fakes.claim(2), *([] if waits else [fakes.claim(1)])]
        gate.set()
        await store.until(lambda: set(store.finished) == {"task-1", "task-2"})


async def test_a_call_that_goes_on_breaking_is_not_made_without_a_pause(template):
    store = fakes.Store()
    store.failing["wait_for_work"] = fakes.failing(REFUSED)
    async with working(store, fakes.agent(template)):
        await store.until(lambda: store.times("heartbeat") + store.times("ping") > 20)
        assert store.times("wait_for_work") < 5


async def test_a_worker_that_may_not_claim_is_not_ready_and_says_why(template):
    store = fakes.Store()
    async with working(store, fakes.agent(template)) as pool:
        await store.until(lambda: store.times("wait_for_work"))
        assert pool.ready
        store.failing["claim"] = fakes.failing(REFUSED)
        seen = store.times("claim")
        await store.until(lambda: store.times("claim") > seen)
        await asyncio.sleep(0)
        assert not pool.ready
        assert pool.problem == "Redis does not answer"


async def test_a_stored_task_that_cannot_be_read_ends_with_the_reason_and_never_runs(template):
    why = "its usage is no JSON object"
    model = fakes.Model()
    store = fakes.Store(fakes.claim(1, problem=why), fakes.claim(2, "fine"))
    async with working(store, fakes.agent(template, model)):
        await store.until(lambda: len(store.finished) == 2)
    ended = store.finished["task-1"]
    assert (ended.status, ended.reason) == (TaskStatus.FAILED, OutcomeReason.INTERNAL)
    assert ended.message == why
    assert model.asked == ["fine"]


async def test_a_checkpoint_that_is_none_ends_its_task_alone(template):
    store = fakes.Store(fakes.claim(1, checkpoint=b"[" * 100_000), fakes.claim(2))
    async with working(store, fakes.agent(template)):
        await store.until(lambda: len(store.finished) == 2)
    assert store.finished["task-1"].reason is OutcomeReason.INTERNAL
    assert store.finished["task-2"].status is TaskStatus.SUCCEEDED


async def test_claims_that_cannot_be_renewed_cost_the_others_no_beat(template):
    gate = asyncio.Event()

    async def opened():
        await gate.wait()
        return fakes.DONE

    bad = {"claim-3", "claim-77", "claim-78"}
    store = fakes.Store(*[fakes.claim(number) for number in range(100)])
    store.failing["heartbeat"] = fakes.failing(REFUSED, when=lambda ids: bad & set(ids))
    model = fakes.Model(lambda _: opened())

    def renewed():
        beats = [call[1] for call in store.calls if call[0] == "heartbeat"]
        return [claim for ids in beats if not bad & set(ids) for claim in ids]

    def all_twice():
        seen = renewed()
        return all(seen.count(f"claim-{n}") >= 2 for n in range(100) if f"claim-{n}" not in bad)

    async with working(store, fakes.agent(template, model), concurrency=100):
        await store.until(lambda: len(model.asked) == 100)
        await store.until(all_twice)
        before = store.times("heartbeat")
        rounds = renewed().count("claim-1")
        await store.until(lambda: renewed().count("claim-1") >= rounds + 5)
        # Those that were refused are asked about one by one, so no batch is halved again.
        assert store.times("heartbeat") - before <= 7 * (1 + len(bad))
        gate.set()
        await store.until(lambda: len(store.finished) == 100)


async def test_a_cancellation_of_the_caller_passes_the_boundary():
    task = asyncio.create_task(caught(asyncio.Event().wait()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert isinstance(await caught(not_asked_for("")), Broken)


async def test_a_claim_of_many_is_taken_in_parts(template):
    store = fakes.Store(*[fakes.claim(number) for number in range(300)])
    async with working(store, fakes.agent(template), concurrency=300):
        await store.until(lambda: len(store.finished) == 300)
    assert max(call[1] for call in store.calls if call[0] == "claim") <= 64


async def test_who_stops_in_order_says_so(template):
    store = fakes.Store(fakes.claim(1))
    async with working(store, fakes.agent(template)):
        await store.until(lambda: store.finished)
    assert ("leave", "me") in store.calls
