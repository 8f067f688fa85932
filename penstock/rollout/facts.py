"""What follows from a situation and the status so far: the words the checks are written in."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Final, Self

from penstock import names
from penstock.analysis import guardrails
from penstock.analysis.evidence import Observation
from penstock.analysis.expected import Expected, expected
from penstock.analysis.guardrails import CheckVerdict, Finding
from penstock.analysis.metrics import NO_SUMS, NOTHING, of_status
from penstock.api import condition
from penstock.api.analysis import Result, Yardstick
from penstock.api.interruptions import Suspension
from penstock.api.reasons import WaitReason
from penstock.api.rollout import AgentRolloutStatus, Source, Stage
from penstock.api.strategy import FirstRevision, Step, Strategy
from penstock.rollout import path, requests, setpoint
from penstock.rollout.judged import Evidence, Judged, judged_by
from penstock.rollout.situation import Pods, RevisionRecord, Situation, who_is_stable
from penstock.traffic import Arm

#: How long a canary with traffic may be without a ready pod, or let its queue age.
UNAVAILABLE_SECONDS: Final = 30
QUEUE_AGE_FACTOR: Final = 5
#: How often an attempt may be taken off as unavailable before that condemns it.
UNAVAILABLE_TIMES: Final = 2
#: Largest share at which stable has enough of the users to be compared with.
COMPARABLE_PERCENT: Final = 50
#: How often a canary may be taken off for want of a comparison while stable's few tasks fail too.
MOST_UNCOMPARED: Final = 3
#: After so long without another one, an unavailability is forgotten.
QUIET_SECONDS: Final = 3600
WAITING: Final = "Waiting"


@dataclass(frozen=True)
class Facts:
    """A situation seen with the status as decided so far in this pass."""

    situation: Situation
    status: AgentRolloutStatus
    #: What was judged of the status before this one.
    known: Judged | None = field(default=None, compare=False, repr=False)

    def but(self, **update: object) -> Self:
        """The facts with fields of the status changed; the same where they are that already."""
        news = {
            name: value for name, value in update.items() if getattr(self.status, name) != value
        }
        return self.of(self.status.model_copy(update=news)) if news else self

    def of(self, status: AgentRolloutStatus) -> Self:
        """The same situation seen with another status."""
        if status is self.status:
            return self
        judged = self.judged if "judged" in vars(self) else self.known
        return type(self)(self.situation, status, judged)

    # -- who -----------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The moment of this decision."""
        return self.situation.now

    @property
    def strategy(self) -> Strategy:
        """The path as declared now."""
        return self.situation.spec.strategy

    @cached_property
    def stable(self) -> str:
        """Who serves by default: as decided here, else as the Agent and the records remember."""
        said = self.status.stable_revision or self.situation.stable
        return who_is_stable(said, self.situation.records.values())

    @cached_property
    def canary(self) -> str:
        """The revision that wants to become stable; empty when there is none.

        An Agent whose template cannot be cut at present says nothing new.
        """
        latest = self.situation.latest or self.status.canary_revision or ""
        return latest if (self.stable or self.alone) and latest != self.stable else ""

    @property
    def alone(self) -> bool:
        """Whether nobody serves yet, and who is to serve first climbs by the steps, has begun to, or was rejected."""
        climbs = self.strategy.first_revision is FirstRevision.STEPS
        tried = self.status.canary_revision or self.record(self.situation.latest).rejected_attempt
        return not self.stable and (climbs or bool(tried))

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The sides that have tasks: without a stable revision the canary alone."""
        return tuple(Arm) if self.stable else (Arm.CANARY,)

    def record(self, revision: str) -> RevisionRecord:
        """A revision's record; a blank one when it is not known yet."""
        return self.situation.records.get(revision) or RevisionRecord(revision)

    @cached_property
    def rejected(self) -> bool:
        """Whether this attempt of the canary was rejected, by its record or by the status."""
        return bool(self.canary) and self.rejected_attempt >= max(self.status.attempt, 1)

    @cached_property
    def rejected_attempt(self) -> int:
        """The last attempt of the canary that was rejected; 0 when none was."""
        told = [
            verdict.attempt
            for verdict in self.status.verdicts
            if verdict.revision == self.canary and verdict.result is Result.REJECTED
        ]
        return max([self.record(self.canary).rejected_attempt, *told])

    # -- share ---------------------------------------------------------------------------------

    @property
    def percent(self) -> int:
        """The share in force."""
        return self.status.share.percent

    @property
    def exposed(self) -> bool:
        """Whether users are given the canary: a share of them, or those of rings."""
        return self.percent > 0 or bool(self.status.chosen)

    @property
    def in_rings(self) -> bool:
        """Whether chosen users go first, and nobody else has come to the canary yet."""
        return self.status.stage is Stage.RINGS

    @property
    def place(self) -> str:
        """Who is given the canary, for people: so many percent of the users, or a ring."""
        return f"{path.RING} {self.ring}" if self.ring else f"{self.percent} %"

    @property
    def ring(self) -> str:
        """The present ring, which has the canary alone with those before it; empty without one."""
        return self.status.rings[-1].name if self.in_rings and self.status.chosen else ""

    @property
    def owned(self) -> int | None:
        """A person's setpoint for this very canary."""
        return setpoint.owned_percent(self.status.share.setpoint, self.canary)

    @property
    def ceiling(self) -> int | None:
        """A left-over setpoint: the steps must not pass it."""
        return setpoint.ceiling_percent(self.status.share.setpoint, self.canary)

    def capped(self, percent: int) -> int:
        """A share of the automatic path under the ceiling."""
        return percent if self.ceiling is None else min(percent, self.ceiling)

    @property
    def step(self) -> Step:
        """The step whose numbers hold now."""
        return path.present_step(self.strategy, self.status)

    @property
    def next_index(self) -> int | None:
        """Index of the next larger step; None when only the final hold is left."""
        return path.next_index(self.strategy, self.status)

    @property
    def started(self) -> bool:
        """Whether the canary has entered its first step."""
        return path.started(self.status)

    @property
    def in_final_hold(self) -> bool:
        """Whether the last watch before promotion has begun."""
        return self.status.stage is Stage.FINAL_HOLD

    @property
    def suspended_for(self) -> str:
        """Why the canary is taken off for a while; empty when it is not."""
        if self.status.share.source is not Source.SUSPENDED:
            return ""
        return self.suspension.reason or WaitReason.SHARED_INCIDENT

    @property
    def suspension(self) -> Suspension:
        """What is kept of the last suspension of this attempt; blank when there was none."""
        return self.status.suspension or Suspension()

    @property
    def halted(self) -> bool:
        """Whether nothing is admitted: by the Agent's kill switch, or because stable broke a limit."""
        return self.situation.agent_suspended or self.status.braked

    @property
    def blind(self) -> bool:
        """Whether nothing can be seen: no measurement, or the kill switch lets nothing in."""
        return self.halted or self.situation.observation is None

    def seconds_in_step(self) -> float:
        """How long this step (or final hold) has lasted; 0 before the first."""
        begun = self.status.step_started_at
        return (self.now - condition.moment(begun)).total_seconds() if begun else 0.0

    @property
    def place_since(self) -> str | None:
        """When the present step, or ring, was entered; None before the first."""
        rings = self.status.rings if self.in_rings else ()
        return rings[-1].at if rings else self.status.step_started_at

    @property
    def seconds_in_place(self) -> float:
        """How long the present step, or ring, has lasted; 0 before the first."""
        return self.seconds_since(self.place_since) if self.place_since else 0.0

    # -- readiness -----------------------------------------------------------------------------

    @property
    def pods(self) -> Pods:
        """The canary's pods."""
        return self.situation.pods.get(self.canary, Pods())

    @property
    def stable_pods(self) -> Pods:
        """Stable's pods."""
        return self.situation.pods.get(self.stable, Pods())

    @property
    def can_serve(self) -> bool:
        """Whether a pod is ready, or all were scaled away on purpose and wake with the queue."""
        return self.pods.ready > 0 or (self.pods.wanted == 0 and self.exposed)

    @property
    def queue_is_old(self) -> bool:
        """Whether the canary's oldest task waits for too long while stable's does not.

        A person's share may be above what the workers can take yet: then age says nothing.
        """
        if self.status.share.source is Source.SETPOINT and not self.capacity_for(self.percent):
            return False
        ours, theirs = self.queue_age(self.canary), self.queue_age(self.stable)
        limit = max(float(UNAVAILABLE_SECONDS), QUEUE_AGE_FACTOR * theirs)
        return ours > limit and theirs <= UNAVAILABLE_SECONDS

    @property
    def queue_ages(self) -> bool:
        """Whether that has lasted, and the age has not fallen meanwhile."""
        stuck = self.status.stuck
        lasted = stuck and self.seconds_since(stuck.since) >= UNAVAILABLE_SECONDS
        return bool(lasted) and self.queue_is_old

    def queue_age(self, revision: str) -> float:
        """Age of a revision's oldest unclaimed task; the kill switch ages nothing."""
        age = self.situation.queue_age_seconds.get(revision, 0.0)
        ended = [halt.until for halt in self.status.halts if halt.until]
        return min(age, max(self.seconds_since(ended[-1]), 0.0)) if ended else age

    def capacity_for(self, percent: int) -> bool:
        """Whether the canary's ready pods can take a share."""
        capacity = self.situation.capacity
        return capacity is None or capacity.suffices(percent)

    def seconds_since(self, moment: str) -> float:
        """How long ago that was."""
        return (self.now - condition.moment(moment)).total_seconds()

    def seconds_unready(self) -> float:
        """How long the canary has been without a ready pod."""
        since = self.status.unready_since
        return (self.now - condition.moment(since)).total_seconds() if since else 0.0

    # -- evidence ------------------------------------------------------------------------------

    @cached_property
    def observation(self) -> Observation | None:
        """What was measured, for this step, and since the canary last came back."""
        observed = self.situation.observation
        if observed is None:
            return None
        under_way = path.under_way(self.status)
        observed = observed.of_canary(self.status.analysis.since_version if under_way else None)
        observed = observed.of_stable(names.hash_of(self.stable))
        observed = observed.for_step(self.status.analysis.step_from)
        back = self.resumed_at
        return observed.since(int(condition.moment(back).timestamp() * 1000)) if back else observed

    @property
    def resumed_at(self) -> str | None:
        """What was routed before is no evidence: when the canary, or stable alone, last came back."""
        if path.under_way(self.status):
            return self.suspension.resumed_at
        return self.status.brake.released_at if self.status.brake else None

    @property
    def checks(self) -> tuple[Finding, ...]:
        """The guardrails judged; none without a measurement."""
        return self.judged.findings

    @property
    def evidence(self) -> Evidence:
        """What decides which tasks are evidence."""
        since = self.status.analysis.since_version
        return path.under_way(self.status), since, self.resumed_at, self.stable

    @cached_property
    def judged(self) -> Judged:
        """The guardrails judged; what is known of the same evidence is not judged anew."""
        analysis, evidence, expected = self.status.analysis, self.evidence, self.expected_cost
        if self.known is not None and self.known.holds_for(evidence, analysis.before, expected):
            return self.known
        declared, observed = self.situation.spec.analysis, self.observation
        before = of_status(analysis.before or Yardstick())
        findings = judged_by(
            declared, self.status, observed, before, expected, alone=not self.stable
        )
        return Judged(evidence, analysis.before, findings, expected)

    @cached_property
    def expected_cost(self) -> Expected | None:
        """What a task is expected to cost; None where the cost is not judged.

        While nothing is tried, stable is no measure of itself.
        """
        limits, declared = (
            self.situation.spec.analysis.guardrails,
            self.situation.expected_micro_usd,
        )
        if not declared and not path.under_way(self.status):
            return None
        total = self.observation.in_total(Arm.STABLE) if self.observation else NOTHING
        before = of_status(self.status.analysis.before or Yardstick())
        lately = self.observation.costs_lately if self.observation else NO_SUMS
        return expected(limits, declared, total, before, lately)

    @property
    def on_trial(self) -> bool:
        """Whether a canary that could not be compared is back at a share where it can be."""
        kept, observed = self.suspension, self.observation
        if not kept.uncompared or not kept.resumed_at:
            return False
        if observed is None:
            return True
        arms = (observed.in_window(arm) for arm in Arm)
        enough = all(min(arm.tasks, arm.timed) >= guardrails.FEWEST_STABLE for arm in arms)
        window = self.situation.spec.analysis.guardrails.window_seconds
        return not enough and self.seconds_since(kept.resumed_at) < 2 * window

    @cached_property
    def heard(self) -> list[Finding]:
        """The guardrails judged, but for those that only report."""
        only_told = self.situation.spec.analysis.dry_run
        return [check for check in self.checks if check.name not in only_told]

    @property
    def stable_over(self) -> Finding | None:
        """The first guardrail that stable itself is credibly over."""
        return next((check for check in self.heard if check.stable_over), None)

    def first_check(self, *verdicts: CheckVerdict) -> Finding | None:
        """The first guardrail that says one of these."""
        return next((check for check in self.heard if check.verdict in verdicts), None)

    # -- people --------------------------------------------------------------------------------

    @cached_property
    def open_request(self) -> str:
        """The request annotation as far as it was not answered yet; empty when it was."""
        value, last = self.asked, self.status.last_request
        if value == last.value:
            return value if last.result == WAITING else ""
        return "" if requests.is_answered(value, self.status.answered_requests) else value

    @property
    def asked(self) -> str:
        """The request annotation, as much of it as the status can hold."""
        return self.situation.request[:256]

    @cached_property
    def request(self) -> requests.Request | None:
        """The open request, when it is well-formed and names the canary."""
        parsed = requests.parse(self.open_request)
        return parsed if parsed and self.is_meant(parsed, self.canary) else None

    def is_meant(self, request: requests.Request, revision: str) -> bool:
        """Whether a request names a revision; a version that two revisions have names neither."""
        versions = {**self.versions, revision: self.record(revision).version}
        return bool(revision) and requests.named(request.revision, versions) == [revision]

    @cached_property
    def versions(self) -> dict[str, str | None]:
        """The template.version of each revision on record, by its name."""
        return {record.name: record.version for record in self.situation.records.values()}

    def asks(self, *verbs: requests.Verb) -> bool:
        """Whether a person asks for one of these now."""
        return self.request is not None and self.request.verb in verbs
