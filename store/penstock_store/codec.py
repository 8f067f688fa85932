"""Between what Redis holds (bytes) and what Penstock speaks (tasks, claims, events, rows)."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final

from penstock.names import AgentKey
from penstock.outcomes import Row, RowKind
from penstock.task import (
    Counting,
    Outcome,
    OutcomeReason,
    Priority,
    Submission,
    Task,
    TaskStatus,
    Usage,
)
from penstock.traffic import Arm, Route
from penstock_store.records import Claim, Event, Look, RevisionWork

_COUNTER_DIGITS = 15  # a float of Lua's holds them exactly

#: The fields of a task's hash that a reader needs; the checkpoint may be large.
TASK_FIELDS: Final = (
    "revision", "status", "input", "tenant", "user", "session", "type", "lane", "metadata",
    "routeVersion", "trace", "createdAt", "startedAt", "finishedAt", "deliveries", "usage",
    "reason", "message", "output",
)  # fmt: skip


def digest(submission: Submission) -> str:
    """What two submissions under one idempotency key must have in common; not wait or priority."""
    parts = [submission.input, submission.user, submission.session, submission.type]
    content = json.dumps([*parts, submission.metadata], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def submission_fields(submission: Submission) -> list[str]:
    """The fields of a new task's hash that come from the caller, name and value in turn."""
    return [
        "input", submission.input,
        "tenant", submission.tenant,
        "user", submission.user,
        "session", submission.session,
        "type", submission.type,
        "metadata", json.dumps(submission.metadata),
        "trace", submission.trace_id,
    ]  # fmt: skip


def usage_text(usage: Usage) -> str:
    """A usage as the task's hash holds it."""
    return json.dumps(dataclasses.asdict(usage), separators=(",", ":"))


def pairs(flat: Sequence[bytes]) -> dict[str, bytes]:
    """A hash from the flat list that Redis answers."""
    return {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}


def task(agent: AgentKey, identifier: str, stored: dict[str, bytes]) -> Task:
    """A task from its hash; an absent number is 0, an absent text empty."""
    text = {name: value.decode() for name, value in stored.items() if name in TASK_FIELDS}
    status = TaskStatus(text["status"])
    return Task(
        id=identifier,
        agent=agent,
        revision=text["revision"],
        status=status,
        input=text["input"],
        tenant=text["tenant"],
        user=text["user"],
        session=text["session"],
        type=text["type"],
        priority=Priority(text["lane"]),
        metadata=json.loads(text["metadata"]),
        route_version=int(text["routeVersion"]),
        trace_id=text["trace"],
        created_ms=int(text["createdAt"]),
        started_ms=int(text.get("startedAt", 0)),
        finished_ms=int(text.get("finishedAt", 0)),
        deliveries=int(text.get("deliveries", 0)),
        usage=Usage(**json.loads(text.get("usage", "{}"))),
        outcome=_outcome(status, text),
    )


def _outcome(status: TaskStatus, text: dict[str, str]) -> Outcome | None:
    if not status.ended:
        return None
    reason = OutcomeReason(text.get("reason", ""))
    return Outcome(status, reason, text.get("message", ""), text.get("output", ""))


def claim(agent: AgentKey, answer: Sequence[Any]) -> Claim:
    """A claim from what claim.lua and reclaim.lua answer."""
    claim_id, identifier, entry, expired, history, history_revision, flat = answer
    stored = pairs(flat)
    claimed = task(agent, identifier.decode(), stored)
    return Claim(
        id=claim_id.decode(),
        agent=agent,
        revision=claimed.revision,
        task=claimed,
        lane=claimed.priority.value,
        entry=entry.decode(),
        checkpoint=stored.get("checkpoint"),
        checkpoint_revision=stored.get("checkpointRevision", b"").decode(),
        history=history,
        history_revision=(history_revision or b"").decode(),
        expired=bool(expired),
    )


def event(entry: Sequence[Any]) -> Event:
    """An event from its stream entry."""
    identifier, (kind, data) = entry
    return Event(identifier.decode(), kind.decode(), json.loads(data))


def row(prefix: str, entry: Sequence[Any]) -> Row:
    """An outcome row from its stream entry; ``prefix`` is what the agent's task ids begin with."""
    identifier, (kind, content) = entry
    tail, arm, revision, version, begin, bucket, *ending = content.decode().split("|")
    counting, latency_ms, cost_micro_usd = ending or (Counting.GOOD, 0, 0)
    return Row(
        id=identifier.decode(),
        kind=RowKind(kind.decode()),
        task=prefix + tail,
        arm=Arm(arm),
        revision=revision,
        route_version=int(version),
        begin_version=int(begin),
        bucket=int(bucket),
        counting=Counting(counting),
        latency_ms=int(latency_ms),
        cost_micro_usd=int(cost_micro_usd),
    )


def route_record(route: Route) -> tuple[str, ...]:
    """A route as Redis stores it, without its revisions; `look.lua` reads the fields in this order."""
    numbers = (str(route.epoch), str(route.version))
    share = (route.stable, route.candidate, str(route.percent), route.salt, route.unit)
    return (route.uid, *numbers, *share, str(int(route.suspended)))


def look(answer: Sequence[Any]) -> Look:
    """A look from what look.lua answers."""
    now_ms, stored, first, last, works = answer
    record = tuple((field or b"").decode(errors="replace") for field in stored)
    uid, epoch, version, *_ = record
    return Look(
        now_ms=now_ms,
        route_version=_number(version) if any(record) else None,
        route_epoch=_number(epoch),
        route_uid=uid,
        route_record=record,
        first_row=first.decode(),
        last_row=last.decode(),
        work={revision.decode(): RevisionWork(*figures) for revision, *figures in works},
    )


def _number(text: str) -> int:
    """A counter of a record that a namespace's own user may have changed: 0 when it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _COUNTER_DIGITS else 0
