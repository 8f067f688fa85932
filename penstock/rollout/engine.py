"""The decision: one pure, total function from a situation to the next status."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from penstock.api import condition
from penstock.api.analysis import Verdict
from penstock.api.comparison import ComparisonStatus
from penstock.api.reasons import EventReason, WaitReason
from penstock.api.requested import LastRequest
from penstock.api.rollout import AgentRolloutStatus, Share
from penstock.rollout import (
    aftermath,
    alarms,
    clocks,
    deadline,
    evidence_since,
    former,
    holds,
    inherited,
    looks,
    numbers,
    path,
    policy,
    record,
    refusals,
    report,
    requests,
    returning,
    ring_stage,
    ringing,
    setpoint,
    watch,
)
from penstock.rollout.changes import Change, remembered
from penstock.rollout.facts import WAITING, Facts
from penstock.rollout.moves import Awaited, Move, Wait
from penstock.rollout.situation import Decision, Happening, Situation
from penstock.rollout.transitions import change
from penstock.rollout.words import answers, conditions, waits

#: Each move changes what the checks see; far fewer than this settle every situation.
MAX_MOVES: Final = 24
_LOOK_AT_CANARY_SECONDS: Final = 5.0
_LOOK_AT_STABLE_SECONDS: Final = 60.0
_TOLD_WAITS: Final = {
    WaitReason.HOLD_FOR_APPROVAL: EventReason.HOLD_FOR_APPROVAL,
    WaitReason.ANALYSIS_UNCLEAR: EventReason.ANALYSIS_UNCLEAR,
    WaitReason.LIMIT_DOES_NOT_FIT: EventReason.LIMIT_DOES_NOT_FIT,
    WaitReason.MEASUREMENT_MISSING: EventReason.MEASUREMENT_MISSING,
    WaitReason.DEADLINE_EXCEEDED: EventReason.DEADLINE_EXCEEDED,
    WaitReason.EXTERNAL_GATE: EventReason.EXTERNAL_GATE,
    WaitReason.EXTERNAL_MISSING: EventReason.EXTERNAL_MISSING,
}
#: What ends by a person's word, by tasks, or at a moment that is told.
_HOLDS: Final = (
    WaitReason.HOLDING,
    WaitReason.AWAITING_EVIDENCE,
    WaitReason.ANALYSIS_UNCLEAR,
    WaitReason.LIMIT_DOES_NOT_FIT,
    WaitReason.DEADLINE_EXCEEDED,
    WaitReason.HOLD_FOR_APPROVAL,
    WaitReason.PAUSED,
    WaitReason.HELD_BY_SETPOINT,
    WaitReason.CEILING_REACHED,
    WaitReason.EXTERNAL_GATE,
    WaitReason.EXTERNAL_MISSING,
)
#: Whatever else goes by the clock (workers that are asked for ahead, a sheet that is clean again) may be so late.
_HOLDS_SECONDS: Final = 10.0


def decide(situation: Situation) -> Decision:
    """The next status of a rollout, what to tell, and when to look again.

    Moves are made one by one until the checks ask to wait, so that deciding on the result with
    nothing new changes nothing. Never raises for any situation that the types allow.
    """
    before = inherited.state(situation.status)
    situation = replace(situation, status=before)
    made, taken, facts, wait = _settle(_noted(Facts(situation, before).but(**_seen(situation))))
    numbered = _numbered(facts)
    wait = _still(wait, facts, numbered)
    news = wait.reason != before.waiting
    facts = numbered.of(numbers.counted(numbered, before, news=news))
    wait = _still(wait, numbered, facts)
    entries, head = record.entries(taken, facts)
    facts = facts.but(decisions=head)
    refused = ringing.refused_now(facts, before)
    facts = facts.but(effects=aftermath.seen(facts, before), rings_refused=refused)
    facts = facts.but(delay=deadline.delay(facts, wait.reason), alarms=alarms.seen(facts, before))
    message, said = _steady(before, facts.status, wait.said(facts))
    facts = facts.but(waiting_message=message)
    facts = facts.but(conditions=report.all_conditions(facts, said))
    facts = facts.but(**_request_waits(facts, said))
    facts = facts.but(**_told_before(facts, said))
    told = (*made.happenings, *_told_once(facts, before, said))
    stable = Facts(situation, before).stable
    return Decision(
        facts.status,
        told,
        made.verdicts,
        _look_again(facts, said),
        former.goal(facts) or watch.goal(facts) or returning.goal(facts),
        promoted=facts.stable if facts.stable != stable else "",
        holds_seconds=_holds(facts, said),
        entries=entries,
    )


# ---------------------------------------------------------------------------- before the moves


def _seen(situation: Situation) -> dict[str, Any]:
    """What is simply noted: generation, epoch, setpoint, pods without readiness, old queues."""
    status = situation.status
    facts = Facts(situation, status)
    update: dict[str, Any] = {
        "observed_generation": situation.generation,
        "epoch": max(status.epoch, situation.epoch),
        "suspended": facts.halted,
        "stable_revision": facts.stable or None,
        "stage": ring_stage.stage_seen(facts),
        "share": _share_seen(facts, is_new=facts.canary != (status.canary_revision or "")),
        "unready_since": clocks.unready_since(facts),
        "halts": clocks.halts(facts),
        **_repeated(facts),
        **clocks.quiet(facts),
        **clocks.step_clock(facts),
    }
    return {**update, "stuck": clocks.stuck(facts.but(**update))}


def _share_seen(facts: Facts, *, is_new: bool = False) -> Share:
    """The share with the setpoint in spec and whose it is."""
    share = facts.status.share
    seen = setpoint.see(
        facts.situation.spec.traffic,
        facts.situation.generation,
        share.setpoint,
        facts.canary,
        is_new=is_new,
        version=facts.record(facts.canary).version,
    )
    return share if seen is share.setpoint else share.model_copy(update={"setpoint": seen})


def _repeated(facts: Facts) -> dict[str, Any]:
    """A request that was answered before another one says so, and is remembered for longer."""
    value, last = facts.asked, facts.status.last_request
    if value == last.value or not requests.is_answered(value, facts.status.answered_requests):
        return {}
    answer = LastRequest(
        value=value,
        result=requests.REPEATED,
        message=answers.ANSWERED_BEFORE,
        at=condition.timestamp(facts.now),
    )
    return {"last_request": answer, "answered_requests": remembered(facts, value)}


# ----------------------------------------------------------------------------------- the moves


def _settle(facts: Facts) -> tuple[Change, tuple[record.Taken, ...], Facts, Wait]:
    """What all moves that the checks ask for have changed, each, the facts after them, what is awaited."""
    taken: tuple[record.Taken, ...] = ()
    told: tuple[Happening, ...] = ()
    verdicts: dict[str, Verdict] = {}  # of several on one revision in one pass the last one
    wait = policy.next_move(facts)
    for _ in range(MAX_MOVES):
        if isinstance(wait, Wait):
            break
        changed = change(wait, facts)
        taken += (record.Taken(policy.asker(facts), wait, facts, changed),)
        facts = _noted(facts.of(changed.status))
        told += changed.happenings
        verdicts |= {verdict.revision: verdict for verdict in changed.verdicts}
        wait = policy.next_move(facts)
    made = Change(facts.status, told, tuple(verdicts.values()))
    return made, taken, facts, _awaited(facts, wait)


def _awaited(facts: Facts, move: Move) -> Wait:
    """What is awaited; whatever else is, a person who goes back hears of that first."""
    if not isinstance(move, Wait):
        return Wait(WaitReason.DECIDING, waits.deciding)
    return holds.undo_awaits_pods(facts) or move


def _still(wait: Wait, before: Facts, after: Facts) -> Wait:
    """What is awaited after the version and the numbers are written.

    The checks see of these only what the guardrails are judged on, and since when is compared; they are asked again just where
    one of the two is another.
    """
    since = [_compared_since(facts) for facts in (before, after)]
    if after.judged is before.judged and since[0] == since[1]:
        return wait
    return _awaited(after, policy.next_move(after))


def _compared_since(facts: Facts) -> Sequence[int] | None:
    known = facts.status.analysis.comparison
    return known.since if known else None


def _noted(facts: Facts) -> Facts:
    """What follows from the status as it is now, with no check asked: whose setpoint, and clocks."""
    facts = facts.but(share=_share_seen(facts))  # whose canary may just have ended
    # Stable may have broken a limit.
    facts = facts.but(suspended=facts.halted, halts=clocks.halts(facts))
    facts = facts.but(stuck=clocks.stuck(facts), unready_since=clocks.unready_since(facts))
    return facts.but(blind_since=clocks.blind_since(facts))


# ----------------------------------------------------------------------------- after the moves


def _numbered(facts: Facts) -> Facts:
    """The status with its route version: one more exactly when the traffic changes."""
    before, status = facts.situation.status, facts.status
    version, floor = before.route_version, facts.situation.route_version_floor
    if version == 0 or version < floor or before.split != status.split:
        version = max(version, floor) + 1
    analysis = status.analysis
    if path.under_way(status) and not analysis.since_version:
        analysis = analysis.model_copy(update={"since_version": version})
    compared = _compared(before, status, version, facts)
    analysis = analysis.model_copy(update={"comparison": compared})
    step = path.label(facts.strategy, status)
    return facts.but(route_version=version, analysis=analysis, step=step)


def _compared(
    before: AgentRolloutStatus, status: AgentRolloutStatus, version: int, facts: Facts
) -> ComparisonStatus | None:
    """Since when evidence is weighed; what is not compared any more begins anew when it is again."""
    if facts.situation.spec.analysis.comparison is None:
        return None
    if not path.under_way(status):
        return status.analysis.comparison
    numbered = status.model_copy(update={"route_version": version})
    return evidence_since.begun(before, numbered, facts.strategy)


def _request_waits(facts: Facts, wait: Awaited) -> dict[str, LastRequest]:
    """A request that could not be done yet says so; it is looked at again with each pass."""
    if not facts.open_request:
        return {}
    last = facts.status.last_request
    same = last.value == facts.open_request
    waiting = LastRequest(
        value=facts.open_request,
        result=WAITING,
        message=wait.message[:2048],
        at=last.at if same else condition.timestamp(facts.now),
    )
    return {"last_request": waiting}


def _steady(
    before: AgentRolloutStatus, status: AgentRolloutStatus, wait: Awaited
) -> tuple[str, Awaited]:
    """A sentence with numbers stays as it is until the numbers are written anew.

    Each write of the status costs etcd the whole object, and the numbers run all the time.
    """
    if wait.reason not in waits.NUMBERED:
        return "", wait
    message = before.waiting_message
    same = before.waiting == wait.reason and _told_of(before) == _told_of(status)
    if not (same and message):
        message = f"{wait.message} {waits.as_of(status)}".strip()[:2048]
    return message, replace(wait, message=message)


def _told_of(status: AgentRolloutStatus) -> tuple[object, ...]:
    """What a sentence with numbers is about: whose they are, where it stands, and of when they are."""
    whose = (status.canary_revision, status.attempt, status.stable_revision)
    where = (status.stage, status.share.percent, len(status.rings))
    return whose, where, (status.observed_generation, status.analysis.counted_at)


def _told_before(facts: Facts, wait: Awaited) -> dict[str, object]:
    """What the next pass must know to tell each thing once."""
    breach = report.breach_of_stable(facts)
    told = facts.status.told_waits
    if wait.reason in _TOLD_WAITS and wait.reason not in told:
        told = (*told, wait.reason.value)
    return {
        "waiting": wait.reason.value,
        "stable_breach": breach.name if breach else "",
        "told_waits": told,
    }


def _told_once(facts: Facts, before: AgentRolloutStatus, wait: Awaited) -> tuple[Happening, ...]:
    """What is told once in a step, not with every pass that it lasts or time that it comes back."""
    told = []
    told_here = facts.status.step_started_at == before.step_started_at
    if wait.reason in _TOLD_WAITS and not (told_here and wait.reason in before.told_waits):
        told.append(Happening(_TOLD_WAITS[wait.reason], wait.message))
    breach = report.breach_of_stable(facts)
    if breach and not before.stable_breach:
        told.append(
            Happening(
                EventReason.ANALYSIS_FAILED, conditions.breaks(facts.stable, breach), warning=True
            )
        )
    told += [*alarms.told(facts, before), *aftermath.told(facts, before)]
    return (*told, *ringing.told(facts, before), *refusals.of_percent(facts, before))


def _look_again(facts: Facts, wait: Awaited) -> float:
    """Seconds until this should be decided again, at the latest."""
    if wait.reason == WaitReason.UNDOING:
        return looks.AT_TRAFFIC_SECONDS
    if not path.under_way(facts.status):
        first = wait.reason == WaitReason.FIRST_REVISION_NOT_READY
        soon = first or watch.is_close(facts) or aftermath.settles(facts)
        return _LOOK_AT_CANARY_SECONDS if soon else _LOOK_AT_STABLE_SECONDS
    longest = looks.between_seconds(facts) if facts.exposed else _LOOK_AT_CANARY_SECONDS
    if wait.until is None:
        return longest
    left = (wait.until - facts.now) / timedelta(seconds=1)
    return min(longest, max(left, 0.05))


def _holds(facts: Facts, wait: Awaited) -> float:
    """For how long a canary waits for people, evidence or its hold alone."""
    back = facts.suspended_for or facts.suspension.uncompared  # off, or on trial: both by the clock
    if wait.reason not in _HOLDS or not path.under_way(facts.status) or facts.blind or back:
        return 0.0
    longest = min(_HOLDS_SECONDS, deadline.left_seconds(facts) or _HOLDS_SECONDS)
    if wait.until is None:
        return longest
    return min(longest, max((wait.until - facts.now) / timedelta(seconds=1), 0.0))
