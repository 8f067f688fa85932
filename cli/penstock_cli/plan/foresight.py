"""What follows when an Agent, an AgentRollout or a ConfigMap is applied. Pure."""

from dataclasses import replace
from datetime import datetime

from penstock.revision import Revision
from penstock.rollout.situation import Situation
from penstock_cli import fieldpaths, seen
from penstock_cli.plan import course, differences, drafts, outcome, revisions
from penstock_cli.plan.drafts import REVISIONS, ROLLOUTS, Around, Draft
from penstock_cli.plan.outcome import Change, Course, Planned, Standing
from penstock_cli.seen import Documents, Seen

# ------------------------------------------------------------------------------------- an Agent


def of_agent(draft: Draft, around: Around, now: datetime) -> Planned:
    """What an apply does to an Agent; of a refused one, what the other manifests do to the one in the cluster.

    Args:
        around: of what is left of it.

    Raises:
        Stopped: this release cannot read what is in the cluster.
    """
    if not draft.refused:
        return _left(draft, around, now)
    found = outcome.refused(draft)
    if draft.live is None:
        return found
    staying = _left(draft.staying(), around, now)
    if staying.change is not Change.CHANGED:
        return found
    told = (drafts.stays(draft), *around.refused)
    if staying.refusal:
        told = (*told, f"what is there would not be accepted then: {staying.refusal.message}")
    return replace(staying, draft=draft, change=found.change, refusal=found.refusal, beside=told)


def _left(draft: Draft, around: Around, now: datetime) -> Planned:
    """What follows for an Agent that is left in the cluster."""
    cut = revisions.cut(draft, around)
    looked = revisions.look(draft, around, now)
    before = looked.agent.latest_revision or ""
    changed = differences.is_changed(draft, around)
    made = Planned(
        draft,
        outcome.change(draft, changed=changed),
        acts=differences.acts(draft),
        diff=differences.unified(draft, around),
        refusal=cut.refusal,
        before=before,
        serves=looked.stable or "",
        doubts=(*cut.doubts, *_doubts(draft, around)),
        beside=around.refused,
    )
    if cut.revision is None:
        return made
    made = replace(made, after=cut.revision.name, version=cut.revision.template.version or "")
    if not draft.compared:
        return made
    if not _is_blind(around):
        made = _followed(made, looked, cut.revision, around)
    if made.after == before or not (changed or draft.live is None):
        rejected = made.rollout and made.rollout.course is Course.REJECTED
        return made if rejected else replace(made, rollout=None)
    return _cutting(made, looked, cut.revision, around)


def _cutting(made: Planned, looked: Seen, cut: Revision, around: Around) -> Planned:
    """By which fields a revision is cut, and which models it is about."""
    live = made.draft.live
    declared = revisions.declared(looked, made.before) or revisions.template(live or {})
    cuts = (
        *fieldpaths.paths(declared, cut.declared, "template"),
        *differences.other_texts(around),
    )
    models = (declared.get("model") or {}, cut.declared["model"])
    return replace(
        made,
        cuts=cuts if live else (),
        models=models if models[0] else None,
        prices=around.prices,
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


def _followed(made: Planned, looked: Seen, cut: Revision, around: Around) -> Planned:
    """What the revision is by now, and what becomes of its users."""
    asked: Situation = revisions.situation(looked, cut)
    standing = revisions.standing(looked, asked, cut.name, around)
    rollout = (
        course.governed(looked, asked, around.rollout)
        if around.rollout
        else course.ungoverned(looked, made.draft, cut.name, standing)
    )
    if rollout.course is Course.REJECTED:
        standing = Standing.REJECTED
    why = revisions.why(looked, asked.records[cut.name])
    return replace(made, standing=standing, why=why, rollout=rollout)


# ------------------------------------------------------------------------------ an AgentRollout


def of_rollout(draft: Draft, agent: Draft | None, around: Around, now: datetime) -> Planned:
    """What an apply does to an AgentRollout.

    Args:
        agent: the Agent that it is for, as it would be; None where there is none.
        around: of that Agent.
    """
    if draft.refused:
        return outcome.refused(draft)
    acts = differences.acts(draft)
    changed = draft.live is None or bool(acts)
    made = Planned(
        draft,
        outcome.change(draft, changed=changed),
        acts=acts,
        diff=differences.unified(draft, Around()),
        doubts=_doubts(draft, around),
        beside=around.refused,
    )
    if not draft.compared:
        written = {key: value for key, value in draft.after.items() if key != "status"}
        return replace(made, rollout=course.way(seen.read(Documents(written), now)))
    if agent is None and around.unread:
        return made
    if agent is None:
        return replace(made, idle="there is no Agent of that name: it waits for one")
    if around.rollout is None or around.rollout["metadata"]["name"] != draft.name:
        other = around.rollout["metadata"]["name"] if around.rollout else "another one"
        return replace(made, idle=f"{other} is older, and governs the Agent: this one does nothing")
    if around.unread.keys() & {REVISIONS, ROLLOUTS} or not changed:
        return made
    return replace(made, rollout=course.moved(draft, agent, around, now))


# ------------------------------------------------------------------------------- a ConfigMap


def of_configmap(draft: Draft, doubts: tuple[str, ...]) -> Planned:
    """What an apply does to a ConfigMap of which nobody knows who refers to it."""
    changed = differences.is_changed(draft, Around())
    diff = differences.unified(draft, Around())
    return Planned(draft, outcome.change(draft, changed=changed), diff=diff, doubts=doubts)
