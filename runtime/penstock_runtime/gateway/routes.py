"""The tasks API: submit, read, follow and cancel."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from penstock import errors, names, naming
from penstock import task as tasks
from penstock.names import AgentKey
from penstock.task import Submission, Task
from penstock_runtime.gateway import (
    admitting,
    bodies,
    boundary,
    description,
    expiry,
    plain,
    searching,
    streams,
    wire,
)
from penstock_runtime.gateway.access import Caller
from penstock_runtime.gateway.identities import Verb
from penstock_runtime.gateway.problems import Problem
from penstock_runtime.gateway.state import Gateway
from penstock_store import keys
from penstock_store.records import Admission
from penstock_store.store import Store

_LAST_EVENT: Final = (wire.LAST_ID_PART, wire.LAST_ID_PART)  # after it there can be none
_NONE_OF_THEM: Final = "?"  # no hash, so the store takes no new task for it

router: Final = APIRouter(default_response_class=Response)


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
            "invalid-idempotency-key",
            "invalid-event-id",
            "agent-forbidden",
            "agent-not-found",
            "request-timeout",
            "idempotency-key-reused",
            "session-of-another-user",
            "session-of-another-revision",
            "preview-unavailable",
            "body-too-large",
            "unsupported-media-type",
            "session-queue-full",
            "rate-exceeded",
            "budget-exceeded",
            "too-many-sessions",
            "too-many-streams",
            "too-many-waits",
            "agent-suspended",
            "no-route",
            "not-assigned",
            "queue-full",
            "store-full",
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
    await _check(gateway, caller, Verb.SUBMIT, agent)
    wanted = await _read_request(request)
    trace_id = request.scope[boundary.STATE].trace_id
    revision, unclear = await _chosen_or_unclear(gateway, caller, agent, wanted)
    submission = wanted.submission(caller.tenant, trace_id, caller.person, revision)
    streamed, after = _wants_stream(request), _resume_after(request)
    with contextlib.ExitStack() as held:
        if streamed:
            held.enter_context(gateway.streams.taken(caller))
        elif wanted.wait:
            held.enter_context(gateway.waits.taken(caller))
        admission = await _admitted(gateway, agent, submission, unclear)
        location = {"Location": f"/v1/tasks/{quote(admission.task, safe='')}"}
        if streamed:
            return _stream(gateway, caller.tenant, admission.task, after, held.pop_all(), location)
        if wanted.wait and not admission.status.ended:
            await admitting.wait_for_end(
                request, gateway.store, gateway.stopping, admission.task, wanted.wait
            )
    task = admitting.as_admitted(agent, submission, admission)
    if admission.existed or wanted.wait:
        task = await _present(gateway.store, task, known=not admission.existed)
    return _json(wire.task_document(task), 200 if task.status.ended else 202, location)


async def _admitted(
    gateway: Gateway, agent: AgentKey, submission: Submission, unclear: Problem | None
) -> Admission:
    """Admit a task; one whose revision is unclear by now is found by its key, or refused for that."""
    try:
        return await admitting.admit(gateway.store, agent, submission, gateway.now_ms)
    except Problem as problem:
        if unclear and problem.kind.slug == "preview-unavailable":
            raise unclear from None
        raise


async def _chosen_or_unclear(
    gateway: Gateway, caller: Caller, agent: AgentKey, wanted: bodies.TaskRequest
) -> tuple[str, Problem | None]:
    """What ``_chosen`` says; where a key may be that of a task, no revision and the refusal if it is of none."""
    try:
        return await _chosen(gateway, caller, agent, wanted.revision), None
    except Problem as problem:
        if problem.kind.slug != "invalid-body" or not wanted.idempotency_key:
            raise
        return _NONE_OF_THEM, problem


async def _chosen(gateway: Gateway, caller: Caller, agent: AgentKey, text: str) -> str:
    """The hash of the revision that a caller chooses; empty where he chooses none."""
    if not text:
        return ""
    await gateway.access.check(caller, Verb.PREVIEW, agent)
    try:
        return naming.named(agent.name, text, await gateway.store.routes.versions(agent))
    except ValueError as error:
        shown = plain.one_line(text, bodies.MAX_SHOWN)
        raise Problem("invalid-body", f"revision is {shown!r}: {error}.") from None


async def versions(
    gateway: Gateway, agent: AgentKey, query: Sequence[tuple[str, str]]
) -> Mapping[str, str]:
    """What an agent's revisions declare, by hash; nothing where a query names none of them."""
    if not searching.is_about_one(query):
        return {}
    return await gateway.store.routes.versions(agent)


async def _present(store: Store, task: Task, *, known: bool) -> Task:
    """The task as it is now; one that is known to be stored is never answered with an error."""
    try:
        return await store.tasks.get(task.id, task.tenant) or task
    except (errors.StoreUnavailable, errors.StoreRefused):
        if known:
            return task
        raise


@router.get(
    "/v1/tasks/{task}",
    operation_id="getTask",
    responses={
        200: description.answer("The task as it is now.", "Task"),
        **description.refusals("agent-forbidden", "task-not-found", "task-expired"),
    },
    openapi_extra=description.TASK,
)
async def read(request: Request) -> Response:
    """Read a task and its result."""
    gateway, caller = await _authenticated(request)
    found = await find(gateway, caller, Verb.READ, _task_id(request))
    return _json(wire.task_document(found))


@router.get(
    "/v1/tasks/{task}/events",
    operation_id="getTaskEvents",
    responses={
        200: description.answer("The events.", "EventList", streamed=True),
        204: {"description": "As a stream only: the task has ended, and no event is left."},
        **description.refusals(
            "invalid-event-id",
            "agent-forbidden",
            "task-not-found",
            "task-expired",
            "too-many-streams",
        ),
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
    found = await find(gateway, caller, Verb.READ, task)
    if _wants_stream(request):
        return await _follow(gateway, caller, found, after)
    events = await gateway.store.notifications.events(task, after)
    items = await streams.documents(gateway.store, task, found.tenant, events)
    return _json(streams.page(items))


async def _follow(gateway: Gateway, caller: Caller, task: Task, after: str) -> Response:
    with contextlib.ExitStack() as held:
        held.enter_context(gateway.streams.taken(caller))
        if not task.status.ended:
            after = await streams.resumable(gateway.store, task.id, after)
        elif not await gateway.store.notifications.events(task.id, after):
            # 204 tells an EventSource not to come back: it has seen the last event.
            return Response(status_code=204)
        return _stream(gateway, task.tenant, task.id, after, held.pop_all())


@router.delete(
    "/v1/tasks/{task}",
    operation_id="cancelTask",
    responses={
        200: description.answer("The task as it is afterwards; an ended one as it was.", "Task"),
        **description.refusals("agent-forbidden", "task-not-found", "task-expired", "store-full"),
    },
    openapi_extra=description.TASK,
)
async def cancel(request: Request) -> Response:
    """Cancel a task.

    One that waits ends at once, one that runs at its next step, one that has ended stays.
    """
    gateway, caller = await _authenticated(request)
    task = _task_id(request)
    found = await find(gateway, caller, Verb.CANCEL, task)
    if not found.status.ended:
        found = existing(gateway, await gateway.store.tasks.cancel(task, found.tenant), task)
    return _json(wire.task_document(found))


# --------------------------------------------------------------------------- who asks, for what


async def _authenticated(request: Request) -> tuple[Gateway, Caller]:
    gateway: Gateway = request.app.state.gateway
    return gateway, await gateway.access.authenticate(request)


def _task_id(request: Request) -> str:
    identifier: str = request.path_params["task"]
    return identifier


async def _check(gateway: Gateway, caller: Caller, verb: Verb, agent: AgentKey) -> None:
    check_name(agent)
    await gateway.access.check(caller, verb, agent)


def check_name(agent: AgentKey) -> None:
    """Before anybody is asked about it: a name that no Agent can have is no question.

    Raises:
        Problem: agent-not-found.
    """
    if not _can_be(agent):
        shown = plain.one_line(str(agent), bodies.MAX_SHOWN)
        raise Problem("agent-not-found", f"There is no agent {shown}.")


def _can_be(agent: AgentKey) -> bool:
    longest = max(len(agent.namespace), len(agent.name))
    return longest <= names.MAX_AGENT_NAME and keys.well_named(agent)


async def find(gateway: Gateway, caller: Caller, verb: Verb, identifier: str) -> Task:
    """The task of an id, for a caller who may do that with it.

    Raises:
        Problem: agent-forbidden, task-not-found, task-expired.
    """
    agent = tasks.agent_of(identifier)
    if agent is None or not _can_be(agent):
        return existing(gateway, None, identifier)
    await gateway.access.check(caller, verb, agent)
    found = await gateway.store.tasks.get(identifier, caller.tenant)
    if found is None and await gateway.access.sees_all(caller, agent):
        found = await gateway.store.tasks.get(identifier, None)
    return existing(gateway, found, identifier)


def existing(gateway: Gateway, task: Task | None, identifier: str) -> Task:
    """A task that is there.

    Raises:
        Problem: task-not-found, task-expired.
    """
    if task is None:
        raise expiry.missing(identifier, gateway.kept_seconds, gateway.now_ms)
    return task


async def _read_request(request: Request) -> bodies.TaskRequest:
    body = await read_content(request)
    return bodies.with_key(bodies.parse(body), request.headers.getlist("idempotency-key"))


async def read_content(request: Request) -> bytes:
    """The body of a request, once it says that it is JSON.

    Raises:
        Problem: unsupported-media-type, body-too-large, request-timeout.
    """
    bodies.check_media_type(request.headers.get("content-type"))
    length = request.headers.get("content-length")
    try:
        return await bodies.read_body(request.stream(), length)
    except ClientDisconnect:
        raise Problem("request-timeout", "The connection ended before the body did.") from None


# -------------------------------------------------------------------------------------- answers


def _json(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(plain.encoded(document), status, headers, media_type="application/json")


def _stream(
    gateway: Gateway,
    tenant: str,
    identifier: str,
    after: str,
    held: contextlib.ExitStack,
    headers: Mapping[str, str] | None = None,
) -> Response:
    frames = streams.frames(
        gateway.store,
        identifier,
        tenant,
        after,
        stopping=gateway.stopping,
        ping_seconds=gateway.ping_seconds,
    )
    kept = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", **(headers or {})}
    return streams.Stream(frames, kept, held)


def _wants_stream(request: Request) -> bool:
    return streams.MEDIA_TYPE in request.headers.get("accept", "").lower()


def _resume_after(request: Request) -> str:
    after = request.headers.get("last-event-id", "")
    if after and wire.event_place(after) in (None, _LAST_EVENT):
        detail = "The header Last-Event-ID must be the id of an event, such as 1763715600000-0."
        raise Problem("invalid-event-id", detail)
    return after
