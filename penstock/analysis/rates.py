"""Rates: whether a share of tasks is over its limit, and whether one arm's exceeds the other's."""

import math
from collections.abc import Iterable
from typing import Final

from penstock.analysis import binomial
from penstock.analysis.metrics import Sums

#: A rate is credibly over its limit when chance alone does this at most once in a thousand.
TAIL: Final = 0.001
#: ... and is suspect when chance does it at most once in twenty: enough to wait for more tasks.
SUSPECT_TAIL: Final = 0.05
FEWEST_EVENTS: Final = 3
FEWEST_SUSPECT_EVENTS: Final = 2


def over(sums: Sums, limit: float) -> bool:
    """Whether so many events among so many tasks are credibly more than the limit allows."""
    return sums.total >= FEWEST_EVENTS and _rarely(sums, limit, TAIL)


def suspect(sums: Sums, limit: float) -> bool:
    """Whether so many events are more than the limit lets expect, credible or not."""
    return sums.total >= FEWEST_SUSPECT_EVENTS and _rarely(sums, limit, SUSPECT_TAIL)


def _rarely(sums: Sums, limit: float, chance: float) -> bool:
    """Whether a rate that is at its limit yields as many events with at most this chance."""
    return over_point(sums, limit) and binomial.tail(sums.total, sums.n, limit) <= chance


def over_point(sums: Sums, limit: float) -> bool:
    """Whether the rate itself is above the limit."""
    return sums.total > limit * sums.n


def failed(sums: Sums) -> int:
    """The tasks that can be to blame for the rate."""
    return sums.total


def z(pairs: Iterable[tuple[Sums, Sums]]) -> float:
    """Standard deviations by which the first rate exceeds the second inside the strata.

    The stratified score test of Mantel and Haenszel (1959).
    """
    excess = variance = 0.0
    for ours, theirs in pairs:
        tasks = ours.n + theirs.n
        if not (ours.n and theirs.n):
            continue
        rate = (ours.total + theirs.total) / tasks
        excess += ours.total - rate * ours.n
        variance += ours.n * theirs.n / tasks * rate * (1.0 - rate)
    return excess / math.sqrt(variance) if variance > 0.0 else 0.0
