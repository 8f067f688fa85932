"""How long after their routing tasks are known to have failed."""

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from penstock.analysis.halts import Halts
from penstock.analysis.metrics import RATES, Metric, Tally
from penstock.traffic import Arm

#: Failures of which it is kept how late they were, for each arm and metric.
MOST_DELAYS: Final = 256
#: Failures are late when half of them come later than such a part of the window.
LATE_PART: Final = 10
#: Standard errors by which the share of failures known at an age is taken for larger.
DEVIATIONS: Final = 2.0


@dataclass(frozen=True)
class Delays:
    """How late the last failures were known, in ms, ascending; ``halts``: the clocks stood still."""

    known: Mapping[tuple[Arm, Metric], tuple[int, ...]] = field(default_factory=dict)
    halts: Halts = field(default_factory=Halts)

    def of(self, arm: Arm, metric: Metric) -> tuple[int, ...]:
        """Those of one arm's failures that one metric counts."""
        return self.known.get((arm, metric), ())

    def are_late(self, metric: Metric, seconds: int) -> bool:
        """Whether the canary's failures come so late that a window misses a part of them.

        Args:
            seconds: length of the window.
        """
        known = self.of(Arm.CANARY, metric)
        return bool(known) and known[len(known) // 2] > seconds * 1000 // LATE_PART

    def longest_ms(self, arm: Arm, metric: Metric) -> int:
        """After so long every failure was known."""
        known = self.of(arm, metric)
        return known[-1] if known else 0

    def share_by(self, age_ms: int, arm: Arm, metric: Metric) -> float:
        """At most this share of the failures is known at an age; where none is, all would be.

        Two standard errors above what was seen, so that the delays of few failures do not pass
        for all that there are.
        """
        known = self.of(arm, metric)
        if not known:
            return 1.0
        share = bisect_right(known, age_ms) / len(known)
        return min(share + DEVIATIONS * math.sqrt(share * (1.0 - share) / len(known)), 1.0)


class LatestDelays:
    """The delays as they come, the last ``MOST_DELAYS`` of each arm and metric."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Arm, Metric], deque[tuple[int, int]]] = {}
        #: Those since a moment in order, that moment, and when the first of them was routed; until another one comes.
        self._sorted: dict[tuple[Arm, Metric], tuple[int, int, tuple[int, ...]]] = {}

    def note(self, arm: Arm, end: Tally, routed_ms: int, at_ms: int, halts: Halts) -> None:
        """Keep how late an end is that counts as a failure; any other is passed over."""
        for metric in RATES:
            if metric.sums(end).total:
                kept = self._kept.setdefault((arm, metric), deque(maxlen=MOST_DELAYS))
                kept.append((routed_ms, halts.running_ms(routed_ms, at_ms)))
                self._sorted.pop((arm, metric), None)

    def since(self, moment_ms: int, halts: Halts) -> Delays:
        """Those of tasks that were routed at or after a moment."""
        known = {key: self._since(key, moment_ms) for key in self._kept}
        return Delays({key: delays for key, delays in known.items() if delays}, halts)

    def _since(self, key: tuple[Arm, Metric], moment_ms: int) -> tuple[int, ...]:
        found = self._sorted.get(key)
        if found is None or not found[0] <= moment_ms <= found[1]:
            young = [(routed, delay) for routed, delay in self._kept[key] if routed >= moment_ms]
            delays = tuple(sorted([delay for _, delay in young]))
            first_ms = min([routed for routed, _ in young], default=moment_ms)
            found = self._sorted[key] = moment_ms, first_ms, delays
        return found[2]
