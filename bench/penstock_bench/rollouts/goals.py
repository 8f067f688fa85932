"""What a rollout is held to, and whether what was played says so."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from penstock.analysis import binomial
from penstock_bench.rollouts.play import HOLD, PRODUCT, Cell, Run

#: A goal is missed by a small sample where chance alone would do this at most so often.
CHANCE = 0.01


class Verdict(StrEnum):
    """What is said of a goal in a cell."""

    HELD = "held"
    NOT_MISSED = "not missed"  # by so few runs that they could not tell
    NOT_JUDGED = "not judged"
    MISSED = "MISSED"
    OPEN = "missed, as docs/simulation.md says"
    NOT_TOLD = "not told by so few"


#: Goals that are known to be missed: they are printed with their figures, and break no run of the bench.
OPEN: frozenset[tuple[str, str]] = frozenset(
    {
        ("G4", "errors 2.0% -> 8%, 10/s"),
        ("G4", "errors 2.0% -> 8%, 1/s"),
        ("G7", "escalations 8 -> 25 %, 5 min late, 10/s"),
        ("G7", "cost x 2.5, 100/s"),
    }
)


@dataclass(frozen=True)
class Said:
    """A goal in a cell: what was seen, what was asked."""

    goal: str
    where: str
    what: str
    seen: str
    asked: str
    verdict: Verdict


@dataclass(frozen=True)
class Bound:
    """At most this part of the runs may be bad; a median and a 90th percentile are such a bound, too (``median``)."""

    goal: str
    what: str
    part: float
    bad: Callable[[Run], bool]
    asked: str
    shown: Callable[[Sequence[Run]], str]
    median: bool = False

    def of(self, cell: Cell, runs: Sequence[Run], *, full: bool) -> Said:
        """Whether it holds. With many runs the estimate tells; with few only what chance hardly does."""
        bad = sum(map(self.bad, runs))
        tells = full or self.part * len(runs) >= 1
        verdict = Verdict.HELD if tells else Verdict.NOT_MISSED
        if bad > self.part * len(runs):
            rare = binomial.tail(bad, len(runs), self.part or 1e-3) <= CHANCE
            verdict = Verdict.MISSED if full or rare else Verdict.NOT_TOLD
            if verdict is Verdict.MISSED and self.median and (self.goal, cell.name) in OPEN:
                verdict = Verdict.OPEN
        return Said(self.goal, cell.name, self.what, self.shown(runs), self.asked, verdict)


def _share(bad: Callable[[Run], bool]) -> Callable[[Sequence[Run]], str]:
    def shown(runs: Sequence[Run]) -> str:
        k = sum(map(bad, runs))
        return f"{100 * k / len(runs):.1f} % ({k}/{len(runs)})"

    return shown


def _rarely(goal: str, what: str, part: float, bad: Callable[[Run], bool]) -> Bound:
    return Bound(goal, what, part, bad, f"at most {100 * part:g} %", _share(bad))


def quantile(values: Sequence[float], part: float) -> float:
    """The value that this part of all is at most; infinite ones are those that never came."""
    ordered = sorted(values)
    return ordered[min(math.ceil(part * len(ordered)), len(ordered)) - 1]


def _at_most(goal: str, what: str, part: float, value: Callable[[Run], float], most: float) -> Bound:  # fmt: skip
    """A quantile is at most this where at most 1 - part of the runs are above it."""
    name = "median" if part == 0.5 else f"{100 * part:.0f} % of runs"
    return Bound(
        goal,
        f"{what}, {name}",
        1 - part,
        lambda run: value(run) > most,
        f"at most {most:g}",
        lambda runs: f"{quantile([value(run) for run in runs], part):.3g}",
        median=True,
    )


def condemned(run: Run) -> bool:
    """Whether it was rolled back."""
    return run.verdict == "condemned"


def promoted(run: Run) -> bool:
    """Whether it got everybody."""
    return run.verdict == "promoted"


def tasks(run: Run) -> float:
    """Tasks of the canary until it was condemned; infinite where it never was."""
    return run.given if condemned(run) else math.inf


def minutes(run: Run) -> float:
    """Until it had 95 % of the users."""
    return math.inf if run.full is None else run.full / 60


def _caught(goal: str, part: float = 0.0) -> Bound:
    return _rarely(goal, "not condemned", part, lambda run: not condemned(run))


def _delay(goal: str, median: float, p90: float | None = None) -> list[Bound]:
    bounds = [_at_most(goal, "tasks until condemned", 0.5, tasks, median)]
    if p90:
        bounds.append(_at_most(goal, "tasks until condemned", 0.9, tasks, p90))
    return bounds


def bounds(cell: Cell) -> list[Bound]:
    """What is asked of the product in a cell."""
    rate = cell.weather.tasks_per_second
    fast = 16.0 if rate >= 10 else 50.0 if rate >= 1 else 162.0
    tick = 0.05 * rate if rate > 10 else 0.0  # what the first step gets between two looks
    every = {
        "G1": [_rarely("G1", "rolled back though good", 0.01, condemned)],
        "G2": [_rarely("G2", "rolled back though good", 0.02, condemned)],
        "G2known": [_rarely("G2", "rolled back though good", 0.01, condemned)],
        "G3": [
            _rarely("G3", "rolled back for an outage", 0.01, condemned),
            _rarely("G3", "not promoted after it", 0.1, lambda run: not promoted(run)),
            _at_most(
                "G3",
                "looks from the first credible window to the last new session",
                0.9,
                lambda run: run.late_looks,
                2,
            ),
        ],
        "G4": [_caught("G4"), *_delay("G4", 175, 375)],
        "G5": [_caught("G5"), *_delay("G5", 15 + tick, 25 + tick)],
        "G6": [_caught("G6"), *_delay("G6", 250)],
        "G7cost": [_caught("G7"), *_delay("G7", 40)],
        "G7": [_caught("G7"), *_delay("G7", 175)],
        "G8": [
            _rarely("G8", "promoted", 0.02, promoted),
            _caught("G8", 0.02),
        ],
        "G9": [_at_most("G9", "minutes to 95 %", 0.5, minutes, fast)],
        "rules": [_rarely("four rules", "promoted", 0.01, promoted)],
    }
    return [bound for goal in cell.goals for bound in every[goal]] + _always()


def _always() -> list[Bound]:
    return [
        _at_most("G10", "kB in status", 1.0, lambda run: run.sums / 1000, 10),
        _at_most("G10", "CPU-ms of a look, mean", 0.5, lambda run: run.look_ms[0], 5),
    ]


def judged(
    cells: Sequence[tuple[Cell, Sequence[Run]]], *, full: bool, times: bool = True
) -> list[Said]:
    """Every goal in every cell that was played; G10 once, of all, and CPU time only where ``times`` says so."""
    said = [
        bound.of(cell, runs, full=full)
        for cell, runs in cells
        if runs
        for bound in bounds(cell)
        if bound.goal != "G10"
    ]
    everything = [run for _, runs in cells for run in runs]
    if everything:
        whole = Cell("all", cells[0][0].weather, 1.0, 1.0)
        small, fast = (bound.of(whole, everything, full=full) for bound in _always())
        said += [small, fast if times else replace(fast, verdict=Verdict.NOT_JUDGED)]
    return said


#: Fewer runs tell neither who harms less nor who is as careful: of ten good versions one in five that are rolled back goes unseen in one of ten cases.
_FEWEST_RUNS = 100


def least_harm(cell: Cell, bad: Mapping[str, Sequence[Run]], good: Mapping[str, Sequence[Run]], *, full: bool) -> Said:  # fmt: skip
    """Whether fewer tasks are harmed than by each rule that rolls good versions back as rarely or more rarely.

    Args:
        cell: the weather of the bad version.
        bad: the runs of each rule, of the bad version.
        good: the same of a good version at the same traffic.
    """
    ours = statistics.median(run.harmed for run in bad[PRODUCT])
    false = {rule: sum(map(condemned, runs)) / len(runs) for rule, runs in good.items() if runs}
    as_careful = {
        rule: statistics.median(run.harmed for run in runs)
        for rule, runs in bad.items()
        if rule not in (PRODUCT, HOLD) and runs and false.get(rule, 1.0) <= false[PRODUCT]
    }
    least = min(as_careful.values(), default=math.inf)
    tells = full or min(len(bad[PRODUCT]), len(good[PRODUCT])) >= _FEWEST_RUNS
    held = Verdict.HELD if tells else Verdict.NOT_MISSED
    missed = Verdict.MISSED if tells else Verdict.NOT_TOLD
    rivals = ", ".join(f"{rule} {harmed:.0f}" for rule, harmed in as_careful.items()) or "none"
    asked = f"fewer than rules that are as careful: {rivals}"
    verdict = held if ours < least else missed
    return Said("harm", cell.name, "tasks harmed, median", f"{ours:.0f}", asked, verdict)


def medians(values: Sequence[float]) -> str:
    """Median and 90th percentile; a dash where there are none."""
    if not values:
        return "–"
    return f"{statistics.median(values):.0f} / {quantile(values, 0.9):.0f}"
