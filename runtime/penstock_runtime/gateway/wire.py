"""What callers read: tasks and events as JSON documents, in the shapes of ``documents``."""

import datetime
import json
import re
from dataclasses import asdict
from typing import Any, Final

from penstock import names
from penstock.api.oversight import Remember
from penstock.effects import Effect, Undo, Undone
from penstock.escalation import Escalation
from penstock.money.prices import usd
from penstock.names import AgentKey
from penstock.outcomes import Row
from penstock.shadow import Differing
from penstock.task import Task, agent_of
from penstock_runtime.gateway.compensation_documents import CompensationState
from penstock_store.records import Event

FINISHED: Final = "finished"  # the type of a task's last event
LAST_ID_PART: Final = 2**64 - 1  # the largest either part of an event id can be
_EVENT_ID: Final = re.compile(r"([0-9]{1,20})(?:-([0-9]{1,20}))?", re.ASCII)
_LATEST_SECONDS: Final = 253_402_300_799  # the last second of the year 9999
_REVISIONS: Final = frozenset({"revision", "from", "to"})  # event data that are revision hashes


def task_document(task: Task) -> dict[str, Any]:
    """A task in the shape of ``documents.Task``."""
    outcome = task.outcome
    return {
        "id": task.id,
        "namespace": task.agent.namespace,
        "agent": task.agent.name,
        "revision": names.revision_name(task.agent.name, task.revision),
        "user": task.user,
        "session": task.session,
        "status": task.status,
        "output": outcome.output if outcome else "",
        "outcome": {
            "reason": outcome.reason if outcome else "",
            "message": outcome.message if outcome else "",
        },
        "usage": {
            **task.usage.wire(),
            "unsettledTokens": task.unsettled.tokens,
            "unsettledUSD": usd(task.unsettled.micro_usd),
        },
        "escalation": task.escalation,
        "createdAt": timestamp(task.created_ms),
        "finishedAt": timestamp(task.finished_ms) if task.finished_ms else None,
        "traceId": task.trace_id,
        **({"preview": True} if task.preview else {}),
    }


def escalation_document(found: Escalation, *, tenant: bool, whole: bool = False) -> dict[str, Any]:
    """An escalation in the shape of ``documents.EscalationItem``; whole, of ``documents.Escalation``.

    Args:
        tenant: whether it is told whose it is.
    """
    agent = found.agent
    moved = found.decided_revision not in ("", found.revision)
    document = {
        "id": found.id,
        "taskId": found.task,
        "namespace": agent.namespace,
        "agent": agent.name,
        "revision": names.revision_name(agent.name, found.revision),
        "status": found.status,
        "tool": found.tool,
        "arguments": _as_json(found.arguments, found.arguments),
        "digest": found.digest,
        "reason": found.ask.why,
        "user": found.user,
        "session": found.session,
        "submitter": found.submitter,
        "approvers": [list(groups) for groups in found.ask.approvers],
        "minApprovals": found.ask.min_approvals,
        "signIn": "Required" if found.ask.sign_in else "",
        "approvedBy": list(found.approved_by),
        "onTimeout": found.on_timeout,
        "askedAt": timestamp(found.asked_ms),
        "deadline": timestamp(found.deadline_ms),
        "costUSD": usd(found.usage.cost_micro_usd),
        "decidedAt": timestamp(found.decided_ms) if found.decided_ms else None,
        "decidedBy": list(found.decided_by),
        "note": found.note,
        "notes": [
            {"by": said.by, "decision": said.decision, "note": said.text} for said in found.notes
        ],
        "answer": found.answer,
        "doubt": found.doubt,
        "changedArguments": _as_json(found.changed, None) if found.changed else None,
        "remember": {"scope": Remember.SESSION, "calls": found.remembers}
        if found.remembers
        else None,
        "remembered": found.remembered,
        "continuedOn": names.revision_name(agent.name, found.decided_revision) if moved else "",
    }
    more: dict[str, Any] = {"preview": True} if found.preview else {}
    more |= {"tenant": found.tenant} if tenant else {}
    if not whole:
        return document | more
    return document | more | {"conversation": _as_json(found.context, [])}


def _as_json(text: str, otherwise: Any) -> Any:
    """What a text holds; a text that was cut is no JSON any more."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return otherwise


def effect_document(
    agent: AgentKey, found: Effect, undone: Undone, *, tenant: bool
) -> dict[str, Any]:
    """An effect in the shape of ``effect_documents.Effect``; ``tenant``: whether it is told whose it is."""
    amount, earlier = found.amount_micro, found.approved_earlier
    return {
        "id": found.id,
        "taskId": found.task,
        "revision": names.revision_name(agent.name, found.revision),
        "user": found.user,
        "tool": found.tool,
        "state": found.state,
        "at": timestamp(found.at_ms),
        "step": found.step,
        "position": found.position,
        "amount": "" if amount is None else usd(amount),
        "shown": _as_json(found.shown, {}),
        "argumentsDigest": found.arguments_digest,
        "resultDigest": found.result_digest,
        "compensates": found.compensates,
        "undone": undone.state.value,
        "approvedEarlier": {"by": list(earlier.by), "escalation": earlier.escalation}
        if earlier
        else None,
    } | ({"tenant": found.tenant} if tenant else {})


def row_document(found: Row) -> dict[str, Any]:
    """An outcome row in the shape of ``log_documents.Row``."""
    return {
        "id": found.id,
        "kind": found.kind,
        "task": found.task,
        "side": found.arm,
        "revision": found.revision,
        "routeVersion": found.route_version,
        "beginVersion": found.begin_version,
        "bucket": found.bucket,
        "counting": found.counting,
        "latencyMs": found.latency_ms,
        "costMicroUsd": found.cost_micro_usd,
        "reason": found.reason,
    }


def copy_document(found: Differing) -> dict[str, Any]:
    """A copy that went another way, in the shape of ``copy_documents.DifferingCopy``."""
    stop = found.at_call
    return {
        "taskId": found.task,
        "verdict": found.verdict,
        "stableEnd": found.stable_end,
        "canaryEnd": found.copy_end,
        "stoppedAt": {"tool": stop.tool, "arguments": stop.digest} if stop else None,
        "calls": [asdict(one) for one in found.calls],
    }


def compensation_document(
    effect: Effect, state: CompensationState, task: str, message: str
) -> dict[str, Any]:
    """How far the compensation of a call is, in the shape of ``compensation_documents.Compensation``."""
    amount, undo = effect.amount_micro, effect.undo or Undo("")
    return {
        "effect": effect.call,
        "effectTool": effect.tool,
        "amount": "" if amount is None else usd(amount),
        "user": effect.user,
        "tool": undo.tool,
        "arguments": _as_json(undo.arguments, {}),
        "state": state,
        "message": message,
        "taskId": task,
    }


def event_document(event: Event, task_id: str, ended: Task | None) -> dict[str, Any]:
    """An event in the shape of ``event_documents.Event``.

    Args:
        ended: the task as it ended, which the last event carries.
    """
    task = ended if event.type == FINISHED else None
    return {
        "id": event.id,
        "taskId": task_id,
        "type": event.type,
        "at": timestamp(place[0] if (place := event_place(event.id)) else 0),
        "data": _named(event.data, task_id) if task is None else task_document(task),
    }


def _named(data: dict[str, Any], task_id: str) -> dict[str, Any]:
    """Event data with revisions by their names; inside the store they are hashes."""
    agent = agent_of(task_id)
    if agent is None:
        return data
    return {
        key: _revision(agent.name, value) if key in _REVISIONS else value
        for key, value in data.items()
    }


def _revision(agent: str, value: Any) -> Any:
    return names.revision_name(agent, value) if isinstance(value, str) and value else value


def event_place(identifier: str) -> tuple[int, int] | None:
    """The two numbers of an event id, by which events are ordered; None when it is none."""
    found = _EVENT_ID.fullmatch(identifier)
    if found is None:
        return None
    place = int(found[1]), int(found[2] or 0)
    return place if max(place) <= LAST_ID_PART else None


def timestamp(milliseconds: int) -> str:
    """RFC 3339 in UTC with milliseconds, of milliseconds since 1970; at most the year 9999."""
    seconds, rest = divmod(max(milliseconds, 0), 1000)
    moment = datetime.datetime.fromtimestamp(min(seconds, _LATEST_SECONDS), datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"
