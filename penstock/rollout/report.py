"""What people and programs read of a decision: the conditions."""

from typing import Final

from penstock.analysis.guardrails import CheckVerdict, Finding
from penstock.api import condition
from penstock.api.alarms import Alarms
from penstock.api.analysis import Result
from penstock.api.condition import Status
from penstock.api.reasons import ConditionType, WaitReason
from penstock.api.rollout import Source
from penstock.rollout import former, gated, path, spending, watch
from penstock.rollout.facts import Facts
from penstock.rollout.moves import Awaited
from penstock.rollout.situation import Pods
from penstock.rollout.words import conditions, external, setpoints, verdicts, waits

_AWAITS_PODS: Final = (
    WaitReason.CANARY_NOT_READY,
    WaitReason.CANARY_UNAVAILABLE,
    WaitReason.FIRST_REVISION_NOT_READY,
    WaitReason.UNDOING,
)


def all_conditions(facts: Facts, wait: Awaited) -> tuple[condition.Condition, ...]:
    """Every condition as this decision leaves it."""
    told = {
        ConditionType.READY: _ready(facts, wait),
        ConditionType.RECONCILING: _reconciling(wait),
        ConditionType.STALLED: _stalled(facts, wait),
        ConditionType.PROGRESSING: _progressing(facts, wait),
        ConditionType.ANALYSIS_PASSING: _analysis(facts),
        ConditionType.MANUAL_SETPOINT: _manual(facts, wait),
        ConditionType.PROMOTED: _promoted(facts),
        ConditionType.ROLLED_BACK: _rolled_back(facts, wait),
        ConditionType.SUSPENDED: _suspended(facts),
    }
    if path.under_way(facts.status) and facts.status.unreached_percent is not None:
        told[ConditionType.NO_ELIGIBLE_USERS] = _unreached(facts, facts.status.unreached_percent)
    if facts.situation.spec.analysis.external:
        told[ConditionType.REFERENCES_RESOLVED] = _references(facts)
    alarms = facts.status.alarms or Alarms()
    if alarms.ratio_version:
        told[ConditionType.SAMPLE_RATIO_MISMATCH] = Status.TRUE, "TasksDoNotFitShare", alarms.ratio
    if alarms.far:
        told[ConditionType.SHARE_NOT_ACHIEVED] = Status.TRUE, "FarFromShare", alarms.far
    if _is_bounded(facts):
        told[ConditionType.STOPPED] = _stopped(facts, wait)
    return tuple(_condition(facts, kind, *words_of) for kind, words_of in told.items())


#: What only a pod of the canary ends.
_AWAITS_CANARY: Final = (WaitReason.CANARY_NOT_READY, WaitReason.CANARY_UNAVAILABLE)
_Told = tuple[Status, str, str]


def _condition(
    facts: Facts, kind: ConditionType, status: Status, reason: str, message: str
) -> condition.Condition:
    """A condition as it is now: of those before it, only the moment of the last change is kept.

    kubectl wait ignores a condition that was observed at an older generation.
    """
    before = condition.find(facts.status.conditions, kind)
    if before and _says(before) == (status, reason, message, facts.situation.generation):
        return before
    return condition.set_condition(
        (before,) if before else (),
        kind,
        status,
        reason,
        message,
        generation=facts.situation.generation,
        now=facts.now,
    )[0]


def _says(one: condition.Condition) -> tuple[Status, str, str, int]:
    return one.status, one.reason, one.message, one.observed_generation


def _suspended(facts: Facts) -> _Told:
    kept = facts.suspension
    if facts.suspended_for and facts.suspended_for not in spending.STOPPED:
        return Status.TRUE, facts.suspended_for, kept.message
    if kept.resumed_at and path.under_way(facts.status):
        return Status.FALSE, "Resumed", kept.message
    return Status.FALSE, "NotSuspended", ""


def _is_bounded(facts: Facts) -> bool:
    analysis = facts.situation.spec.analysis
    bounds = (analysis.canary_spend_cap_usd, analysis.canary_budget_percent, analysis.harm)
    declared = any(bound is not None for bound in bounds)
    return declared or facts.suspended_for in spending.STOPPED


def _stopped(facts: Facts, wait: Awaited) -> _Told:
    """Whether the canary is off for what it has spent."""
    if facts.suspended_for not in spending.STOPPED:
        return Status.FALSE, "NotStopped", ""
    told = wait.message if wait.reason in spending.STOPPED else facts.suspension.message
    return Status.TRUE, facts.suspended_for, told


def _unreached(facts: Facts, percent: int) -> _Told:
    return Status.TRUE, "NoTaskReachedCandidate", conditions.unreached(facts, percent)


def _ready(facts: Facts, wait: Awaited) -> _Told:
    message = _with_refusal(facts, wait.message)
    if facts.situation.store_error:
        return Status.FALSE, "StoreUnavailable", waits.store_unavailable(facts)
    if facts.halted:
        told = _with_refusal(facts, waits.agent_suspended(facts))
        return Status.FALSE, "AgentSuspended", told
    if wait.reason in (*_AWAITS_PODS, WaitReason.NO_REVISION, WaitReason.ROLLED_BACK):
        return Status.FALSE, wait.reason, message
    if not facts.canary:
        return Status.TRUE, "Stable", message
    return Status.TRUE, wait.reason, message


def _with_refusal(facts: Facts, message: str) -> str:
    """The answer to the request that stands in the annotation goes first, as long as it is a refusal.

    One of before this canary, or before the last verdict, is news no more and comes last, without what it said:
    that may hold no longer.
    """
    last = facts.status.last_request
    if last.result != "Refused" or last.value != facts.situation.request[:256]:
        return message
    since = facts.status.canary_since
    news = [at for at in (since, *(one.at for one in facts.status.verdicts[-1:])) if at]
    if last.at and any(condition.moment(last.at) < condition.moment(at) for at in news):
        return f"{message} {conditions.refused_before(last)}"
    return f"{conditions.refusal(last)} {message}"


def _reconciling(wait: Awaited) -> _Told:
    if wait.reason in _AWAITS_PODS:
        return Status.TRUE, wait.reason, wait.message
    return Status.FALSE, "Settled", ""


def _stalled(facts: Facts, wait: Awaited) -> _Told:
    """What a person must mend; what waits for a decision alone is not stalled."""
    pods = _awaited(facts, wait)
    if pods.needs_person:
        return Status.TRUE, "PodsFailing", waits.with_pods_words(wait.message, pods)
    since, limit = _awaits_pod_since(facts, wait), facts.strategy.start_deadline_seconds
    if since and facts.seconds_since(since) >= limit:
        return Status.TRUE, "StartDeadlineExceeded", waits.start_deadline(facts, wait.message)
    if wait.reason == WaitReason.ROLLED_BACK:
        return Status.TRUE, wait.reason, wait.message
    if path.under_way(facts.status) and gated.unresolved(facts):
        return _references(facts, Status.TRUE)
    return Status.FALSE, "NotStalled", ""


def _references(facts: Facts, unresolved: Status = Status.FALSE) -> _Told:
    """Whether every gate can be asked; the reason is that of the first one that cannot."""
    found = gated.unresolved(facts)
    if not found:
        return Status.TRUE, "Found", ""
    message = " ".join(external.unresolved(gate, known) for gate, known in found)
    reason = found[0][1].unresolved
    return unresolved, reason.value if reason else "", message[:2048]


def _awaited(facts: Facts, wait: Awaited) -> Pods:
    """The workers without whom it does not go on; nobody where something else is awaited."""
    match wait.reason:
        case WaitReason.UNDOING:
            name = former.goal(facts) or watch.goal(facts)
        case WaitReason.FIRST_REVISION_NOT_READY:
            name = facts.situation.latest
        case (
            WaitReason.CANARY_NOT_READY
            | WaitReason.CANARY_UNAVAILABLE
            | WaitReason.AWAITING_CAPACITY
        ):
            name = facts.canary
        case WaitReason.STORE_UNAVAILABLE if not facts.can_serve:
            name = facts.canary  # with Redis again, its pods would still be missing
        case _:
            name = ""
    return facts.situation.pods.get(name, Pods())


def _awaits_pod_since(facts: Facts, wait: Awaited) -> str:
    """Since when nothing but a pod is awaited; empty where that is not so."""
    last = facts.status.last_request
    if wait.reason == WaitReason.UNDOING and last.value == facts.open_request:
        return last.at
    return facts.status.unready_since or "" if wait.reason in _AWAITS_CANARY else ""


def _progressing(facts: Facts, wait: Awaited) -> _Told:
    if wait.reason == WaitReason.PAUSED:
        return Status.UNKNOWN, wait.reason, wait.message
    late = wait.reason == WaitReason.DEADLINE_EXCEEDED
    moving = path.under_way(facts.status) and not facts.suspended_for and not late
    return Status(str(moving)), wait.reason, wait.message


def _analysis(facts: Facts) -> _Told:
    if facts.situation.observation is None:
        return Status.UNKNOWN, "MeasurementMissing", conditions.unmeasured(facts)
    if not path.under_way(facts.status):
        return _analysis_of_stable(facts)
    bad = facts.first_check(
        CheckVerdict.SHARED, CheckVerdict.UNCLEAR, CheckVerdict.BREACHED, CheckVerdict.UNCOMPARED
    )
    if bad is not None:
        return Status.FALSE, _reason(bad), conditions.over(bad)
    suspect = facts.first_check(CheckVerdict.SUSPECT)
    if suspect is not None:
        return Status.UNKNOWN, _reason(suspect), conditions.over(suspect)
    if all(check.verdict is CheckVerdict.NO_DATA for check in facts.checks):
        return Status.UNKNOWN, "NoData", conditions.NO_DATA
    return Status.TRUE, "Passing", conditions.passes(gap=facts.situation.observation.gap)


def _reason(check: Finding) -> str:
    return f"{check.name[0].upper()}{check.name[1:]}{check.verdict}"


def _analysis_of_stable(facts: Facts) -> _Told:
    """Without a rival the guardrails watch stable: a breach is reported, nothing is moved."""
    over = breach_of_stable(facts)
    if over is None:
        return Status.TRUE, "StablePassing", conditions.STABLE_PASSES
    said = f"{conditions.breaks(facts.stable, over)} {watch.why_not(facts)}".strip()
    return Status.FALSE, "StableBreaching", said


def breach_of_stable(facts: Facts) -> Finding | None:
    """The guardrail that stable breaks while nothing is being tried, if one."""
    if path.under_way(facts.status):
        return None
    return next((check for check in facts.checks if check.stable_over), None)


def _manual(facts: Facts, wait: Awaited) -> _Told:
    seen = facts.status.share.setpoint
    if seen is None:
        return Status.FALSE, "NoSetpoint", conditions.NO_SETPOINT
    if not facts.canary:
        message = conditions.setpoint_without_canary(seen.percent)
        return Status.FALSE, "NoCandidate", message
    if facts.rejected:
        return Status.FALSE, "CandidateRejected", verdicts.stays_rejected(facts)
    if facts.owned is None:
        return Status.FALSE, "Ceiling", conditions.setpoint_is_ceiling(facts, seen.percent)
    if facts.status.share.source is Source.SETPOINT and facts.percent == facts.owned:
        return Status.TRUE, "InForce", setpoints.held(facts)
    return Status.UNKNOWN, wait.reason, conditions.setpoint_waits(seen.percent, wait.message)


def _promoted(facts: Facts) -> _Told:
    if not facts.stable and not facts.canary:
        return Status.FALSE, "NoRevision", ""
    if facts.situation.uncut:
        return Status.UNKNOWN, facts.situation.uncut, conditions.UNCUT
    if facts.canary:
        return Status.FALSE, "CandidateNotPromoted", conditions.still_stable(facts.stable)
    for verdict in reversed(facts.status.verdicts):
        if verdict.revision == facts.stable and verdict.result is Result.PROMOTED:
            return Status.TRUE, verdict.reason.value, conditions.was(verdict)
    return Status.TRUE, "Stable", conditions.is_newest(facts.stable)


def _rolled_back(facts: Facts, wait: Awaited) -> _Told:
    if wait.reason != WaitReason.ROLLED_BACK:
        return Status.FALSE, "NotRolledBack", ""
    told = reversed(facts.status.verdicts)
    own = (v for v in told if v.result is Result.REJECTED and v.revision == facts.canary)
    last = next(own, facts.record(facts.canary).rejection)
    if last is None:
        return Status.TRUE, "RolledBack", wait.message
    return Status.TRUE, last.reason.value, verdicts.with_samples(wait.message, last)
