"""What is measured of a rollout, what is too much, and how canaries ended: in spec and in status."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from penstock.api.comparison import (
    CheckName,
    Comparison,
    ComparisonStatus,
    OnNoEvidence,
    OnRegression,
)
from penstock.api.decisions import RowsSeen
from penstock.api.external import ExternalGate, GateReport
from penstock.api.fields import Block, Formerly, MapList, Message, Money, Percent, Rule, Timestamp
from penstock.api.harm import Harm
from penstock.api.sample import MAX_SAMPLES, Sample

_COST_PERCENT: Final = 200


class GuardrailMode(StrEnum):
    """Credible: exact tail and attributable. Literal: the point estimate once minTasks are in."""

    CREDIBLE = "Credible"
    LITERAL = "Literal"


class OnStable(StrEnum):
    """What follows when stable breaks a limit while nothing is tried."""

    REPORT = "Report"
    ROLLBACK = "Rollback"
    SUSPEND = "Suspend"


class OnSharedIncident(StrEnum):
    """What follows when stable breaks a limit as well as the canary does."""

    SUSPEND = "Suspend"
    HOLD = "Hold"
    ROLLBACK = "Rollback"


class Guardrails(Block):
    """Absolute limits on the canary over a sliding window; a breach rolls it back, or takes users off it where a comparison condemns."""

    mode: Annotated[
        GuardrailMode,
        Field(description="Credible: proven and attributable. Literal: the point estimate."),
    ] = GuardrailMode.CREDIBLE
    window_seconds: Annotated[
        int,
        Field(
            ge=10,
            le=86400,
            description="Length of the sliding window in seconds. Credible mode also judges failures "
            "that came too late for it: they are credited to the task they belong to.",
        ),
    ] = 300
    min_tasks: Annotated[
        int, Field(ge=1, le=100000, description="Tasks in the window before Literal mode judges.")
    ] = 20
    error_rate_percent: Annotated[
        int, Field(ge=1, le=100, description="Most failed tasks in the window, in percent.")
    ] = 5
    latency_mean_seconds: Annotated[
        int, Field(ge=1, le=86400, description="Highest mean processing time, in seconds.")
    ] = 10
    escalation_rate_percent: Annotated[
        int, Field(ge=1, le=100, description="Most unplanned escalations, in percent.")
    ] = 20
    cost_percent_of_budget: Annotated[
        int | None,
        Field(
            ge=1,
            le=100_000,
            description="Highest mean cost of a task at list price, cached input at the price of fresh "
            "input, in percent of spec.budgets.costUSD.perTask of the Agent. Default where that is "
            "declared: 200. Where only this is declared: in percent of the mean of stable's tasks of the last day.",
        ),
    ] = None

    on_stable: Annotated[
        OnStable,
        Field(
            description="Where stable is over a limit for a whole window while no canary is tried. Report: "
            "it is told. Rollback: everybody goes back, once, to the last revision that served and was "
            "not rejected, and stable is rejected. Suspend: nothing is admitted until a person lets it."
        ),
    ] = OnStable.REPORT
    on_shared_incident: Annotated[
        OnSharedIncident,
        Field(
            description="Where stable is over a limit as the canary is. Suspend: stable serves everybody, "
            "nobody is blamed, and the canary comes back by itself. Hold: it keeps its users, and "
            "nothing is raised. Rollback: it is rejected."
        ),
    ] = OnSharedIncident.SUSPEND

    @property
    def cost_percent(self) -> int:
        """costPercentOfBudget with its default applied."""
        return self.cost_percent_of_budget or _COST_PERCENT


class Analysis(Block):
    """What is measured, and what is too much."""

    guardrails: Annotated[
        Guardrails, Field(description="Absolute limits over a sliding window.")
    ] = Guardrails()
    comparison: Annotated[
        Comparison | None,
        Field(
            description="Canary against stable in the same minutes: condemns what is proven worse, and "
            "raises what is proven harmless. An empty block has its defaults. Absent: none."
        ),
    ] = None
    external: Annotated[
        tuple[ExternalGate, ...],
        MapList("name"),
        Rule("self.all(g, has(g.min) || has(g.max))", "a gate has min, max or both"),
        Rule(
            "self.all(g, !has(g.min) || !has(g.max) || quantity(g.min).compareTo(quantity(g.max)) <= 0)",
            "min of a gate is not above its max",
        ),
        Field(
            max_length=8,
            description="Numbers of a Prometheus that must keep their bounds before a step is left. They "
            "hold, and condemn nobody; a number that is missing holds too. A person's word does not wait "
            "for them.",
        ),
    ] = ()
    on_regression: Annotated[
        OnRegression,
        Field(
            description="Where the comparison proves the canary worse. Rollback: it is rejected. Pause: it "
            "stays where it is, and a person decides, and a broken guardrail rolls back. With Rollback and "
            "mode Credible a broken guardrail takes users off, and the comparison condemns."
        ),
    ] = OnRegression.ROLLBACK
    on_no_evidence: Annotated[
        OnNoEvidence,
        Field(
            description="Where the comparison has not proven the next share harmless within maxWaitSeconds. "
            "Advance: it is taken while nothing speaks against it; more than half of the users only "
            "with proof of the limits. Hold: never without proof."
        ),
    ] = OnNoEvidence.ADVANCE
    dry_run: Annotated[
        tuple[CheckName, ...],
        Field(
            max_length=16,
            description="Checks that only report: they condemn, suspend and hold nothing.",
        ),
    ] = ()
    canary_spend_cap_usd: Annotated[
        Money | None,
        Field(
            description="Most that a canary may spend while its share is at most 50 %: reserved before "
            "each of its model calls. Then it is stopped: stable serves everybody, and it is not "
            "rejected. A higher cap, or promote, lets it go on. Absent: not bounded."
        ),
    ] = None
    harm: Annotated[
        Harm | None,
        Field(
            description="What a canary may do to the world while its share is at most 50 %, counted since it is "
            "declared. Then it is stopped: stable serves everybody, and it is not rejected. A higher "
            "limit, or promote, lets it go on. Absent: not bounded."
        ),
    ] = None
    canary_budget_percent: Annotated[
        int | None,
        Field(
            ge=1,
            le=100,
            description="Of each window of the Agent's budgets the canary may use at most so many percent, "
            "or twice its share where that is more. Absent: as much as there is.",
        ),
    ] = None


class Result(StrEnum):
    """How a canary ended."""

    REJECTED = "Rejected"
    SUPERSEDED = "Superseded"
    PROMOTED = "Promoted"


class Reason(StrEnum):
    """Why a canary was rejected, superseded or promoted."""

    ERROR_RATE = "ErrorRateRegression"
    LATENCY = "LatencyRegression"
    ESCALATION_RATE = "EscalationRateRegression"
    COST = "CostRegression"
    UNAVAILABLE = "CandidateUnavailable"
    ABORTED = "Aborted"
    DEADLINE = "DeadlineExceeded"
    NEW_REVISION = "NewRevision"
    ALL_STEPS_PASSED = "AllStepsPassed"
    REQUESTED = "Requested"
    RETURNED = "Returned"


class ArmCounts(Block):
    """What one arm did; counts add over disjoint stretches of the log."""

    tasks: Annotated[int, Field(ge=0, description="Counted tasks.")] = 0
    errors: Annotated[int, Field(ge=0, description="Of them failed.")] = 0
    escalations: Annotated[int, Field(ge=0, description="Of them escalated, unplanned.")] = 0
    timed: Annotated[int, Field(ge=0, description="Of them with a processing time.")] = 0
    latency_ms: Annotated[
        int,
        Field(ge=0, description="Sum of processing times in ms, each up to 6 x the limit."),
    ] = 0
    cost_micro_usd: Annotated[
        int,
        Field(
            ge=0,
            description="Sum of list prices, USD / 10^6, each up to 6 x the limit where a cost of tasks "
            "is declared.",
        ),
    ] = 0
    costed: Annotated[int, Field(ge=0, description="Of them with a known cost.")] = 0
    free: Annotated[
        int, Field(ge=0, description="Of those with a known cost, how many cost nothing.")
    ] = 0
    left_out: Annotated[
        int,
        Field(
            ge=0,
            description="Not among them: tasks that ended and count for nobody, such as those that "
            "callers cancelled.",
        ),
    ] = 0
    cancelled: Annotated[
        int, Field(ge=0, description="Of those left out, how many were cancelled.")
    ] = 0


class Yardstick(ArmCounts):
    """What stable did while it had enough of the users to be a measure."""

    latency_squares: Annotated[
        int, Field(ge=0, description="Sum of squared processing times, in ms^2.")
    ] = 0
    cost_squares: Annotated[
        int, Field(ge=0, description="Sum of squared list prices, in (USD / 10^6)^2.")
    ] = 0


class CheckReport(Block):
    """One check of the last analysis, ready to print."""

    name: Annotated[str, Field(max_length=32, description="errorRate, latencyMean, ...")]
    candidate: Annotated[str, Field(max_length=64, description="Measured on the canary.")]
    stable: Annotated[str, Field(max_length=64, description="Measured on stable meanwhile.")]
    limit: Annotated[str, Field(max_length=64, description="The limit.")]
    verdict: Annotated[
        str,
        Field(
            max_length=32,
            description="Passing, Breached, Shared (stable too), NoData, Suspect: over the limit on "
            "too few tasks to be sure, Unclear: over it but not clearly worse than stable, or "
            "Uncompared: over it while stable has too few tasks to compare with.",
        ),
    ]


class AnalysisStatus(Block):
    """Last numbers, and what is needed to go on counting after a restart."""

    counted_through: Annotated[
        str, Field(max_length=40, description="Outcome rows up to this id are in the counts.")
    ] = ""
    counted_at: Annotated[
        Timestamp | None,
        Field(description="When these numbers were written: at each step, else once a minute."),
    ] = None
    since_version: Annotated[
        int,
        Field(
            ge=0,
            description="Route version the canary began with; older sessions are no samples.",
        ),
    ] = 0
    step_from: Annotated[
        str,
        Field(max_length=40, description="Tasks routed after this row count in this step."),
    ] = ""
    stable: Annotated[ArmCounts, Field(description="Stable, since the canary began.")] = ArmCounts()
    canary: Annotated[
        ArmCounts, Formerly("candidate"), Field(description="The canary, since it began.")
    ] = ArmCounts()
    step_stable: Annotated[ArmCounts, Field(description="Stable, in this step.")] = ArmCounts()
    step_canary: Annotated[
        ArmCounts, Formerly("stepCandidate"), Field(description="The canary, in this step.")
    ] = ArmCounts()
    rows: Annotated[
        RowsSeen | None,
        Field(
            description="The outcome rows of the counts since the canary began, by their digest."
        ),
    ] = None
    before: Annotated[
        Yardstick | None,
        Field(
            description="Stable in the last window in which the canary had at most half of the "
            "users: the measure where stable has too few tasks now."
        ),
    ] = None
    comparison: Annotated[
        ComparisonStatus | None,
        Field(description="The sums of the comparison, where one is asked for."),
    ] = None
    external: Annotated[
        tuple[GateReport, ...],
        MapList("name"),
        Field(max_length=8, description="What the gates of spec.analysis.external say."),
    ] = ()
    checks: Annotated[
        list[CheckReport], MapList("name"), Field(max_length=16, description="The last checks.")
    ] = []


class Verdict(Block):
    """How a canary ended, with the numbers that decided it."""

    revision: Annotated[str, Field(max_length=63, description="The canary.")]
    attempt: Annotated[int, Field(ge=1, description="Which attempt of it.")] = 1
    result: Annotated[Result, Field(description="Rejected, Superseded or Promoted.")]
    reason: Annotated[Reason, Field(description="Why, in one word.")]
    message: Annotated[Message, Field(description="Why, in one sentence with its numbers.")]
    at: Annotated[Timestamp, Field(description="When it was decided.")]
    check: Annotated[
        str | None, Field(max_length=32, description="The check that fired, if one did.")
    ] = None
    percent: Annotated[Percent, Field(description="Share it had.")] = 0
    ring: Annotated[
        str | None,
        Field(max_length=32, description="The last ring that it had, where it had no share yet."),
    ] = None
    tasks: Annotated[int, Field(ge=0, description="Tasks it had been given.")] = 0
    users: Annotated[int, Field(ge=0, description="Different users it had been given.")] = 0
    samples: Annotated[
        tuple[Sample, ...],
        Field(
            max_length=MAX_SAMPLES,
            description="Of a rejection: its last tasks that failed as the check counts it, those of "
            "different reasons first.",
        ),
    ] = ()
