"""What was seen of both arms at a moment, as the comparison judges it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from penstock.analysis.comparison.sums import (
    NONE,
    RATIOS,
    SLOTS,
    Evidence,
    Since,
)


class Unsettled(Protocol):
    """A cohort with open tasks, of which more is known than what it has added to the sums."""

    def by_bucket(self, at: int) -> tuple[Mapping[int, float], Mapping[int, float]]:
        """Of one kind of values the canary's centred ranks, and stable's less their mean."""


@dataclass(frozen=True)
class Compared:
    """What the comparison is judged on, at a moment.

    ``evidence``: of all tasks. ``ripe``: for each of RATIOS and each slot events and tasks of the canary in cohorts whose
    late events have had their time. ``at_most``: the same of the cohorts in which most tasks of stable have
    ended, the canary's open ones counted as events. ``settled`` and ``through_ms`` are what status keeps. ``since``: the
    route version with which each slot began; 0 for one that has not.
    """

    evidence: Evidence = NONE
    ripe: tuple[tuple[tuple[int, int], ...], ...] = (((0, 0),) * SLOTS,) * len(RATIOS)
    at_most: tuple[tuple[tuple[int, int], ...], ...] = (((0, 0),) * SLOTS,) * len(RATIOS)
    settled: Evidence = NONE
    through_ms: int = 0
    since: tuple[int, ...] = (0,) * SLOTS
    #: For each of RATIOS the events and tasks of the canary, and those of stable, in cohorts older than MATURE_MS; open ones are events.
    unended: tuple[tuple[int, int, int, int], ...] = ((0, 0, 0, 0),) * len(RATIOS)
    #: What is open is no part of what is equal: it changes with the evidence.
    unsettled: tuple[Unsettled, ...] = field(default=(), compare=False, repr=False)
    #: What was concluded from it, by what it was asked.
    known: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    def of_slots(self, since: Sequence[int]) -> "Compared":
        """The same, without what was counted for slots that have begun anew."""
        known = slots(since)
        if known == self.since:
            return self
        fresh = [slot for slot in range(SLOTS) if slot and known[slot] != self.since[slot]]
        ripe, at_most = (
            tuple(
                tuple((0, 0) if slot in fresh else count for slot, count in enumerate(counts))
                for counts in of_ratios
            )
            for of_ratios in (self.ripe, self.at_most)
        )
        return Compared(
            since_anew(self.evidence, self.since, known),
            ripe,
            at_most,
            since_anew(self.settled, self.since, known),
            self.through_ms,
            known,
            self.unended,
            self.unsettled,
        )


def slots(since: Sequence[int]) -> tuple[int, ...]:
    """The route versions with which the slots began, as many as there are slots."""
    return (*since, *(0,) * SLOTS)[:SLOTS]


def since_anew(evidence: Evidence, before: Sequence[int], now: Sequence[int]) -> Evidence:
    """The sums without those of slots that have begun anew; the first slot has everything."""
    kept = [
        sums if not slot or before[slot] == now[slot] else Since()
        for slot, sums in enumerate(evidence.since)
    ]
    return Evidence(tuple(kept), evidence.whole)
