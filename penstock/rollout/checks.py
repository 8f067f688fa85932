"""The policy, on one screen: each check looks at the facts and asks for a move, or passes on."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from penstock.analysis.guardrails import CheckVerdict
from penstock.api.rollout import Reason, Source, StepApproval
from penstock.rollout import findings, former, path, refusals, words
from penstock.rollout.facts import (
    CANDIDATE_UNAVAILABLE,
    COMPARABLE_PERCENT,
    NOT_COMPARABLE,
    ROWS_LOST,
    SHARED_INCIDENT,
    UNAVAILABLE_SECONDS,
    UNAVAILABLE_TIMES,
    Facts,
)
from penstock.rollout.moves import (
    Adopt,
    Advance,
    Answer,
    Begin,
    Drop,
    Keep,
    Move,
    Promote,
    Reject,
    Resume,
    Retry,
    ServeFirst,
    SetShare,
    StayRejected,
    Suspend,
    Undo,
    Wait,
)
from penstock.rollout.requests import Verb
from penstock.rollout.situation import Pods
from penstock.traffic import Arm

Check = Callable[[Facts], Move | None]


def next_move(facts: Facts) -> Move:
    """The first move that a check asks for, in the order of CHECKS."""
    for check in CHECKS:
        move = check(facts)
        if move is not None:
            return move
    raise AssertionError("the last check always answers")


# ----------------------------------------------------------------------------- who is it about


def refused_request(facts: Facts) -> Move | None:
    """A request that cannot be done is answered, and nothing else comes of it."""
    why = refusals.why_refused(facts)
    return Answer(accepted=False, message=why) if why else None


def undo_requested(facts: Facts) -> Move | None:
    """A person goes back to a former revision: as soon as its first pod is ready.

    Back to stable is a rollback of the candidate, and waits for nothing.
    """
    goal = former.goal(facts)
    if not goal:
        return None
    if goal != facts.stable:
        return Undo(goal) if facts.situation.pods.get(goal, Pods()).ready else None
    if former.in_flight(facts) != facts.candidate:
        return None  # the candidate of before goes first
    return Reject(Reason.ABORTED, words.undone(facts.percent, goal))


def settled(facts: Facts) -> Move | None:
    """There is nothing to try: no first revision yet, or stable is what the Agent wants."""
    if not facts.stable:
        return _first_revision(facts)
    if facts.candidate or facts.status.canary_revision:
        return None
    return Wait("NoCandidate", f"{facts.stable} serves everybody.")


def _first_revision(facts: Facts) -> Move:
    latest = facts.situation.latest
    if not latest:
        return Wait("NoRevision", "The Agent has no revision yet.")
    record = facts.record(latest)
    if record.rejected_attempt:
        return Wait("RolledBack", f"{latest} stays rejected, and no stable revision is known.")
    pods = facts.situation.pods.get(latest)
    if pods and pods.ready:
        return ServeFirst(latest)
    why = f": {pods.message}" if pods and pods.message else ""
    return Wait("FirstRevisionNotReady", f"No pod of {latest} is ready{why}.")


def promoted_before(facts: Facts) -> Move | None:
    """The verdict reached the record, then the operator died before it wrote the status.

    Where stable's own promotion is not on record, nobody can tell which one was later.
    """
    before = facts.situation.status
    ours, theirs = facts.record(facts.candidate), facts.record(facts.stable)
    known = before.canary_revision == facts.candidate or not before.route_version
    later = 0 < theirs.promoted_sequence < ours.promoted_sequence
    of_this_attempt = ours.promoted_attempt is None or (
        ours.promoted_attempt >= max(facts.status.attempt, 1)
    )
    return Adopt() if known and later and of_this_attempt and not facts.rejected else None


def superseded(facts: Facts) -> Move | None:
    """Another revision than the one being tried: that one goes, and the new one begins."""
    canary = facts.status.canary_revision or ""
    if canary == facts.candidate:
        return None
    over = not path.under_way(facts.status)
    old = "" if over or facts.record(canary).rejected_attempt >= facts.status.attempt else canary
    return Begin(facts.candidate, superseding=old) if facts.candidate else Drop(superseding=old)


def rejected(facts: Facts) -> Move | None:
    """What was rejected stays so, whatever the spec says, until a retry or another revision."""
    if not facts.rejected:
        return None
    if facts.asks(Verb.RETRY):
        return Retry()
    if path.under_way(facts.status) or facts.status.share.source is not Source.ROLLBACK:
        return StayRejected()
    return Wait("RolledBack", words.stays_rejected(facts))


def abort_requested(facts: Facts) -> Move | None:
    """A person takes the candidate off for good."""
    if not facts.asks(Verb.ABORT):
        return None
    return Reject(Reason.ABORTED, f"rolled back at {facts.percent} %: aborted by request")


# ----------------------------------------------------------------------- is it doing any harm


def unavailable(facts: Facts) -> Move | None:
    """A candidate that cannot serve its share gives it back.

    It comes back when there is room for its share; under a person's setpoint one pod is enough.
    Without a ready pod twice condemns it; a queue that ages while pods are ready never does.
    """
    if facts.suspended_for == CANDIDATE_UNAVAILABLE:
        room = facts.owned is not None or facts.capacity_for(facts.status.held_percent or 0)
        if not facts.pods.ready or not room or facts.backing_off:
            return Wait(CANDIDATE_UNAVAILABLE, words.awaits_pods(facts))
        return _resume(facts)
    if not facts.percent or facts.situation.agent_suspended:
        return None
    why = words.why_unavailable(facts)
    if not why:
        return None
    if facts.seconds_unready() < UNAVAILABLE_SECONDS:
        return Suspend(CANDIDATE_UNAVAILABLE, why, overload=True)
    if facts.status.unavailable_count + 1 < UNAVAILABLE_TIMES:
        return Suspend(CANDIDATE_UNAVAILABLE, why)
    message = f"rolled back at {facts.percent} %: unavailable for the second time: {why}"
    return Reject(Reason.UNAVAILABLE, message, "availability")


def shared_incident(facts: Facts) -> Move | None:
    """Stable fails as well: users go to stable, nobody is blamed, and it comes back by itself."""
    if facts.suspended_for == SHARED_INCIDENT:
        over = [check for check in facts.checks if check.stable_over]
        if over or facts.observation is None:
            return Wait(SHARED_INCIDENT, words.awaits_stable(facts))
        return _resume(facts)
    check = facts.first_check(CheckVerdict.SHARED)
    if check is None or not facts.percent or facts.situation.agent_suspended:
        return None
    return Suspend(SHARED_INCIDENT, f"{findings.line(check)}: stable is over the limit too")


def rows_missing(facts: Facts) -> Move | None:
    """Over a limit on numbers that lack rows: users go to stable, and nobody is condemned on them.

    It comes back when what was lost would be out of the window, and is judged on what follows.
    """
    lost = _lacks_rows(facts)
    if facts.suspended_for == ROWS_LOST:
        if lost or facts.observation is None:
            return Wait(ROWS_LOST, words.awaits_rows(facts))
        return _resume(facts)
    check = facts.first_check(CheckVerdict.BREACHED, CheckVerdict.UNCOMPARED)
    if not lost or check is None or not facts.percent or facts.situation.agent_suspended:
        return None
    return Suspend(ROWS_LOST, f"{findings.line(check)}; {words.LACKS_ROWS}")


def _lacks_rows(facts: Facts) -> bool:
    return facts.observation is not None and facts.observation.gap


def not_comparable(facts: Facts) -> Move | None:
    """Over a limit with nobody to compare with: users go to stable first.

    When stable, with all users, is well, the candidate comes back to a share at which it can be
    compared. What is bad there as well, still without a rival, is its own.
    """
    if facts.suspended_for == NOT_COMPARABLE:
        if not facts.stable_proved_well:
            return Wait(NOT_COMPARABLE, words.awaits_comparison(facts))
        return _resume(facts)
    check = facts.first_check(CheckVerdict.UNCOMPARED)
    if check is None or not facts.percent or facts.situation.agent_suspended:
        return None
    if facts.first_check(CheckVerdict.BREACHED):
        return None  # condemned below, for what can be compared
    if facts.suspension.uncompared and facts.percent <= COMPARABLE_PERCENT:
        message = f"rolled back at {facts.percent} %: {findings.line(check)}; {words.AGAIN}"
        return Reject(findings.reason(check), message, check.name)
    return Suspend(
        NOT_COMPARABLE, f"{findings.line(check)}: stable has too few tasks to compare with"
    )


def _resume(facts: Facts) -> Move:
    """To come back is a raise: what holds any raise holds this one, but a person's word does it."""
    held = undo_awaits_pods(facts) or agent_suspended(facts) or not_ready(facts)
    if held is None and facts.owned is None:
        held = measurement_missing(facts) or rows_lost(facts) or paused(facts)
    return held or Resume()


def guardrail(facts: Facts) -> Move | None:
    """A credible and attributable breach rejects the candidate."""
    check = facts.first_check(CheckVerdict.BREACHED)
    if check is None or facts.situation.agent_suspended or _lacks_rows(facts):
        return None
    message = f"rolled back at {facts.percent} %: {findings.line(check)}"
    return Reject(findings.reason(check), message, check.name)


# ------------------------------------------------------------------------ what do people say


def lowering(facts: Facts) -> Move | None:
    """A setpoint or a ceiling below the share acts at once, ready or not."""
    if facts.owned is not None:
        return SetShare(facts.owned, Source.SETPOINT) if facts.owned < facts.percent else None
    if facts.ceiling is not None and facts.ceiling < facts.percent:
        return SetShare(facts.ceiling, Source.CEILING)
    return None


def kept(facts: Facts) -> Move | None:
    """A setpoint that went, or edited steps: the share stays, as an implied step."""
    if facts.owned is not None:
        return None
    left = facts.status.share.source is Source.SETPOINT
    edited = facts.status.steps_hash != path.steps_hash(facts.strategy)
    return Keep() if left or (edited and not facts.in_final_hold) else None


def undo_awaits_pods(facts: Facts) -> Wait | None:
    """Nothing is raised any more that is about to be left."""
    goal = former.goal(facts)
    return Wait("Undoing", words.undo_awaits_pods(facts, goal)) if goal else None


def agent_suspended(facts: Facts) -> Move | None:
    """While the Agent's kill switch is on, nothing is raised."""
    if not facts.situation.agent_suspended:
        return None
    return Wait("AgentSuspended", words.AGENT_SUSPENDED)


def not_ready(facts: Facts) -> Move | None:
    """Nothing is raised onto pods that cannot serve."""
    if facts.can_serve:
        return None
    if facts.situation.store_error:  # without Redis no pod is ready: that is not the pods' fault
        return Wait("StoreUnavailable", words.store_unavailable(facts))
    left = UNAVAILABLE_SECONDS - facts.seconds_unready()
    until = facts.now + timedelta(seconds=left) if facts.percent else None
    return Wait("CandidateNotReady", words.not_ready(facts), until)


def setpoint(facts: Facts) -> Move | None:
    """A person's setpoint for this candidate acts at once."""
    if facts.owned is None:
        return None
    if facts.owned > max(facts.percent, COMPARABLE_PERCENT) and facts.on_trial:
        return Wait("AwaitingEvidence", words.on_trial(facts))
    in_force = facts.status.share.source is Source.SETPOINT and facts.owned == facts.percent
    return None if in_force else SetShare(facts.owned, Source.SETPOINT)


def promote_requested(facts: Facts) -> Move | None:
    """Promote passes the present wait; promote-full passes all that is left."""
    if facts.asks(Verb.PROMOTE_FULL) or (facts.asks(Verb.PROMOTE) and facts.in_final_hold):
        return Promote(Reason.REQUESTED, f"promoted from {facts.percent} % by request")
    if not facts.asks(Verb.PROMOTE):
        return None
    if facts.owned is not None:
        return Answer(accepted=True, message=words.noted(facts), approves=True)
    return _advance(facts, requested=True)


def held_by_setpoint(facts: Facts) -> Move | None:
    """A setpoint below 100 freezes the steps."""
    if facts.owned is None or facts.in_final_hold:
        return None
    return Wait("HeldBySetpoint", words.held_by_setpoint(facts))


# ------------------------------------------------------------------------- may it go further


def measurement_missing(facts: Facts) -> Move | None:
    """Nothing is raised blindly."""
    if facts.observation is not None:
        return None
    if facts.situation.store_error:
        return Wait("StoreUnavailable", words.store_unavailable(facts))
    why = facts.situation.observation_error or "no reason given"
    return Wait("MeasurementMissing", f"Nothing is raised while outcomes cannot be read: {why}.")


def rows_lost(facts: Facts) -> Move | None:
    """Nothing is raised on numbers that lack rows, until those would be out of the window."""
    return Wait(ROWS_LOST, words.rows_lost(facts)) if _lacks_rows(facts) else None


def paused(facts: Facts) -> Move | None:
    """The operator raises nothing by itself."""
    return Wait("Paused", words.paused(facts)) if facts.situation.spec.paused else None


def ceiling(facts: Facts) -> Move | None:
    """A left-over setpoint caps the steps; when it is gone the share catches up."""
    if facts.started and facts.status.share.source is Source.CEILING:
        want = path.target(facts.strategy, facts.status)
        reach = max(facts.capped(want), facts.percent)
        if reach > facts.percent and not facts.capacity_for(reach):
            return Wait("AwaitingCapacity", words.awaits_capacity(facts, reach))
        if reach > facts.percent or reach == want:
            return SetShare(reach, Source.AUTOMATIC if reach == want else Source.CEILING)
    return Wait("CeilingReached", words.ceiling(facts)) if refusals.ceiling_blocks(facts) else None


def first_step(facts: Facts) -> Move | None:
    """A ready candidate enters its first step."""
    return None if facts.started else _automatic_advance(facts)


def approval_missing(facts: Facts) -> Move | None:
    """Leaving a step that wants approval waits for a person."""
    status = facts.status
    if facts.in_final_hold or status.step_approved:
        return None
    if facts.step.approval is not StepApproval.REQUIRED:
        return None
    return Wait("HoldForApproval", words.wants_approval(facts))


def hold_not_over(facts: Facts) -> Move | None:
    """Each step, and the final hold, lasts as long as it says."""
    hold = facts.strategy.final_hold_seconds if facts.in_final_hold else facts.step.hold_seconds
    left = hold - facts.seconds_in_step()
    if left <= 0:
        return None
    until = facts.now + timedelta(seconds=left)
    return Wait("Holding", words.holding(facts, until), until)


def evidence_unclear(facts: Facts) -> Move | None:
    """Over a limit without being clearly worse than stable: that is left to people."""
    unclear = (CheckVerdict.UNCLEAR, CheckVerdict.SHARED, CheckVerdict.UNCOMPARED)
    check = facts.first_check(*unclear)
    return Wait("AnalysisUnclear", words.unclear(facts, check)) if check else None


def evidence_suspect(facts: Facts) -> Move | None:
    """Over a limit, on too few tasks to be sure: more of them will tell."""
    check = facts.first_check(CheckVerdict.SUSPECT)
    return Wait("AwaitingEvidence", words.suspect(facts, check)) if check else None


def callers_cancel(facts: Facts) -> Move | None:
    """Callers take back far more from the candidate than from stable: that hides how slow it is."""
    return Wait("AnalysisUnclear", words.callers_cancel(facts)) if facts.callers_cancel else None


def evidence_not_sufficient(facts: Facts) -> Move | None:
    """No advance, by proof or by time, unless both arms had tasks in this step."""
    observed = facts.observation
    if observed is None or facts.in_final_hold:
        return None
    ours, theirs = observed.in_step(Arm.CANDIDATE), observed.in_step(Arm.STABLE)
    if not ours.tasks and not observed.routed_in_step(Arm.CANDIDATE) and theirs.tasks:
        return _nobody_eligible(facts)
    fewest = facts.step.min_tasks
    enough = all(observed.in_total(arm).tasks >= fewest for arm in Arm)
    if enough and ours.tasks and theirs.tasks:
        return None
    return Wait("AwaitingEvidence", words.awaits_evidence(facts))


def _nobody_eligible(facts: Facts) -> Move:
    left = facts.step.longest_wait_seconds - facts.seconds_in_step()
    if left <= 0:
        return approval_missing(facts) or _automatic_advance(facts, nobody_eligible=True)
    until = facts.now + timedelta(seconds=left)
    return Wait("AwaitingEvidence", words.awaits_users(facts, until), until)


def advance(facts: Facts) -> Move | None:
    """Hold over, evidence in, approval given: the next step, or the final hold."""
    return None if facts.in_final_hold else _automatic_advance(facts)


def _automatic_advance(facts: Facts, *, nobody_eligible: bool = False) -> Move:
    """What is raised by itself waits for workers that can take the larger share."""
    move = _advance(facts, nobody_eligible=nobody_eligible)
    match move:
        case Advance(percent=want) if want > facts.percent and not facts.capacity_for(want):
            return Wait("AwaitingCapacity", words.awaits_capacity(facts, want))
        case Advance(percent=want) if want > facts.percent and facts.status.stuck:
            return Wait("AwaitingCapacity", words.queue_is_old(facts))
    return move


def _advance(facts: Facts, *, requested: bool = False, nobody_eligible: bool = False) -> Move:
    index = facts.next_index
    if index is not None:
        want = max(facts.strategy.steps[index].percent, facts.percent)
        reach = facts.capped(want)
        source = Source.AUTOMATIC if reach == want else Source.CEILING
        return Advance(index, reach, source, requested, nobody_eligible)
    if facts.strategy.final_hold_seconds == 0:
        reason = Reason.REQUESTED if requested else Reason.ALL_STEPS_PASSED
        return Promote(reason, words.all_passed(facts))
    percent = path.final_percent(facts.strategy, facts.status)
    return Advance(None, percent, Source.AUTOMATIC, requested, nobody_eligible)


def final_watch(facts: Facts) -> Move | None:
    """Promotion after the final hold needs tasks of the candidate: no traffic proves nothing."""
    observed = facts.observation
    if facts.strategy.final_hold_seconds == 0 or observed is None:
        return None
    if observed.in_step(Arm.CANDIDATE).tasks:
        return None
    return Wait("AwaitingEvidence", words.awaits_final_tasks(facts))


def promote(facts: Facts) -> Move:
    """All steps passed and the final hold is over: the candidate becomes stable."""
    return Promote(Reason.ALL_STEPS_PASSED, words.all_passed(facts))


#: The order is the meaning.
CHECKS: Final[tuple[Check, ...]] = (
    refused_request,
    undo_requested,
    settled,
    promoted_before,
    superseded,
    rejected,
    abort_requested,
    unavailable,
    shared_incident,
    rows_missing,
    not_comparable,
    guardrail,
    lowering,
    kept,
    undo_awaits_pods,
    agent_suspended,
    not_ready,
    setpoint,
    promote_requested,
    held_by_setpoint,
    measurement_missing,
    rows_lost,
    paused,
    ceiling,
    first_step,
    hold_not_over,
    evidence_unclear,
    evidence_suspect,
    callers_cancel,
    evidence_not_sufficient,
    approval_missing,
    advance,
    final_watch,
    promote,
)
