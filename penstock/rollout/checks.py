"""Who is tried, what people ask, and whether it may go further: a check asks for a move, or passes on."""

from datetime import timedelta
from functools import partial

from penstock.analysis.guardrails import CheckVerdict
from penstock.api.analysis import Reason
from penstock.api.reasons import WaitReason
from penstock.api.rollout import Source
from penstock.api.strategy import FirstRevision, StepApproval
from penstock.rollout import (
    cancels,
    drawn_users,
    former,
    gates,
    misfits,
    path,
    proofs,
    refusals,
    ring_stage,
)
from penstock.rollout.comparing import comparing
from penstock.rollout.facts import COMPARABLE_PERCENT, Facts
from penstock.rollout.moves import (
    Adopt,
    Advance,
    Answer,
    Begin,
    Drop,
    Keep,
    Move,
    OpenRing,
    Promote,
    Reject,
    Retry,
    ServeFirst,
    SetShare,
    StayRejected,
    Undo,
    Wait,
)
from penstock.rollout.requests import Verb
from penstock.rollout.situation import Pods
from penstock.rollout.words import alone as alone_words
from penstock.rollout.words import answers, compared, verdicts, waits
from penstock.rollout.words import misfits as misfit_words
from penstock.rollout.words import setpoints as setpoint_words
from penstock.traffic import Arm

# ----------------------------------------------------------------------------- who is it about


def refused_request(facts: Facts) -> Move | None:
    """A request that cannot be done is answered, and nothing else comes of it."""
    why = refusals.why_refused(facts)
    return Answer(accepted=False, message=why) if why else None


def undo_requested(facts: Facts) -> Move | None:
    """A person goes back to a former revision: as soon as its first pod is ready.

    Back to stable is a rollback of the canary, and waits for nothing.
    """
    goal = former.goal(facts)
    if not goal:
        return None
    if goal != facts.stable:
        return Undo(goal) if facts.situation.pods.get(goal, Pods()).ready else None
    if former.in_flight(facts) != facts.canary:
        return None  # the canary of before goes first
    return Reject(Reason.ABORTED, verdicts.undone(facts.place, goal))


def settled(facts: Facts) -> Move | None:
    """There is nothing to try: no first revision yet, or stable is what the Agent wants."""
    if not facts.stable and (not facts.canary or _serves_at_once(facts)):
        return _first_revision(facts)
    if facts.canary or facts.status.canary_revision:
        return None
    return Wait(WaitReason.NO_CANARY, waits.no_canary)


def _serves_at_once(facts: Facts) -> bool:
    """Whether a first revision that climbs is not to any more: with a ready pod it serves everybody, unless it was rejected."""
    serves = facts.strategy.first_revision is not FirstRevision.STEPS
    return serves and not facts.rejected and facts.pods.ready > 0


def _first_revision(facts: Facts) -> Move:
    latest = facts.situation.latest
    if not latest:
        return Wait(WaitReason.NO_REVISION, waits.no_revision)
    pods = facts.situation.pods.get(latest)
    if pods and pods.ready:
        return ServeFirst(latest)
    return Wait(WaitReason.FIRST_REVISION_NOT_READY, waits.first_not_ready)


def promoted_before(facts: Facts) -> Move | None:
    """The record tells of a promotion that the status does not: that was lost, or an operator of before died in between.

    Where stable's own promotion is not on record, nobody can tell which one was later.
    """
    before = facts.situation.status
    ours, theirs = facts.record(facts.canary), facts.record(facts.stable)
    known = before.canary_revision == facts.canary or not before.route_version
    later = 0 < theirs.promoted_sequence < ours.promoted_sequence
    of_this_attempt = ours.promoted_attempt >= max(facts.status.attempt, 1)
    adopted = known and later and of_this_attempt and not facts.rejected
    return Adopt(ours.promotion) if adopted and ours.promotion else None


def superseded(facts: Facts) -> Move | None:
    """Another revision than the one being tried: that one goes, and the new one begins."""
    canary = facts.status.canary_revision or ""
    if canary == facts.canary:
        return None
    over = not path.under_way(facts.status) or canary == facts.stable
    old = "" if over or facts.record(canary).rejected_attempt >= facts.status.attempt else canary
    return Begin(facts.canary, superseding=old) if facts.canary else Drop(superseding=old)


def rejected(facts: Facts) -> Move | None:
    """What was rejected stays so, whatever the spec says, until a retry or another revision."""
    if not facts.rejected:
        return None
    if facts.asks(Verb.RETRY):
        return Retry()
    if path.under_way(facts.status) or facts.status.share.source is not Source.ROLLBACK:
        return StayRejected()
    return Wait(WaitReason.ROLLED_BACK, verdicts.stays_rejected)


def abort_requested(facts: Facts) -> Move | None:
    """A person takes the canary off for good."""
    if not facts.asks(Verb.ABORT):
        return None
    return Reject(Reason.ABORTED, verdicts.aborted(facts.place))


# ------------------------------------------------------------------------ what do people say


def lowering(facts: Facts) -> Move | None:
    """A setpoint or a ceiling below the share acts at once, ready or not."""
    wanted, source = facts.owned, Source.SETPOINT
    if wanted is None:
        wanted, source = facts.ceiling, Source.CEILING
    if wanted is None:
        return None
    lower = wanted < facts.percent or (not wanted and facts.exposed)
    return SetShare(wanted, source) if lower else None


def kept(facts: Facts) -> Move | None:
    """A setpoint that went, or edited steps: the share stays, as an implied step."""
    if facts.owned is not None:
        return None
    left = facts.status.share.source is Source.SETPOINT
    edited = facts.status.steps_hash != path.steps_hash(facts.strategy)
    return Keep() if left or (edited and not facts.in_final_hold) else None


def setpoint(facts: Facts) -> Move | None:
    """A person's setpoint for this canary acts at once."""
    if facts.owned is None:
        return None
    if facts.owned > max(facts.percent, COMPARABLE_PERCENT) and facts.on_trial:
        return Wait(WaitReason.AWAITING_EVIDENCE, waits.on_trial)
    in_force = facts.status.share.source is Source.SETPOINT and facts.owned == facts.percent
    return None if in_force else SetShare(facts.owned, Source.SETPOINT)


def promote_requested(facts: Facts) -> Move | None:
    """Promote passes the present wait; promote-full passes all that is left."""
    if facts.asks(Verb.PROMOTE_FULL) or (facts.asks(Verb.PROMOTE) and facts.in_final_hold):
        return Promote(Reason.REQUESTED, verdicts.promoted_by_request(facts.place))
    if not facts.asks(Verb.PROMOTE):
        return None
    if facts.owned is not None:
        return Answer(accepted=True, message=answers.noted(facts), approves=True)
    ring = ring_stage.following(facts)
    return OpenRing(ring, requested=True) if ring else _advance(facts, requested=True)


def held_by_setpoint(facts: Facts) -> Move | None:
    """A setpoint below 100 freezes the steps."""
    if facts.owned is None or facts.in_final_hold:
        return None
    return Wait(WaitReason.HELD_BY_SETPOINT, setpoint_words.held)


# ------------------------------------------------------------------------- may it go further


def ceiling(facts: Facts) -> Move | None:
    """A left-over setpoint caps the steps; when it is gone the share catches up."""
    if facts.started and facts.status.share.source is Source.CEILING:
        want = path.target(facts.strategy, facts.status)
        reach = max(facts.capped(want), facts.percent)
        held = _catch_up_held(facts, reach) if reach > facts.percent else None
        if held:
            return held
        if reach > facts.percent or reach == want:
            return SetShare(reach, Source.AUTOMATIC if reach == want else Source.CEILING)
    return (
        Wait(WaitReason.CEILING_REACHED, waits.ceiling) if refusals.ceiling_blocks(facts) else None
    )


def _catch_up_held(facts: Facts, reach: int) -> Move | None:
    """The step has that share already; that it is given now is a raise all the same."""
    if not facts.capacity_for(reach):
        return Wait(WaitReason.AWAITING_CAPACITY, partial(waits.awaits_capacity, percent=reach))
    return (
        evidence_unclear(facts)
        or evidence_suspect(facts)
        or callers_cancel(facts)
        or proofs.suspected(facts)
        or proofs.not_proven_for(facts, reach)
        or gates.closed(facts)
    )


def first_step(facts: Facts) -> Move | None:
    """A ready canary enters its first step; before, as rings are opened in their order, that is the next ring.

    One that had users before, and was given back to the steps, may be suspected.
    """
    if facts.started:
        return None
    if ring := ring_stage.following(facts):
        return OpenRing(ring)
    return proofs.suspected(facts) or _automatic_advance(facts)


def approval_missing(facts: Facts) -> Move | None:
    """Leaving a step that wants approval waits for a person."""
    status = facts.status
    if facts.in_final_hold or status.step_approved:
        return None
    if facts.step.approval is not StepApproval.REQUIRED:
        return None
    return Wait(WaitReason.HOLD_FOR_APPROVAL, waits.wants_approval)


def hold_not_over(facts: Facts) -> Move | None:
    """Each step, and the final hold, lasts as long as it says."""
    hold = facts.strategy.final_hold_seconds if facts.in_final_hold else facts.step.hold_seconds
    left = hold - facts.seconds_in_step()
    if left <= 0:
        return None
    until = facts.now + timedelta(seconds=left)
    return Wait(WaitReason.HOLDING, partial(waits.holding, until=until), until)


def evidence_unclear(facts: Facts) -> Move | None:
    """Over a limit without being clearly worse than stable, or without one to compare with: that is left to people."""
    alone = None if facts.stable else facts.first_check(CheckVerdict.BREACHED)
    if alone:
        return Wait(WaitReason.ANALYSIS_UNCLEAR, partial(alone_words.breaks, check=alone))
    unclear = (CheckVerdict.UNCLEAR, CheckVerdict.SHARED, CheckVerdict.UNCOMPARED)
    check = facts.first_check(*unclear)
    if check and check.verdict is CheckVerdict.UNCOMPARED and facts.on_trial:
        return Wait(WaitReason.AWAITING_EVIDENCE, waits.on_trial)
    if check and check.stable_over and misfits.known(facts, check):
        return Wait(WaitReason.LIMIT_DOES_NOT_FIT, partial(misfit_words.held, check=check))
    if check and check.verdict is CheckVerdict.SHARED:
        return Wait(WaitReason.SHARED_INCIDENT, partial(waits.shared, check=check))
    return Wait(WaitReason.ANALYSIS_UNCLEAR, partial(waits.unclear, check=check)) if check else None


def evidence_suspect(facts: Facts) -> Move | None:
    """Over a limit, on too few tasks to be sure: more of them will tell.

    Where windows condemn nobody, a breach is that, too, until the comparison has proven it. One that may be that of
    its users is left to a person.
    """
    check = facts.first_check(CheckVerdict.SUSPECT, CheckVerdict.BREACHED)
    known = comparing(facts)
    if drawn_users.breach(facts) and known and known.strengths.by_few:
        said = partial(compared.suspected, strengths=known.strengths)
        return Wait(WaitReason.ANALYSIS_UNCLEAR, said)
    return (
        Wait(WaitReason.AWAITING_EVIDENCE, partial(waits.suspect, check=check)) if check else None
    )


def callers_cancel(facts: Facts) -> Move | None:
    """Callers take back far more from the canary than from stable: that hides how slow it is."""
    return Wait(WaitReason.ANALYSIS_UNCLEAR, waits.callers_cancel) if cancels.more(facts) else None


def evidence_not_sufficient(facts: Facts) -> Move | None:
    """No advance, by proof or by time, unless both arms had tasks in this step.

    Where nobody is exposed while stable had tasks, time is enough for the next step. It is for none that a proof is asked for, and never for
    a promotion. Of a first revision it is not either: whom it is not given to is refused, and a few who ask say nothing of
    the many that the next share would reach.
    """
    observed = facts.observation
    if observed is None or facts.in_final_hold:
        return None
    ours, theirs = observed.in_step(Arm.CANARY), observed.in_step(Arm.STABLE)
    unexposed = not ours.tasks and not observed.routed_in_step(Arm.CANARY)
    if unexposed and theirs.tasks and facts.stable:
        return proofs.suspected(facts) or _unexposed(facts)
    fewest = facts.step.min_tasks
    enough = all(observed.in_total(arm).tasks >= fewest for arm in facts.arms)
    if enough and all(observed.in_step(arm).tasks for arm in facts.arms):
        return None
    return Wait(WaitReason.AWAITING_EVIDENCE, waits.awaits_evidence)


def _unexposed(facts: Facts) -> Move:
    if proofs.asked_next(facts) or path.promotes_next(facts.strategy, facts.status):
        return Wait(WaitReason.AWAITING_EVIDENCE, waits.untried)
    return _nobody_eligible(facts)


def _nobody_eligible(facts: Facts) -> Move:
    left = facts.step.longest_wait_seconds - facts.seconds_in_step()
    if left <= 0:
        held = gates.closed(facts) or approval_missing(facts)
        return held or _automatic_advance(facts, nobody_eligible=True)
    until = facts.now + timedelta(seconds=left)
    return Wait(WaitReason.AWAITING_EVIDENCE, partial(waits.awaits_users, until=until), until)


def advance(facts: Facts) -> Move | None:
    """Hold over, evidence in, approval given: the next step, or the final hold."""
    return None if facts.in_final_hold else _automatic_advance(facts)


def _automatic_advance(facts: Facts, *, nobody_eligible: bool = False) -> Move:
    """What is raised by itself waits for workers that can take the larger share."""
    move = _advance(facts, nobody_eligible=nobody_eligible)
    match move:
        case Advance(percent=want) if want > facts.percent and not facts.capacity_for(want):
            return Wait(WaitReason.AWAITING_CAPACITY, partial(waits.awaits_capacity, percent=want))
        case Advance(percent=want) if want > facts.percent and facts.status.stuck:
            return Wait(WaitReason.AWAITING_CAPACITY, waits.queue_is_old)
    return move


def _advance(facts: Facts, *, requested: bool = False, nobody_eligible: bool = False) -> Move:
    index = facts.next_index
    if index is not None:
        wanted = max(facts.strategy.steps[index].percent, facts.percent)
        at_once = facts.started or requested
        want = wanted if at_once else proofs.first_percent(facts, wanted)
        reach = facts.capped(want)
        source = Source.AUTOMATIC if reach == want else Source.CEILING
        held = want if want < wanted else None
        return Advance(index, reach, source, requested, held, nobody_eligible)
    if facts.strategy.final_hold_seconds == 0:
        return _promote_from_last_step(facts, requested=requested)
    percent = path.final_percent(facts.strategy, facts.status)
    return Advance(None, percent, requested=requested, nobody_eligible=nobody_eligible)


def _promote_from_last_step(facts: Facts, *, requested: bool) -> Move:
    if requested:
        message = verdicts.promoted_by_request(facts.place) + answers.skipped(facts)
        return Promote(Reason.REQUESTED, message)
    return Promote(Reason.ALL_STEPS_PASSED, verdicts.all_passed(facts))


def final_watch(facts: Facts) -> Move | None:
    """Promotion after the final hold needs tasks of the canary: no traffic proves nothing.

    Those that the last step asks for are missing where time has passed it as nobody was eligible. Where none is
    declared, a person's share of 100 makes it stable, and an edit that takes the hold away does not.
    """
    observed = facts.observation
    by_hand = facts.strategy.final_hold_seconds == 0 and facts.owned is not None
    if observed is None or by_hand:
        return None
    passed_by_time = facts.status.unreached_percent is not None
    fewest = facts.strategy.steps[-1].min_tasks if passed_by_time else 0
    enough = observed.in_total(Arm.CANARY).tasks >= fewest
    if enough and observed.in_step(Arm.CANARY).tasks:
        return None
    return Wait(WaitReason.AWAITING_EVIDENCE, waits.awaits_final_tasks)


def promote(facts: Facts) -> Move:
    """All steps passed, or a person's share of 100, and the final hold is over: the canary becomes stable."""
    reason = Reason.ALL_STEPS_PASSED if facts.owned is None else Reason.REQUESTED
    return Promote(reason, verdicts.all_passed(facts))
