"""The comparison as a decision sees it: what was declared, what the sums prove of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from penstock.analysis.comparison import judge, proof, users
from penstock.analysis.comparison.compared import Compared
from penstock.analysis.comparison.judge import Bounds, Strength, Strengths
from penstock.analysis.comparison.proof import Outlook, Unproven
from penstock.analysis.comparison.spread import Spread
from penstock.analysis.comparison.sums import LATEST, RATIOS, VALUES
from penstock.analysis.metrics import COST, ERROR_RATE, ESCALATION_RATE, LATENCY, Metric
from penstock.api.analysis import Analysis, Reason
from penstock.api.comparison import Comparison, ComparisonStatus, StableUsers
from penstock.rollout import path
from penstock.rollout.facts import Facts
from penstock.rollout.judged import compares

#: The check's name in status of each metric, and why it rejects.
_TO_STABLE: Final = "ToStable"
REASONS: Final = dict(
    zip(
        (*RATIOS, *VALUES),
        (Reason.ERROR_RATE, Reason.ESCALATION_RATE, Reason.LATENCY, Reason.COST),
        strict=True,
    )
)
#: A retry begins with half the chance of a false rollback of the attempt before, down to this part.
SMALLEST_PART: Final = 1 / 1024
#: The metric of each guardrail, by what it is called here.
_OF_GUARDED: Final = dict(zip((ERROR_RATE, ESCALATION_RATE, LATENCY, COST), REASONS, strict=True))


@dataclass(frozen=True)
class Comparing:
    """The arms beside each other, and what is too much of a difference; ``final``: the how many-th proof before promotion it would be."""

    seen: Compared
    bounds: Bounds
    declared: Comparison
    final: int = 1

    @property
    def strengths(self) -> Strengths:
        """What speaks against the canary; of the same numbers it is asked once."""
        known = self.seen.known
        if self.bounds not in known:
            known[self.bounds] = judge.strengths(self.seen, self.bounds)
        found: Strengths = known[self.bounds]
        return found

    def unproven(self, *, last_raise: bool) -> tuple[Unproven, ...]:
        """The limits that are not proven to be kept: of all tasks, or before promotion of those since the last raise."""
        return proof.unproven(self.seen, self.bounds, final=self.final if last_raise else 0)

    def outlook(self, percent: int) -> Outlook:
        """Whether a share is harmless."""
        may = self.declared.next_step_may_add
        may_add = (may.errors_per_1000 / 1000, may.escalations_per_1000 / 1000)
        raises = sum(began > 0 for began in self.seen.since[1:LATEST])
        return proof.outlook(self.seen, self.bounds, may_add, percent / 100, raises)


def comparing(facts: Facts) -> Comparing | None:
    """The comparison of a canary that is under way.

    None where none is declared, where nothing was measured, or where there is no stable revision.
    """
    return measuring(facts) if facts.stable else None


def measuring(facts: Facts) -> Comparing | None:
    """The same also without a stable revision: what is known of the canary's own tasks."""
    analysis = facts.situation.spec.analysis
    observed = facts.observation
    if analysis.comparison is None or observed is None or not path.under_way(facts.status):
        return None
    kept = facts.status.analysis.comparison
    if observed.compared is None or kept is None:
        return None
    seen = _of_slots(observed.compared, kept.since)
    bounds = _bounds(analysis, analysis.comparison, kept, facts)
    return Comparing(seen, bounds, analysis.comparison, max(kept.final_proofs or 0, 1))


def _of_slots(seen: Compared, since: Sequence[int]) -> Compared:
    asked = tuple(since)
    if asked not in seen.known:
        seen.known[asked] = seen.of_slots(since)
    found: Compared = seen.known[asked]
    return found


def _bounds(
    analysis: Analysis, declared: Comparison, kept: ComparisonStatus, facts: Facts
) -> Bounds:
    limits, ignored = analysis.guardrails, declared.ignore_below
    part = max(0.5 ** (max(facts.status.attempt, 1) - 1), SMALLEST_PART)
    silent = {name.value.removesuffix(_TO_STABLE) for name in analysis.dry_run}
    return Bounds(
        (limits.error_rate_percent / 100, limits.escalation_rate_percent / 100),
        (ignored.errors_per_1000 / 1000, ignored.escalations_per_1000 / 1000),
        declared.false_rollback_percent / 100,
        (True, bool(facts.situation.expected_micro_usd)),
        frozenset(silent & {*RATIOS, *VALUES}),
        _users(facts.status.stable_users),
        part,
        kept.restarts or 0,
    )


@lru_cache(maxsize=256)
def _users(kept: StableUsers | None) -> tuple[Spread, Spread] | None:
    return users.priors(kept)


def windows_only_suspend(facts: Facts) -> bool:
    """Whether guardrails take users off and condemn nobody: the comparison does, within its bound."""
    return compares(facts.situation.spec.analysis, facts.status)


def metric_name(guarded: Metric) -> str:
    """What the metric of a guardrail is called in the comparison."""
    return _OF_GUARDED[guarded]


def check_name(metric: str) -> str:
    """What a metric of the comparison is called in status."""
    return metric + _TO_STABLE


def to_blame(strengths: Strengths) -> Strength:
    """The metric that condemned: the strongest, by the part of the evidence that was enough."""
    if strengths.worse >= strengths.needed[0]:
        return strengths.strongest
    heard = [one for one in strengths.metrics if one.name not in strengths.bounds.silent]
    return max(heard, key=lambda one: one.attributed)
