"""Versions that are as good as stable, in many cells: how often one is rolled back all the same.

Looks are further apart than the product's (``LOOKS``), so that more runs are played in the same time: of the evidence only what passes
its bound and falls back between two looks goes unseen. From 10 tasks a second on they are drawn and counted in blocks. Runs are
kept as those of the other cells are, and played seed by seed through all cells, so that whatever is played when the time is
over tells of all of them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from penstock.analysis import binomial
from penstock_bench.rollouts import goals, play
from penstock_bench.rollouts.play import Cell, Run
from penstock_bench.rollouts.record import Record
from penstock_bench.rollouts.weather import Crowd, Weather

#: How many runs a cell is to have.
WANTED = 2000
#: At so many tasks/s: seconds between two looks, hours at most.
LOOKS = {1.0: (15.0, 3.0), 0.3: (30.0, 6.0), 10.0: (10.0, 1.0), 100.0: (10.0, 0.75)}
#: From so many tasks/s on they are drawn in blocks.
MANY = 10.0
#: Chance that the true rate is above what is told as its bound.
UNSURE = 0.05


def cells() -> list[Cell]:
    """Crowds that nothing was chosen on, then users who are unlike at each traffic and rate of errors."""
    unlike = {"users": 150, "alike": 0.06}
    each = [
        _cell(f"{errors:.1%} errors", Weather(rate, errors=errors, known_hours=hours, **unlike))  # type: ignore[arg-type]
        for rate in LOOKS
        for errors in (0.005, 0.02, 0.04)
        for hours in (0.0, 24.0)
    ]
    return [*_fresh(), *each]


def _fresh() -> list[Cell]:
    few = {f"{n} very unlike users": Weather(1.0, users=n, alike=0.15) for n in (5, 20, 60)}
    some = Weather(1.0, users=80, alike=0.08)
    named = {
        **few,
        "users who come and go": replace(some, crowd=Crowd(spell_seconds=600)),
        "traffic and failures swing": replace(some, crowd=Crowd(swing_seconds=3600)),
        "one user of 30 % of the tasks": replace(some, crowd=Crowd(heaviest=0.3)),
        **{
            f"{n} users of unlike lengths": Weather(1.0, users=n, crowd=Crowd(lengths=0.7))
            for n in (5, 20, 60)
        },
    }
    return [
        _cell(name, replace(weather, known_hours=hours))
        for name, weather in named.items()
        for hours in (0.0, 24.0)
    ]


def _cell(name: str, weather: Weather) -> Cell:
    look, hours = LOOKS[weather.tasks_per_second]
    known = ", a day known" if weather.known_hours else ""
    said = f"good: {name}{known}, {weather.tasks_per_second:g}/s"
    blocks = weather.tasks_per_second >= MANY
    return Cell(said, weather, look, hours * 3600, rivals=False, blocks=blocks)


def go_on(kept: Record, only: str, minutes: float, processes: int = 0) -> str:
    """Play until the time is over, or each cell has what it wants; the table of all that is known."""
    some = [cell for cell in cells() if only in cell.name]
    until = time.monotonic() + 60 * minutes
    if minutes:
        for run in kept.play_rounds(range(WANTED), some, processes=processes):
            print(f"bench: {run.cell}, seed {run.seed}", file=sys.stderr, flush=True)
            if time.monotonic() >= until:
                break
    return table(some, kept)


def table(some: Sequence[Cell], kept: Record) -> str:
    """Of each cell how many runs were played, and how often a good version was rolled back."""
    lines = [
        f"| cell | runs of {WANTED:,} | rolled back | at most, 95 % | promoted | at most half of the users at the end | min to 95 %, median | CPU s a run |",
        "|---|---|---|---|---|---|---|---|",
        *(_line(cell.name, kept.runs(cell, play.PRODUCT)) for cell in some),
    ]
    return "\n".join(lines)


def _line(name: str, runs: Sequence[Run]) -> str:
    if not runs:
        return f"| {name} | 0 | | | | | | |"
    over = sum(map(goals.condemned, runs))
    promoted = sum(map(goals.promoted, runs))
    held = sum(run.full is None for run in runs) - sum(
        run.full is None for run in runs if goals.condemned(run)
    )
    full = goals.medians([run.full / 60 for run in runs if run.full]).partition(" ")[0]
    cpu = sum(run.cpu_seconds for run in runs) / len(runs)
    bound = 100 * at_most(over, len(runs))
    return f"| {name} | {len(runs)} | {over} | {bound:.1f} % | {promoted} | {held} | {full} | {cpu:.2f} |"


def at_most(count: int, runs: int, unsure: float = UNSURE) -> float:
    """The upper end of the one-sided interval of Clopper and Pearson (1934): a larger rate makes so few with this chance at most."""
    if count >= runs:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        few = 1 - binomial.tail(count + 1, runs, middle)
        low, high = (middle, high) if few > unsure else (low, middle)
    return high
