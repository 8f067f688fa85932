"""The last failures of a candidate that counted, and which of them a verdict shows."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from penstock import meanings
from penstock.api.rollout import Reason
from penstock.api.sample import MAX_SAMPLES, Sample
from penstock.outcomes import End
from penstock.task import OutcomeReason, TaskStatus

#: Failures of each kind that are kept: among so many, reasons that differ are looked for.
MOST_KEPT: Final = 24


class Kind(StrEnum):
    """As what a failure counted: an error, an escalation, or as slow."""

    ERROR = "Error"
    ESCALATION = "Escalation"
    SLOW = "Slow"


@dataclass(frozen=True)
class Failure:
    """A task that counted against the candidate.

    ``routed_ms`` and ``at_ms`` are Redis time: when it was routed, and when it failed. ``reason``
    is None while it is not known: a row of layout 1 does not tell it. ``overdue``: it had not ended
    when its time was over.
    """

    task: str
    kind: Kind
    routed_ms: int
    at_ms: int
    reason: OutcomeReason | None = None
    overdue: bool = False

    @property
    def is_unexplained(self) -> bool:
        """Whether why it ended so is known elsewhere, and not here."""
        return self.reason is None and not self.overdue

    @property
    def words(self) -> str:
        """What it means, in words of this program alone: none is taken from the task."""
        if self.overdue:
            return "It had not ended when its time was over."
        if self.kind is Kind.SLOW:
            return "It took longer than `analysis.guardrails.latencyMeanSeconds`."
        if self.reason is None or self.reason is OutcomeReason.NONE:
            return meanings.STATUSES[_STATUSES[self.kind]]
        return meanings.REASONS[self.reason].means

    def sample(self) -> Sample:
        """The failure as a verdict shows it."""
        return Sample(task=self.task, reason=self.reason or "", message=self.words)


_STATUSES: Final = {Kind.ERROR: TaskStatus.FAILED, Kind.ESCALATION: TaskStatus.ESCALATED}

#: What a check has counted; every other verdict shows errors and escalations.
_COUNTED: Final[Mapping[Reason, tuple[Kind, ...]]] = {
    Reason.ERROR_RATE: (Kind.ERROR,),
    Reason.ESCALATION_RATE: (Kind.ESCALATION,),
    Reason.LATENCY: (Kind.SLOW,),
}


class Lately:
    """The last failures as they come, ``MOST_KEPT`` of each kind."""

    def __init__(self) -> None:
        self._kept = {kind: deque[Failure](maxlen=MOST_KEPT) for kind in Kind}

    def note(self, failure: Failure) -> None:
        """Keep a failure, in place of the oldest of its kind when there are too many."""
        self._kept[failure.kind].append(failure)

    def since(self, moment_ms: int) -> tuple[Failure, ...]:
        """Those that failed at or after a moment of Redis' clock, kind by kind, the oldest first."""
        return tuple(f for kept in self._kept.values() for f in kept if f.at_ms >= moment_ms)


def explained(failures: Iterable[Failure], ends: Mapping[str, End]) -> tuple[Failure, ...]:
    """The failures with the reasons that are known of their ends, by the task's id."""
    return tuple(
        replace(failure, reason=ends[failure.task].reason)
        if failure.is_unexplained and failure.task in ends
        else failure
        for failure in failures
    )


def samples(failures: Iterable[Failure], reason: Reason) -> tuple[Sample, ...]:
    """What a verdict shows of the candidate's failures: at most three, the oldest first.

    They are of the kind that the check of this reason counts. The last three are taken, but
    different reasons go before equal ones: of each reason the last, the latest reasons first; where
    there are fewer reasons than samples, the last of the rest.
    """
    kinds = _COUNTED.get(reason, (Kind.ERROR, Kind.ESCALATION))
    newest = sorted((f for f in failures if f.kind in kinds), key=lambda f: f.at_ms, reverse=True)
    first_of_reason = {_reason(failure): failure for failure in reversed(newest)}
    different = [f for f in newest if first_of_reason[_reason(f)] is f]
    others = [f for f in newest if first_of_reason[_reason(f)] is not f]
    shown = [*different, *others][:MAX_SAMPLES]
    return tuple(f.sample() for f in sorted(shown, key=lambda f: f.at_ms))


def _reason(failure: Failure) -> tuple[str, bool]:
    return failure.reason or "", failure.overdue


def told(shown: Iterable[Sample]) -> str:
    """The samples in a sentence, empty without any; what it holds is our own, and ids."""
    names = [f"{s.task} ({s.reason})" if s.reason else s.task for s in shown]
    return f"For example: {', '.join(names)}." if names else ""
