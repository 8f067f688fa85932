"""What follows when an Agent or an AgentRollout is applied: by the operator's own functions, ahead of time. Pure."""

from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from penstock import inputs, revision
from penstock.api import budgets, condition, validation
from penstock.api.analysis import Result
from penstock.api.reasons import ConditionType, WaitReason
from penstock.api.rollout import AgentRolloutStatus
from penstock.errors import InvalidResource
from penstock.money.prices import EMPTY
from penstock.revision import Revision
from penstock.rollout import foreseen
from penstock.rollout.foreseen import Foreseen
from penstock.rollout.situation import RevisionRecord, Situation
from penstock_cli import differences, seen
from penstock_cli.drafts import REVISIONS, ROLLOUTS, Around, Draft
from penstock_cli.planned import (
    ACCEPTED,
    API_SERVER,
    OWN_CHECKS,
    Change,
    Course,
    Planned,
    Refusal,
    Rollout,
    Standing,
)
from penstock_cli.seen import Document, Documents, Seen

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
# ------------------------------------------------------------------------------------- an Agent


def of_agent(draft: Draft, around: Around, now: datetime) -> Planned:
    """What an apply does to an Agent.

    Raises:
        Stopped: this release cannot read what is in the cluster.
    """
    if draft.refused:
        return refused(draft)
    cut, refusal, doubts = _cut(draft, around)
    looked = _look(draft, around, now)
    before = looked.agent.latest_revision or ""
    changed = differences.is_changed(draft, around)
    made = Planned(
        draft,
        _change(draft, changed=changed),
        acts=differences.acts(draft),
        diff=differences.unified(draft, around),
        refusal=refusal,
        before=before,
        serves=looked.stable or "",
        doubts=(*doubts, *_doubts(draft, around)),
    )
    if cut is None:
        return made
    made = replace(made, after=cut.name, version=cut.template.version or "")
    if not draft.compared:
        return made
    rollout: Rollout | None = None
    if not _is_blind(around):
        made, rollout = _followed(made, looked, cut, around)
    if cut.name == before or not (changed or draft.live is None):
        return made
    declared = _declared(looked, before) or _template(draft.live or {})
    cuts = (
        *differences.paths(declared, cut.declared, "template"),
        *differences.other_texts(around),
    )
    models = (declared.get("model") or {}, cut.declared["model"])
    return replace(
        made,
        cuts=cuts if draft.live else (),
        models=models if models[0] else None,
        prices=around.prices,
        rollout=rollout,
    )


def _doubts(draft: Draft, around: Around) -> tuple[str, ...]:
    """What of an object and of what is around it could not be read, and why."""
    told = (
        why if why.startswith(what) else f"{what} cannot be read: {why}"
        for what, why in around.unread.items()
    )
    return (*((draft.unread,) if draft.unread else ()), *told)


def _is_blind(around: Around) -> bool:
    """Whether nobody can tell what follows: which revisions there are, or whether steps hold, is not known."""
    return REVISIONS in around.unread or (ROLLOUTS in around.unread and around.rollout is None)


def _followed(
    made: Planned, looked: Seen, cut: Revision, around: Around
) -> tuple[Planned, Rollout]:
    """What the revision is by now, and what becomes of its users."""
    situation = _situation(looked, cut)
    made = replace(
        made,
        standing=_standing(looked, situation, cut.name, around),
        why=_why(looked, situation.records[cut.name]),
    )
    rollout = (
        _ungoverned(looked, made.draft, made)
        if around.rollout is None
        else _governed(looked, situation, around.rollout)
    )
    if rollout.course is Course.REJECTED:  # also where an apply changes nothing
        made = replace(made, standing=Standing.REJECTED, rollout=rollout)
    return made, rollout


def _why(looked: Seen, record: RevisionRecord) -> str:
    """Why a revision was rejected last, by its record or by the status; empty where it never was."""
    told = [
        (one.reason.value, one.message)
        for one in looked.status.verdicts
        if one.revision == record.name and one.result is Result.REJECTED
    ]
    last = told[-1] if told else (record.rejected_reason, record.rejected_message)
    return ": ".join(part for part in last if part)


def _template(agent: Document) -> dict[str, Any]:
    return (agent.get("spec") or {}).get("template") or {}


def _change(draft: Draft, *, changed: bool) -> Change:
    if not draft.compared:
        return Change.UNKNOWN
    return Change.NEW if draft.live is None else Change.CHANGED if changed else Change.UNCHANGED


def refused(draft: Draft) -> Planned:
    """An object that the API server would not take; without one, that our own checks found wrong."""
    refusal = Refusal(API_SERVER if draft.asked else OWN_CHECKS, "Invalid", draft.refused)
    return Planned(draft, Change.REFUSED, refusal=refusal)


def _cut(draft: Draft, around: Around) -> tuple[Revision | None, Refusal | None, tuple[str, ...]]:
    """The revision of a template; why there is none, asked in the operator's order; what is in doubt."""
    own = EMPTY if around.prices is None else around.prices
    spec, problem = inputs.read_spec(draft.after, around.references, own)
    doubts: tuple[str, ...] = ()
    if around.prices is None and problem and problem[0] == validation.Reason.UNKNOWN_MODEL:
        doubts = (f"the installation's prices cannot be read, and without them {problem[1]}",)
        problem = None
    if spec is None:
        reason, message = problem or ("Invalid", "it cannot be read")
        return None, Refusal(ACCEPTED, reason, message), doubts
    if told := budgets.unkept(spec.budgets, has_tiers=bool(spec.template.tiers)):
        return None, Refusal(ACCEPTED, "Invalid", told), doubts
    if problem is None and around.missing:
        problem = ("ReferenceMissing", around.missing)
    if inputs.source(draft.after) and not (around.references or around.missing):
        return None, Refusal(ACCEPTED, *problem) if problem else None, doubts
    try:
        declared = draft.after["spec"]["template"]
        cut = revision.cut(draft.name, declared, around.references, spec.template.worker.image)
    except InvalidResource as error:
        problem = problem or ("Invalid", str(error))
        return None, Refusal(ACCEPTED, *problem), doubts
    is_known = any(one["metadata"]["name"] == cut.name for one in around.records)
    if problem is None or is_known:  # what was cut before a check was added goes on serving
        return cut, None, doubts
    return None, Refusal(ACCEPTED, *problem), doubts


def _look(draft: Draft, around: Around, now: datetime) -> Seen:
    """The Agent and its AgentRollout as they would be, with the status that they have."""
    alone = {"metadata": {"name": draft.name}, "spec": {"agentRef": {"name": draft.name}}}
    rollout = dict(around.rollout or alone)
    rollout["metadata"] = {"namespace": draft.namespace, **rollout["metadata"]}
    status = (draft.live or {}).get("status") or {}
    agent = {**draft.after, "status": status}
    return seen.read(Documents(rollout, agent, around.records, around.deployments), now)


def _situation(looked: Seen, cut: Revision) -> Situation:
    """What the engine would be asked, with the new revision as the latest."""
    situation = looked.situation()
    records = {cut.name: RevisionRecord(cut.name, cut.template.version), **situation.records}
    for one in looked.agent.rejected:
        known = records.get(one.revision)
        if known is not None and not (known.rejected_attempt or known.promoted_attempt):
            records[one.revision] = replace(
                known,
                rejected_attempt=one.attempt,
                rejected_reason=one.reason,
                rejected_message=one.message,
            )
    return replace(situation, latest=cut.name, records=records)


def _standing(looked: Seen, situation: Situation, name: str, around: Around) -> Standing:
    record = situation.records[name]
    if name == looked.stable:
        return Standing.STABLE
    if name == foreseen.in_flight(looked.status):
        return Standing.CANARY
    if record.rejected_attempt:
        return Standing.REJECTED
    if not any(one["metadata"]["name"] == name for one in around.records):
        return Standing.NEW
    return Standing.FORMER if record.served_sequence else Standing.KNOWN


# ------------------------------------------------------------------------------ what follows


def _governed(looked: Seen, situation: Situation, rollout: Document) -> Rollout:
    told = foreseen.foresee(situation)
    before = foreseen.in_flight(looked.status)
    course = _course(looked, situation, told, before)
    climbs = course is Course.CLIMBS
    ends = before and before != situation.latest
    return Rollout(
        course,
        rollout["metadata"]["name"],
        (before, looked.status.share.percent) if ends else None,
        tuple(foreseen.legs(looked.spec.strategy, alone=not looked.stable)) if climbs else (),
        _held(told.ready) if course in (Course.CLIMBS, Course.GOES_ON, Course.WAITS) else "",
        told.ceiling if climbs else None,
        _caps(looked) if climbs else (),
    )


def _way(looked: Seen) -> Rollout:
    """The way of any new canary, where nobody knows whom it would meet."""
    legs = tuple(foreseen.legs(looked.spec.strategy))
    return Rollout(Course.NOTHING, looked.name, legs=legs, caps=_caps(looked))


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


def _declared(looked: Seen, name: str) -> dict[str, Any]:
    """The template of a revision on record, as it was declared; empty where there is none."""
    found = [one for one in looked.documents.records if one["metadata"]["name"] == name]
    return dict((found[0].get("data") or {}).get("declared") or {}) if found else {}


def _ungoverned(looked: Seen, draft: Draft, made: Planned) -> Rollout:
    """Without an AgentRollout: as the operator decides then."""
    status, name = looked.agent, made.after
    if made.standing is Standing.REJECTED:
        return Rollout(Course.REJECTED)
    if name == looked.stable:
        return Rollout(Course.NOTHING)
    guarded = draft.after["spec"].get("rolloutPolicy", "Guarded") == "Guarded"
    had = bool(status.had_rollout) and bool(looked.stable or status.first_climbs)
    return Rollout(Course.WAITS if guarded and had else Course.SERVES)


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


# ------------------------------------------------------------------------------ an AgentRollout


def of_rollout(draft: Draft, agent: Draft | None, around: Around, now: datetime) -> Planned:
    """What an apply does to an AgentRollout.

    Args:
        agent: the Agent that it is for, as it would be; None where there is none.
        around: of that Agent.
    """
    if draft.refused:
        return refused(draft)
    changed = draft.live is None or bool(differences.acts(draft))
    made = Planned(
        draft,
        _change(draft, changed=changed),
        acts=differences.acts(draft),
        diff=differences.unified(draft, Around()),
        doubts=_doubts(draft, around),
    )
    if not draft.compared:
        written = {key: value for key, value in draft.after.items() if key != "status"}
        return replace(made, rollout=_way(seen.read(Documents(written), now)))
    if agent is None and around.unread:
        return made
    if agent is None:
        return replace(made, idle="there is no Agent of that name: it waits for one")
    if around.rollout is None or around.rollout["metadata"]["name"] != draft.name:
        other = around.rollout["metadata"]["name"] if around.rollout else "another one"
        return replace(made, idle=f"{other} is older, and governs the Agent: this one does nothing")
    if around.unread.keys() & {REVISIONS, ROLLOUTS} or not changed:
        return made
    return replace(made, rollout=_moved(draft, agent, around, now))


def _moved(draft: Draft, agent: Draft, around: Around, now: datetime) -> Rollout:
    """The way of the next canary, and what becomes of the one there is."""
    after = _look(agent, around, now)
    legs = tuple(foreseen.legs(after.spec.strategy, alone=not after.stable))
    canary = foreseen.in_flight(after.status)
    rollout = Rollout(Course.NOTHING, draft.name, legs=legs, caps=_caps(after))
    stays = agent.live is not None and _template(agent.live) == _template(agent.after)
    if not canary or draft.live is None or not stays:
        return rollout
    before = _look(agent, replace(around, rollout=draft.live), now)
    old, new = (foreseen.foresee(one.situation()) for one in (before, after))
    share = old.ready.share.percent, new.ready.share.percent
    return replace(
        rollout,
        course=Course.GOES_ON,
        share=share if share[0] != share[1] else None,
        held=_held(new.ready) if _held(new.ready) != _held(old.ready) else "",
    )


# ------------------------------------------------------------------------------- a ConfigMap


def of_configmap(draft: Draft, doubts: tuple[str, ...]) -> Planned:
    """What an apply does to a ConfigMap of which nobody knows who refers to it."""
    was, becomes = ((one or {}).get("data") for one in (draft.live, draft.after))
    return Planned(draft, _change(draft, changed=was != becomes), doubts=doubts)
