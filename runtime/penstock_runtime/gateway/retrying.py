"""The route that tries an ended task again, as a task of its own."""

from typing import Final
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from penstock.task import Submission, Task
from penstock_runtime import logs
from penstock_runtime.gateway import (
    admitting,
    bodies,
    boundary,
    decisions,
    description,
    plain,
    routes,
    wire,
)
from penstock_runtime.gateway.access import Caller
from penstock_runtime.gateway.identities import Verb
from penstock_runtime.gateway.problems import Problem
from penstock_runtime.gateway.state import Gateway

router: Final = APIRouter(default_response_class=Response)


@router.post(
    "/v1/tasks/{task}/retry",
    operation_id="retryTask",
    responses={
        200: description.answer("The new task, which has ended already.", "Task"),
        202: description.answer("The new task; `Location` is its address.", "Task"),
        **description.refusals(
            "invalid-body",
            "agent-forbidden",
            "task-not-found",
            "task-expired",
            "task-not-ended",
            "task-acted",
            "session-of-another-user",
            "session-of-another-revision",
            "preview-unavailable",
            "rate-exceeded",
            "budget-exceeded",
            "agent-suspended",
            "queue-full",
            "request-timeout",
            "body-too-large",
            "unsupported-media-type",
            "store-full",
        ),
    },
    openapi_extra=description.RETRY,
)
async def retry(request: Request) -> Response:
    """Try an ended task again: a new task with its input, user, session, type and priority.

    It goes to whichever revision serves the user now. Said again, it answers with the same new task; to try once more,
    retry that one. A task that has made calls which change something is refused with `task-acted`, since
    the new one may make them again: say `evenIfActed` once that is looked at. It takes the rights to read and to submit. One
    of a preview is a preview of the same revision, and takes the right to that as well.
    """
    gateway: Gateway = request.app.state.gateway
    caller = await gateway.access.authenticate(request)
    identifier: str = request.path_params["task"]
    found = await routes.find(gateway, caller, Verb.READ, identifier)
    if found.tenant != caller.tenant:
        found = routes.existing(gateway, None, identifier)
    await gateway.access.check(caller, Verb.SUBMIT, found.agent)
    if found.preview:
        await gateway.access.check(caller, Verb.PREVIEW, found.agent)
    said = bodies.parsed(decisions.RetryRequest, await routes.read_content(request))
    await _check(gateway, found, even_if_acted=said.even_if_acted)
    submission = _again(found, caller, request.scope[boundary.STATE].trace_id)
    admission = await admitting.admit(gateway.store, found.agent, submission, gateway.now_ms)
    task = await gateway.store.tasks.get(admission.task, caller.tenant)
    task = task or admitting.as_admitted(found.agent, submission, admission)
    logs.get().info("a task is tried again", task=found.id, again=task.id, person=caller.person)
    return Response(
        plain.encoded(wire.task_document(task)),
        200 if task.status.ended else 202,
        {"Location": f"/v1/tasks/{quote(task.id, safe='')}"},
        media_type="application/json",
    )


async def _check(gateway: Gateway, found: Task, *, even_if_acted: bool) -> None:
    if not found.status.ended:
        detail = f"It is {found.status}; cancel it, or wait for its end."
        raise Problem("task-not-ended", detail)
    if found.compensation:
        detail = "It undoes a call; ask for the compensation of that call again."
        raise Problem("task-acted", detail)
    if not even_if_acted and await gateway.store.tasks.has_acted(found.id):
        detail = "It has made calls that change something, or has tried to, and the new task may make them again."
        raise Problem("task-acted", detail)


def _again(found: Task, caller: Caller, trace_id: str) -> Submission:
    """The same once more; its key makes it one task however often it is said."""
    return Submission(
        input=found.input,
        tenant=found.tenant,
        user=found.user,
        session=found.session,
        type=found.type,
        priority=found.priority,
        idempotency_key=f"retry of {found.id}",
        metadata=found.metadata,
        trace_id=trace_id,
        submitter=caller.person,
        revision=found.revision if found.preview else "",
    )
