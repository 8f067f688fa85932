"""The whole way: POST with `wait` until the result, through gateway, Redis and worker."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock_bench import job
from penstock_bench.crew import BenchFailed, Crew, used
from penstock_bench.runtime import product
from penstock_bench.runtime.size import Size
from penstock_bench.verdict import Goal, Row, Sense

CALLERS = (1, 16, 64)
RATE = 50
_OWN = ("gateway", "worker", "redis")
_OPEN = 0  # the key of the open loop
_BODY = {"input": job.QUESTION, "user": "USER", "wait": 60}
_GOOD = "200 Succeeded"


@dataclass(frozen=True)
class Round:
    """One load: what callers saw, and the CPU milliseconds a task took of each process."""

    tasks_per_second: float
    p50_ms: float
    p95_ms: float
    cpu_ms: dict[str, float]

    @property
    def own_cpu_ms(self) -> float:
        """Of gateway, worker and Redis together."""
        return sum(self.cpu_ms[name] for name in _OWN)


async def measure(folder: Path, kit: Path, size: Size) -> list[Row]:
    """Load one gateway and one worker with default settings, closed loops and an open one in turn."""
    rounds: dict[int, list[Round]] = defaultdict(list)
    async with Crew(folder) as crew:
        template = product.template("Help.")
        served = product.Product(crew, await crew.redis("redis"), await crew.model(kit), template)
        await served.route()
        await served.start_worker()
        url = served.tasks_at(await served.start_gateway())
        await load(kit, url, callers=8, seconds=1.5)  # what is made once is made now
        for _ in range(size.rounds):
            for callers in CALLERS:
                rounds[callers].append(
                    await measured(crew, kit, url, callers=callers, seconds=size.seconds)
                )
            rounds[_OPEN].append(
                await measured(crew, kit, url, callers=256, seconds=size.seconds, rate=RATE)
            )
    return [row for callers in CALLERS for row in _rows(callers, rounds[callers])] + _open(
        rounds[_OPEN]
    )


async def measured(crew: Crew, kit: Path, url: str, worker: str = "worker", **how: float) -> Round:
    """Load an Agent that this worker serves."""
    of_each = {name: worker if name == "worker" else name for name in (*_OWN, "model")}
    before = crew.cpu(*of_each.values())
    said = await load(kit, url, **how)
    spent = used(before, crew.cpu(*of_each.values()))
    calls = said["calls"]
    per_task = {name: spent[process] * 1000 / calls for name, process in of_each.items()}
    return Round(calls / said["seconds"], said["p50_ms"], said["p95_ms"], per_task)


async def load(
    kit: Path, url: str, *, callers: float, seconds: float, rate: float = 0
) -> dict[str, Any]:
    """Have so many callers ask at once, or at a rate; what the generator says of it."""
    how = ("-c", f"{callers:.0f}", "-seconds", str(seconds), "-rate", str(rate))
    what = ("-url", url, "-body", json.dumps(_BODY), "-token", product.TOKEN)
    calling = await asyncio.create_subprocess_exec(
        kit, "load", *what, *how, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await calling.communicate()
    said: dict[str, Any] = json.loads(output)
    if set(said["ends"]) != {_GOOD}:
        raise BenchFailed(f"not every task succeeded: {said['ends']}")
    return said


def _rows(callers: int, rounds: list[Round]) -> list[Row]:
    who = "1 caller" if callers == 1 else f"{callers} callers"
    rate = tuple(each.tasks_per_second for each in rounds)
    return [
        Row(f"end to end, {who}", "tasks/s", rate, goal=_at_least(550) if callers == 64 else None),
        *_waits(f"end to end, {who}", rounds, 4.5 if callers == 1 else None),
        _cpu(f"end to end, {who}", rounds, None if callers == 1 else 2.5),
    ]


def _open(rounds: list[Round]) -> list[Row]:
    what = f"end to end, open loop at {RATE}/s"
    return [*_waits(what, rounds, None), _cpu(what, rounds, None)]


def _waits(what: str, rounds: list[Round], p50_goal: float | None) -> list[Row]:
    return [
        Row(what, "p50 ms", tuple(each.p50_ms for each in rounds), goal=_at_most(p50_goal)),
        Row(what, "p95 ms", tuple(each.p95_ms for each in rounds)),
    ]


def _cpu(what: str, rounds: list[Round], goal: float | None) -> Row:
    part = {
        name: sum(each.cpu_ms[name] for each in rounds) / len(rounds) for name in rounds[0].cpu_ms
    }
    note = " + ".join(f"{name} {part[name]:.2f}" for name in _OWN)
    values = tuple(each.own_cpu_ms for each in rounds)
    return Row(
        what,
        "own CPU ms/task",
        values,
        goal=_at_most(goal),
        note=f"{note}; model beside it {part['model']:.2f}",
    )


def _at_most(bound: float | None) -> Goal | None:
    return None if bound is None else Goal(Sense.AT_MOST, bound)


def _at_least(bound: float) -> Goal:
    return Goal(Sense.AT_LEAST, bound)
