"""Growing counts by the time at which tasks were routed, in ticks of one width."""

from collections import OrderedDict
from dataclasses import dataclass

from penstock.analysis.evidence import TICK_MS, Stratum, Tally
from penstock.task import Counting
from penstock.traffic import Arm


@dataclass
class Count:
    """A growing tally in whole numbers: milliseconds, and their squares."""

    tasks: int = 0
    errors: int = 0
    escalations: int = 0
    timed: int = 0
    latency_ms: int = 0
    squares: int = 0
    cost_micro_usd: int = 0
    left_out: int = 0
    cancelled: int = 0

    def event(self, counting: Counting, latency_ms: int) -> None:
        """What became of a task; 0 ms: it was never worked on."""
        self.errors += counting is Counting.ERROR
        self.escalations += counting is Counting.ESCALATION
        if latency_ms > 0:
            self.timed += 1
            self.latency_ms += latency_ms
            self.squares += latency_ms * latency_ms

    def add(self, other: "Count", sign: int = 1) -> None:
        """Add another count, or take it away."""
        self.tasks += sign * other.tasks
        self.errors += sign * other.errors
        self.escalations += sign * other.escalations
        self.timed += sign * other.timed
        self.latency_ms += sign * other.latency_ms
        self.squares += sign * other.squares
        self.cost_micro_usd += sign * other.cost_micro_usd
        self.left_out += sign * other.left_out
        self.cancelled += sign * other.cancelled

    def tally(self) -> Tally:
        """The count as an observation has it."""
        return Tally(
            self.tasks,
            self.errors,
            self.escalations,
            self.timed,
            self.latency_ms / 1000,
            self.squares / 1_000_000,
            self.cost_micro_usd,
            self.left_out,
            self.cancelled,
        )


@dataclass(frozen=True)
class Place:
    """A cell: its first tick, in units of TICK_MS, the route version, and the arm."""

    tick: int
    begin_version: int
    arm: Arm


class Cells:
    """Counts per cell of one width; what changed since the last look is summed anew, no more."""

    def __init__(self, width: int) -> None:
        """Cells of so many ticks."""
        self.width = width
        self._counts: OrderedDict[Place, Count] = OrderedDict()  # oldest tick first
        self._strata: OrderedDict[tuple[int, int], Stratum] = OrderedDict()
        self._changed: set[Place] = set()

    def __len__(self) -> int:
        return len(self._counts)

    def place(self, at_ms: int, begin_version: int, arm: Arm) -> Place:
        """The cell of a moment."""
        tick = at_ms // TICK_MS
        return Place(tick - tick % self.width, begin_version, arm)

    def count(self, place: Place) -> Count:
        """The count of a cell, to be changed; one that was forgotten counts for nothing."""
        self._changed.add(place)
        found = self._counts.get(place)
        if found is None:
            found = self._counts[place] = Count()
        return found

    def known(self, place: Place) -> Count | None:
        """The count of a cell, to be changed, as long as it is kept."""
        found = self._counts.get(place)
        if found is not None:
            self._changed.add(place)
        return found

    def forget(self, before_ms: int) -> None:
        """Drop the cells that begin before a moment's own."""
        oldest = before_ms // TICK_MS
        oldest -= oldest % self.width
        while self._counts and (place := next(iter(self._counts))).tick < oldest:
            del self._counts[place]
            self._strata.pop((place.tick, place.begin_version), None)
            self._changed.discard(place)

    def strata(self) -> list[Stratum]:
        """The cells that have tasks, by tick and route version."""
        for at in sorted({(place.tick, place.begin_version) for place in self._changed}):
            self._sum_up(*at)
        self._changed.clear()
        return list(self._strata.values())

    def _sum_up(self, tick: int, begin_version: int) -> None:
        """Put a cell's sum where it belongs: behind those before it."""
        arms = {
            arm: found.tally()
            for arm in Arm
            if (found := self._counts.get(Place(tick, begin_version, arm))) and found.tasks
        }
        at = (tick, begin_version)
        if not arms:
            self._strata.pop(at, None)
            return
        late = at not in self._strata and bool(self._strata) and at < next(reversed(self._strata))
        self._strata[at] = Stratum(tick, begin_version, arms)
        if late:
            self._strata = OrderedDict(sorted(self._strata.items()))
