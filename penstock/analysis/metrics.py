"""The one list of metrics, and the sums that are kept for them: whole numbers that add.

A new metric takes an entry in METRICS and its column here, its limit and its column in
``penstock.api.analysis``, and its words in ``penstock.rollout.findings``.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from operator import add, sub
from typing import Final, NamedTuple

from penstock.api.analysis import ArmCounts, Guardrails, Yardstick
from penstock.task import Counting
from penstock.traffic import Arm

#: Latencies and costs are counted up to this many times the limit, so that one stuck task is no mean.
WINSOR_LIMITS: Final = 6


class Tally(NamedTuple):
    """What is kept of one arm: whole numbers, in memory as in status. They add over tasks.

    ``errors`` and ``escalations`` are credited to the cohort in which the task was routed;
    ``timed`` tasks have a latency, of at most WINSOR_LIMITS x the limit: ended ones, and open ones
    already older than the limit. ``costed`` tasks were worked on and have ended: their cost is known,
    at list price, of at most WINSOR_LIMITS x the limit where one is declared in dollars; ``free`` of them cost nothing. What ``tasks`` counts depends on where the tally stands, see
    Observation. ``left_out`` tasks ended and are in no other count: planned, halted, or, as
    ``cancelled`` of them were, taken back by their callers. Only totals tell of them.
    """

    tasks: int = 0
    errors: int = 0
    escalations: int = 0
    timed: int = 0
    latency_ms: int = 0
    latency_squares: int = 0
    cost_micro_usd: int = 0
    left_out: int = 0
    cancelled: int = 0
    costed: int = 0
    cost_squares: int = 0
    free: int = 0

    def __add__(self, other: "Tally") -> "Tally":  # type: ignore[override]
        return tuple.__new__(Tally, map(add, self, other))

    def __sub__(self, other: "Tally") -> "Tally":
        return tuple.__new__(Tally, map(sub, self, other))


NOTHING: Final = Tally()
_LARGEST: Final = 2**63 - 1


def total_of(tallies: Iterable[Tally]) -> Tally:
    """The sum of many tallies, column by column."""
    columns = zip(*tallies, strict=True)
    return Tally(*map(sum, columns))


def of_end(counting: Counting, latency_ms: int, cost_micro_usd: int | None = None) -> Tally:
    """What the end of one task adds where the task itself is counted.

    Args:
        latency_ms: 0 where it was never worked on.
        cost_micro_usd: at list price; None where it is not known.
    """
    cost = cost_micro_usd or 0
    return Tally(
        errors=int(counting is Counting.ERROR),
        escalations=int(counting is Counting.ESCALATION),
        timed=int(latency_ms > 0),
        latency_ms=latency_ms,
        latency_squares=latency_ms * latency_ms,
        cost_micro_usd=cost,
        costed=int(cost_micro_usd is not None),
        cost_squares=cost * cost,
        free=int(cost_micro_usd == 0),
    )


#: Columns that status keeps of a yardstick alone.
_NOT_OF_TOTALS: Final = dict.fromkeys(
    sorted(Yardstick.model_fields.keys() - ArmCounts.model_fields.keys()), 0
)


def as_total(tally: Tally) -> Tally:
    """A total: what status does not keep of it, a restart must not miss."""
    return tally._replace(**_NOT_OF_TOTALS)


def of_status(kept: ArmCounts) -> Tally:
    """What status keeps of an arm."""
    return Tally(**dict(kept))


def of_arms(stable: ArmCounts, canary: ArmCounts) -> dict[Arm, Tally]:
    """What status keeps of both."""
    return {Arm.STABLE: of_status(stable), Arm.CANARY: of_status(canary)}


def for_status(tally: Tally) -> ArmCounts:
    """A total as status keeps it."""
    return ArmCounts.model_validate(tally._asdict())


def yardstick(tally: Tally) -> Yardstick:
    """A tally as status keeps it where it is to stay a measure: no number is larger than the API takes."""
    return Yardstick.model_validate(
        {name: min(value, _LARGEST) for name, value in tally._asdict().items()}
    )


class Sums(NamedTuple):
    """One metric of one arm, as the estimators see it.

    ``n``: tasks; ``total`` and ``squares``: the sum of their values, and of the squares of these.
    The value of an event is 0 or 1.
    """

    n: int = 0
    total: int = 0
    squares: int = 0

    @property
    def mean(self) -> float:
        """The mean value; of no task 0."""
        return self.total / self.n if self.n else 0.0

    @property
    def variance(self) -> float:
        """The mean squared distance from the mean; 0 where no squares were kept."""
        if not self.n:
            return 0.0
        return max(self.n * self.squares - self.total**2, 0) / self.n**2

    def times(self, factor: float) -> "Sums":
        """So many times as much, at the same rates."""
        return Sums(*(round(value * factor) for value in self))


NO_SUMS: Final = Sums()


class Kind(StrEnum):
    """How a metric is estimated: as the share of the tasks with an event, or as a mean value."""

    RATE = "Rate"
    MEAN = "Mean"


@dataclass(frozen=True, eq=False)
class Metric:
    """What is measured of both arms.

    ``name`` is the check's name in status. ``declared`` reads its limit: in percent, or in units
    that are ``scale`` of those of the sums. ``late``: its events may come long after the task was
    routed.
    """

    name: str
    kind: Kind
    sums: Callable[[Tally], Sums]
    declared: Callable[[Guardrails], int]
    scale: int = 1
    late: bool = False

    def bound(self, declared: int) -> float:
        """A declared limit in the units of the sums."""
        return declared / 100 if self.kind is Kind.RATE else declared * self.scale


ERROR_RATE: Final = Metric(
    "errorRate",
    Kind.RATE,
    lambda arm: Sums(arm.tasks, arm.errors, arm.errors),
    lambda limits: limits.error_rate_percent,
    late=True,
)
LATENCY: Final = Metric(
    "latencyMean",
    Kind.MEAN,
    lambda arm: Sums(arm.timed, arm.latency_ms, arm.latency_squares),
    lambda limits: limits.latency_mean_seconds,
    scale=1000,  # an open task counts as slow in time, so it is not late
)
ESCALATION_RATE: Final = Metric(
    "escalationRate",
    Kind.RATE,
    lambda arm: Sums(arm.tasks, arm.escalations, arm.escalations),
    lambda limits: limits.escalation_rate_percent,
    late=True,
)

COST: Final = Metric(
    "costMean",
    Kind.MEAN,
    lambda arm: Sums(arm.costed, arm.cost_micro_usd, arm.cost_squares),
    lambda limits: limits.cost_percent,  # of what a task is expected to cost: see ``expected``
    scale=1_000_000,
    late=True,  # what a task costs is known when it ends
)


def valued(metric: Metric, arm: Tally) -> Sums:
    """The sums of the tasks that the comparison ranks by a metric: a task that cost nothing has no value there."""
    sums = metric.sums(arm)
    return sums._replace(n=sums.n - arm.free) if metric is COST else sums


#: In the order in which they are judged and shown. COST is judged where a cost is expected.
METRICS: Final = (ERROR_RATE, LATENCY, ESCALATION_RATE, COST)
RATES: Final = tuple(metric for metric in METRICS if metric.kind is Kind.RATE)
