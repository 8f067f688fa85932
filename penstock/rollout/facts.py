"""What follows from a situation and the status so far: the words the checks are written in."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final

from penstock.api.rollout import (
    AgentRolloutStatus,
    Reason,
    Result,
    Source,
    Stage,
    Step,
    Strategy,
    Suspension,
)
from penstock.rollout import guardrails, path, requests, setpoint
from penstock.rollout.guardrails import Check, CheckVerdict
from penstock.rollout.observation import Observation
from penstock.rollout.situation import Pods, RevisionRecord, Situation

#: How long a candidate with traffic may be without a ready pod, or let its queue age.
UNAVAILABLE_SECONDS: Final = 30
QUEUE_AGE_FACTOR: Final = 5
#: How often an attempt may be taken off as unavailable before that condemns it.
UNAVAILABLE_TIMES: Final = 2
SHARED_INCIDENT: Final = "SharedIncident"
CANDIDATE_UNAVAILABLE: Final = "CandidateUnavailable"
WAITING: Final = "Waiting"


@dataclass(frozen=True)
class Facts:
    """A situation seen with the status as decided so far in this pass."""

    situation: Situation
    status: AgentRolloutStatus

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
        if self.status.stable_revision:
            return self.status.stable_revision
        return self.situation.stable or self._last_promoted()

    def _last_promoted(self) -> str:
        promoted = [r for r in self.situation.records.values() if r.promoted_sequence > 0]
        return max(promoted, key=lambda record: record.promoted_sequence).name if promoted else ""

    @cached_property
    def candidate(self) -> str:
        """The revision that wants to become stable; empty when there is none.

        An Agent whose template cannot be cut at present says nothing new.
        """
        latest = self.situation.latest or self.status.canary_revision or ""
        return latest if self.stable and latest != self.stable else ""

    def record(self, revision: str) -> RevisionRecord:
        """A revision's record; a blank one when it is not known yet."""
        return self.situation.records.get(revision) or RevisionRecord(revision)

    @cached_property
    def rejected(self) -> bool:
        """Whether this attempt of the candidate was rejected, by its record or by the status."""
        return bool(self.candidate) and self.rejected_attempt >= max(self.status.attempt, 1)

    @cached_property
    def rejected_attempt(self) -> int:
        """The last attempt of the candidate that was rejected; 0 when none was."""
        told = [
            verdict.attempt
            for verdict in self.status.verdicts
            if verdict.revision == self.candidate and verdict.result is Result.REJECTED
        ]
        return max([self.record(self.candidate).rejected_attempt, *told])

    # -- share ---------------------------------------------------------------------------------

    @property
    def percent(self) -> int:
        """The share in force."""
        return self.status.share.percent

    @property
    def owned(self) -> int | None:
        """A person's setpoint for this very candidate."""
        return setpoint.owned_percent(self.status.share.setpoint, self.candidate)

    @property
    def ceiling(self) -> int | None:
        """A left-over setpoint: the steps must not pass it."""
        return setpoint.ceiling_percent(self.status.share.setpoint, self.candidate)

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
        """Whether the candidate has entered its first step."""
        return path.started(self.status)

    @property
    def in_final_hold(self) -> bool:
        """Whether the last watch before promotion has begun."""
        return self.status.stage is Stage.FINAL_HOLD

    @property
    def suspended_for(self) -> str:
        """Why the candidate is taken off for a while; empty when it is not."""
        if self.status.share.source is not Source.SUSPENDED:
            return ""
        return self.suspension.reason or SHARED_INCIDENT

    @property
    def suspension(self) -> Suspension:
        """What is kept of the last suspension of this attempt; blank when there was none."""
        return self.status.suspension or Suspension()

    @property
    def blind(self) -> bool:
        """Whether nothing can be seen: no measurement, or the kill switch lets nothing in."""
        return self.situation.agent_suspended or self.situation.observation is None

    def seconds_in_step(self) -> float:
        """How long this step (or final hold) has lasted; 0 before the first."""
        begun = self.status.step_started_at
        return (self.now - path.moment(begun)).total_seconds() if begun else 0.0

    # -- readiness -----------------------------------------------------------------------------

    @property
    def pods(self) -> Pods:
        """The candidate's pods."""
        return self.situation.pods.get(self.candidate, Pods())

    @property
    def stable_pods(self) -> Pods:
        """Stable's pods."""
        return self.situation.pods.get(self.stable, Pods())

    @property
    def can_serve(self) -> bool:
        """Whether a pod is ready, or all were scaled away on purpose and wake with the queue."""
        return self.pods.ready > 0 or (self.pods.wanted == 0 and self.percent > 0)

    @property
    def queue_ages(self) -> bool:
        """Whether the candidate's queue is stuck while stable's is fine."""
        ages = self.situation.queue_age_seconds
        ours, theirs = ages.get(self.candidate, 0.0), ages.get(self.stable, 0.0)
        limit = max(float(UNAVAILABLE_SECONDS), QUEUE_AGE_FACTOR * theirs)
        return ours > limit and theirs <= UNAVAILABLE_SECONDS

    def seconds_unready(self) -> float:
        """How long the candidate has had traffic without a ready pod."""
        since = self.status.unready_since
        return (self.now - path.moment(since)).total_seconds() if since else 0.0

    # -- evidence ------------------------------------------------------------------------------

    @cached_property
    def observation(self) -> Observation | None:
        """What was measured, for this step, and since the candidate last came back."""
        observed = self.situation.observation
        if observed is None:
            return None
        under_way = path.under_way(self.status)
        observed = observed.of_candidate(self.status.analysis.since_version if under_way else None)
        observed = observed.for_step(self.status.analysis.step_from)
        back = self.suspension.resumed_at
        return observed.since(int(path.moment(back).timestamp() * 1000)) if back else observed

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """The guardrails judged; none without a measurement."""
        if self.observation is None:
            return ()
        return guardrails.judge(self.situation.spec.analysis.guardrails, self.observation)

    def first_check(self, *verdicts: CheckVerdict) -> Check | None:
        """The first guardrail that says one of these."""
        return next((check for check in self.checks if check.verdict in verdicts), None)

    # -- people --------------------------------------------------------------------------------

    @cached_property
    def open_request(self) -> str:
        """The request annotation as far as it was not answered yet; empty when it was."""
        value = self.situation.request[:256]
        last = self.status.last_request
        return "" if value == last.value and last.result != WAITING else value

    @cached_property
    def request(self) -> requests.Request | None:
        """The open request, when it is well-formed and names the candidate."""
        parsed = requests.parse(self.open_request)
        return parsed if parsed and parsed.is_for(self.candidate) else None

    def asks(self, *verbs: requests.Verb) -> bool:
        """Whether a person asks for one of these now."""
        return self.request is not None and self.request.verb in verbs


def reason_of(text: str) -> Reason:
    """The reason on a revision's record; one that this version does not know reads as aborted."""
    try:
        return Reason(text)
    except ValueError:
        return Reason.ABORTED
