"""The queue alone: no-op tasks through Penstock's store and worker, and through queue libraries, in turn."""

from __future__ import annotations

import asyncio
import json
import statistics
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from penstock_bench import job, library, stores
from penstock_bench.crew import Command, Crew, used
from penstock_bench.runtime import product
from penstock_bench.runtime.size import Size
from penstock_bench.verdict import Goal, Peer, Row, Sense, Yardstick

_LIBRARIES: Final = ("saq", "taskiq")
_SECONDS: Final = 120.0
_AT_ONCE: Final = 64
_SAQ_CPU_US: Final = 587.0  # on the quiet reference machine


@dataclass(frozen=True)
class Round:
    """Tasks a second; CPU microseconds a task of the worker, and of its Redis."""

    per_second: float
    cpu_us: float
    redis_us: float


Figure = Callable[[Round], float]
#: Queues so many tasks, has them done, and returns the CPU seconds that Redis took for the doing.
Contender = Callable[[Crew, str, int, Path], Awaitable[float]]


async def measure(folder: Path, size: Size) -> tuple[list[Row], Yardstick]:
    """Queue the same number of tasks for each, and let one worker process do them."""
    contenders: dict[str, Contender] = {
        "saq": _library("saq"),
        "store": _own_store,
        "taskiq": _library("taskiq"),
        "worker": _own_worker,
    }
    rounds: dict[str, list[Round]] = defaultdict(list)
    for number in range(size.rounds):
        for name, contender in contenders.items():
            place = folder / f"{name}-{number}"
            rounds[name].append(await _round(place, contender, size.queued))
    rows = [
        *_rows("queue: store with checkpoint", rounds, "store", 2.0),
        *_rows("queue: whole worker", rounds, "worker", 1.5),
    ]
    seen = statistics.median(each.cpu_us for each in rounds["saq"])
    return rows, Yardstick("CPU µs a task of saq", seen, _SAQ_CPU_US)


async def _round(folder: Path, contender: Contender, number: int) -> Round:
    async with Crew(folder) as crew:
        url, result = await crew.redis("redis"), folder / "result.json"
        redis = await contender(crew, url, number, result)
    said = json.loads(result.read_text())
    counted = number - number // 10
    return Round(counted / said["seconds"], said["cpu"] * 1e6 / counted, redis * 1e6 / number)


async def _work(crew: Crew, command: Command, environment: dict[str, str]) -> float:
    before = crew.cpu("redis")
    crew.start("worker", command, environment)
    await crew.ended("worker", _SECONDS)
    return used(before, crew.cpu("redis"))["redis"]


def _library(name: str) -> Contender:
    async def run(crew: Crew, url: str, number: int, result: Path) -> float:
        what = (name, url, str(number))
        crew.start("fill", library.command("queues", "fill", *what), library.environment())
        await crew.ended("fill", _SECONDS)
        working = library.command("queues", "work", *what, result)
        return await _work(crew, working, library.environment())

    return run


async def _own_store(crew: Crew, url: str, number: int, result: Path) -> float:
    made = await _filled(crew, url, number)
    counts = _counts(number)
    working = product.command("own_store", url, made.cut.hash, *counts, result)
    return await _work(crew, working, {})


async def _own_worker(crew: Crew, url: str, number: int, result: Path) -> float:
    made = await _filled(crew, url, number)
    working = product.command("own_worker", *_counts(number), "1", result)
    return await _work(crew, working, made.worker_environment)


async def _filled(crew: Crew, url: str, number: int) -> product.Product:
    made = product.Product(crew, url, job.NOWHERE, product.template("Help."))
    await made.route()
    await fill(url, number)
    return made


async def fill(url: str, number: int) -> None:
    """Queue tasks of many users."""
    async with stores.opened(url) as store:
        for start in range(0, number, _AT_ONCE):
            batch = range(start, min(number, start + _AT_ONCE))
            await asyncio.gather(*(product.submit(store, f"u-{user}") for user in batch))


def _counts(number: int) -> tuple[str, str]:
    skipped = number // 10
    return str(skipped), str(number - skipped)


def _rows(what: str, rounds: dict[str, list[Round]], own: str, goal: float) -> list[Row]:
    best = max(_LIBRARIES, key=lambda name: statistics.median(_each(rounds[name], _thrift)))
    bound = Goal(Sense.AT_LEAST, goal, of_peer=True)

    def row(unit: str, figure: Figure, name: str, goal: Goal | None = None) -> Row:
        peer = Peer(library.named(name), _each(rounds[name], figure))
        return Row(what, unit, _each(rounds[own], figure), peer, goal)

    return [
        *(
            row("tasks/CPU s", _thrift, name, bound if name == best else None)
            for name in sorted(_LIBRARIES, key=lambda name: name != best)
        ),
        row("tasks/s", lambda each: each.per_second, best),
        row("CPU µs/task, worker", lambda each: each.cpu_us, best),
        row("CPU µs/task, Redis", lambda each: each.redis_us, best),
    ]


def _each(rounds: list[Round], figure: Figure) -> tuple[float, ...]:
    return tuple(map(figure, rounds))


def _thrift(each: Round) -> float:
    """Tasks for a second of CPU, of worker and Redis together.

    A rate by the clock would tell on a busy machine how long each of many short turns had to wait.
    """
    return 1e6 / (each.cpu_us + each.redis_us)
