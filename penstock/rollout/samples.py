"""Which failed tasks a verdict shows, and what is said of them: words of this program alone."""

from collections.abc import Iterable

from penstock import meanings
from penstock.analysis.failures import Failure
from penstock.analysis.metrics import RATES
from penstock.api.analysis import Reason
from penstock.api.sample import MAX_SAMPLES, Sample
from penstock.rollout import findings
from penstock.task import OutcomeReason


def words(failure: Failure) -> str:
    """What a failure means; none of it is taken from the task."""
    if failure.overdue:
        return findings.OVERDUE
    if failure.metric not in RATES or failure.reason in (None, OutcomeReason.NONE):
        return findings.WORDS[failure.metric].failed
    return meanings.REASONS[failure.reason].means


def sample(failure: Failure) -> Sample:
    """The failure as a verdict shows it."""
    return Sample(task=failure.task, reason=failure.reason or "", message=words(failure))


def samples(failures: Iterable[Failure], reason: Reason) -> tuple[Sample, ...]:
    """What a verdict shows of the canary's failures: at most three, the oldest first.

    They are of the metric that the check of this reason is about, else those of all rates. The last
    three are taken, but different reasons go before equal ones: of each reason the last, the latest
    reasons first; where there are fewer reasons than samples, the last of the rest.
    """
    counted = [metric for metric, told in findings.WORDS.items() if told.reason is reason] or RATES
    newest = sorted((f for f in failures if f.metric in counted), key=_when, reverse=True)
    first_of_reason = {_reason(failure): failure for failure in reversed(newest)}
    different = [f for f in newest if first_of_reason[_reason(f)] is f]
    others = [f for f in newest if first_of_reason[_reason(f)] is not f]
    shown = [*different, *others][:MAX_SAMPLES]
    return tuple(sample(f) for f in sorted(shown, key=_when))


def _when(failure: Failure) -> int:
    return failure.at_ms


def _reason(failure: Failure) -> tuple[str, bool]:
    return failure.reason or "", failure.overdue
