"""The tasks API: submit, read, follow and cancel."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from penstock import errors
from penstock import task as tasks
from penstock.names import AgentKey
from penstock.task import Task
from penstock_runtime.gateway import (
    admitting,
    bodies,
    boundary,
    description,
    streams,
    wire,
)
from penstock_runtime.gateway.access import Access, Caller
from penstock_runtime.gateway.identities import Verb
from penstock_runtime.gateway.problems import Problem
from penstock_runtime.gateway.stopping import Stopping
from penstock_store.store import Store

_EVENT_ID: Final = re.compile(r"[0-9]{1,20}(-[0-9]{1,20})?", re.ASCII)


router: Final = APIRouter(default_response_class=Response)


@dataclass(frozen=True)
class Gateway:
    """What the routes work with."""

    store: Store
    access: Access
    stopping: Stopping = field(default_factory=Stopping)
    ping_seconds: float = streams.PING_SECONDS


# ------------------------------------------------------------------------------------ the calls


@router.post(
    "/v1/namespaces/{namespace}/agents/{agent}/tasks",
    status_code=202,
    operation_id="submitTask",
    responses={
        200: description.answer("The task, ended within `wait`.", "Task", streamed=True),
        202: description.answer("The task, stored and on its way.", "Task"),
        **description.refusals(
            "invalid-body",
            "input-too-long",
            "agent-forbidden",
            "agent-not-found",
            "idempotency-key-reused",
            "body-too-large",
            "unsupported-media-type",
            "agent-suspended",
            "no-route",
        ),
    },
    openapi_extra=description.TASK_REQUEST,
)
async def submit(request: Request) -> Response:
    """Submit a task.

    Answers at once; with `wait`, at the task's end or after that time; with
    `Accept: text/event-stream`, event by event.
    """
    gateway, caller = await _authenticated(request)
    agent = AgentKey(request.path_params["namespace"], request.path_params["agent"])
    await gateway.access.check(caller, Verb.SUBMIT, agent)
    wanted = await _read_request(request)
    submission = wanted.submission(caller.tenant, request.scope[boundary.STATE].trace_id)
    admission = await admitting.admit(gateway.store, agent, submission)
    location = {"Location": f"/v1/tasks/{admission.task}"}
    if _wants_stream(request):
        return _stream(request, admission.task, caller, location)
    if wanted.wait and not admission.status.ended:
        await admitting.wait_for_end(
            request, gateway.store, gateway.stopping, admission.task, wanted.wait
        )
    task = admitting.as_admitted(agent, submission, admission)
    if admission.existed or wanted.wait:
        task = await _present(gateway.store, task, known=not admission.existed)
    return _json(wire.task_document(task), 200 if task.status.ended else 202, location)


async def _present(store: Store, task: Task, *, known: bool) -> Task:
    """The task as it is now; one that is known to be stored is never answered with an error."""
    try:
        return await store.task(task.id, task.tenant) or task
    except errors.StoreUnavailable:
        if known:
            return task
        raise


@router.get(
    "/v1/tasks/{task}",
    operation_id="getTask",
    responses={
        200: description.answer("The task as it is now.", "Task"),
        **description.refusals("agent-forbidden", "task-not-found"),
    },
    openapi_extra=description.TASK,
)
async def read(request: Request) -> Response:
    """Read a task and its result."""
    gateway, caller = await _authenticated(request)
    found = await _find(gateway, caller, Verb.READ, _task_id(request))
    return _json(wire.task_document(found))


@router.get(
    "/v1/tasks/{task}/events",
    operation_id="getTaskEvents",
    responses={
        200: description.answer("The events.", "EventList", streamed=True),
        204: {"description": "As a stream only: the task has ended, and no event is left."},
        **description.refusals("invalid-event-id", "agent-forbidden", "task-not-found"),
    },
    openapi_extra=description.RESUME,
)
async def follow(request: Request) -> Response:
    """Read the events of a task.

    Those so far as a list; with `Accept: text/event-stream`, all as they happen.
    """
    gateway, caller = await _authenticated(request)
    after = _resume_after(request)
    task = _task_id(request)
    found = await _find(gateway, caller, Verb.READ, task)
    streamed = _wants_stream(request)
    if streamed and not found.status.ended:
        return _stream(request, task, caller)
    events = await gateway.store.events(task, after)
    if not streamed:
        items = await streams.documents(gateway.store, task, caller.tenant, events)
        return _json({"items": items, "continue": ""})
    # 204 tells an EventSource not to come back: it has seen the last event.
    return _stream(request, task, caller) if events else Response(status_code=204)


@router.delete(
    "/v1/tasks/{task}",
    operation_id="cancelTask",
    responses={
        200: description.answer("The task as it is afterwards; an ended one as it was.", "Task"),
        **description.refusals("agent-forbidden", "task-not-found"),
    },
    openapi_extra=description.TASK,
)
async def cancel(request: Request) -> Response:
    """Cancel a task.

    One that waits ends at once, one that runs at its next step, one that has ended stays.
    """
    gateway, caller = await _authenticated(request)
    task = _task_id(request)
    found = await _find(gateway, caller, Verb.CANCEL, task)
    if not found.status.ended:
        found = _existing(await gateway.store.cancel(task, caller.tenant), task)
    return _json(wire.task_document(found))


# --------------------------------------------------------------------------- who asks, for what


async def _authenticated(request: Request) -> tuple[Gateway, Caller]:
    gateway: Gateway = request.app.state.gateway
    return gateway, await gateway.access.authenticate(request)


def _task_id(request: Request) -> str:
    identifier: str = request.path_params["task"]
    return identifier


async def _find(gateway: Gateway, caller: Caller, verb: Verb, identifier: str) -> Task:
    agent = tasks.agent_of(identifier)
    if agent is None:
        return _existing(None, identifier)
    await gateway.access.check(caller, verb, agent)
    return _existing(await gateway.store.task(identifier, caller.tenant), identifier)


def _existing(task: Task | None, identifier: str) -> Task:
    if task is None:
        raise Problem("task-not-found", f"There is no task {identifier[:200]!r}.")
    return task


async def _read_request(request: Request) -> bodies.TaskRequest:
    bodies.check_media_type(request.headers.get("content-type"))
    chunks = request.stream()
    return bodies.parse(await bodies.read_body(chunks, request.headers.get("content-length")))


# -------------------------------------------------------------------------------------- answers


def _json(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    content = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(content, status, headers, media_type="application/json")


def _stream(
    request: Request, identifier: str, caller: Caller, headers: Mapping[str, str] | None = None
) -> Response:
    gateway: Gateway = request.app.state.gateway
    frames = streams.frames(
        gateway.store,
        identifier,
        caller.tenant,
        _resume_after(request),
        stopping=gateway.stopping,
        ping_seconds=gateway.ping_seconds,
    )
    kept = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", **(headers or {})}
    return StreamingResponse(frames, headers=kept, media_type=streams.MEDIA_TYPE)


def _wants_stream(request: Request) -> bool:
    return streams.MEDIA_TYPE in request.headers.get("accept", "").lower()


def _resume_after(request: Request) -> str:
    after = request.headers.get("last-event-id", "")
    if after and not _EVENT_ID.fullmatch(after):
        detail = "The header Last-Event-ID must be the id of an event, such as 1763715600000-0."
        raise Problem("invalid-event-id", detail)
    return after
