"""What people and programs read of a decision: the conditions."""

from typing import Final

from penstock.api import condition
from penstock.api.condition import Status
from penstock.api.rollout import AgentRolloutStatus, Result, Source
from penstock.rollout import commands, path, words
from penstock.rollout.facts import Facts
from penstock.rollout.guardrails import Check, CheckVerdict
from penstock.rollout.moves import Wait

_AWAITS_PODS: Final = ("CandidateNotReady", "CandidateUnavailable", "FirstRevisionNotReady")


def conditions(facts: Facts, wait: Wait) -> AgentRolloutStatus:
    """The status with every condition as this decision leaves it."""
    told = {
        "Ready": _ready(facts, wait),
        "Reconciling": _reconciling(wait),
        "Stalled": _stalled(wait),
        "Progressing": _progressing(facts, wait),
        "AnalysisPassing": _analysis(facts),
        "ManualSetpoint": _manual(facts, wait),
        "Promoted": _promoted(facts),
        "RolledBack": _rolled_back(facts, wait),
    }
    kept = facts.status.conditions
    if not path.under_way(facts.status):
        kept = condition.drop_condition(kept, "NoEligibleUsers")
    if condition.find(kept, "Suspended") is None:
        told["Suspended"] = (Status.FALSE, "NotSuspended", "")
    for kind, (status, reason, message) in told.items():
        kept = _set(facts, kept, kind, (status, reason, message))
    return facts.status.model_copy(update={"conditions": _observed(facts, kept)})


_Told = tuple[Status, str, str]


def _set(
    facts: Facts, kept: tuple[condition.Condition, ...], kind: str, told: _Told
) -> tuple[condition.Condition, ...]:
    status, reason, message = told
    return condition.set_condition(
        kept,
        kind,
        status,
        reason,
        message,
        generation=facts.situation.generation,
        now=facts.now,
    )


def _observed(
    facts: Facts, kept: tuple[condition.Condition, ...]
) -> tuple[condition.Condition, ...]:
    """kubectl wait ignores a condition that was observed at an older generation."""
    generation = {"observed_generation": facts.situation.generation}
    return tuple(one.model_copy(update=generation) for one in kept)


def _ready(facts: Facts, wait: Wait) -> _Told:
    if wait.reason in (*_AWAITS_PODS, "NoRevision", "RolledBack"):
        return Status.FALSE, wait.reason, wait.message
    if not facts.candidate:
        return Status.TRUE, "Stable", wait.message
    reason = wait.reason if facts.suspended_for else "Holding"
    return Status.TRUE, reason, wait.message


def _reconciling(wait: Wait) -> _Told:
    if wait.reason in _AWAITS_PODS:
        return Status.TRUE, wait.reason, wait.message
    return Status.FALSE, "Settled", ""


def _stalled(wait: Wait) -> _Told:
    if wait.reason == "RolledBack":
        return Status.TRUE, wait.reason, wait.message
    return Status.FALSE, "NotStalled", ""


def _progressing(facts: Facts, wait: Wait) -> _Told:
    if wait.reason == "Paused":
        return Status.UNKNOWN, wait.reason, wait.message
    moving = path.under_way(facts.status) and not facts.suspended_for
    return Status(str(moving)), wait.reason, wait.message


def _analysis(facts: Facts) -> _Told:
    if facts.situation.observation is None:
        why = facts.situation.observation_error or "no measurement yet"
        return Status.UNKNOWN, "MeasurementMissing", f"Outcomes cannot be read: {why}."
    if not path.under_way(facts.status):
        return _analysis_of_stable(facts)
    bad = facts.first_check(CheckVerdict.SHARED, CheckVerdict.UNCLEAR, CheckVerdict.BREACHED)
    if bad is not None:
        return Status.FALSE, _reason(bad), f"{bad.name}: limit {bad.limit_text}."
    suspect = facts.first_check(CheckVerdict.SUSPECT)
    if suspect is not None:
        return Status.UNKNOWN, _reason(suspect), f"{suspect.name}: limit {suspect.limit_text}."
    if all(check.verdict is CheckVerdict.NO_DATA for check in facts.checks):
        return Status.UNKNOWN, "NoData", "The candidate had no task in the window."
    gap = " Some outcome rows were lost uncounted." if facts.situation.observation.gap else ""
    return Status.TRUE, "Passing", f"Every guardrail passes.{gap}"


def _reason(check: Check) -> str:
    return f"{check.name[0].upper()}{check.name[1:]}{check.verdict}"


def _analysis_of_stable(facts: Facts) -> _Told:
    """Without a rival the guardrails watch stable: a breach is reported, nothing is moved."""
    over = next((check for check in facts.checks if check.stable_over), None)
    if over is None:
        return Status.TRUE, "StablePassing", "No guardrail is broken on stable."
    message = f"{facts.stable} breaks {over.name}: limit {over.limit_text}."
    return Status.FALSE, "StableBreaching", message


def _manual(facts: Facts, wait: Wait) -> _Told:
    seen = facts.status.share.setpoint
    if seen is None:
        return Status.FALSE, "NoSetpoint", "The steps decide."
    if not facts.candidate:
        message = f"A setpoint of {seen.percent} % waits; it caps the steps of the next candidate."
        return Status.FALSE, "NoCandidate", message
    if facts.rejected:
        return Status.FALSE, "CandidateRejected", words.stays_rejected(facts)
    if facts.owned is None:
        message = (
            f"A setpoint of {seen.percent} % that was not set for {facts.candidate} is only a "
            f"ceiling. {commands.set_percent(facts.situation, seen.percent, facts.candidate)}"
        )
        return Status.FALSE, "Ceiling", message
    if facts.status.share.source is Source.SETPOINT and facts.percent == facts.owned:
        return Status.TRUE, "InForce", words.held_by_setpoint(facts)
    return Status.UNKNOWN, wait.reason, f"The setpoint of {seen.percent} % waits: {wait.message}"


def _promoted(facts: Facts) -> _Told:
    if not facts.stable:
        return Status.FALSE, "NoRevision", ""
    if facts.candidate:
        return Status.FALSE, "CandidateNotPromoted", f"{facts.stable} is still stable."
    for verdict in reversed(facts.status.verdicts):
        if verdict.revision == facts.stable and verdict.result is Result.PROMOTED:
            return Status.TRUE, verdict.reason.value, f"{facts.stable} was {verdict.message}."
    return Status.TRUE, "Stable", f"{facts.stable} is the newest revision and serves everybody."


def _rolled_back(facts: Facts, wait: Wait) -> _Told:
    if wait.reason != "RolledBack":
        return Status.FALSE, "NotRolledBack", ""
    last = next(
        (v for v in reversed(facts.status.verdicts) if v.result is Result.REJECTED),
        None,
    )
    return Status.TRUE, last.reason.value if last else "RolledBack", wait.message
