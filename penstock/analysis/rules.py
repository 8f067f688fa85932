"""One limit on an arm: how it is measured against it, and how two arms are compared by it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from penstock.analysis import means, rates
from penstock.analysis.evidence import Stratum, pairs
from penstock.analysis.expected import Expected
from penstock.analysis.metrics import COST, METRICS, Kind, Metric, Sums, Tally
from penstock.api.analysis import Guardrails


class _Estimator(Protocol):
    """How sums are weighed; limits are in the units of the sums."""

    def over(self, sums: Sums, limit: float) -> bool: ...
    def suspect(self, sums: Sums, limit: float) -> bool: ...
    def over_point(self, sums: Sums, limit: float) -> bool: ...
    def failed(self, sums: Sums) -> int: ...
    def z(self, pairs: Iterable[tuple[Sums, Sums]]) -> float: ...


_ESTIMATORS: Final[Mapping[Kind, _Estimator]] = {Kind.RATE: rates, Kind.MEAN: means}


@dataclass(frozen=True)
class Rule:
    """One limit: how an arm is measured against it, and how two arms are compared.

    ``bound`` is the limit in the units of the sums; infinite while nobody knows it.
    """

    metric: Metric
    limit: int
    bound: float
    expected: Expected | None = None

    @property
    def _by(self) -> _Estimator:
        return _ESTIMATORS[self.metric.kind]

    def trials(self, arm: Tally) -> int:
        """The tasks that are measured."""
        return self.metric.sums(arm).n

    def failed(self, arm: Tally) -> int:
        """The tasks that can be to blame."""
        return self._by.failed(self.metric.sums(arm))

    def over(self, arm: Tally) -> bool:
        """Whether an arm is credibly over the limit."""
        return self._by.over(self.metric.sums(arm), self.bound)

    def suspect(self, arm: Tally) -> bool:
        """Whether an arm may well be over the limit."""
        return self._by.suspect(self.metric.sums(arm), self.bound)

    def over_point(self, arm: Tally) -> bool:
        """Whether an arm is over the limit by the letter."""
        return self._by.over_point(self.metric.sums(arm), self.bound)

    def z(self, strata: Iterable[Stratum]) -> float:
        """Standard deviations by which the canary is worse than stable inside the strata."""
        return self._by.z(pairs(strata, self.metric))

    def missing(self, arm: Tally) -> int:
        """About how many more tasks at an arm's present rates would be sure; 0: nobody knows."""
        sums = self.metric.sums(arm)
        for times in range(11, 101):
            if self._by.over(sums.times(times / 10), self.bound):
                return max(1, round(sums.n * (times / 10 - 1)))
        return 0


def rules_of(limits: Guardrails, expected: Expected | None) -> tuple[Rule, ...]:
    """The limits in force; without an expected cost none on the cost."""
    rules = [
        Rule(metric, limit, metric.bound(limit))
        for metric in METRICS
        if metric is not COST
        for limit in (metric.declared(limits),)
    ]
    if expected is not None:
        rules.append(Rule(COST, COST.declared(limits), expected.bound(limits), expected))
    return tuple(rules)
