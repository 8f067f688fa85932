"""Versions that are as good as stable, in many cells: how often one is rolled back all the same.

A cell is a traffic, a base rate of errors, what is known of stable's users, and a crowd. Of a false rollback in a hundred a single cell
tells after thousands of runs; asked is each traffic with and without history, each rate and each crowd, over all cells that it
is in.

Looks are further apart than the product's (``LOOKS``), and at most of them only the evidence is asked, so that more runs are played in
the same time: what passes its bound and falls back between two looks goes unseen, and raises come a little later. From 10 tasks
a second on they are drawn and counted in blocks. Runs are kept as those of the other cells are, and played seed by seed through
all cells, so that whatever is played when the time is over tells of all of them.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

from penstock.analysis import binomial
from penstock.api.comparison import Comparison
from penstock_bench.rollouts import blocks, goals, play
from penstock_bench.rollouts.play import Cell, Run
from penstock_bench.rollouts.record import Record
from penstock_bench.rollouts.weather import Crowd, Weather

#: How many runs a cell is to have, so that each group of cells has 2,000: of a traffic that is drawn in blocks, of a crowd that is not, of others.
IN_BLOCKS, IN_NO_BLOCKS, OTHERS = 134, 112, 45
#: At so many tasks/s: seconds between two looks, of how many looks one is whole (see ``Product.glance``), hours at most.
LOOKS: Final = {
    0.1: (120.0, 5, 8.0), 0.3: (60.0, 5, 6.0), 1.0: (30.0, 4, 3.0), 10.0: (30.0, 2, 1.0), 100.0: (30.0, 2, 0.75),
}  # fmt: skip
#: From so many tasks/s on they are drawn in blocks.
MANY: Final = 10.0
#: Base rates of errors, and hours of stable's life of which its users are known.
ERRORS: Final = (0.005, 0.02, 0.04)
KNOWN: Final = (0.0, 24.0)
#: So many may be rolled back: `falseRollbackPercent` by default.
MOST: Final = Comparison().false_rollback_percent / 100
#: The same of users who are alike, where nothing but chance is there to err by.
MOST_ALIKE: Final = 0.01
ALIKE: Final = "many users who are alike"
#: Chance that the true rate is above what is told as its bound.
UNSURE: Final = 0.05


@dataclass(frozen=True)
class Users:
    """Who asks, see ``Weather``."""

    users: int = 0
    alike: float = 0.0
    crowd: Crowd = field(default_factory=Crowd)


#: Who asks. What is special about users and hours is not drawn in blocks.
CROWDS: Final[Mapping[str, Users]] = {
    ALIKE: Users(),
    "150 unlike users": Users(150, 0.06),
    **{f"{n} very unlike users": Users(n, 0.15) for n in (5, 20, 60)},
    "users who come and go": Users(80, 0.08, Crowd(spell_seconds=600)),
    "traffic and failures swing": Users(80, 0.08, Crowd(swing_seconds=3600)),
    "one user of 30 % of the tasks": Users(80, 0.08, Crowd(heaviest=0.3)),
    **{f"{n} users of unlike lengths": Users(n, crowd=Crowd(lengths=0.7)) for n in (5, 20, 60)},
}


@dataclass(frozen=True)
class Good:
    """A good version at a traffic and a rate of errors, before a crowd of which so many hours are known."""

    tasks_per_second: float
    errors: float
    known_hours: float
    crowd: str

    @property
    def traffic(self) -> str:
        """In words."""
        return f"{self.tasks_per_second:g}/s{', a day known' if self.known_hours else ''}"

    @property
    def base(self) -> str:
        """In words."""
        return f"{self.errors:.1%} errors"

    @property
    def cell(self) -> Cell:
        """As it is played."""
        look, whole, hours = LOOKS[self.tasks_per_second]
        who = CROWDS[self.crowd]
        weather = Weather(
            self.tasks_per_second,
            errors=self.errors,
            users=who.users,
            alike=who.alike,
            crowd=who.crowd,
            known_hours=self.known_hours,
        )
        name = f"good: {self.crowd}, {self.base}, {self.traffic}"
        many = self.tasks_per_second >= MANY
        return Cell(name, weather, look, hours * 3600, rivals=False, blocks=many, whole=whole)

    @property
    def wanted(self) -> int:
        """How many runs it is to have."""
        if self.tasks_per_second >= MANY:
            return IN_BLOCKS
        at_many = Good(MANY, self.errors, self.known_hours, self.crowd)
        return OTHERS if blocks.suits(at_many.cell.weather) else IN_NO_BLOCKS


def all_good() -> list[Good]:
    """Each traffic with each rate, each history and each crowd that can be drawn there."""
    each = itertools.starmap(Good, itertools.product(LOOKS, ERRORS, KNOWN, CROWDS))
    return [one for one in each if not one.cell.blocks or blocks.suits(one.cell.weather)]


def groups(some: Sequence[Good]) -> Iterator[tuple[str, list[Good]]]:
    """What is asked, and the cells that answer it."""
    for label in (attrgetter("traffic"), attrgetter("base"), attrgetter("crowd")):
        for name in dict.fromkeys(map(label, some)):
            yield name, [one for one in some if label(one) == name]
    yield "all", list(some)


def go_on(kept: Record, only: str, minutes: float, processes: int = 0) -> str:
    """Play until the time is over, or each cell has what it wants; the table of all that is known."""
    some = [one for one in all_good() if only in one.cell.name]
    until = time.monotonic() + 60 * minutes
    if minutes:
        rounds = (
            (seed, [one.cell for one in some if seed < one.wanted]) for seed in range(IN_BLOCKS)
        )
        for run in kept.play_rounds(rounds, processes=processes):
            print(f"bench: {run.cell}, seed {run.seed}", file=sys.stderr, flush=True)
            if time.monotonic() >= until:
                break
    return table(some, kept)


def is_broken(kept: Record, only: str) -> bool:
    """Whether what was played says of a group that more good versions are rolled back than may be, and is hardly chance."""
    some = [one for one in all_good() if only in one.cell.name]
    return any(_is_above(kept, cells) for _, cells in groups(some))


def _is_above(kept: Record, cells: Sequence[Good]) -> bool:
    runs = [run for one in cells for run in kept.runs(one.cell, play.PRODUCT)]
    over = sum(map(goals.condemned, runs))
    most = MOST_ALIKE if all(one.crowd == ALIKE for one in cells) else MOST
    return binomial.tail(over, len(runs), most) <= goals.CHANCE


def table(some: Sequence[Good], kept: Record) -> str:
    """Of each group how many runs were played, and how often a good version was rolled back."""
    known = {one: kept.runs(one.cell, play.PRODUCT) for one in some}
    lines = [
        "| good versions | runs | of | rolled back | at most, 95 % | promoted | at most half of the users at the end | min to 95 %, median | CPU s a run |",
        "|---|---|---|---|---|---|---|---|---|",
        *(
            _line(
                name, [run for one in cells for run in known[one]], sum(one.wanted for one in cells)
            )
            for name, cells in groups(some)
        ),
    ]
    return "\n".join(lines)


def _line(name: str, runs: Sequence[Run], wanted: int) -> str:
    if not runs:
        return f"| {name} | 0 | {wanted:,} | | | | | | |"
    over = sum(map(goals.condemned, runs))
    promoted = sum(map(goals.promoted, runs))
    held = sum(run.full is None for run in runs) - sum(
        run.full is None for run in runs if goals.condemned(run)
    )
    full = goals.medians([run.full / 60 for run in runs if run.full]).partition(" ")[0]
    cpu = sum(run.cpu_seconds for run in runs) / len(runs)
    bound = 100 * at_most(over, len(runs))
    return f"| {name} | {len(runs):,} | {wanted:,} | {over} | {bound:.1f} % | {promoted} | {held} | {full} | {cpu:.2f} |"


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
