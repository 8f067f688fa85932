"""What a guardrail found, in words: the numbers of both sides, the limit, and what they are called."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from penstock import meanings
from penstock.analysis.expected import Expected
from penstock.analysis.guardrails import CheckVerdict, Finding
from penstock.analysis.metrics import (
    COST,
    ERROR_RATE,
    ESCALATION_RATE,
    LATENCY,
    Kind,
    Metric,
    Sums,
)
from penstock.api.analysis import Reason
from penstock.money.prices import usd
from penstock.task import TaskStatus


@dataclass(frozen=True)
class Words:
    """What a metric is called, the unit of its limit, and why it rejects.

    ``failed``: what is said of a task that counted against the canary, where nothing else is
    known of it. ``field``: of the guardrails, where the limit is declared.
    """

    title: str
    unit: str
    reason: Reason
    failed: str
    field: str


#: What is said of a task that has not ended in its time.
OVERDUE: Final = "It had not ended when its time was over."

_OF_AGE: Final = ", of tasks old enough that a failure would be known"

WORDS: Final[Mapping[Metric, Words]] = {
    ERROR_RATE: Words(
        "error rate",
        "%",
        Reason.ERROR_RATE,
        meanings.STATUSES[TaskStatus.FAILED],
        "errorRatePercent",
    ),
    LATENCY: Words(
        "mean latency",
        "s",
        Reason.LATENCY,
        "It took longer than `analysis.guardrails.latencyMeanSeconds`.",
        "latencyMeanSeconds",
    ),
    ESCALATION_RATE: Words(
        "escalation rate",
        "%",
        Reason.ESCALATION_RATE,
        meanings.STATUSES[TaskStatus.ESCALATED],
        "escalationRatePercent",
    ),
    COST: Words(
        "mean cost",
        "USD",
        Reason.COST,
        "It cost more than `analysis.guardrails.costPercentOfBudget` allows.",
        "costPercentOfBudget",
    ),
}


def title(found: Finding) -> str:
    """What was measured, for people."""
    return WORDS[found.metric].title


def reason(found: Finding) -> Reason:
    """The reason of a rejection for it."""
    return WORDS[found.metric].reason


def limit(found: Finding) -> str:
    """The limit as declared, such as "5 %"; of a cost in dollars, and of what it is a part."""
    if found.expected is not None:
        return _of_cost(found.limit, found.expected)
    return f"{found.limit} {WORDS[found.metric].unit}"


def _of_cost(percent: int, expected: Expected) -> str:
    if not expected.micro_usd:
        return f"{percent} % of stable's, unknown so far"
    most, whose = percent * expected.micro_usd // 100, "" if expected.declared else "stable's "
    return f"{usd(most)} USD ({percent} % of {whose}{usd(expected.micro_usd)})"


def of_canary(found: Finding) -> str:
    """What was measured on the canary, such as "31.0 % (13/42)"."""
    return shown(found.metric, found.canary) + ", of rings" * found.chosen


def of_stable(found: Finding) -> str:
    """What was measured on stable meanwhile."""
    return shown(found.metric, found.stable)


def line(found: Finding) -> str:
    """A phrase with the numbers of both sides, the window and the limit.

    Such as "error rate 31.0 % on the canary (13/42) and ... in the last 300 s, limit 5 %".
    """
    lately, who = "", "users of rings on the canary" if found.chosen else "the canary"
    if found.verdict is CheckVerdict.SHARED and found.lately_seconds < found.seconds:
        there = shown(found.metric, found.lately)
        lately = f", there {there} in the last {found.lately_seconds} s,"
    return (
        f"{title(found)} {_on(shown(found.metric, found.canary), who)} and "
        f"{_on(of_stable(found), 'stable')}{lately} "
        f"in the last {found.seconds} s{_OF_AGE * found.of_age}, limit {limit(found)}"
    )


def shown(metric: Metric, sums: Sums) -> str:
    """What was measured of a metric, such as "31.0 % (13/42)"."""
    if not sums.n:
        return "no task"
    if metric.kind is Kind.RATE:
        return f"{100 * sums.total / sums.n:.1f} % ({sums.total}/{sums.n})"
    value = usd(round(sums.mean)) if metric is COST else f"{sums.mean / metric.scale:.1f}"
    return f"{value} {WORDS[metric].unit} (n={sums.n})"


def _on(measured: str, who: str) -> str:
    """With "31.0 % (13/42)" of the canary: "31.0 % on the canary (13/42)"."""
    value, _, counts = measured.partition(" (")
    return f"{value} on {who} ({counts}" if counts else f"{value} on {who}"
