"""What callers read: tasks and events as JSON documents, described by the models beside them."""

import datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from penstock import names
from penstock.task import OutcomeReason, Task, TaskStatus, agent_of
from penstock_store.records import Event

FINISHED: Final = "finished"  # the type of a task's last event
_REVISIONS: Final = frozenset({"revision", "from", "to"})  # event data that are revision hashes


class _Document(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", validate_by_name=True)


Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class UsageDocument(_Document):
    """What a task has used so far."""

    model_config = ConfigDict(title="Usage")

    model_calls: int
    tool_calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: Annotated[
        str, Field(alias="costUSD", description="List price in US dollars, a decimal string.")
    ]
    wall_seconds: float


class OutcomeDocument(_Document):
    """Why a task ended as it did; both are empty until then, and after success."""

    model_config = ConfigDict(title="Outcome")

    reason: OutcomeReason
    message: str


class TaskDocument(_Document):
    """A task and, once it has ended, its result."""

    model_config = ConfigDict(title="Task")

    id: Annotated[str, Field(max_length=200, description="Opaque and URL-safe.")]
    namespace: str
    agent: str
    revision: Annotated[str, Field(description="The revision that serves it: <agent>-<hash>.")]
    user: str
    session: str
    status: TaskStatus
    output: Annotated[str, Field(description="The answer; empty until there is one.")]
    outcome: OutcomeDocument
    usage: UsageDocument
    created_at: Timestamp
    finished_at: Timestamp | None
    trace_id: str


class EventDocument(_Document):
    """Something that happened to a task; ``id`` resumes a stream after it."""

    model_config = ConfigDict(title="Event")

    id: str
    task_id: str
    type: Annotated[str, Field(description="queued, started, model, tool, moved or finished.")]
    at: Timestamp
    data: Annotated[dict[str, Any], Field(description="Of finished: the task as it ended.")]


class EventListDocument(_Document):
    """The events of a task, oldest first; ``continue`` is empty: the list is whole."""

    model_config = ConfigDict(title="EventList")

    items: list[EventDocument]
    continue_: Annotated[str, Field(alias="continue")]


class ProblemDocument(_Document):
    """An error (RFC 9457)."""

    model_config = ConfigDict(title="Problem")

    type: Annotated[str, Field(description="Stable: what went wrong, as an address.")]
    title: str
    status: int
    detail: str
    instance: str
    trace_id: str


def task_document(task: Task) -> dict[str, Any]:
    """A task in the shape of ``TaskDocument``."""
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
        "usage": task.usage.wire(),
        "createdAt": timestamp(task.created_ms),
        "finishedAt": timestamp(task.finished_ms) if task.finished_ms else None,
        "traceId": task.trace_id,
    }


def event_document(event: Event, task_id: str, ended: Task | None) -> dict[str, Any]:
    """An event in the shape of ``EventDocument``.

    Args:
        ended: the task as it ended, which the last event carries.
    """
    task = ended if event.type == FINISHED else None
    return {
        "id": event.id,
        "taskId": task_id,
        "type": event.type,
        "at": timestamp(int(event.id.partition("-")[0])),
        "data": _named(event.data, task_id) if task is None else task_document(task),
    }


def _named(data: dict[str, Any], task_id: str) -> dict[str, Any]:
    """Event data with revisions by their names; inside the store they are hashes."""
    agent = agent_of(task_id)
    if agent is None:
        return data
    return {
        key: names.revision_name(agent.name, value) if key in _REVISIONS and value else value
        for key, value in data.items()
    }


def timestamp(milliseconds: int) -> str:
    """RFC 3339 in UTC with milliseconds, of milliseconds since 1970."""
    seconds, rest = divmod(milliseconds, 1000)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"
