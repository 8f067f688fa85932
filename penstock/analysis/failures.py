"""The last failures of a canary, by the metric that they counted for."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from penstock.analysis.metrics import METRICS, Metric
from penstock.outcomes import End
from penstock.task import OutcomeReason

#: Failures of each metric that are kept: among so many, reasons that differ are looked for.
MOST_KEPT: Final = 24


@dataclass(frozen=True)
class Failure:
    """A task that counted against the canary.

    ``routed_ms`` and ``at_ms`` are Redis time: when it was routed, and when it failed. ``reason``
    is None while it is not known: a row of layout 1 does not tell it. ``overdue``: it had not ended
    when its time was over.
    """

    task: str
    metric: Metric
    routed_ms: int
    at_ms: int
    reason: OutcomeReason | None = None
    overdue: bool = False

    @property
    def is_unexplained(self) -> bool:
        """Whether why it ended so is known elsewhere, and not here."""
        return self.reason is None and not self.overdue


class Lately:
    """The last failures as they come, ``MOST_KEPT`` of each metric."""

    def __init__(self) -> None:
        self._kept = {metric: deque[Failure](maxlen=MOST_KEPT) for metric in METRICS}

    def note(self, failure: Failure) -> None:
        """Keep a failure, in place of the oldest of its metric when there are too many."""
        self._kept[failure.metric].append(failure)

    def since(self, moment_ms: int) -> tuple[Failure, ...]:
        """Those that failed at or after a moment of Redis' clock, metric by metric, the oldest first."""
        return tuple(f for kept in self._kept.values() for f in kept if f.at_ms >= moment_ms)


def explained(failures: Iterable[Failure], ends: Mapping[str, End]) -> tuple[Failure, ...]:
    """The failures with the reasons that are known of their ends, by the task's id."""
    return tuple(
        replace(failure, reason=ends[failure.task].reason)
        if failure.is_unexplained and failure.task in ends
        else failure
        for failure in failures
    )
