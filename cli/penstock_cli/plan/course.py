"""What becomes of the users when a revision, or the policy, is another: the operator's decision, ahead of time. Pure."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Final

from penstock.api import condition
from penstock.api.reasons import ConditionType, WaitReason
from penstock.api.rollout import AgentRolloutStatus
from penstock.rollout import foreseen
from penstock.rollout.foreseen import Foreseen
from penstock.rollout.situation import Situation
from penstock_cli.plan import revisions
from penstock_cli.plan.drafts import Around, Draft
from penstock_cli.plan.outcome import Course, Rollout, Standing
from penstock_cli.seen import Document, Seen

#: What a canary that is ready may wait for by itself: nothing to be told of beforehand.
_ORDINARY: Final = frozenset(
    {
        WaitReason.HOLDING,
        WaitReason.AWAITING_EVIDENCE,
        WaitReason.AWAITING_CAPACITY,
        WaitReason.NO_CANARY,
        WaitReason.ROLLED_BACK,
    }
)


def governed(looked: Seen, situation: Situation, rollout: Document) -> Rollout:
    """Under an AgentRollout: as the engine decides."""
    told = foreseen.foresee(situation)
    before = foreseen.in_flight(looked.status)
    course = _course(looked, situation, told, before)
    climbs = course is Course.CLIMBS
    ends = before and before != situation.latest
    return Rollout(
        course,
        rollout["metadata"]["name"],
        (before, looked.status.share.percent) if ends else None,
        tuple(_legs(looked, alone=not looked.stable)) if climbs else (),
        _held(told.ready) if course in (Course.CLIMBS, Course.GOES_ON, Course.WAITS) else "",
        told.ceiling if climbs else None,
        _caps(looked) if climbs else (),
    )


def _course(looked: Seen, situation: Situation, told: Foreseen, before: str) -> Course:
    name = situation.latest
    if told.rejected:
        return Course.REJECTED
    if told.returns:
        return Course.RETURNS
    if name == looked.stable:
        return Course.NOTHING
    if name == before:
        return Course.GOES_ON
    if told.at_once.canary_revision == name:
        return Course.CLIMBS
    return Course.WAITS if looked.stable else Course.SERVES


def ungoverned(looked: Seen, draft: Draft, name: str, standing: Standing) -> Rollout:
    """Without an AgentRollout: as the operator decides then."""
    status = looked.agent
    if standing is Standing.REJECTED:
        return Rollout(Course.REJECTED)
    if name == looked.stable:
        return Rollout(Course.NOTHING)
    guarded = draft.after["spec"].get("rolloutPolicy", "Guarded") == "Guarded"
    had = bool(status.had_rollout) and bool(looked.stable or status.first_climbs)
    return Rollout(Course.WAITS if guarded and had else Course.SERVES)


def way(looked: Seen) -> Rollout:
    """The way of any new canary, where nobody knows whom it would meet."""
    legs = tuple(_legs(looked, alone=False))
    return Rollout(Course.NOTHING, looked.name, legs=legs, caps=_caps(looked))


def moved(draft: Draft, agent: Draft, around: Around, now: datetime) -> Rollout:
    """The way of the next canary, and what becomes of the one there is."""
    after = revisions.look(agent, around, now)
    legs = tuple(_legs(after, alone=not after.stable))
    canary = foreseen.in_flight(after.status)
    rollout = Rollout(Course.NOTHING, draft.name, legs=legs, caps=_caps(after))
    cut = revisions.cut(agent, around)
    latest = after.agent.latest_revision
    stays = bool(cut.refusal or (cut.revision and cut.revision.name == latest))
    if not canary or draft.live is None or not stays:
        return rollout
    before = revisions.look(agent, replace(around, rollout=draft.live), now)
    old, new = (foreseen.foresee(one.situation()) for one in (before, after))
    share = old.ready.share.percent, new.ready.share.percent
    return replace(
        rollout,
        course=Course.GOES_ON,
        share=share if share[0] != share[1] else None,
        held=_held(new.ready) if _held(new.ready) != _held(old.ready) else "",
    )


def _legs(looked: Seen, *, alone: bool) -> Iterator[foreseen.Leg]:
    compares = looked.spec.analysis.comparison is not None
    return foreseen.legs(looked.spec.strategy, alone=alone, compares=compares)


def _held(status: AgentRolloutStatus) -> str:
    """What a canary waits for that no time settles, in the operator's words."""
    if status.waiting in _ORDINARY:
        return ""
    found = condition.find(status.conditions, ConditionType.READY)
    return found.message if found else status.waiting


def _caps(looked: Seen) -> tuple[tuple[str, str], ...]:
    """What a canary may spend at most, in USD, by the field that says so."""
    shadow, analysis = looked.spec.strategy.shadow, looked.spec.analysis
    caps = {
        "strategy.shadow.spendCapUSD": shadow.spend_cap_usd if shadow else None,
        "analysis.canarySpendCapUSD": analysis.canary_spend_cap_usd,
    }
    return tuple((field, usd) for field, usd in caps.items() if usd)
