"""What is played, which goal each cell is for, and how many seeds of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from penstock_bench.rollouts.play import Cell
from penstock_bench.rollouts.weather import COST, Outage, Weather


@dataclass(frozen=True)
class Played:
    """A cell with its number of seeds in quick and in full mode."""

    cell: Cell
    quick: int
    full: int


def _cell(name: str, goals: str, weather: Weather, *, hours: float = 0.0, rivals: bool = True, hold: bool = False) -> Cell:  # fmt: skip
    rate = weather.tasks_per_second
    look = 1.0 if rate >= 50 else 2.0 if rate >= 5 else 5.0 if rate >= 0.8 else 10.0
    longest = hours or (1.0 if rate >= 5 else 3.0 if rate >= 0.8 else 8.0)
    said = f"{name}, {rate:g}/s"
    return Cell(said, weather, look, longest * 3600, tuple(goals.split()), rivals, hold)


def every() -> list[Played]:
    """All cells, those of a goal together."""
    return [*_good(), *_known(), *_outages(), *_bad(), *_values(), *_limits(), *_other_steps()]


def beside_rivals() -> list[tuple[Cell, Cell]]:
    """A bad version that rivals play as well, and a good one at the same traffic."""
    named = {played.cell.name: played.cell for played in every()}
    return [(named[f"errors 2.0% -> 8%, {rate}/s"], named[f"as good, {rate}/s"]) for rate in (1, 10, 100)]  # fmt: skip


def _good() -> list[Played]:
    unlike = {"errors": 0.03, "users": 150, "alike": 0.06}
    return [
        Played(_cell("as good", "G1 G9", Weather(100.0)), 1, 500),
        Played(_cell("as good", "G1 G9", Weather(10.0), hold=True), 10, 2000),
        Played(_cell("as good", "G1 G9", Weather(1.0), hold=True), 10, 2000),
        Played(_cell("as good", "G1 G9", Weather(0.3)), 4, 1000),
        Played(_cell("as good", "G1 G9", Weather(0.1), rivals=False), 1, 500),
        Played(_cell("as good, 0.5 % errors", "G1", Weather(1.0, errors=0.005)), 4, 1000),
        Played(_cell("as good, 4 % errors", "G1", Weather(10.0, errors=0.04)), 2, 500),
        Played(_cell("as good, fast failures", "G1", Weather(10.0, fast_failures=True)), 2, 500),
        Played(_cell("as good, sessions of 8 turns", "G1", Weather(5.0, turns=8)), 2, 500),
        Played(_cell("as good, 150 unlike users", "G2", Weather(0.3, **unlike), hours=4), 4, 1000),  # type: ignore[arg-type]
        Played(_cell("as good, 300 unlike users", "G2", Weather(1.0, users=300, alike=0.03)), 4, 1000),
        Played(_cell("as good, 100 very unlike users", "G2", Weather(1.0, users=100, alike=0.1)), 4, 1000),
        Played(_cell("as good, bursts of 4 tasks", "G2", Weather(1.0, burst=4)), 2, 500),
    ]  # fmt: skip


def _known() -> list[Played]:
    """With a day of stable's users known before the canary begins."""
    very = {"users": 100, "alike": 0.1, "known_hours": 24.0}
    bad = {"canary_errors": 0.08, "known_hours": 24.0}
    return [
        Played(_cell("as good, a day known", "G1 G9", Weather(1.0, known_hours=24.0)), 4, 2000),
        Played(_cell("as good, 100 very unlike users, a day known", "G2known", Weather(1.0, **very)), 2, 1000),  # type: ignore[arg-type]
        Played(_cell("errors 2.0% -> 8%, a day known", "G4", Weather(10.0, **bad), rivals=False), 12, 1000),  # type: ignore[arg-type]
        Played(_cell("errors 2.0% -> 8%, a day known", "G4", Weather(1.0, **bad), rivals=False), 12, 1000),  # type: ignore[arg-type]
    ]  # fmt: skip


def _outages() -> list[Played]:
    def outage(rate: float, percent: int, seconds: float) -> Cell:
        weather = Weather(rate, outage=Outage(percent, seconds))
        return _cell(f"outage of {seconds:.0f} s at {percent} %", "G3", weather, rivals=rate >= 10)

    some = [Played(outage(rate, 95, 60), 4, 500) for rate in (1.0, 10.0)]
    more = [
        Played(outage(rate, percent, seconds), 0, 300)
        for rate in (1.0, 10.0)
        for percent in (5, 20, 50, 95)
        for seconds in (60, 300)
        if (percent, seconds) != (95, 60)
    ]
    return some + more


def _bad() -> list[Played]:
    def errors(rate: float, base: float, bad: float, goals: str, *, rivals: bool = True) -> Cell:
        weather = Weather(rate, errors=base, canary_errors=bad)
        return _cell(f"errors {base:.1%} -> {bad:.0%}", goals, weather, rivals=rivals)

    return [
        Played(errors(10.0, 0.02, 0.08, "G4"), 20, 1000),
        Played(errors(1.0, 0.02, 0.08, "G4"), 16, 1000),
        Played(errors(100.0, 0.02, 0.08, "G4"), 2, 300),
        Played(errors(100.0, 0.02, 0.5, "G5", rivals=False), 2, 300),
        Played(errors(10.0, 0.02, 0.5, "G5"), 10, 500),
        Played(errors(1.0, 0.02, 0.5, "G5"), 10, 500),
        Played(errors(10.0, 0.02, 0.04, "G8"), 4, 500),
    ]


def _values() -> list[Played]:
    late = {"canary_escalations": 0.25, "late_seconds": 300.0}
    return [
        Played(_cell("latency +50 %", "G6", Weather(100.0, slower=1.5), rivals=False), 2, 300),
        Played(_cell("latency +50 %", "G6", Weather(1.0, slower=1.5)), 6, 500),
        Played(_cell("latency +50 %", "G6", Weather(10.0, slower=1.5)), 4, 500),
        Played(_cell("cost x 2.5", "G7cost", Weather(100.0, dearer=2.5), rivals=False), 2, 300),
        Played(_cell("cost x 2.5", "G7cost", Weather(1.0, dearer=2.5)), 8, 500),
        Played(_cell("cost x 2.5", "G7cost", Weather(10.0, dearer=2.5)), 6, 500),
        Played(_cell("escalations 8 -> 25 %, 5 min late", "G7", Weather(1.0, **late)), 6, 500),  # type: ignore[arg-type]
        Played(_cell("escalations 8 -> 25 %, 5 min late", "G7", Weather(10.0, **late)), 4, 500),  # type: ignore[arg-type]
    ]  # fmt: skip


def _limits() -> list[Played]:
    """A version that breaks one of the four limits must not get everybody, at any traffic: the share of those that do is a matter of hundreds of runs."""
    late = {"escalations": 0.18, "canary_escalations": 0.25, "late_seconds": 300.0}
    slow = {"latency_seconds": 9.0, "slower": 15 / 9}
    broken: dict[str, dict[str, Any]] = {
        "errors 2.0% -> 8%": {"canary_errors": 0.08},
        "errors 4.5% -> 8%": {"errors": 0.045, "canary_errors": 0.08},
        "latency 9 -> 15 s": slow,
        "latency 9 -> 15 s, no tail": {**slow, "even": True},
        "escalations 18 -> 25 %, 5 min late": late,
        "cost 0.8 -> 2.5 times what is expected": {"dearer": 2.5 / COST.mean},
    }
    everywhere = [
        Played(_cell(f"limits: {name}", "rules", Weather(rate, **fields), rivals=False), int(rate == 1.0), 300)
        for name, fields in broken.items()
        for rate in (0.1, 1.0, 10.0, 100.0)
    ]  # fmt: skip
    return [
        *everywhere,
        Played(_cell("30 % of the tasks hang", "rules", Weather(1.0, hanging=0.3)), 3, 300),
        Played(_cell("8 % errors only from 95 % on", "rules", Weather(10.0, canary_errors=0.08, from_percent=95)), 2, 300),
    ]  # fmt: skip


def _other_steps() -> list[Played]:
    """Any list of steps: one alone, many small ones, most of the users at once."""
    lists = ((50,), (1, 2, 3, 5, 10, 25, 50, 75, 90), (60, 80))
    return [
        Played(_with_steps(name, steps, weather, goal), 1, 300)
        for steps in lists
        for name, weather, goal in (
            ("as good", Weather(1.0), "G1"),
            ("limits: errors 2.0% -> 8%", Weather(1.0, canary_errors=0.08), "rules"),
        )
    ]


def _with_steps(name: str, steps: tuple[int, ...], weather: Weather, goal: str) -> Cell:
    said = f"{name}, steps {' '.join(map(str, steps))}"
    return replace(_cell(said, goal, weather, rivals=False), steps=steps)
