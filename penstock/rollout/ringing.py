"""How the users of a ring are given the canary, and how its hold begins anew."""

import hashlib
from typing import Any

from penstock.api import condition
from penstock.api.reasons import EventReason
from penstock.api.rings import DIGEST_DIGITS
from penstock.api.rollout import AgentRolloutStatus, Source, Stage
from penstock.rollout import moves, numbers, ring_stage
from penstock.rollout.changes import Change, answered, compared, fresh_ring, share, updated
from penstock.rollout.facts import Facts
from penstock.rollout.situation import Happening
from penstock.rollout.words import ringed


def opened(move: moves.OpenRing, facts: Facts) -> Change:
    """A ring is given the canary: its hold and its counts begin now, unless it has it already and was edited."""
    rings = ring_stage.opened(facts, move.ring)
    if facts.status.chosen and len(rings) == len(facts.status.rings):
        grown = Happening(EventReason.PERCENT_CHANGED, ringed.grown(facts, move.ring) + ".")
        return Change(updated(facts, {"rings": rings}), (grown,))
    last = rings[-1].model_copy(update={"at": condition.timestamp(facts.now)})
    message = ringed.opened(facts, move.ring, requested=move.requested)
    update: dict[str, Any] = {
        **fresh_ring(facts),
        "stage": Stage.RINGS,
        "share": share(facts, 0, Source.AUTOMATIC),
        "rings": (*rings[:-1], last),
        "delay": None,
        "step_approved": False,
        "held_percent": None,
    }
    if len(rings) > len(facts.status.rings):
        update["suspension"] = compared(facts)
    if move.requested:
        update |= answered(facts, message)
    told = [Happening(EventReason.STEP_STARTED, message + ".")]
    if facts.in_rings and facts.status.chosen:
        told.insert(0, Happening(EventReason.STEP_PASSED, ringed.left(facts)))
    return Change(updated(facts, update), tuple(told))


def begun_anew(facts: Facts) -> dict[str, Any]:
    """The present ring from the start: after the canary was off for a while."""
    now = condition.timestamp(facts.now)
    return {**fresh_ring(facts), **(ring_stage.begun_at(facts, now) if facts.status.rings else {})}


def work_percent(facts: Facts) -> int | None:
    """The most of all work that users of rings made in this attempt, up to where the canary is taken off with them."""
    kept = facts.suspension.work_percent
    if not facts.in_rings:
        return None
    found = numbers.observed_percent(facts.observation) if facts.observation else None
    return max(kept or 0, found or 0)


def refused_now(facts: Facts, before: AgentRolloutStatus) -> str:
    """The same as before, until the rings or who has the canary are others: names in their thousands are digested only then."""
    status = facts.status
    same = before.observed_generation == facts.situation.generation and (
        (before.canary_revision, before.salt, before.stage, before.rings)
        == (status.canary_revision, status.salt, status.stage, status.rings)
    )
    return before.rings_refused if same else refused(facts)


def refused(facts: Facts) -> str:
    """Who is declared in a ring and is not given the canary, so that others are told from them; empty for nobody."""
    found = ring_stage.refused(facts)
    text = ",".join((facts.canary, *sorted(found)))
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_DIGITS] if found else ""


def told(facts: Facts, before: AgentRolloutStatus) -> tuple[Happening, ...]:
    """Who is declared in a ring and is not given the canary: told at the edit by which it is somebody else."""
    edited = before.observed_generation != facts.situation.generation
    if not edited or facts.status.rings_refused == before.rings_refused:
        return ()
    late = ring_stage.too_late(facts)
    said = [ringed.too_late(facts, late)] if late else []
    said += [ringed.left_out(name, count) for name, count in ring_stage.left_out(facts).items()]
    return tuple(Happening(EventReason.RING_NOT_GIVEN, one, warning=True) for one in said)
