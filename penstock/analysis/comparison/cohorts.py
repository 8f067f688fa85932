"""Cohorts of tasks that were routed in the same minute, to sessions of the same route version.

Arms are only ever compared inside of a cohort: whatever the hour, the vendor or the share does, it does
to both. What is in a cohort changes until its last task has ended; from then on, oldest first,
it is *settled*: added to the sums that status keeps, and forgotten. The sums at any moment are
the settled ones and those of the cohorts that are not; a restart begins with the settled ones and reads the rest again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from penstock.analysis.comparison.cohort import Cohort, Part
from penstock.analysis.comparison.compared import Compared, since_anew, slots
from penstock.analysis.comparison.sums import (
    NONE,
    RATIOS,
    SLOTS,
    Evidence,
    Whole,
    decode,
    moved,
    plus,
)
from penstock.analysis.comparison.yardsticks import Yardsticks
from penstock.api.comparison import ComparisonStatus
from penstock.traffic import Arm

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
        self._total = self._with(self._total, key, part, before)
        self._counted[key] = part

    def _with(self, evidence: Evidence, key: Key, part: Part, before: Part | None = None) -> Evidence:  # fmt: skip
        """The sums with what a cohort adds to them, in place of what it did before."""
        kept = evidence.since
        inside = [slot for slot in range(SLOTS) if self._is_in(key, slot)]
        if before is None:
            added, whole = (plus(kept[s], part[0]) for s in inside), plus(evidence.whole, part[1])
        else:
            added = (moved(kept[s], before[0], part[0]) for s in inside)
            whole = moved(evidence.whole, before[1], part[1])
        changed = dict(zip(inside, added, strict=True))
        return Evidence(tuple([changed.get(s, old) for s, old in enumerate(kept)]), whole)

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
            tuple(cohort for cohort in self._live.values() if cohort.open_tasks),
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
