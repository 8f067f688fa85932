"""Whether a goal is met, missed, or cannot be judged on a machine like this one."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

#: Goals in milliseconds, tasks a second or CPU seconds are judged below so many busy cores of others ...
QUIET_CORES = 1.0
#: ... and when what is known of a peer is seen again this closely.
YARDSTICK_TOLERANCE = 0.15


class Verdict(StrEnum):
    """What is said of a row."""

    NO_GOAL = ""
    MET = "met"
    MISSED = "MISSED"
    NOT_JUDGED = "not judged"


class Sense(StrEnum):
    """On which side of a bound the good values are."""

    AT_MOST = "≤"
    AT_LEAST = "≥"


@dataclass(frozen=True)
class Goal:
    """A bound on a row's own value or, with `of_peer`, on its ratio to the peer.

    `anywhere`: the value is a count that no other work on the machine moves.
    """

    sense: Sense
    bound: float
    of_peer: bool = False
    anywhere: bool = False

    def holds(self, value: float) -> bool:
        """Whether a value is on the good side; the bound itself is."""
        return value <= self.bound if self.sense is Sense.AT_MOST else value >= self.bound


@dataclass(frozen=True)
class Peer:
    """What was measured of somebody else in the same run, a value for each round."""

    name: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Row:
    """One thing that was measured, a value for each round; `note` says what the value is made of."""

    what: str
    unit: str
    values: tuple[float, ...]
    peer: Peer | None = None
    goal: Goal | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Own value by the peer's: the median of the rounds, each of which had the same machine.

        None without a peer, and where the peer has nothing.
        """
        if self.peer is None or not all(self.peer.values):
            return None
        pairs = zip(self.values, self.peer.values, strict=True)
        return statistics.median(ours / theirs for ours, theirs in pairs)


@dataclass(frozen=True)
class Yardstick:
    """A figure of a peer that is known from the quiet reference machine."""

    name: str
    measured: float
    reference: float

    @property
    def fits(self) -> bool:
        """Whether this machine is, at this hour, like the one the goals were set on."""
        return abs(self.measured / self.reference - 1) <= YARDSTICK_TOLERANCE


def noise(cores_of_others: float, yardsticks: Sequence[Yardstick]) -> tuple[str, ...]:
    """Why goals in absolute units cannot be judged; empty where they can."""
    found = []
    if cores_of_others > QUIET_CORES:
        found.append(f"others kept {cores_of_others:.1f} cores busy (quiet: ≤ {QUIET_CORES:g})")
    found += [
        f"{stick.name} is {stick.measured:.3g}, on the quiet reference machine {stick.reference:g}"
        for stick in yardsticks
        if not stick.fits
    ]
    return tuple(found)


def judge(row: Row, noisy: Sequence[str]) -> Verdict:
    """The verdict on a row. Ratios and counts are judged on any machine, other goals on a quiet one."""
    if row.goal is None:
        return Verdict.NO_GOAL
    if row.goal.of_peer:
        if row.ratio is None:
            raise ValueError(f"{row.what}: a goal of a peer needs a peer")
        return _said(row.goal, row.ratio)
    if noisy and not row.goal.anywhere:
        return Verdict.NOT_JUDGED
    return _said(row.goal, statistics.median(row.values))


def _said(goal: Goal, value: float) -> Verdict:
    return Verdict.MET if goal.holds(value) else Verdict.MISSED
