"""A queue library with a no-op task: queues.py fill|work|drive LIBRARY REDIS_URL NUMBER [RESULT].

fill queues so many tasks; work runs the library's own worker until it has done them. The task returns what
it was given, and the result is stored. Each library as its documentation starts it, all with hiredis.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from penstock_bench.counting import Count

_AT_ONCE = 64


async def _in_batches(enqueue: Callable[[int], Awaitable[object]], number: int) -> None:
    for batch in _batches(range(number)):
        await asyncio.gather(*map(enqueue, batch))


def _batches(numbers: Iterable[int]) -> Iterable[list[int]]:
    left = iter(numbers)
    while batch := list(itertools.islice(left, _AT_ONCE)):
        yield batch


async def saq(what: str, url: str, number: int, count: Count) -> None:
    """saq: lists and sorted sets."""
    import saq as library

    queue = library.Queue.from_url(url)

    async def noop(_context: object, *, value: int) -> int:
        count.one()
        return value

    if what == "fill":
        await queue.connect()
        await _in_batches(lambda value: queue.enqueue("noop", value=value), number)
    else:
        await library.Worker(queue, functions=[("noop", noop)]).start()


async def taskiq(what: str, url: str, number: int, count: Count) -> None:
    """taskiq on Redis streams, with acknowledgement."""
    from taskiq.api import run_receiver_task
    from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

    results = RedisAsyncResultBackend(url, result_ex_time=3600)
    broker = RedisStreamBroker(url).with_result_backend(results)

    async def noop(value: int) -> int:
        count.one()
        return value

    task = broker.register_task(noop, task_name="noop")
    if what == "fill":
        await broker.startup()
        await _in_batches(task.kiq, number)
        await broker.shutdown()
    else:
        broker.is_worker_process = True
        await broker.startup()
        await run_receiver_task(broker)


def main(what: str, library: str, url: str, counted: str, *result: str) -> None:
    """Run what the command line says."""
    number = int(counted)
    skipped = number // 10
    count = Count(skipped, number - skipped, Path(result[0]) if result else None)
    asyncio.run({"saq": saq, "taskiq": taskiq}[library](what, url, number, count))


if __name__ == "__main__":
    main(*sys.argv[1:])
