"""What a version before kept elsewhere or not at all: read once, when a status has no field for it yet."""

from penstock.api import condition
from penstock.api.interruptions import Suspension
from penstock.api.reasons import ConditionType
from penstock.api.rollout import AgentRolloutStatus, Source
from penstock.rollout import evidence_since


def state(status: AgentRolloutStatus) -> AgentRolloutStatus:
    """The status with its state in fields; one that has them already is returned as it is."""
    return _from_conditions(evidence_since.inherited(status))


def _from_conditions(status: AgentRolloutStatus) -> AgentRolloutStatus:
    """``suspension`` tells: whatever wrote the status with it wrote all of these fields."""
    if status.suspension is not None:
        return status
    if not status.route_version:  # no version has decided anything yet
        return status.model_copy(update={"suspension": Suspension()})
    update = {
        "suspension": _suspension(status),
        "waiting": _reason(status, ConditionType.PROGRESSING),
        "told_waits": (_reason(status, ConditionType.PROGRESSING),),
        "stable_breach": "inherited"
        * (_reason(status, ConditionType.ANALYSIS_PASSING) == "StableBreaching"),
        "unreached_percent": status.share.percent
        if condition.is_true(status.conditions, ConditionType.NO_ELIGIBLE_USERS)
        else None,
    }
    return status.model_copy(update=update)


def _reason(status: AgentRolloutStatus, kind: ConditionType) -> str:
    found = condition.find(status.conditions, kind)
    return found.reason if found else ""


def _suspension(status: AgentRolloutStatus) -> Suspension:
    told = condition.find(status.conditions, ConditionType.SUSPENDED)
    if told is None:
        return Suspension()
    if status.share.source is Source.SUSPENDED:
        return Suspension(reason=told.reason, message=told.message, since=told.last_transition_time)
    if told.reason == "Resumed":
        return Suspension(message=told.message, resumed_at=told.last_transition_time)
    return Suspension()
