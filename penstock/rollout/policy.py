"""The policy: every check, in the order in which they are asked, and why each stands where it does."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from penstock.rollout import (
    checks,
    deadline,
    gates,
    harm,
    holds,
    proofs,
    returning,
    ring_checks,
    shadow_stage,
    watch,
)
from penstock.rollout.facts import Facts
from penstock.rollout.moves import Move

Check = Callable[[Facts], Move | None]


@dataclass(frozen=True)
class Entry:
    """A check in its place.

    ``why`` says what the place is for. ``free``: it could change places with the entry before it
    and no decision would be another.
    """

    check: Check
    why: str
    free: bool = False


#: The order is the meaning.
POLICY: Final = (
    # who is it about
    Entry(checks.refused_request, "what cannot be done is answered, so that nothing below sees it"),
    Entry(checks.undo_requested, "it changes who is stable, and all below compares with stable"),
    Entry(watch.brake_released, "who goes back leaves what was braked, and need not let it go on"),
    Entry(watch.stable_breaks, "what was braked for a limit is not watched meanwhile", free=True),
    Entry(checks.settled, "with nothing to try, nothing below has a subject"),
    Entry(checks.promoted_before, "only with a canary, and settled only without", free=True),
    Entry(checks.superseded, "a promotion on record is no new canary; else the old one goes"),
    Entry(checks.rejected, "of the present canary, not of the one before it"),
    Entry(checks.abort_requested, "of a rejected one it was refused above", free=True),
    # does it do harm
    Entry(harm.unavailable, "a person's verdict is final and needs no suspension first"),
    Entry(harm.shared_incident, "whose pods are dead serves nobody, whatever stable does"),
    Entry(harm.rows_missing, "while stable fails too, lost rows are not what matters"),
    Entry(harm.not_comparable, "missing rows may be all that makes it incomparable"),
    Entry(harm.guardrail, "condemns, so that every excuse comes before it"),
    Entry(harm.evidence_of_harm, "a broken limit is the plainer word of the two"),
    Entry(harm.spend_cap, "who does harm is not merely stopped"),
    # what do people say
    Entry(checks.lowering, "a stop, too, tells the share at which the money was spent"),
    Entry(checks.kept, "a ceiling that takes over a setpoint lowers it and keeps nothing"),
    Entry(holds.undo_awaits_pods, "all below raises; the share that is kept is no raise"),
    Entry(holds.agent_suspended, "who goes back is told of that in any case", free=True),
    Entry(holds.not_ready, "under the kill switch pods may be away, and nobody minds"),
    Entry(checks.setpoint, "a person's word, too, waits for a pod that can serve"),
    Entry(checks.promote_requested, "it is about the share in force, so that share comes first"),
    Entry(checks.held_by_setpoint, "promote goes before what holds the steps"),
    # may it go further
    Entry(holds.measurement_missing, "people's words above act blindly; by itself nothing does"),
    Entry(holds.rows_lost, "only with a measurement, and the one above without", free=True),
    Entry(holds.paused, "unpausing would not help while rows are missing"),
    Entry(checks.ceiling, "the share that catches up with its step is raised by itself"),
    Entry(returning.within_window, "under a ceiling it climbs by steps, as any other", free=True),
    Entry(deadline.exceeded, "who returns to what was good waits for nothing that could be late"),
    Entry(shadow_stage.copies_awaited, "no clock runs before there are users", free=True),
    Entry(ring_checks.rings_first, "no user is given to who has not been tried on copies"),
    Entry(checks.first_step, "who was chosen goes before who is drawn"),
    Entry(checks.hold_not_over, "a hold is over only where a step was entered"),
    Entry(checks.evidence_unclear, "a person is asked for nothing that time may settle"),
    Entry(checks.evidence_suspect, "more tasks do not settle what a person must"),
    Entry(checks.callers_cancel, "more tasks may settle it without a person"),
    Entry(checks.evidence_not_sufficient, "who cancels is why tasks are missing"),
    Entry(proofs.not_proven, "of no task nothing is proven, and time may pass such a step"),
    Entry(gates.closed, "what our own tasks say is asked before what others measure"),
    Entry(checks.approval_missing, "people approve on evidence, and behind open gates"),
    Entry(checks.advance, "no step is left that wants an approval"),
    Entry(checks.final_watch, "for the final hold, and advance for the steps", free=True),
    Entry(checks.promote, "a final hold without a task proves nothing"),
)


def next_move(facts: Facts) -> Move:
    """The first move that a check asks for, in the order of the policy."""
    for entry in POLICY:
        move = entry.check(facts)
        if move is not None:
            return move
    raise AssertionError("the last check always answers")


def asker(facts: Facts) -> Check:
    """The check whose move that is."""
    return next(entry.check for entry in POLICY if entry.check(facts) is not None)
