"""The comparison of the canary with stable: what people declare, and what a restart goes on from."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from penstock.api.fields import Block


class NextStepMayAdd(Block):
    """Harm of the next share that must be ruled out before it is taken, over the tasks of all users."""

    errors_per_1000: Annotated[
        int, Field(ge=1, le=1000, description="Failed tasks more per 1,000 tasks.")
    ] = 20
    escalations_per_1000: Annotated[
        int, Field(ge=1, le=1000, description="Unplanned escalations more per 1,000 tasks.")
    ] = 40


class IgnoreBelow(Block):
    """Differences that are too small to matter: however sure they are, they roll nothing back."""

    errors_per_1000: Annotated[
        int, Field(ge=0, le=1000, description="Failed tasks more per 1,000 of the canary's.")
    ] = 5
    escalations_per_1000: Annotated[
        int, Field(ge=0, le=1000, description="Escalations more per 1,000 of the canary's.")
    ] = 20


class Comparison(Block):
    """Canary against stable among the tasks of the same minutes, looked at as often as one likes."""

    false_rollback_percent: Annotated[
        int,
        Field(
            ge=1,
            le=20,
            description="Chance, in percent, that a canary that is as good as stable and keeps its limits "
            "is ever rolled back by this comparison: over the whole rollout, all metrics, all looks. Proven for "
            "users who are alike; with few or unlike ones simulation measures it.",
        ),
    ] = 2
    next_step_may_add: Annotated[
        NextStepMayAdd, Field(description="Harm that must be ruled out before a step is left.")
    ] = NextStepMayAdd()
    ignore_below: Annotated[IgnoreBelow, Field(description="Differences that never roll back.")] = (
        IgnoreBelow()
    )
    latency_tolerance_percent: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            description="How much slower the canary may be, in steps of 10 %, rounded up.",
        ),
    ] = 10
    cost_tolerance_percent: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            description="How much dearer it may be at list prices, in steps of 10 %, rounded up.",
        ),
    ] = 10


class OnRegression(StrEnum):
    """What follows when the comparison proves the canary worse."""

    ROLLBACK = "Rollback"
    PAUSE = "Pause"


class OnNoEvidence(StrEnum):
    """What follows when a step's longest wait is over and the next share is not proven harmless."""

    ADVANCE = "Advance"
    HOLD = "Hold"


class CheckName(StrEnum):
    """A check as status.analysis.checks names it: guardrails, then those of the comparison."""

    ERROR_RATE = "errorRate"
    LATENCY_MEAN = "latencyMean"
    ESCALATION_RATE = "escalationRate"
    COST_MEAN = "costMean"
    ERROR_RATE_TO_STABLE = "errorRateToStable"
    ESCALATION_RATE_TO_STABLE = "escalationRateToStable"
    LATENCY_TO_STABLE = "latencyToStable"
    COST_TO_STABLE = "costToStable"


class UserSpread(Block):
    """How unlike users are: the variance of their rates relative to the mean, and how well that is known."""

    variance_millionths: Annotated[int, Field(description="The variance, in millionths.")] = 0
    information_thousandths: Annotated[
        int, Field(ge=0, description="1 / the variance of that estimate, in thousandths.")
    ] = 0
    events: Annotated[int, Field(ge=0, description="Events from which it is known.")] = 0


class StableUsers(Block):
    """Stable's tasks by bucket of users while nothing is tried: what a canary's few users are judged by."""

    salt: Annotated[str, Field(max_length=64, description="Of the buckets.")] = ""
    since_ms: Annotated[
        int, Field(ge=0, description="Counted since this moment (ms since 1970), a day at most.")
    ] = 0
    through_ms: Annotated[
        int, Field(ge=0, description="Tasks that ended up to this moment are counted.")
    ] = 0
    sums: Annotated[
        str, Field(max_length=2_500, description="The counts, compressed. For programs only.")
    ] = ""
    known: Annotated[
        tuple[UserSpread, ...],
        Field(max_length=2, description="Of the stretch before: errors, escalations."),
    ] = ()


KnownUsers = Annotated[
    StableUsers | None,
    Field(description="How unlike stable's users are, where the comparison is declared."),
]


class ComparisonStatus(Block):
    """The sums of the comparison: a restart goes on from them, and counts nothing twice."""

    since: Annotated[
        tuple[Annotated[int, Field(ge=0)], ...],
        Field(
            max_length=8,
            description="Route versions since which evidence is weighed: of the start, of the first, second and third "
            "raise, and of the last return or later raise; 0 for one that was not yet.",
        ),
    ] = ()
    restarts: Annotated[
        int | None,
        Field(
            ge=0,
            description="How often evidence since the last return or later raise was begun: all of these have "
            "its weight once. None: written by a version that did not count.",
        ),
    ] = None
    final_proofs: Annotated[
        int | None,
        Field(
            ge=0,
            description="How often the proof before promotion was begun, from no task: all of these have "
            "its chance once. None: written by a version that did not count.",
        ),
    ] = None
    through_ms: Annotated[
        int,
        Field(
            ge=0,
            description="Tasks routed before this moment (ms since 1970) are in the sums.",
        ),
    ] = 0
    sums: Annotated[
        str, Field(max_length=12_000, description="The sums, compressed. For programs only.")
    ] = ""
