"""Whether a canary does any harm: it is taken off for a while, comes back, or is rejected."""

import math
from typing import Final

from penstock.analysis import guardrails
from penstock.analysis.comparison.judge import Strength
from penstock.analysis.evidence import Observation
from penstock.analysis.guardrails import CheckVerdict, Finding
from penstock.api import condition
from penstock.api.analysis import OnSharedIncident, OnStable, Reason
from penstock.api.comparison import OnRegression
from penstock.api.reasons import WaitReason
from penstock.rollout import (
    capacity,
    drawn_users,
    findings,
    harm_budget,
    holds,
    misfits,
    spending,
)
from penstock.rollout.comparing import (
    REASONS,
    check_name,
    comparing,
    metric_name,
    to_blame,
    windows_only_suspend,
)
from penstock.rollout.facts import (
    COMPARABLE_PERCENT,
    MOST_UNCOMPARED,
    UNAVAILABLE_SECONDS,
    UNAVAILABLE_TIMES,
    Facts,
)
from penstock.rollout.moves import Move, Promote, Reject, Resume, Suspend, Wait
from penstock.rollout.requests import Verb
from penstock.rollout.words import compared, verdicts, waits
from penstock.traffic import Arm

#: A canary whose queue aged stays off for so long, doubled with each time, at most ...
FIRST_BACK_OFF_SECONDS: Final = 30
LONGEST_BACK_OFF_SECONDS: Final = 600


def unavailable(facts: Facts) -> Move | None:
    """A canary that cannot serve its share gives it back.

    It comes back when there is room for its share; under a person's setpoint one pod is enough.
    Without a ready pod twice condemns it; a queue that ages while pods are ready never does.
    """
    if facts.suspended_for == WaitReason.CANARY_UNAVAILABLE:
        promoted = _promoted_in_full(facts) if facts.pods.ready else None
        if promoted:
            return promoted
        back = capacity.percent_back(facts.status, facts.situation.spec)
        room = facts.owned is not None or facts.capacity_for(back)
        if not facts.pods.ready or not room or _backs_off(facts):
            return Wait(WaitReason.CANARY_UNAVAILABLE, waits.awaits_pods)
        return _resume(facts)
    if not facts.exposed or facts.halted or not facts.stable:
        return None  # without a stable revision nobody else serves: its tasks wait for its pods
    why = verdicts.why_unavailable(facts)
    if not why:
        return None
    if facts.seconds_unready() < UNAVAILABLE_SECONDS:
        return Suspend(WaitReason.CANARY_UNAVAILABLE, why, overload=True)
    if facts.status.unavailable_count + 1 < UNAVAILABLE_TIMES:
        return Suspend(WaitReason.CANARY_UNAVAILABLE, why)
    message = verdicts.unavailable_again(facts.place, why)
    return Reject(Reason.UNAVAILABLE, message, "availability")


def _backs_off(facts: Facts) -> bool:
    """Whether a canary whose queue aged must stay off for longer."""
    kept = facts.suspension
    if not kept.overloads or not kept.since:
        return False
    longest = FIRST_BACK_OFF_SECONDS * 2.0 ** min(kept.overloads - 1, 10)
    return facts.seconds_since(kept.since) < min(longest, LONGEST_BACK_OFF_SECONDS)


def shared_incident(facts: Facts) -> Move | None:
    """Stable fails as well: users go to stable, nobody is blamed, and it comes back by itself.

    So it does also where stable goes on failing with all users: that is no incident, see ``misfits``.
    """
    if facts.suspended_for == WaitReason.SHARED_INCIDENT:
        return _promoted_in_full(facts) or _back_from_incident(facts)
    check = facts.first_check(CheckVerdict.SHARED)
    if check is None or not facts.exposed or facts.halted:
        return None
    if misfits.known(facts, check):
        return None  # it is held below, at the share that it has
    follows = facts.situation.spec.analysis.guardrails.on_shared_incident
    if follows is OnSharedIncident.HOLD:
        return None  # below, what is shared holds any raise
    if follows is OnSharedIncident.ROLLBACK and not holds.lacks_rows(facts):
        message = verdicts.shared_condemns(facts.place, check)
        return Reject(findings.reason(check), message, check.name)
    return Suspend(WaitReason.SHARED_INCIDENT, verdicts.shared(check))


def _back_from_incident(facts: Facts) -> Move:
    over = facts.stable_over
    if facts.observation is None or (over and not misfits.last(facts)):
        return Wait(WaitReason.SHARED_INCIDENT, waits.awaits_stable)
    return _resume(facts, misfit=over)


def rows_missing(facts: Facts) -> Move | None:
    """Over a limit on numbers that lack rows: users go to stable, and nobody is condemned on them.

    It comes back when what was lost would be out of the window, and is judged on what follows.
    """
    lost = holds.lacks_rows(facts)
    if facts.suspended_for == WaitReason.ROWS_LOST:
        if promoted := _promoted_in_full(facts):
            return promoted
        if lost or facts.observation is None:
            return Wait(WaitReason.ROWS_LOST, waits.awaits_rows)
        return _resume(facts)
    check = facts.first_check(CheckVerdict.BREACHED, CheckVerdict.UNCOMPARED)
    if not lost or check is None or not facts.exposed or facts.halted or not facts.stable:
        return None
    return Suspend(WaitReason.ROWS_LOST, verdicts.lacks_rows(check))


def not_comparable(facts: Facts) -> Move | None:
    """Over a limit with nobody to compare with: users go to stable first.

    When stable, with all users, is well, the canary comes back to a share at which it can be
    compared, and is on trial there until both have enough tasks: outages come in rows. What is bad
    after that, still without a rival, is its own; unless stable's few tasks fail too. The same where the users
    who were drawn may be why, of whom the others are no measure: see ``_over_with_its_users``.
    """
    if facts.suspended_for == WaitReason.NOT_COMPARABLE:
        return _promoted_in_full(facts) or _back_when_stable_is_well(facts)
    check = _not_attributable(facts)
    if check is None or not facts.exposed or facts.halted:
        return None
    if held := drawn_users.held(facts, check):
        return _over_with_its_users(facts, check, held)
    again, comparable = facts.suspension.uncompared, facts.percent <= COMPARABLE_PERCENT
    if comparable and facts.on_trial:
        return None  # nothing raises it until stable has tasks enough, which then tell
    if comparable and drawn_users.fail_on_stable(facts, check):
        return None  # stable does no better with them, so that it is left to a person
    over = _is_over(facts, check) and drawn_users.are_suspected(facts, check)
    proven = check.chosen or not windows_only_suspend(facts) or over
    if comparable and proven and again >= (MOST_UNCOMPARED if check.stable_above else 1):
        message = verdicts.uncompared_again(facts.place, check)
        return Reject(findings.reason(check), message, check.name)
    return Suspend(WaitReason.NOT_COMPARABLE, verdicts.no_rival(check))


def _back_when_stable_is_well(facts: Facts) -> Move:
    over = facts.stable_over if misfits.last(facts) else None
    if over:
        return _resume(facts, misfit=over)
    if not _stable_proved_well(facts) or drawn_users.awaited(facts):
        return Wait(WaitReason.NOT_COMPARABLE, waits.awaits_comparison)
    return _resume(facts)


def _not_attributable(facts: Facts) -> Finding | None:
    """A limit that is broken, nobody can say by whose fault; none where what can be compared is condemned below."""
    ringed = _of_rings(facts, CheckVerdict.UNCOMPARED)
    if ringed:
        return None if _condemning(facts) else ringed
    if held := drawn_users.breach(facts):
        return held
    breached = facts.first_check(CheckVerdict.BREACHED)
    return None if breached else facts.first_check(CheckVerdict.UNCOMPARED)


def _over_with_its_users(facts: Facts, check: Finding, held: Strength) -> Move | None:
    """Over a limit, and the users who were drawn may be why: they go to stable, which then tells of them.

    Who fails there as much is left on the canary. One that fails clearly more with the same users, also
    after they were off, is rejected. What stays unknown takes them off a few times, then a person is asked.
    """
    same, again = drawn_users.same_users(facts, check), facts.suspension.uncompared
    breached = check.verdict is CheckVerdict.BREACHED
    comparable = facts.percent <= COMPARABLE_PERCENT
    if breached and drawn_users.fail_on_stable(facts, check):
        return None  # stable does no better with them: held below
    proven = same is not None and _is_over(facts, check) and same.evidence() >= _needed(facts)
    if comparable and proven and again >= (MOST_UNCOMPARED if check.stable_above else 1):
        message = verdicts.same_users_again(facts.place, check, same)
        return Reject(findings.reason(check), message, check.name)
    if comparable and (facts.on_trial or (breached and again >= MOST_UNCOMPARED)):
        return None
    return Suspend(WaitReason.NOT_COMPARABLE, verdicts.may_be_users(check, held, same))


def _needed(facts: Facts) -> float:
    """From where on evidence over a limit condemns."""
    known = comparing(facts)
    return known.strengths.needed[1] if known else math.inf


def _stable_proved_well(facts: Facts) -> bool:
    """Whether stable, with all users since the canary was taken off, keeps every limit.

    So many ended tasks prove it; where there is hardly any traffic, time does.
    """
    since, observed = facts.suspension.since, facts.observation
    if observed is None or any(check.stable_over for check in facts.checks):
        return False
    limits = facts.situation.spec.analysis.guardrails
    began = condition.moment(since).timestamp() if since else 0.0
    stable = observed.since(int(began * 1000)).in_window(Arm.STABLE)
    enough = min(stable.tasks, stable.timed) >= guardrails.FEWEST_STABLE
    long = not since or facts.seconds_since(since) >= 2 * limits.window_seconds
    well = guardrails.stable_is_well(limits, stable, facts.expected_cost)
    return (enough or long) and well


def _is_over(facts: Facts, check: Finding) -> bool:
    """Whether it is proven at any time that the canary breaks the limit."""
    known = comparing(facts)
    return known is not None and known.strengths.is_over(metric_name(check.metric))


def spend_cap(facts: Facts) -> Move | None:
    """A canary that has used up what it may spend, or do to the world, is stopped: stable serves everybody.

    It is no worse for that, and not rejected. It comes back when its limit is raised or the window
    ends; promote lets it go on without, for the rest of its attempt.
    """
    if facts.suspended_for in spending.STOPPED:
        if not spending.still_stopped(facts):
            return _resume(facts)
        if facts.asks(Verb.PROMOTE):
            return _held(facts) or Resume(unbounded=True)
        if promoted := _promoted_in_full(facts):
            return promoted
        stop = facts.suspension.stop
        until = condition.moment(stop.until) if stop and stop.until else None
        return Wait(WaitReason(facts.suspended_for), waits.stopped, until)
    if not facts.exposed or facts.halted:
        return None
    if spent := spending.reached(facts):
        why = verdicts.used_up(spent, facts)
        return Suspend(spending.reason(spent), why, stop=spending.kept(spent))
    if done := harm_budget.reached(facts):
        why, stop = verdicts.has_done(done, facts), harm_budget.kept(done)
        return Suspend(WaitReason.HARM_BUDGET_REACHED, why, stop=stop)
    return None


def _promoted_in_full(facts: Facts) -> Move | None:
    """A repair that cannot wait: a person's word for everybody acts, whatever the canary is off for."""
    if not facts.asks(Verb.PROMOTE_FULL):
        return None
    place = verdicts.back_at(facts, facts.status.held_percent or 0)
    return _held(facts) or Promote(Reason.REQUESTED, verdicts.promoted_by_request(place))


def _resume(facts: Facts, misfit: Finding | None = None) -> Move:
    """To come back is a raise: what holds any raise holds this one, but a person's word does it."""
    held = _held(facts)
    if held is None and facts.owned is None:
        held = holds.measurement_missing(facts) or holds.rows_lost(facts) or holds.paused(facts)
    return held or Resume(misfit=misfit)


def _held(facts: Facts) -> Move | None:
    """What holds any raise, also one by a person's word."""
    return holds.undo_awaits_pods(facts) or holds.agent_suspended(facts) or holds.not_ready(facts)


def guardrail(facts: Facts) -> Move | None:
    """A credible and attributable breach rejects the canary, where no comparison is declared that does.

    That of a first revision does where onStable is declared to act: else it is held at its share, since
    nobody would serve its users.
    """
    check = _condemning(facts)
    if check is None or facts.halted or holds.lacks_rows(facts):
        return None
    follows = facts.situation.spec.analysis.guardrails.on_stable
    if not facts.stable and follows is OnStable.REPORT:
        return None
    return Reject(findings.reason(check), verdicts.breached(facts.place, check), check.name)


def _condemning(facts: Facts) -> Finding | None:
    """The breach that condemns: any, or where the comparison does, one that users of rings have seen."""
    if windows_only_suspend(facts):  # nothing but a limit judges users of rings
        return _of_rings(facts, CheckVerdict.BREACHED)
    return facts.first_check(CheckVerdict.BREACHED)


def _of_rings(facts: Facts, verdict: CheckVerdict) -> Finding | None:
    """The first guardrail that says this of users of rings."""
    return next((one for one in facts.heard if one.chosen and one.verdict is verdict), None)


def evidence_of_harm(facts: Facts) -> Move | None:
    """What the comparison proves to be worse than stable is rejected, wherever its limits are.

    It may be looked at as often as one likes. While the canary is off nothing is asked, unless that is for what it
    has spent or done: its open tasks still tell.
    """
    known, stopped = comparing(facts), facts.suspended_for in spending.STOPPED
    if known is None or not (facts.exposed or stopped) or facts.halted:
        return None
    pauses = facts.situation.spec.analysis.on_regression is OnRegression.PAUSE
    if pauses or holds.lacks_rows(facts) or not known.strengths.condemns:
        return None
    blamed = to_blame(known.strengths).name
    observed = facts.observation or Observation(0)
    message = compared.worse(facts.percent, observed, known.seen, known.strengths)
    return Reject(REASONS[blamed], message, check_name(blamed))
