"""Growing tallies by the time at which tasks were routed, in ticks of one width."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from penstock.analysis.evidence import TICK_MS, Stratum
from penstock.analysis.metrics import NOTHING, Tally
from penstock.traffic import Arm


class Place(NamedTuple):
    """A cell: its first tick, in units of TICK_MS, the route version, and the arm."""

    tick: int
    begin_version: int
    arm: Arm


class Cells:
    """A tally per cell of one width; what changed since the last look is summed anew, no more."""

    def __init__(self, width: int) -> None:
        """Cells of so many ticks."""
        self.width = width
        self._tallies: OrderedDict[Place, Tally] = OrderedDict()  # oldest tick first
        self._strata: OrderedDict[tuple[int, int], Stratum] = OrderedDict()
        self._changed: set[Place] = set()

    def __len__(self) -> int:
        return len(self._tallies)

    def place(self, at_ms: int, begin_version: int, arm: Arm) -> Place:
        """The cell of a moment."""
        tick = at_ms // TICK_MS
        return Place(tick - tick % self.width, begin_version, arm)

    def add(self, place: Place, tally: Tally) -> None:
        """Count in a cell; one that was forgotten begins anew, and is forgotten again."""
        self._changed.add(place)
        self._tallies[place] = self._tallies.get(place, NOTHING) + tally

    def credit(self, place: Place, tally: Tally) -> None:
        """Count in a cell as long as it is kept."""
        if place in self._tallies:
            self.add(place, tally)

    def forget(self, before_ms: int) -> None:
        """Drop the cells that begin before a moment's own."""
        oldest = before_ms // TICK_MS
        oldest -= oldest % self.width
        while self._tallies and (place := next(iter(self._tallies))).tick < oldest:
            del self._tallies[place]
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
            arm: found
            for arm in Arm
            if (found := self._tallies.get(Place(tick, begin_version, arm))) and found.tasks
        }
        at = (tick, begin_version)
        if not arms:
            self._strata.pop(at, None)
            return
        late = at not in self._strata and bool(self._strata) and at < next(reversed(self._strata))
        self._strata[at] = Stratum(tick, begin_version, arms)
        if late:
            self._strata = OrderedDict(sorted(self._strata.items()))


def between(coarse: Cells, oldest_ms: int, begun_ms: int, fine: Iterable[Stratum]) -> list[Stratum]:
    """Strata from one moment on up to another one, which the last of them is cut at."""
    width_ms, fine = coarse.width * TICK_MS, list(fine)
    return [
        s if s.tick * TICK_MS + width_ms <= begun_ms else cut(s, coarse.width, fine, begun_ms)
        for s in coarse.strata()
        if oldest_ms <= s.tick * TICK_MS < begun_ms
    ]


def cut(stratum: Stratum, ticks: int, fine: Iterable[Stratum], begun_ms: int) -> Stratum:
    """The part of a stratum of so many ticks that is before a moment, which fine ones are cut at."""
    end = stratum.tick + ticks
    arms = dict(stratum.arms)
    for inside in fine:
        same = inside.begin_version == stratum.begin_version
        if same and begun_ms <= inside.tick * TICK_MS and stratum.tick <= inside.tick < end:
            for arm, tally in inside.arms.items():
                arms[arm] -= tally
    return Stratum(stratum.tick, stratum.begin_version, arms)
