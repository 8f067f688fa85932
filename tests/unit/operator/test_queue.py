"""The work queue has client-go's semantics, and rollouts in flight go first."""

import asyncio

from penstock.names import AgentKey
from penstock_operator.reconcile.queue import WorkQueue

A, B, C = (AgentKey("acme", name) for name in "abc")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Counted(Clock):
    asked = 0

    def __call__(self) -> float:
        self.asked += 1
        return self.now


async def taken(queue: WorkQueue) -> AgentKey | None:
    """The next key, or None when none is due."""
    try:
        async with asyncio.timeout(0.02):
            return (await queue.get())[0]
    except TimeoutError:
        return None


async def test_a_key_added_many_times_runs_once() -> None:
    queue = WorkQueue(Clock())
    for _ in range(5):
        queue.add(A)
    assert await taken(queue) == A
    queue.done(A)
    assert await taken(queue) is None


async def test_a_key_never_runs_twice_at_once_and_news_during_a_run_cause_one_more() -> None:
    queue = WorkQueue(Clock())
    queue.add(A)
    assert await taken(queue) == A
    queue.add(A)
    queue.add(A)
    assert await taken(queue) is None, "it is still running"
    queue.done(A)
    assert await taken(queue) == A
    queue.done(A)
    assert await taken(queue) is None


async def test_a_rollout_in_flight_overtakes_a_thousand_waiting_agents() -> None:
    queue = WorkQueue(Clock())
    for number in range(1000):
        queue.add(AgentKey("acme", f"agent-{number}"))
    queue.add(B, urgent=True)
    assert await taken(queue) == B


async def test_a_waiting_key_that_becomes_urgent_moves_to_the_front() -> None:
    queue = WorkQueue(Clock())
    queue.add(A)
    queue.add(B)
    queue.add(C)
    queue.add(C, urgent=True)
    assert [await taken(queue) for _ in range(3)] == [C, A, B]


async def test_the_earliest_timer_of_a_key_counts_and_fires_once() -> None:
    clock = Clock()
    queue = WorkQueue(clock)
    queue.add_after(A, 10)
    queue.add_after(A, 2)
    queue.add_after(A, 30)
    assert await taken(queue) is None
    clock.now = 2.5
    assert await taken(queue) == A
    queue.done(A)
    clock.now = 60
    assert await taken(queue) is None


async def test_failures_back_off_with_jitter_up_to_half_a_minute_until_a_success() -> None:
    queue = WorkQueue(Clock(), jitter=lambda: 1.0)
    waits = [queue.retry(A) for _ in range(12)]
    assert waits[0] == 0.05
    assert waits == sorted(waits)
    assert waits[-1] == 30.0
    queue.forget(A)
    assert queue.retry(A) == 0.05


async def test_a_timer_is_as_urgent_as_it_was_asked_for() -> None:
    clock = Clock()
    queue = WorkQueue(clock)
    queue.add_after(A, 1)
    queue.add_after(B, 2, urgent=True)
    clock.now = 3
    assert [await taken(queue) for _ in range(2)] == [B, A]


async def test_a_failed_pass_of_a_rollout_in_flight_is_tried_again_soon_and_before_all_others() -> (
    None
):
    clock = Clock()
    queue = WorkQueue(clock, jitter=lambda: 1.0)
    queue.retry(A)
    assert max(queue.retry(B, urgent=True) for _ in range(12)) == 5.0
    clock.now = 60
    assert [await taken(queue) for _ in range(2)] == [B, A]


async def test_one_key_wakes_one_of_the_workers_that_wait() -> None:
    clock = Counted()
    queue = WorkQueue(clock)
    workers = [asyncio.create_task(queue.get()) for _ in range(16)]
    await asyncio.sleep(0)
    waiting = clock.asked
    queue.add(A)
    done, left = await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(0)
    assert [worker.result() for worker in done] == [(A, False)]
    assert clock.asked - waiting <= 3, "the others slept on"
    for worker in left:
        worker.cancel()
    await asyncio.gather(*left, return_exceptions=True)


async def test_a_worker_that_is_cancelled_while_it_waits_takes_no_turn() -> None:
    queue = WorkQueue(Clock())
    first, second = (asyncio.create_task(queue.get()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    queue.add(A)
    assert await asyncio.wait_for(second, 10) == (A, False)
    assert first.cancelled()
