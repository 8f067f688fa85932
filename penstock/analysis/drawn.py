"""Whether the tasks that were routed fit the share in force: which buckets of users they came from.

Users fall into buckets by chance, so a share of p % of the buckets should get p % of the tasks. Users who
make many tasks widen that: as many as the spread between the buckets of a side tells.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from penstock.traffic import BUCKETS, Arm

#: The odds against chance from which on a share does not fit.
AGAINST: Final = 10_000
#: Half a task on each side, before any came (Jeffreys).
_PRIOR: Final = 0.5


class Side(NamedTuple):
    """Tasks of one arm, and the sum of the squares of those of each bucket."""

    tasks: int = 0
    squares: int = 0


@dataclass(frozen=True)
class Drawn:
    """Tasks of sessions that began under one route version, in one span of time."""

    version: int = 0
    arms: Mapping[Arm, Side] = field(default_factory=dict)

    def arm(self, arm: Arm) -> Side:
        """One side; zeros where it had no task."""
        return self.arms.get(arm, Side())


class Draws:
    """Tasks by arm and bucket of the newest route version of a span; spans begin at fixed moments.

    A restart that reads as far back as a span is long counts the same: nothing of a span before it is known.
    """

    def __init__(self, span_ms: int) -> None:
        """Spans of so many ms."""
        self._span_ms = span_ms
        self._newest = (0, 0)  # span, and route version
        self._tasks: dict[Arm, Counter[int]] = {arm: Counter() for arm in Arm}

    def route(self, arm: Arm, bucket: int, begin_version: int, at_ms: int) -> None:
        """A task was routed, of a session that began under that version."""
        at = at_ms // self._span_ms, begin_version
        if at < self._newest:
            return
        if at > self._newest:
            self._newest = at
            self._tasks = {arm: Counter() for arm in Arm}
        self._tasks[arm][bucket] += 1

    def seen(self, now_ms: int) -> Drawn:
        """What came in the span of a moment."""
        span, version = self._newest
        if now_ms // self._span_ms != span:
            return Drawn()
        sides = {
            arm: Side(found.total(), sum(count * count for count in found.values()))
            for arm, found in self._tasks.items()
        }
        return Drawn(version, sides)


def worth(drawn: Drawn, percent: int) -> float:
    """How many tasks one user's make a single observation: the variance of buckets over their mean.

    It is taken within each side, so that a share that does not fit widens nothing; at least 1.
    """
    sides = ((drawn.arm(Arm.CANARY), percent), (drawn.arm(Arm.STABLE), BUCKETS - percent))
    within = sum(side.squares - side.tasks**2 / buckets for side, buckets in sides)
    mean = sum(side.tasks for side, _ in sides) / BUCKETS
    return max(within / (BUCKETS - len(sides)) / mean, 1.0) if mean else 1.0


def odds(drawn: Drawn, percent: int) -> float:
    """The evidence that the canary's part of the tasks is not its share: e to the ..., capped at e^700.

    The exact mixture likelihood ratio of a share (Robbins 1970; Beta(1/2, 1/2)): of tasks by single
    users it passes 1 / a with a chance of at most a, whenever it is looked at in a span (Ville's
    inequality). Of tasks that hang together it is worked out for as many as they are worth.

    Args:
        percent: the share in force, 1 to 99.
    """
    each = worth(drawn, percent)
    ours, theirs = (drawn.arm(arm).tasks / each for arm in (Arm.CANARY, Arm.STABLE))
    share = percent / BUCKETS
    fitted = _log_beta(ours + _PRIOR, theirs + _PRIOR) - _log_beta(_PRIOR, _PRIOR)
    expected = ours * math.log(share) + theirs * math.log1p(-share)
    return math.exp(min(fitted - expected, 700.0))


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
