"""`make bench-operator`: measures operators on a real API server and prints one table.

Exits with 1 when a goal is missed, with 2 when something could not be measured.
"""

from __future__ import annotations

import asyncio
import sys
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from penstock_bench import programs, report
from penstock_bench.crew import Crew
from penstock_bench.operators import phases, plane
from penstock_bench.operators.contenders import Argo, Contender, Deployments, Penstock
from penstock_bench.operators.rows import SHARES, Flight, Seen, flight_rows, rows
from penstock_bench.report import Measured
from penstock_bench.verdict import Yardstick

_TASKS_PER_SECOND: Final = 250
_ARGO_CPU_MS: Final = 21.7  # an object, cold, on the quiet reference machine


@dataclass(frozen=True)
class Size:
    """How many agents, and for how many seconds their rest and their rollouts are watched."""

    agents: int
    rest_seconds: float
    rollouts: int
    flight_seconds: float


_QUICK: Final = Size(agents=100, rest_seconds=15, rollouts=50, flight_seconds=12)
_FULL: Final = Size(agents=1000, rest_seconds=60, rollouts=50, flight_seconds=60)
_NAMES: Final = {
    Penstock: "Penstock",
    Argo: f"Argo Rollouts {programs.ARGO_VERSION}",
    Deployments: "built-in Deployments",
}


async def measure(folder: Path, options: Namespace) -> Measured:
    """Each on a fresh control plane, in turn."""
    size = _FULL if options.full else _QUICK
    await programs.argo()
    seen = [await _seen(kind, folder, size) for kind in (Penstock, Argo, Deployments)]
    own, argo = [await _flight(kind, folder, size) for kind in (Penstock, Argo)]
    argo_cpu_ms = seen[1].cold.cpu_seconds * 1000 / size.agents
    return Measured(
        [*rows(size.agents, *seen), *flight_rows(size.rollouts, _TASKS_PER_SECOND, own, argo)],
        [Yardstick("CPU ms an object of Argo Rollouts", argo_cpu_ms, _ARGO_CPU_MS)],
    )


async def _seen(kind: type[Contender], folder: Path, size: Size) -> Seen:
    name = _NAMES[kind]
    report.say(f"{size.agents} agents: {name}")
    async with (
        Crew(folder / kind.__name__) as crew,
        plane.running(crew, await programs.kit()) as on,
    ):
        who = kind(on)
        await who.prepare()
        cold = await phases.cold(who, size.agents)
        if kind is Deployments:
            return Seen(name, cold)
        rest = await phases.cpu_per_minute(who, size.rest_seconds)
        return Seen(name, cold, await phases.restart(who, size.agents), rest)


async def _flight(kind: type[Contender], folder: Path, size: Size) -> Flight:
    name = _NAMES[kind]
    report.say(f"{size.rollouts} rollouts in flight: {name}")
    place = folder / f"{kind.__name__}-flight"
    async with Crew(place) as crew, plane.running(crew, await programs.kit()) as on:
        who = kind(on)
        await who.prepare()
        await phases.cold(who, size.rollouts)
        await phases.take_off(who, size.rollouts)
        still = await phases.cpu_per_minute(who, size.flight_seconds)
        if not isinstance(who, Penstock):
            return Flight(name, still)
        busy = {}
        for percent in SHARES:
            await phases.set_share(who, size.rollouts, percent)
            busy[percent] = await _with_traffic(who, size)
        return Flight(name, still, busy)


async def _with_traffic(who: Penstock, size: Size) -> float:
    crew, seconds = who.plane.crew, size.flight_seconds + 4
    module = ("-m", "penstock_bench.operators.traffic", who.redis_url)
    how = (str(size.rollouts), str(_TASKS_PER_SECOND), str(seconds))
    crew.start("traffic", [sys.executable, *module, *how])
    await asyncio.sleep(2)  # it has begun
    busy = await phases.cpu_per_minute(who, size.flight_seconds)
    await crew.ended("traffic", 60)
    return busy


if __name__ == "__main__":
    sys.exit(asyncio.run(report.run("bench-operator", measure, report.options().parse_args())))
