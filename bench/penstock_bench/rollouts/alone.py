"""The comparison alone, fed with what its sums are made of: many more runs than whole rollouts allow.

Shares go up by the clock (5, 20, 50, 95 %), whatever is found; a run counts as condemned when the evidence was ever enough.
Tests show that these sums are those of outcome rows and fold. What is left out is all else: guardrails, holds and suspensions.
"""

from __future__ import annotations

import heapq
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from penstock.analysis.comparison import judge
from penstock.analysis.comparison.cohort import Cohort
from penstock.analysis.comparison.cohorts import Cohorts
from penstock.analysis.comparison.compared import Compared
from penstock.analysis.comparison.judge import Bounds
from penstock.analysis.comparison.yardsticks import Yardsticks
from penstock.analysis.metrics import of_end
from penstock.task import Counting
from penstock.traffic import Arm
from penstock_bench.rollouts.product import EXPECTED_MICRO_USD, START_MS
from penstock_bench.rollouts.weather import Sky, Task, Weather

#: Shares, and for how many seconds.
PATH = ((5, 900), (20, 900), (50, 1200), (95, 600))
YARDSTICKS = Yardsticks((10_000, 2 * EXPECTED_MICRO_USD), (1, 1))
BOUNDS = Bounds(limited=(True, True))
LOOK_SECONDS = 15.0


@dataclass(frozen=True)
class Alone:
    """A run: whether the evidence was ever enough, how strong it ever was, whether a few users held it."""

    condemned: bool
    worse: float
    over: float
    held: bool
    given: int


def observed(weather: Weather, seed: int, path: Sequence[tuple[int, int]] = PATH, look: float = LOOK_SECONDS) -> Iterator[tuple[float, Compared]]:  # fmt: skip
    """What is seen at each look."""
    sky, cohorts, version, now = Sky(weather, seed), Cohorts(YARDSTICKS), 1, 0.0
    since = [version, 0, 0, 0, 0]
    running: list[tuple[float, int, Cohort, Task]] = []
    order = 0
    for step, (percent, seconds) in enumerate(path):
        version += step > 0
        since[step] = version if step else since[0]
        cohorts.begin(since)
        until = now + seconds
        while now < until:
            for task in sky.tasks(now, look, percent, version):
                order += 1
                cohort = cohorts.find(_ms(task.routed), task.began)
                if cohort is not None:
                    cohort.route(_arm(task), task.bucket)
                    if task.ends is not None:
                        heapq.heappush(running, (task.ends, order, cohort, task))
            now += look
            while running and _ms(running[0][0]) <= _ms(now):
                _, _, cohort, task = heapq.heappop(running)
                _end(cohort, task)
            yield now, cohorts.observe(_ms(now))


def _ms(seconds: float) -> int:
    return START_MS + int(seconds * 1000)


def _arm(task: Task) -> Arm:
    return Arm.CANARY if task.canary else Arm.STABLE


def _end(cohort: Cohort, task: Task) -> None:
    counting = Counting.ERROR if task.error else Counting.ESCALATION if task.escalation else Counting.GOOD  # fmt: skip
    worked_ms = int(task.seconds * 1000)
    cost = min(int(task.usd * 1_000_000), 6 * YARDSTICKS.limits[1])
    cohort.end(_arm(task), task.bucket, of_end(counting, worked_ms, cost), worked_ms)


def play(weather: Weather, seed: int) -> Alone:
    """One run, to the end of the path or until it is condemned."""
    worse = over = 0.0
    condemned, held, given = False, False, 0
    for _, seen in observed(weather, seed):
        found = judge.strengths(seen, BOUNDS)
        worse, over = max(worse, found.worse), max(over, found.over)
        held |= found.by_few is not None
        given = sum(seen.evidence.whole.canary)
        condemned = found.condemns
        if condemned:
            break
    return Alone(condemned, worse, over, held, given)


def table(cells: Sequence[tuple[str, Weather]], runs: int, processes: int = 0) -> str:
    """Every cell, a line as soon as it is known."""
    lines = ["| cell | runs | condemned | % | held by a few users | tasks, median of the condemned |", "|---|---|---|---|---|---|"]  # fmt: skip
    print("\n".join(lines), flush=True)
    with multiprocessing.Pool(processes or os.cpu_count()) as pool:
        for name, weather in cells:
            line = _line(name, pool.map(partial(play, weather), range(runs), chunksize=1))
            print(line, flush=True)
            lines.append(line)
    return "\n".join(lines)


def _line(name: str, runs: Sequence[Alone]) -> str:
    over = sorted(run.given for run in runs if run.condemned)
    median = over[len(over) // 2] if over else "–"
    held = sum(run.held for run in runs)
    return f"| {name} | {len(runs)} | {len(over)} | {100 * len(over) / len(runs):.2f} | {held} | {median} |"
