"""One cohort: what is known of its tasks, and what that adds to the sums."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from penstock.analysis.comparison import ranks
from penstock.analysis.comparison.evalues import EXCESS, STAKES_ABOVE, STAKES_BELOW, log_bets
from penstock.analysis.comparison.ranks import Bins, bin_of
from penstock.analysis.comparison.sums import (
    MARGINS,
    ONE,
    PART,
    RATIOS,
    VALUES,
    RatioSince,
    RatioWhole,
    Since,
    ValueSince,
    ValueWhole,
    Whole,
)
from penstock.analysis.comparison.yardsticks import SIZES, Yardsticks
from penstock.analysis.metrics import Tally
from penstock.traffic import BUCKETS, Arm

#: What a cohort adds to each slot that it is in, and to the whole; of one kind of events, of one kind of values.
Part = tuple[Since, Whole]
RatioPart = tuple[RatioSince, RatioWhole]
ValuePart = tuple[ValueSince, ValueWhole]
#: Tasks of the canary and of stable, events of both.
Rated = tuple[int, int, int, int]


def _arms() -> dict[Arm, list[int]]:
    return {arm: [0] * BUCKETS for arm in Arm}


@dataclass(slots=True)
class Cohort:
    """What is known of a cohort so far. Each list has a number for each bucket.

    ``routed`` and ``happened`` are the sums of ``tasks`` and ``events``. Of values there are counts: of the canary by bin, of
    stable by bin (``bins``), and of both (``ours``, ``stable``) by bucket and bin. ``made`` and those below it are what was worked out of these, until they change:
    ``rated`` by the counts that it was made of, ``valued`` by whether all tasks had ended.
    """

    yardsticks: Yardsticks
    tasks: dict[Arm, list[int]] = field(default_factory=_arms)
    events: tuple[dict[Arm, list[int]], ...] = field(
        default_factory=lambda: tuple(_arms() for _ in RATIOS)
    )
    canary: tuple[Bins, ...] = field(default_factory=lambda: tuple({} for _ in VALUES))
    ours: tuple[dict[tuple[int, int], int], ...] = field(
        default_factory=lambda: tuple({} for _ in VALUES)
    )
    stable: tuple[dict[tuple[int, int], int], ...] = field(
        default_factory=lambda: tuple({} for _ in VALUES)
    )
    bins: tuple[Bins, ...] = field(default_factory=lambda: tuple({} for _ in VALUES))
    above: list[list[int]] = field(
        default_factory=lambda: [[0] * len(STAKES_ABOVE) for _ in VALUES]
    )
    below: list[list[int]] = field(
        default_factory=lambda: [[0] * len(STAKES_BELOW) for _ in VALUES]
    )
    open: dict[Arm, int] = field(default_factory=lambda: dict.fromkeys(Arm, 0))
    routed: dict[Arm, int] = field(default_factory=lambda: dict.fromkeys(Arm, 0))
    happened: tuple[dict[Arm, int], ...] = field(
        default_factory=lambda: tuple(dict.fromkeys(Arm, 0) for _ in RATIOS)
    )
    made: Part | None = None
    scores: list[ranks.Score | None] = field(default_factory=lambda: [None for _ in VALUES])
    rated: list[tuple[Rated, RatioPart] | None] = field(
        default_factory=lambda: [None for _ in RATIOS]
    )
    valued: list[tuple[bool, ValuePart] | None] = field(
        default_factory=lambda: [None for _ in VALUES]
    )

    @property
    def open_tasks(self) -> int:
        """Of both arms."""
        return sum(self.open.values())

    def route(self, arm: Arm, bucket: int, tasks: int = 1) -> None:
        """Tasks were routed."""
        self.tasks[arm][bucket] += tasks
        self.routed[arm] += tasks
        self.open[arm] += tasks
        self.made = None

    def leave(self, arm: Arm, bucket: int) -> None:
        """An open task turned out to be no sample."""
        self.route(arm, bucket, -1)
        self.rated = [None for _ in RATIOS]  # as many tasks may be those of other buckets again

    def end(self, arm: Arm, bucket: int, ended: Tally, worked_ms: int) -> None:
        """A task has ended, after so much work."""
        self.open[arm] -= 1
        self.made = None
        for at, events in enumerate((ended.errors, ended.escalations)):
            if events:
                self.events[at][arm][bucket] += events
                self.happened[at][arm] += events
        for at, value in enumerate((worked_ms, ended.cost_micro_usd)):
            if value > 0:
                self._value(at, arm, bucket, value)

    def _value(self, at: int, arm: Arm, bucket: int, value: int) -> None:
        place, limit = bin_of(value), self.yardsticks.limits[at]
        self.scores[at] = self.valued[at] = None
        if arm is Arm.STABLE:
            known, bins = self.stable[at], self.bins[at]
            known[bucket, place] = known.get((bucket, place), 0) + 1
            bins[place] = bins.get(place, 0) + 1
            return
        self.canary[at][place] = self.canary[at].get(place, 0) + 1
        self.ours[at][bucket, place] = self.ours[at].get((bucket, place), 0) + 1
        if limit:
            above, below = log_bets(value / limit, value / limit / SIZES[at])
            for kept, logs in ((self.above[at], above), (self.below[at], below)):
                for stake, log in enumerate(logs):
                    kept[stake] += round(log * ONE)

    # -- what it adds ----------------------------------------------------------------------------

    def sums(self) -> Part:
        """What the cohort adds to each slot that it is in, and to the whole."""
        if self.made is None:
            canary, stable = (self.tasks[arm] for arm in (Arm.CANARY, Arm.STABLE))
            ratios = [self._ratio(at) for at in range(len(RATIOS))]
            values = [self._values(at) for at in range(len(VALUES))]
            since = Since((ratios[0][0], ratios[1][0]), (values[0][0], values[1][0]))
            parts = (ratios[0][1], ratios[1][1]), (values[0][1], values[1][1])
            self.made = since, Whole(tuple(canary), tuple(stable), *parts)
        return self.made

    def _ratio(self, at: int) -> RatioPart:
        """Events of the cohort; nothing of it is taken back unseen, so that equal counts are those of the same buckets."""
        happened, routed, known = self.happened[at], self.routed, self.rated[at]
        counts = (routed[Arm.CANARY], routed[Arm.STABLE], happened[Arm.CANARY], happened[Arm.STABLE])  # fmt: skip
        if known is None or known[0] != counts:
            known = self.rated[at] = counts, self._rated(at, *counts)
        return known[1]

    def _rated(self, at: int, ours: int, theirs: int, mine: int, others: int) -> RatioPart:
        canary, stable = (self.events[at][arm] for arm in (Arm.CANARY, Arm.STABLE))
        since, whole = (
            RatioSince(ours, mine),
            RatioWhole(canary=tuple(canary), stable=tuple(stable)),
        )
        if mine + others and ours + theirs:
            due = (mine + others) / (ours + theirs) * PART
            whole = whole._replace(
                of_canary=tuple([round(n * due) for n in self.tasks[Arm.CANARY]]),
                of_stable=tuple([round(n * due) for n in self.tasks[Arm.STABLE]]),
            )
        if not (ours and theirs):
            return since, whole
        tasks, events = ours + theirs, mine + others
        share = ours / tasks
        if events:
            exposure = tuple([round(events * math.log1p(share * r) * ONE) for r in EXCESS])
            since = RatioSince(ours, mine, mine, exposure)
        return since, whole._replace(
            labelled=events,
            expected=round(events * share * ONE),
            excess=round((mine * theirs - others * ours) / tasks * ONE),
            weight=round(ours * theirs / tasks * ONE),
        )

    def _values(self, at: int) -> ValuePart:
        """Values of the cohort; what only says how unlike users are, and what is ruled out, once it is complete."""
        complete, known = not self.open_tasks, self.valued[at]
        if known is None or known[0] != complete:
            known = self.valued[at] = complete, self._valued(at, complete=complete)
        return known[1]

    def _valued(self, at: int, *, complete: bool) -> ValuePart:
        above, below = tuple(self.above[at]), tuple(self.below[at])
        canary, stable = self.canary[at], self.stable[at]
        if not canary or not stable:
            theirs, chance = self._of_stable_alone(at) if complete else ({}, 0.0)
            alone = ValueWhole(chance=round(chance * ONE), residuals=_counts(theirs))
            return ValueSince(0, 0, above, below), alone
        first = self.scores[at]
        if first is None:
            first = ranks.score(canary, self.bins[at], self.yardsticks.tolerated[at])
            self.scores[at] = first
        since = ValueSince(round(first.total * ONE), round(first.variance * ONE), above, below)
        if not complete:
            return since, ValueWhole()
        moved = [ranks.score(canary, self.bins[at], margin) for margin in MARGINS]
        margins = tuple(round(n * ONE) for one in moved for n in (one.total, one.variance))
        theirs, chance = ranks.residuals(stable, first)
        ours = ranks.of_canary(self.ours[at], first, self.yardsticks.tolerated[at])
        return since, ValueWhole(margins, round(chance * ONE), _counts(theirs), _counts(ours))

    def _of_stable_alone(self, at: int) -> tuple[dict[int, float], float]:
        """How unlike stable's users are where no task of the canary is beside theirs: these are among their tasks, too."""
        stable = self.stable[at]
        if not stable:
            return {}, 0.0
        return ranks.residuals(stable, ranks.score({}, self.bins[at], 0))

    def by_bucket(self, at: int) -> tuple[Mapping[int, float], Mapping[int, float]]:
        """Of one kind of values the canary's centred ranks so far, and stable's less their mean."""
        first = self.scores[at]
        if first is None:  # one side has none
            return {}, self._of_stable_alone(at)[0]
        ours = ranks.of_canary(self.ours[at], first, self.yardsticks.tolerated[at])
        return ours, ranks.residuals(self.stable[at], first)[0]


def _counts(by_bucket: Mapping[int, float]) -> tuple[int, ...]:
    return tuple([round(by_bucket.get(bucket, 0.0) * ONE) for bucket in range(BUCKETS)])
