"""Getting a task into the store once, and waiting for its end."""

import asyncio
import contextlib
import secrets

from starlette.requests import Request

from penstock import errors, names
from penstock import task as tasks
from penstock.names import AgentKey
from penstock.task import Submission, Task
from penstock_runtime.gateway import metrics, problems, wire
from penstock_runtime.gateway.stopping import Stopping, unless_gone
from penstock_store.records import Admission
from penstock_store.store import Store


async def admit(store: Store, agent: AgentKey, submission: Submission) -> Admission:
    """Store and queue a task, or find the one of the same idempotency key.

    Raises:
        Problem: it was refused.
        StoreUnavailable: nobody knows whether it was stored; no answer came, twice.
    """
    identifier = tasks.task_id(agent, secrets.token_bytes(16))
    try:
        admission = await _admit(store, agent, identifier, submission)
    except errors.AdmissionRefused as refusal:
        metrics.REFUSALS.labels(refusal.problem).inc()
        raise problems.refused(refusal, len(submission.input)) from refusal
    if not admission.existed:
        revision = names.revision_name(agent.name, admission.revision)
        metrics.ADMISSIONS.labels(agent.namespace, agent.name, revision, admission.arm).inc()
    return admission


async def _admit(
    store: Store, agent: AgentKey, identifier: str, submission: Submission
) -> Admission:
    try:
        return await store.admit(agent, identifier, submission)
    except errors.StoreUnavailable:
        # Perhaps only the answer was lost: the same id again finds the task it made.
        return await store.admit(agent, identifier, submission)


def as_admitted(agent: AgentKey, submission: Submission, admission: Admission) -> Task:
    """A new task as it was at its admission."""
    return Task(
        id=admission.task,
        agent=agent,
        revision=admission.revision,
        status=admission.status,
        input=submission.input,
        tenant=submission.tenant,
        user=submission.user,
        session=submission.session,
        type=submission.type,
        priority=submission.priority,
        metadata=submission.metadata,
        route_version=admission.route_version,
        trace_id=submission.trace_id,
        created_ms=admission.created_ms,
    )


async def wait_for_end(
    request: Request, store: Store, stopping: Stopping, identifier: str, seconds: float
) -> None:
    """Return at the task's end, after the time, or earlier: the gateway stops, the caller has gone.

    The task is stored, so a store that does not answer ends the waiting too and is no error.
    """
    waiting = stopping.unless_stopped(_until_end(store, identifier, seconds))
    with metrics.WAITING.track_inprogress(), contextlib.suppress(errors.StoreUnavailable):
        await unless_gone(request.receive, waiting)


async def _until_end(store: Store, identifier: str, seconds: float) -> None:
    clock = asyncio.get_running_loop().time
    deadline, after = clock() + seconds, ""
    while (remaining := deadline - clock()) > 0:
        for event in await store.wait(identifier, after, remaining):
            if event.type == wire.FINISHED:
                return
            after = event.id
