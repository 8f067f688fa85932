"""What it does to the status, and tells, that a stable which broke a limit admits nothing, or again."""

from typing import Any

from penstock.api import condition
from penstock.api.interruptions import StableBrake
from penstock.api.reasons import EventReason
from penstock.rollout import moves
from penstock.rollout.changes import Change, answered, updated
from penstock.rollout.facts import Facts
from penstock.rollout.situation import Happening
from penstock.rollout.words import watching


def brake(move: moves.Brake, facts: Facts) -> Change:
    """Nothing is admitted any more."""
    message = watching.braked(facts, move.broken)
    kept = StableBrake(since=condition.timestamp(facts.now), message=message[:2048])
    told = Happening(EventReason.SUSPENDED, f"{message} {watching.ways(facts)}", warning=True)
    return Change(updated(facts, {"brake": kept}), (told,))


def release(move: moves.Release, facts: Facts) -> Change:
    """Tasks are admitted again, and what was measured before is no evidence."""
    now = condition.timestamp(facts.now)
    message = watching.released(facts, move.why)
    kept = facts.status.brake
    update: dict[str, Any] = {"brake": kept and kept.model_copy(update={"released_at": now})}
    if move.requested:
        update |= answered(facts, message)
    return Change(updated(facts, update), (Happening(EventReason.RESUMED, f"{message}."),))
