"""The policy: every check, in the order in which they are asked."""

from collections.abc import Callable
from typing import Final

from penstock.rollout import checks, harm, holds
from penstock.rollout.facts import Facts
from penstock.rollout.moves import Move

Check = Callable[[Facts], Move | None]

#: The order is the meaning.
CHECKS: Final[tuple[Check, ...]] = (
    checks.refused_request,
    checks.undo_requested,
    checks.settled,
    checks.promoted_before,
    checks.superseded,
    checks.rejected,
    checks.abort_requested,
    harm.unavailable,
    harm.shared_incident,
    harm.rows_missing,
    harm.not_comparable,
    harm.guardrail,
    checks.lowering,
    checks.kept,
    holds.undo_awaits_pods,
    holds.agent_suspended,
    holds.not_ready,
    checks.setpoint,
    checks.promote_requested,
    checks.held_by_setpoint,
    holds.measurement_missing,
    holds.rows_lost,
    holds.paused,
    checks.ceiling,
    checks.first_step,
    checks.hold_not_over,
    checks.evidence_unclear,
    checks.evidence_suspect,
    checks.callers_cancel,
    checks.evidence_not_sufficient,
    checks.approval_missing,
    checks.advance,
    checks.final_watch,
    checks.promote,
)


def next_move(facts: Facts) -> Move:
    """The first move that a check asks for, in the order of CHECKS."""
    for check in CHECKS:
        move = check(facts)
        if move is not None:
            return move
    raise AssertionError("the last check always answers")
