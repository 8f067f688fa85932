"""What stable's tasks have cost in the last day: of that the limit on costs is a percentage where none is declared in dollars.

Counted by the hour in which tasks ended, whether anything is tried or not, so that a canary that has just begun is measured against
more than the few tasks of stable since then.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from penstock.analysis.metrics import Sums, Tally
from penstock.api.costs import HourOfCosts, StableCosts

HOUR_MS: Final = 3_600_000
HOURS: Final = 24


class Hour(NamedTuple):
    """Tasks whose cost is known that ended in an hour, and the sum of these, in micro-USD."""

    costed: int = 0
    micro_usd: int = 0


@dataclass(frozen=True)
class Day:
    """What was counted of one revision, by its hash; ``hours`` since 1970. Ends up to ``through_ms`` are in it."""

    stable: str
    through_ms: int = 0
    hours: Mapping[int, Hour] = field(default_factory=dict)

    def since(self, now_ms: int) -> Sums:
        """The costs of the present hour and of the 24 before it."""
        oldest = now_ms // HOUR_MS - HOURS
        known = [hour for at, hour in self.hours.items() if at >= oldest]
        return Sums(sum(hour.costed for hour in known), sum(hour.micro_usd for hour in known))


@dataclass
class Costs:
    """The day that is being counted."""

    stable: str
    through_ms: int = 0
    _hours: dict[int, Hour] = field(default_factory=dict)
    _counted_ms: int = 0  # ends up to here were counted before

    @classmethod
    def resume(cls, kept: StableCosts | None, stable: str) -> "Costs":
        """Goes on from what status keeps; of another revision it knows nothing."""
        if kept is None or kept.stable != stable:
            return cls(stable)
        hours = {one.hour: Hour(one.costed, one.cost_micro_usd) for one in kept.hours}
        return cls(stable, kept.through_ms, hours, kept.through_ms)

    def end(self, end: Tally, at_ms: int) -> None:
        """A task of stable has ended; what was counted before is passed over."""
        if at_ms <= self._counted_ms:
            return
        self.through_ms = max(self.through_ms, at_ms)
        at = at_ms // HOUR_MS
        before = self._hours.get(at, Hour())
        self._hours[at] = Hour(before.costed + end.costed, before.micro_usd + end.cost_micro_usd)
        if len(self._hours) > HOURS + 1:
            del self._hours[min(self._hours)]

    def seen(self) -> Day:
        """The day so far."""
        return Day(self.stable, self.through_ms, dict(self._hours))


def kept(day: Day) -> StableCosts:
    """A day as status keeps it, without hours that had no task."""
    hours = tuple(
        HourOfCosts(hour=at, costed=hour.costed, cost_micro_usd=hour.micro_usd)
        for at, hour in sorted(day.hours.items())
        if hour.costed
    )
    return StableCosts(stable=day.stable, through_ms=day.through_ms, hours=hours)
