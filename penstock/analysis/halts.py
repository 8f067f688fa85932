"""The times in which the kill switch was on: the clocks of tasks stand still in them."""

from collections.abc import Iterable
from dataclasses import dataclass

from penstock.api import condition
from penstock.api.interruptions import Halt


@dataclass(frozen=True)
class Halts:
    """Spans (begin, end) in ms, in order and apart; an end of None: it lasts."""

    spans: tuple[tuple[int, int | None], ...] = ()

    @classmethod
    def of(cls, halts: Iterable[Halt]) -> "Halts":
        """Those that status keeps."""
        return cls(
            tuple((_ms(halt.since), _ms(halt.until) if halt.until else None) for halt in halts)
        )

    def running_ms(self, begin_ms: int, end_ms: int) -> int:
        """How long the clocks ran between two moments."""
        if not self.spans:
            return end_ms - begin_ms
        halted = sum(
            max(min(end_ms, end_ms if until is None else until) - max(begin_ms, since), 0)
            for since, until in self.spans
        )
        return end_ms - begin_ms - halted

    def later(self, begin_ms: int, running_ms: int) -> int | None:
        """When the clocks have run for so long since a moment; None: not while this halt lasts."""
        end_ms = begin_ms + running_ms
        for since, until in self.spans:
            if since >= end_ms:
                break
            if until is None:
                return None
            end_ms += max(until - max(begin_ms, since), 0)
        return end_ms

    def earlier(self, end_ms: int, running_ms: int) -> int:
        """Since when the clocks have run for so long, up to a moment."""
        begin_ms = end_ms - running_ms
        for since, until in reversed(self.spans):
            last = end_ms if until is None else min(until, end_ms)
            if last > begin_ms:
                begin_ms -= max(last - since, 0)
        return begin_ms


def _ms(moment: str) -> int:
    return int(condition.moment(moment).timestamp() * 1000)
