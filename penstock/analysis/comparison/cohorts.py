"""Cohorts of tasks that were routed in the same minute, to sessions of the same route version.

Arms are only ever compared inside of a cohort: whatever the hour, the vendor or the share does, it does
to both. What is in a cohort changes until its last task has ended; from then on, oldest first,
it is *settled*: added to the sums that status keeps, and forgotten. The sums at any moment are
the settled ones and those of the cohorts that are not; a restart begins with the settled ones and reads the rest again.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from penstock.analysis.comparison import ranks
from penstock.analysis.comparison.evalues import EXCESS, STAKES_ABOVE, STAKES_BELOW, log_bets
from penstock.analysis.comparison.ranks import Bins, bin_of
from penstock.analysis.comparison.sums import (
    MARGINS,
    NONE,
    ONE,
    RATIOS,
    SLOTS,
    VALUES,
    Evidence,
    RatioSince,
    RatioWhole,
    Since,
    ValueSince,
    ValueWhole,
    Whole,
    decode,
    minus,
    plus,
)
from penstock.analysis.comparison.yardsticks import SIZES, Yardsticks
from penstock.analysis.metrics import Tally
from penstock.api.comparison import ComparisonStatus
from penstock.traffic import BUCKETS, Arm

COHORT_MS: Final = 60_000
#: A cohort is mature so long after its end, once at most this part of stable's tasks in it are open.
MATURE_MS: Final = 60_000
STILL_OPEN: Final = 0.05
#: The second clock of late events: so long after routing they have had their time.
LATE_MS: Final = 600_000


class Key(NamedTuple):
    """When its tasks were routed, in COHORT_MS, and under which route version their sessions began."""

    minute: int
    begin_version: int


#: What a cohort adds to each slot that it is in, and to the whole.
Part = tuple[Since, Whole]


def _arms() -> dict[Arm, list[int]]:
    return {arm: [0] * BUCKETS for arm in Arm}


@dataclass(slots=True)
class Cohort:
    """What is known of a cohort so far. Each list has a number for each bucket.

    ``routed`` and ``happened`` are the sums of ``tasks`` and ``events``. Of values there are counts: of the canary by bin, of
    stable by bin (``bins``), and by bucket and bin. ``made`` and ``scores`` are what was worked out of these, until they change.
    """

    yardsticks: Yardsticks
    tasks: dict[Arm, list[int]] = field(default_factory=_arms)
    events: tuple[dict[Arm, list[int]], ...] = field(
        default_factory=lambda: tuple(_arms() for _ in RATIOS)
    )
    canary: tuple[Bins, ...] = field(default_factory=lambda: tuple({} for _ in VALUES))
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
        self.scores[at] = None
        if arm is Arm.STABLE:
            known, bins = self.stable[at], self.bins[at]
            known[bucket, place] = known.get((bucket, place), 0) + 1
            bins[place] = bins.get(place, 0) + 1
            return
        self.canary[at][place] = self.canary[at].get(place, 0) + 1
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
            ours, theirs = self.routed[Arm.CANARY], self.routed[Arm.STABLE]
            ratios = [self._ratio(at, ours, theirs) for at in range(len(RATIOS))]
            values = [self._values(at) for at in range(len(VALUES))]
            since = Since((ratios[0][0], ratios[1][0]), (values[0][0], values[1][0]))
            parts = (ratios[0][1], ratios[1][1]), (values[0][1], values[1][1])
            self.made = since, Whole(tuple(canary), tuple(stable), *parts)
        return self.made

    def _ratio(self, at: int, ours: int, theirs: int) -> tuple[RatioSince, RatioWhole]:
        canary, stable = (self.events[at][arm] for arm in (Arm.CANARY, Arm.STABLE))
        mine, others = (self.happened[at][arm] for arm in (Arm.CANARY, Arm.STABLE))
        since, whole = (
            RatioSince(ours, mine),
            RatioWhole(canary=tuple(canary), stable=tuple(stable)),
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

    def _values(self, at: int) -> tuple[ValueSince, ValueWhole]:
        """Values of the cohort; what only says how unlike users are, and what is ruled out, once it is complete."""
        above, below = tuple(self.above[at]), tuple(self.below[at])
        canary, stable = self.canary[at], self.stable[at]
        if not canary or not stable:
            return ValueSince(0, 0, above, below), ValueWhole()
        first = self.scores[at]
        if first is None:
            first = ranks.score(canary, self.bins[at], self.yardsticks.tolerated[at])
            self.scores[at] = first
        since = ValueSince(round(first.total * ONE), round(first.variance * ONE), above, below)
        if self.open_tasks:
            return since, ValueWhole()
        moved = [ranks.score(canary, self.bins[at], margin) for margin in MARGINS]
        margins = tuple(round(n * ONE) for one in moved for n in (one.total, one.variance))
        by_bucket, chance = ranks.residuals(stable, first)
        residuals = [0] * BUCKETS
        for bucket, residual in by_bucket.items():
            residuals[bucket] = round(residual * ONE)
        return since, ValueWhole(margins, round(chance * ONE), tuple(residuals))


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


@dataclass
class Cohorts:
    """The cohorts of one canary that are not settled, and the sums of those that are.

    ``since``: the route version with which each slot began; 0 for one that has not. The first slot
    has all.
    """

    yardsticks: Yardsticks
    settled: Evidence = NONE
    #: Tasks that were routed before are in the settled sums.
    through_ms: int = 0
    since: tuple[int, ...] = (0,) * SLOTS
    _live: dict[Key, Cohort] = field(default_factory=dict)
    _counted: dict[Key, Part] = field(default_factory=dict)  # of what is in the total
    _total: Evidence = NONE
    _seen: Compared = field(default_factory=Compared)

    def __post_init__(self) -> None:
        self._total = self.settled

    @classmethod
    def resume(cls, yardsticks: Yardsticks, kept: ComparisonStatus | None) -> "Cohorts":
        """Cohorts that go on from the sums in status; rows from ``through_ms`` on are to be counted."""
        if kept is None:
            return cls(yardsticks)
        return cls(yardsticks, decode(kept.sums), kept.through_ms, slots(kept.since))

    def begin(self, since: Sequence[int]) -> None:
        """The slots as they are now; one that began anew has nothing of before."""
        known = slots(since)
        if known != self.since:
            self.settled = self._total = since_anew(self.settled, self.since, known)
            self._counted.clear()
            self.since = known

    def find(self, routed_ms: int, begin_version: int) -> Cohort | None:
        """The cohort of a task; None where that is settled."""
        if routed_ms < self.through_ms:
            return None
        key = Key(routed_ms // COHORT_MS, begin_version)
        found = self._live.get(key)
        if found is None:
            found = self._live[key] = Cohort(self.yardsticks)
        return found

    def settle(self, now_ms: int) -> None:
        """Add up the oldest cohorts, as far as all of their tasks have ended."""
        while self._live:
            minute = min(key.minute for key in self._live)
            together = [key for key in self._live if key.minute == minute]
            end_ms = (minute + 1) * COHORT_MS
            if end_ms > now_ms or any(self._live[key].open_tasks for key in together):
                return
            for key in together:
                self._count_in(key, self._live.pop(key))
                self.settled = self._with(self.settled, key, self._counted.pop(key))
            self.through_ms = end_ms

    def _count_in(self, key: Key, cohort: Cohort) -> None:
        """Bring the total up to what is in a cohort now."""
        part, before = cohort.sums(), self._counted.get(key)
        if part is before:
            return
        news = part if before is None else (minus(part[0], before[0]), minus(part[1], before[1]))
        self._total = self._with(self._total, key, news)
        self._counted[key] = part

    def _with(self, evidence: Evidence, key: Key, part: Part) -> Evidence:
        """The sums with what a cohort adds to them."""
        since, whole = part
        slots = tuple(
            plus(old, since) if self._is_in(key, slot) else old
            for slot, old in enumerate(evidence.since)
        )
        return Evidence(slots, plus(evidence.whole, whole))

    def _is_in(self, key: Key, slot: int) -> bool:
        began = self.since[slot]
        return slot == 0 or 0 < began <= key.begin_version

    def observe(self, now_ms: int) -> Compared:
        """The sums at a moment, not before the last row that was counted."""
        self.settle(now_ms)
        for key, cohort in self._live.items():
            self._count_in(key, cohort)
        over = [(k, c) for k, c in self._live.items() if (k.minute + 1) * COHORT_MS <= now_ms]
        late = [(k, c) for k, c in over if (k.minute + 1) * COHORT_MS + LATE_MS <= now_ms]
        mature = [(k, c) for k, c in over if _is_mature(k, c, now_ms)]
        seen = Compared(
            self._total,
            self._counts(late, as_events=False),
            self._counts(mature, as_events=True),
            self.settled,
            self.through_ms,
            self.since,
            self._unended([c for k, c in over if _is_old(k, now_ms)]),
        )
        if seen != self._seen:
            self._seen = seen
        return self._seen

    def _unended(self, old: Sequence[Cohort]) -> tuple[tuple[int, int, int, int], ...]:
        """Events and tasks of both arms in settled cohorts and in some others, what is open counted as an event in both."""
        found = []
        for at, settled in enumerate(_of_arms(self.settled.whole)):
            counts = list(settled)
            for cohort in old:
                for place, arm in ((0, Arm.CANARY), (2, Arm.STABLE)):
                    counts[place] += cohort.happened[at][arm] + cohort.open[arm]
                    counts[place + 1] += cohort.routed[arm]
            found.append((counts[0], counts[1], counts[2], counts[3]))
        return tuple(found)

    def _counts(self, old: Sequence[tuple[Key, Cohort]], *, as_events: bool) -> tuple[tuple[tuple[int, int], ...], ...]:  # fmt: skip
        """Events and tasks of the canary in settled cohorts and in some others, for each of RATIOS and each slot."""
        inside = [[c for k, c in old if self._is_in(k, slot)] for slot in range(SLOTS)]
        return tuple(
            tuple(self._count(at, slot, inside[slot], as_events=as_events) for slot in range(SLOTS))
            for at in range(len(RATIOS))
        )

    def _count(self, at: int, slot: int, old: Sequence[Cohort], *, as_events: bool) -> tuple[int, int]:  # fmt: skip
        settled = self.settled.since[slot].ratios[at]
        events, tasks = settled.events, settled.tasks
        for cohort in old:
            events += cohort.happened[at][Arm.CANARY] + as_events * cohort.open[Arm.CANARY]
            tasks += cohort.routed[Arm.CANARY]
        return min(events, tasks), tasks


def _of_arms(whole: Whole) -> tuple[tuple[int, int, int, int], ...]:
    """For each of RATIOS events and tasks of the canary, and those of stable."""
    ours, theirs = sum(whole.canary), sum(whole.stable)
    return tuple((sum(one.canary), ours, sum(one.stable), theirs) for one in whole.ratios)


def _is_mature(key: Key, cohort: Cohort, now_ms: int) -> bool:
    """Whether tasks like stable's have had their time: what of the canary's is open then tells against it."""
    stable = cohort.routed[Arm.STABLE]
    if not stable:
        return (key.minute + 1) * COHORT_MS + LATE_MS <= now_ms
    return _is_old(key, now_ms) and cohort.open[Arm.STABLE] <= STILL_OPEN * stable


def _is_old(key: Key, now_ms: int) -> bool:
    return (key.minute + 1) * COHORT_MS + MATURE_MS <= now_ms
