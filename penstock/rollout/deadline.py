"""The progress deadline: how long a canary may wait where it stands, and what follows then.

The clock runs while the canary lacks evidence, a clear check, or workers for the larger share. It
stands still in holds, while a person holds the share, while the canary is off, and while nothing
can be seen: none of that is its own slowness. A step that is entered begins it anew.
"""

from functools import partial
from typing import Final

from penstock.analysis.evidence import Observation
from penstock.analysis.guardrails import FEWEST_STABLE, CheckVerdict
from penstock.api import condition
from penstock.api.analysis import Reason
from penstock.api.interruptions import Delay
from penstock.api.reasons import WaitReason
from penstock.api.rollout import Source, Stage
from penstock.api.strategy import OnDeadline, StepApproval
from penstock.rollout import cancels, checks, gates, path, proofs, ring_checks
from penstock.rollout.comparing import comparing
from penstock.rollout.facts import Facts
from penstock.rollout.moves import Advance, Move, Promote, Reject, Wait
from penstock.rollout.words import deadlines
from penstock.traffic import Arm

#: The waits that the deadline counts.
COUNTED: Final = (
    WaitReason.AWAITING_CAPACITY,
    WaitReason.AWAITING_EVIDENCE,
    WaitReason.ANALYSIS_UNCLEAR,
    WaitReason.LIMIT_DOES_NOT_FIT,
    WaitReason.DEADLINE_EXCEEDED,
)
#: What may still be awaited where the deadline is asked; the first that answers says what.
_AWAITED: Final = (
    ring_checks.rings_first,
    checks.first_step,
    checks.hold_not_over,
    checks.evidence_unclear,
    checks.evidence_suspect,
    checks.callers_cancel,
    checks.evidence_not_sufficient,
    proofs.not_proven,
    gates.closed,
    checks.approval_missing,
    checks.advance,
    checks.final_watch,
)
_OVER_A_LIMIT: Final = (
    CheckVerdict.SUSPECT,
    CheckVerdict.UNCLEAR,
    CheckVerdict.SHARED,
    CheckVerdict.UNCOMPARED,
)


def delay(facts: Facts, reason: WaitReason) -> Delay | None:
    """The clock as a pass leaves it that ends in this wait; None where it has not begun."""
    before = facts.status.delay or Delay()
    if facts.strategy.deadline_seconds is None or not path.under_way(facts.status):
        return None
    if facts.status.stage is Stage.SHADOW:
        return None  # it has no user yet, and what copies show rejects and promotes nobody
    if reason in COUNTED:
        now = condition.timestamp(facts.now)
        return before if before.since else before.model_copy(update={"since": now})
    waited = int(waited_seconds(facts))
    return Delay(waited_seconds=waited) if waited else None


def waited_seconds(facts: Facts) -> float:
    """How long the canary has waited where it stands."""
    kept = facts.status.delay
    if kept is None:
        return 0.0
    return kept.waited_seconds + (max(facts.seconds_since(kept.since), 0.0) if kept.since else 0.0)


def left_seconds(facts: Facts) -> float | None:
    """How long it may wait from now on; None while the clock stands still, or the time is over."""
    limit, kept = facts.strategy.deadline_seconds, facts.status.delay
    if limit is None or kept is None or not kept.since:
        return None
    left = limit - waited_seconds(facts)
    return left if left > 0 else None


def exceeded(facts: Facts) -> Move | None:
    """What waits for too long ends as declared; what is in by now goes on as ever."""
    limit = facts.strategy.deadline_seconds
    if limit is None or waited_seconds(facts) < limit:
        return None
    awaited = next((move for check in _AWAITED if (move := check(facts))), None)
    if not isinstance(awaited, Wait) or awaited.reason not in COUNTED:
        return None
    match facts.strategy.on_deadline:
        case OnDeadline.ROLLBACK:
            return Reject(Reason.DEADLINE, deadlines.rolled_back(facts, awaited.reason))
        case OnDeadline.PROMOTE:
            return _promote(facts, awaited)
        case _:
            return _hold(awaited)


def _hold(awaited: Wait, against: str = "") -> Wait:
    sentence = partial(deadlines.waits_on, awaited=awaited.sentence, against=against)
    return Wait(WaitReason.DEADLINE_EXCEEDED, sentence, awaited.until)


def _promote(facts: Facts, awaited: Wait) -> Move:
    """The steps that are left are passed over; the final hold is not."""
    percent = path.final_percent(facts.strategy, facts.status)
    against = deadlines.CHOSEN if facts.in_rings else _against(facts, percent)
    if against:
        return _hold(awaited, against)
    if facts.in_final_hold or not facts.strategy.final_hold_seconds:
        return Promote(Reason.DEADLINE, deadlines.promoted(facts))
    return Advance(None, percent, Source.AUTOMATIC, late=True)


def _against(facts: Facts, percent: int) -> str:
    """Why time alone must not promote the canary; empty where nothing speaks against it."""
    known, observed = comparing(facts), facts.observation
    compares = facts.situation.spec.analysis.comparison is not None and bool(facts.stable)
    if observed is None or not _seen(facts, observed):
        return deadlines.TOO_FEW
    if (compares and known is None) or facts.on_trial:
        return deadlines.NOT_COMPARED
    alone = () if facts.stable else (CheckVerdict.BREACHED,)
    over = facts.first_check(*_OVER_A_LIMIT, *alone) is not None
    if over or cancels.more(facts) or (known is not None and known.strengths.suspicious):
        return deadlines.SUSPICIOUS
    if _unapproved(facts):
        return deadlines.UNAPPROVED
    if gates.closed(facts):
        return deadlines.GATE
    if facts.capped(percent) < percent:
        return deadlines.CEILING
    if percent > facts.percent and (not facts.capacity_for(percent) or facts.status.stuck):
        return deadlines.NO_WORKERS
    return ""


def _seen(facts: Facts, observed: Observation) -> bool:
    """Whether each side has had tasks enough, and those of this place are among them."""
    fewest = min(facts.step.min_tasks, FEWEST_STABLE)
    enough = all(observed.in_total(arm).tasks >= fewest for arm in facts.arms)
    arms = (Arm.CANARY,) if facts.in_final_hold else facts.arms
    return enough and all(observed.in_step(arm).tasks for arm in arms)


def _unapproved(facts: Facts) -> bool:
    """Whether a step that would be passed over wants a person's approval."""
    if facts.in_final_hold:
        return False
    index = facts.next_index
    later = () if index is None else facts.strategy.steps[index:]
    wanted = any(step.approval is StepApproval.REQUIRED for step in later)
    return wanted or checks.approval_missing(facts) is not None
