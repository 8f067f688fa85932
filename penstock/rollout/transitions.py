"""What each move does to the status, and what it tells: one small function per move."""

from collections.abc import Mapping
from typing import Any, assert_never

from penstock.api import condition
from penstock.api.analysis import AnalysisStatus, Reason, Result, Verdict
from penstock.api.interruptions import Suspension
from penstock.api.reasons import EventReason, WaitReason
from penstock.api.rollout import AgentRolloutStatus, Source, Stage
from penstock.api.strategy import StepApproval
from penstock.rollout import beginning, braking, moves, numbers, path, ringing, undoing
from penstock.rollout.changes import (
    NOWHERE,
    Change,
    answered,
    compared,
    fresh_attempt,
    fresh_step,
    new_verdict,
    share,
    updated,
    with_verdict,
)
from penstock.rollout.facts import (
    COMPARABLE_PERCENT,
    Facts,
)
from penstock.rollout.situation import Happening
from penstock.rollout.words import answers, events, ringed, verdicts


def change(move: moves.Action, facts: Facts) -> Change:  # noqa: C901, PLR0911, PLR0912 - a case a move
    """The status as a move leaves it, what it tells, and the verdicts that it is."""
    match move:
        case moves.ServeFirst():
            return _serve_first(move, facts)
        case moves.Begin():
            return beginning.begin(move, facts)
        case moves.Drop():
            return beginning.drop(move, facts)
        case moves.Adopt():
            return _promoted(facts, move.verdict)
        case moves.StayRejected():
            return _stay_rejected(facts)
        case moves.Retry():
            return _retry(facts)
        case moves.Reject():
            return _reject(move, facts)
        case moves.Suspend():
            return _suspend(move, facts)
        case moves.Resume():
            return _resume(move, facts)
        case moves.SetShare():
            return _set_share(move, facts)
        case moves.Keep():
            return _keep(facts)
        case moves.Anew():
            return _anew(facts)
        case moves.OpenRing():
            return ringing.opened(move, facts)
        case moves.Advance():
            return _advance(move, facts)
        case moves.Promote():
            return _promote(move, facts)
        case moves.Undo():
            return undoing.undo(move, facts)
        case moves.Brake():
            return braking.brake(move, facts)
        case moves.Release():
            return braking.release(move, facts)
        case moves.Answer():
            return _answer(move, facts)
        case _:
            assert_never(move)


# --------------------------------------------------------------------------- who is it about


def _serve_first(move: moves.ServeFirst, facts: Facts) -> Change:
    status = updated(facts, {**NOWHERE, "stable_revision": move.revision})
    return Change(status, (Happening(EventReason.PROMOTED, events.first(move.revision)),))


def _stay_rejected(facts: Facts) -> Change:
    record = facts.record(facts.canary)
    attempt = max(facts.status.attempt, facts.rejected_attempt)
    told = facts.status.verdicts
    known = any(
        one.revision == facts.canary and one.attempt >= attempt and one.result is Result.REJECTED
        for one in told
    )
    if record.rejection and not known:
        message = record.rejected_message or verdicts.REJECTED_BEFORE
        told = with_verdict(told, record.rejection.model_copy(update={"message": message}))
    status = _off(facts, {"attempt": attempt, "verdicts": told})
    message = verdicts.stays_rejected(Facts(facts.situation, status))
    return Change(status, (Happening(EventReason.ROLLED_BACK, message, warning=True),))


def _retry(facts: Facts) -> Change:
    attempt = facts.rejected_attempt + 1
    message = answers.retried(facts, attempt)
    update = {**fresh_attempt(facts, attempt), **answered(facts, message)}
    told = Happening(EventReason.CANARY_STARTED, events.began_again(message))
    return Change(updated(facts, update), (told,))


# ------------------------------------------------------------------------------- taken off


def _off(facts: Facts, update: Mapping[str, Any]) -> AgentRolloutStatus:
    """The status with the canary taken off for good."""
    return updated(
        facts,
        {
            **NOWHERE,
            "share": share(facts, 0, Source.ROLLBACK),
            "suspension": Suspension(),
            **update,
        },
    )


def _reject(move: moves.Reject, facts: Facts) -> Change:
    verdict = new_verdict(
        facts, facts.canary, Result.REJECTED, move.reason, move.message, move.check
    )
    update: dict[str, Any] = {
        "attempt": verdict.attempt,
        "verdicts": with_verdict(facts.status.verdicts, verdict),
    }
    if facts.observation is not None:
        stamp = {"counted_at": condition.timestamp(facts.now)}
        analysis = numbers.measured(facts, facts.observation)
        update["analysis"] = analysis.model_copy(update=stamp)
    if move.reason is Reason.ABORTED:
        update |= answered(facts, move.message)
    told = Happening(EventReason.ROLLED_BACK, events.rolled_back(facts, verdict), warning=True)
    return Change(_off(facts, update), (told,), (verdict,))


def _suspend(move: moves.Suspend, facts: Facts) -> Change:
    told, message = EventReason.SUSPENDED, events.suspended(facts, move.message)
    if move.stop:
        told, message = EventReason.STOPPED, events.stopped(facts, move.message)
    unavailable = move.reason == WaitReason.CANARY_UNAVAILABLE and not move.overload
    kept = facts.suspension
    update = {
        "held_percent": facts.percent,
        "share": share(facts, 0, Source.SUSPENDED),
        "unready_since": None,
        "stuck": None,
        "unavailable_count": facts.status.unavailable_count + unavailable,
        "suspension": kept.model_copy(
            update={
                "uncompared": kept.uncompared + (move.reason == WaitReason.NOT_COMPARABLE),
                "overloads": kept.overloads + move.overload,
                "incidents": kept.incidents + (move.reason == WaitReason.SHARED_INCIDENT),
                "stop": move.stop,
                "work_percent": ringing.work_percent(facts),
                "reason": move.reason.value,
                "message": message[:2048],
                "since": condition.timestamp(facts.now),
                "resumed_at": None,
            }
        ),
    }
    return Change(updated(facts, update), (Happening(told, message, warning=True),))


def _resume(move: moves.Resume, facts: Facts) -> Change:
    back = facts.status.held_percent or 0
    trial = facts.suspended_for == WaitReason.NOT_COMPARABLE and back > COMPARABLE_PERCENT
    back = COMPARABLE_PERCENT if trial else back
    percent = facts.capped(back)
    message = events.resumed(facts, percent, move)
    source = Source.AUTOMATIC if percent == back else Source.CEILING
    approved = facts.status.step_approved and not trial  # it was given for another share
    update = {
        **(ringing.begun_anew(facts) if facts.in_rings else fresh_step(facts)),
        "step_approved": approved,
        **(_implied(facts, back) if trial else _standing(facts, back)),
        "share": share(facts, percent, source),
        "suspension": facts.suspension.model_copy(
            update={
                "reason": "",
                "message": message,
                "resumed_at": condition.timestamp(facts.now),
                "stop": None,
                **_let_go_on(move, facts),
                "misfit": move.misfit.name if move.misfit else facts.suspension.misfit,
            }
        ),
    }
    if move.unbounded:
        update |= answered(facts, message.removesuffix("."))
    return Change(updated(facts, update), (Happening(EventReason.RESUMED, message),))


def _let_go_on(move: moves.Resume, facts: Facts) -> dict[str, bool]:
    """A person's word lifts the bound that stopped the canary, and leaves the other one."""
    if not move.unbounded:
        return {}
    of_harm = facts.suspended_for == WaitReason.HARM_BUDGET_REACHED
    return {"harm_unbounded" if of_harm else "unbounded": True}


# ----------------------------------------------------------------------------------- share


def _implied(facts: Facts, percent: int) -> dict[str, Any]:
    """Back from the final hold, or from a setpoint, to a place among the steps."""
    index, held = path.place(facts.strategy, percent)
    return {
        "stage": Stage.STEPS,
        "current_step_index": index,
        "held_percent": held,
        "steps_hash": path.steps_hash(facts.strategy),
    }


def _standing(facts: Facts, percent: int) -> dict[str, Any]:
    """Where a share of the automatic path stands: on a step, implied, or not begun."""
    steps_hash = path.steps_hash(facts.strategy)
    if facts.in_final_hold:
        return {"held_percent": percent, "steps_hash": steps_hash}
    index, held = path.place(facts.strategy, percent) if percent else (0, None)
    return {"current_step_index": index, "held_percent": held, "steps_hash": steps_hash}


def _set_share(move: moves.SetShare, facts: Facts) -> Change:
    final = facts.in_final_hold if move.source is Source.AUTOMATIC else move.percent == 100
    index = facts.status.current_step_index
    update = {
        **(fresh_step(facts) if facts.started or move.percent else {}),
        "delay": None,
        "share": share(facts, move.percent, move.source),
        "stage": Stage.FINAL_HOLD if final else _stage_at(facts, move.percent),
        "current_step_index": min(index, len(facts.strategy.steps) - 1),
    }
    if move.source is Source.SETPOINT:
        update |= {"held_percent": None, "unreached_percent": None}
    if move.percent != facts.percent:  # an approval was for leaving the share before
        update["step_approved"] = False
    if move.percent > COMPARABLE_PERCENT:
        update["suspension"] = compared(facts)
    return Change(updated(facts, update), _told_of_share(facts, move))


def _stage_at(facts: Facts, percent: int) -> Stage:
    """A share above 0 ends the stages of copies and of rings; while there is none they last."""
    before = facts.status.stage in (Stage.SHADOW, Stage.RINGS)
    return facts.status.stage if before and not percent else Stage.STEPS


def _told_of_share(facts: Facts, move: moves.SetShare) -> tuple[Happening, ...]:
    if move.source is not Source.SETPOINT:
        return (Happening(EventReason.PERCENT_CHANGED, events.share_set(facts, move)),)
    told = Happening(EventReason.PERCENT_SET_MANUALLY, events.share_set_by_person(facts, move))
    return (told, *_approved_by_setpoint(facts, move.percent))


def _approved_by_setpoint(facts: Facts, percent: int) -> tuple[Happening, ...]:
    passed = [
        step.percent
        for step in facts.strategy.steps
        if step.approval is StepApproval.REQUIRED and facts.percent <= step.percent < percent
    ]
    if not passed or facts.status.step_approved:
        return ()
    return (
        Happening(EventReason.APPROVED_BY_SETPOINT, events.approved_by_setpoint(percent, passed)),
    )


def _keep(facts: Facts) -> Change:
    percent = facts.percent
    if facts.in_rings and facts.status.chosen:  # of the steps that come later
        return Change(updated(facts, {"steps_hash": path.steps_hash(facts.strategy)}))
    fresh = fresh_step(facts) if percent else {"step_started_at": None}
    source = Source.AUTOMATIC if percent else Source.NONE
    update = {
        **fresh,
        **_standing(facts, percent),
        "delay": None,
        "share": share(facts, percent, source),
    }
    return Change(
        updated(facts, update), (Happening(EventReason.STEP_STARTED, events.kept(facts)),)
    )


def _anew(facts: Facts) -> Change:
    told = Happening(EventReason.ROWS_LOST, events.begun_anew(facts), warning=True)
    fresh = ringing.begun_anew(facts) if facts.in_rings else fresh_step(facts)
    return Change(updated(facts, fresh), (told,))


def _advance(move: moves.Advance, facts: Facts) -> Change:
    final = move.index is None
    index = len(facts.strategy.steps) - 1 if move.index is None else move.index
    kept = final and move.percent > 100 - facts.strategy.holdback_percent
    update = {
        **fresh_step(facts),
        "delay": None,
        "share": share(facts, move.percent, move.source),
        "stage": Stage.FINAL_HOLD if final else Stage.STEPS,
        "current_step_index": index,
        "held_percent": move.percent if kept else move.held,
        "step_approved": False,
        "suspension": compared(facts),
        "unreached_percent": facts.percent if move.nobody_eligible else None,
    }
    if move.requested:
        update |= answered(facts, answers.enters(facts, move) + answers.skipped(facts))
    told = [Happening(EventReason.STEP_STARTED, events.entered(facts, move))]
    if facts.in_rings and facts.status.rings:
        told.insert(0, Happening(EventReason.STEP_PASSED, ringed.left(facts)))
    if facts.started:
        told.insert(0, Happening(EventReason.STEP_PASSED, events.left(facts)))
    return Change(updated(facts, update), tuple(told))


def _promote(move: moves.Promote, facts: Facts) -> Change:
    verdict = new_verdict(facts, facts.canary, Result.PROMOTED, move.reason, move.message, None)
    changed = _promoted(facts, verdict)
    if move.reason is not Reason.REQUESTED or not facts.open_request:
        return changed
    status = changed.status.model_copy(update=answered(facts, move.message))
    return Change(status, changed.happenings, changed.verdicts)


def _promoted(facts: Facts, verdict: Verdict) -> Change:
    update = {
        **NOWHERE,
        "stable_revision": facts.canary,
        "brake": None,
        "canary_revision": None,
        "canary_since": None,
        "share": share(facts, 0, Source.NONE),
        "analysis": AnalysisStatus(),
        "verdicts": with_verdict(facts.status.verdicts, verdict),
        "suspension": Suspension(),
    }
    told = Happening(EventReason.PROMOTED, events.promoted(verdict))
    return Change(updated(facts, update), (told,), (verdict,))


def _answer(move: moves.Answer, facts: Facts) -> Change:
    update = answered(facts, move.message, accepted=move.accepted)
    if move.approves:
        update["step_approved"] = True
    reason = EventReason.REQUEST_ACCEPTED if move.accepted else EventReason.REQUEST_REFUSED
    message = events.answered(facts.open_request, move.message)
    told = Happening(reason, message[:1000], warning=not move.accepted)
    return Change(updated(facts, update), (told,))
