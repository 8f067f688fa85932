"""What a fold counts: whose rows, since when, and what is late."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from penstock import names
from penstock.analysis.comparison import ranks
from penstock.analysis.comparison.yardsticks import Yardsticks
from penstock.analysis.evidence import TICK_MS
from penstock.analysis.metrics import COST, LATENCY, RATES, WINSOR_LIMITS, Metric, Tally
from penstock.api import condition
from penstock.api.analysis import GuardrailMode
from penstock.api.rollout import AgentRolloutSpec, AgentRolloutStatus, Stage
from penstock.outcomes import Row
from penstock.traffic import Arm, RevisionLimits

_DEFAULT_LIMITS: Final = RevisionLimits(input_chars=20_000, queue_seconds=600, wall_seconds=120)

#: Strata per route version that the window has at most, and what is before it.
MOST_TICKS: Final = 240


@dataclass(frozen=True)
class Scope:
    """What is counted: whose rows, since when, over how long, and what is late.

    ``stable`` and ``canary`` are hashes; without a canary stable alone is watched.
    ``cost_limit_micro_usd``: the highest mean cost of a task; 0 where none is declared in dollars.
    ``literal``: outcomes are counted by the time of the end as well. ``began_ms``: when the canary
    began, by the log's clock; 0: nobody knows. ``compared``: by what values are measured where the
    arms are compared. ``users``: the salt of the buckets by which stable's users are counted while nothing is
    tried; None where they are not. ``costs``: what stable's tasks cost is counted, by the hour. ``chosen``: the canary's
    tasks are those of users of rings, and all of stable's are their yardstick, whenever their sessions began.
    ``rings``: beside those who are drawn, such users have the canary, and are watched by themselves. What was routed
    before ``routed_from_ms`` is no sample, by the log's clock.
    """

    stable: str
    canary: str
    since_version: int
    window_ms: int
    latency_limit_ms: int
    overdue_ms: Mapping[Arm, int]
    literal: bool = False
    began_ms: int = 0
    cost_limit_micro_usd: int = 0
    compared: Yardsticks | None = None
    users: str | None = None
    costs: bool = False
    chosen: bool = False
    rings: bool = False
    routed_from_ms: int = 0

    @property
    def of_rings(self) -> "Scope | None":
        """What is counted of users of rings beside all else; None where nobody has the canary for being of one.

        Their evidence begins with the attempt: what of their own stage ends late is judged as well.
        """
        if not self.rings:
            return None
        beside = replace(self, chosen=True, rings=False, compared=None)
        if not self.began_ms:
            return beside
        return replace(beside, since_version=0, routed_from_ms=self.began_ms)

    @property
    def fine_ticks(self) -> int:
        """Width of the window's strata, in ticks."""
        return -(-self.window_ms // (MOST_TICKS * TICK_MS))

    @property
    def coarse_ticks(self) -> int:
        """Width of the strata before the window, a multiple of the window's."""
        fine = self.fine_ticks
        return fine * -(-self._span_ms // (MOST_TICKS * TICK_MS * fine))

    @property
    def kept_ms(self) -> int:
        """How long a routed task can still change an observation."""
        return self._span_ms + self.coarse_ticks * TICK_MS

    @property
    def _span_ms(self) -> int:
        return self.window_ms + max(self.overdue_ms.values())

    def winsorised(self, latency_ms: int) -> int:
        """A latency as it is counted: one stuck task is no mean."""
        return min(latency_ms, WINSOR_LIMITS * self.latency_limit_ms)

    def winsorised_cost(self, micro_usd: int) -> int:
        """A cost as it is counted: the same, where there is a limit."""
        most = WINSOR_LIMITS * self.cost_limit_micro_usd
        return min(micro_usd, most) if most else micro_usd

    def against(self, end: Tally, worked_ms: int, cost_micro_usd: int) -> list[Metric]:
        """The metrics by which an end counts against its revision."""
        slow = [LATENCY] if worked_ms > self.latency_limit_ms else []
        dear = [COST] if cost_micro_usd > self.cost_limit_micro_usd > 0 else []
        return [metric for metric in RATES if metric.sums(end).total] + slow + dear

    def is_sample(self, row: Row) -> bool:
        """Whether the row is about a task that is compared."""
        ours = self.canary if row.arm is Arm.CANARY else self.stable
        if row.revision != ours:
            return False
        if self.chosen:
            of_side = row.is_chosen or row.arm is Arm.STABLE
            known = row.at_ms >= self.routed_from_ms and row.route_version >= self.since_version
            return of_side and known
        return row.begin_version >= self.since_version and not row.is_chosen

    def begin_version(self, row: Row) -> int:
        """The stratum of a task: the arms are only ever compared inside one."""
        return 0 if self.chosen else row.begin_version


def scope_of(
    spec: AgentRolloutSpec,
    status: AgentRolloutStatus,
    limits: Mapping[str, RevisionLimits],
    expected_micro_usd: int | None = None,
) -> Scope:
    """What must be counted for a rollout as it is decided now.

    Args:
        limits: of the revisions, by name.
        expected_micro_usd: what a task is declared to cost; None where that is not declared.
    """
    guardrails = spec.analysis.guardrails
    cost_limit = guardrails.cost_percent * (expected_micro_usd or 0) // 100
    canary = "" if status.stage is Stage.DONE else status.canary_revision or ""
    chosen = bool(canary) and status.stage is Stage.RINGS
    revisions = {Arm.STABLE: status.stable_revision or "", Arm.CANARY: canary}
    overdue = {
        arm: limits.get(revision, _DEFAULT_LIMITS).overdue_seconds * 1000
        for arm, revision in revisions.items()
    }
    return Scope(
        stable=names.hash_of(revisions[Arm.STABLE]),
        canary=names.hash_of(canary),
        since_version=status.analysis.since_version if canary else 0,
        window_ms=guardrails.window_seconds * 1000,
        latency_limit_ms=guardrails.latency_mean_seconds * 1000,
        overdue_ms=overdue,
        literal=guardrails.mode is GuardrailMode.LITERAL,
        began_ms=_milliseconds(status.canary_since) if canary else 0,
        cost_limit_micro_usd=cost_limit,
        compared=_yardsticks(spec, cost_limit) if canary and not chosen else None,
        users=status.salt if spec.analysis.comparison is not None and not canary else None,
        costs=guardrails.cost_percent_of_budget is not None and not expected_micro_usd,
        chosen=chosen,
        rings=bool(canary and status.rings) and not chosen,
    )


def _yardsticks(spec: AgentRolloutSpec, cost_limit_micro_usd: int) -> Yardsticks | None:
    declared = spec.analysis.comparison
    if declared is None:
        return None
    latency_ms = spec.analysis.guardrails.latency_mean_seconds * 1000
    slower = ranks.bins_for(declared.latency_tolerance_percent)
    dearer = ranks.bins_for(declared.cost_tolerance_percent)
    return Yardsticks((latency_ms, cost_limit_micro_usd), (slower, dearer))


def _milliseconds(moment: str | None) -> int:
    return int(condition.moment(moment).timestamp() * 1000) if moment else 0
