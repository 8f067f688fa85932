"""AgentRollouts that govern nothing, and what they say of it."""

from datetime import datetime
from typing import Final

from penstock.api import condition
from penstock.api.reasons import ConditionType
from penstock.api.rollout import AgentRolloutStatus
from penstock_operator.cluster.kinds import Object, name_of
from penstock_operator.cluster.reading import Rollout, UnreadRollout
from penstock_operator.reconcile.world import World

#: Why an AgentRollout is stalled whose Agent does not exist.
AGENT_MISSING: Final = "AgentMissing"


def statuses(world: World) -> tuple[tuple[Object, AgentRolloutStatus], ...]:
    """What those say that govern nothing."""
    found: list[tuple[Object, AgentRolloutStatus]] = []
    for rollout, reason, message in rollouts(world):
        wanted = _idle(rollout.obj, rollout.status, reason, message, world.now)
        if wanted != rollout.status or rollout.lost:
            found.append((rollout.obj, wanted))
    return tuple(found)


def rollouts(world: World) -> list[tuple[Rollout | UnreadRollout, str, str]]:
    """AgentRollouts that name this Agent and govern nothing, each with reason and message."""
    others = [(rollout, "NotInCharge", _not_in_charge(world)) for rollout in world.rollouts[1:]]
    return [*others, *((unread, "Invalid", unread.why[:2048]) for unread in world.unread_rollouts)]


def _not_in_charge(world: World) -> str:
    older = name_of(world.rollout.obj) if world.rollout else ""
    return f"AgentRollout {older} is older and governs Agent {world.name}; delete one of them"


def orphan_status(
    rollout: Object, current: AgentRolloutStatus, agent: str, now: datetime
) -> AgentRolloutStatus:
    """The status of an AgentRollout whose Agent does not exist."""
    message = f"there is no Agent {agent} in this namespace"
    return _idle(rollout, current, AGENT_MISSING, message, now)


def _idle(
    rollout: Object, current: AgentRolloutStatus, reason: str, message: str, now: datetime
) -> AgentRolloutStatus:
    generation = int(rollout["metadata"].get("generation", 0))
    conditions = current.conditions
    for kind, true in (
        (ConditionType.RECONCILING, False),
        (ConditionType.STALLED, True),
        (ConditionType.READY, False),
    ):
        conditions = condition.set_condition(
            conditions, kind, true, reason, message, generation=generation, now=now
        )
    return current.model_copy(update={"observed_generation": generation, "conditions": conditions})
