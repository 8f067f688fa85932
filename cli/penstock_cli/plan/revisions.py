"""The revision that a template would be cut to, and what is on record of it: by the operator's own functions. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from penstock import inputs, revision
from penstock.api import budgets, validation
from penstock.api.analysis import Result
from penstock.errors import InvalidResource
from penstock.money.prices import EMPTY
from penstock.revision import Revision
from penstock.rollout import foreseen
from penstock.rollout.situation import RevisionRecord, Situation
from penstock_cli import seen
from penstock_cli.plan.drafts import Around, Draft
from penstock_cli.plan.outcome import ACCEPTED, Refusal, Standing
from penstock_cli.seen import Document, Documents, Seen


@dataclass(frozen=True)
class Cut:
    """The revision of a template; None where there is none, or nobody can tell. ``refusal`` says why there is none."""

    revision: Revision | None = None
    refusal: Refusal | None = None
    doubts: tuple[str, ...] = ()


def cut(draft: Draft, around: Around) -> Cut:
    """What an operator cuts from a template; it is refused in the order in which the operator asks."""
    own = EMPTY if around.prices is None else around.prices
    spec, problem = inputs.read_spec(draft.after, around.references, own)
    doubts: tuple[str, ...] = ()
    if around.prices is None and problem and problem[0] == validation.Reason.UNKNOWN_MODEL:
        doubts = (f"the installation's prices cannot be read, and without them {problem[1]}",)
        problem = None
    if spec is None:
        return _none(problem or ("Invalid", "it cannot be read"), doubts)
    if told := budgets.unkept(spec.budgets, has_tiers=bool(spec.template.tiers)):
        return _none(("Invalid", told), doubts)
    if problem is None and around.missing:
        problem = ("ReferenceMissing", around.missing)
    if inputs.source(draft.after) and not (around.references or around.missing):
        return _none(problem, doubts)
    try:
        declared = template(draft.after)
        made = revision.cut(draft.name, declared, around.references, spec.template.worker.image)
    except InvalidResource as error:
        return _none(problem or ("Invalid", str(error)), doubts)
    is_known = any(one["metadata"]["name"] == made.name for one in around.records)
    if problem is None or is_known:  # what was cut before a check was added goes on serving
        return Cut(made, None, doubts)
    return _none(problem, doubts)


def _none(problem: tuple[str, str] | None, doubts: tuple[str, ...]) -> Cut:
    return Cut(None, Refusal(ACCEPTED, *problem) if problem else None, doubts)


def look(draft: Draft, around: Around, now: datetime) -> Seen:
    """The Agent and its AgentRollout as they would be, with the status that they have."""
    alone = {"metadata": {"name": draft.name}, "spec": {"agentRef": {"name": draft.name}}}
    rollout = dict(around.rollout or alone)
    rollout["metadata"] = {"namespace": draft.namespace, **rollout["metadata"]}
    status = (draft.live or {}).get("status") or {}
    agent = {**draft.after, "status": status}
    return seen.read(Documents(rollout, agent, around.records, around.deployments), now)


def situation(looked: Seen, made: Revision) -> Situation:
    """What the engine would be asked, with the new revision as the latest."""
    found = looked.situation()
    records = {made.name: RevisionRecord(made.name, made.template.version), **found.records}
    for one in looked.agent.rejected:
        known = records.get(one.revision)
        if known is not None and not (known.rejected_attempt or known.promoted_attempt):
            records[one.revision] = replace(known, verdict=one.verdict)
    return replace(found, latest=made.name, records=records)


def standing(looked: Seen, asked: Situation, name: str, around: Around) -> Standing:
    """What a revision is before it is applied."""
    record = asked.records[name]
    if name == looked.stable:
        return Standing.STABLE
    if name == foreseen.in_flight(looked.status):
        return Standing.CANARY
    if record.rejected_attempt:
        return Standing.REJECTED
    if not any(one["metadata"]["name"] == name for one in around.records):
        return Standing.NEW
    return Standing.FORMER if record.served_sequence else Standing.KNOWN


def why(looked: Seen, record: RevisionRecord) -> str:
    """Why a revision was rejected last, by its record or by the status; empty where it never was."""
    told = [
        one
        for one in looked.status.verdicts
        if one.revision == record.name and one.result is Result.REJECTED
    ]
    last = told[-1] if told else record.rejection
    return ": ".join(part for part in (last.reason.value, last.message) if part) if last else ""


def declared(looked: Seen, name: str) -> dict[str, Any]:
    """The template of a revision on record, as it was declared; empty where there is none."""
    found = [one for one in looked.documents.records if one["metadata"]["name"] == name]
    return dict((found[0].get("data") or {}).get("declared") or {}) if found else {}


def template(agent: Document) -> dict[str, Any]:
    """The template of an Agent; empty where it has none."""
    return (agent.get("spec") or {}).get("template") or {}
