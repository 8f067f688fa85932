"""Whether the next ring may be given the canary, or the percentage may begin: asked after the copies, before the steps."""

from datetime import timedelta
from functools import partial

from penstock.api.reasons import WaitReason
from penstock.rollout import checks, ring_stage
from penstock.rollout.facts import Facts
from penstock.rollout.moves import Move, OpenRing, Wait
from penstock.rollout.words import ringed, waits
from penstock.traffic import Arm


def rings_first(facts: Facts) -> Move | None:
    """Who was chosen goes first: each ring lasts as long as it says, has its tasks, and nothing speaks against it.

    What people add to a ring that is open counts at once, and whoever was given the canary keeps it.
    """
    ring = ring_stage.present(facts)
    if ring and ring_stage.returns(facts):
        return OpenRing(ring)
    if more := ring_stage.grown(facts):
        return OpenRing(more)
    held = _held(facts) if facts.in_rings and facts.status.rings else None
    if held:
        return held
    following = ring_stage.following(facts)
    if following is None:
        return _wants_a_person(facts)
    if facts.status.stuck:
        return Wait(WaitReason.AWAITING_CAPACITY, waits.queue_is_old)
    return OpenRing(following)


def _wants_a_person(facts: Facts) -> Wait | None:
    """With rings left for which there is no room it does not go on to everybody by itself."""
    names = ring_stage.past_bound(facts)
    if not names:
        return None
    return Wait(WaitReason.HOLD_FOR_APPROVAL, partial(ringed.past_bound, names=names))


def _held(facts: Facts) -> Wait | None:
    """What holds the present ring; of one that is declared no more only what its users see."""
    ring = ring_stage.present(facts)
    if ring and (left := ring_stage.left_seconds(facts, ring)) > 0:
        until = facts.now + timedelta(seconds=left)
        return Wait(WaitReason.HOLDING, partial(ringed.holding, ring=ring, until=until), until)
    for check in (checks.evidence_unclear, checks.evidence_suspect, checks.callers_cancel):
        found = check(facts)
        if isinstance(found, Wait):
            return found
    observed = facts.observation
    if ring is None or observed is None or observed.in_step(Arm.CANARY).tasks >= ring.min_tasks:
        return None
    return Wait(WaitReason.AWAITING_EVIDENCE, partial(ringed.awaits_tasks, ring=ring))
