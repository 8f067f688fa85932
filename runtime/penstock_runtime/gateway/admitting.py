"""Getting a task into the store once, and waiting for its end."""

import asyncio
import contextlib
import random
import secrets
from typing import Final

from starlette.requests import Request

from penstock import errors, names
from penstock import task as tasks
from penstock.names import AgentKey
from penstock.task import Submission, Task
from penstock_runtime.gateway import metrics, problems
from penstock_runtime.gateway.stopping import Stopping, unless_gone
from penstock_store.records import Admission
from penstock_store.store import Store

# Between looks while the store is away, spread so that not all who wait come back at once.
_RETRY_SECONDS: Final = (0.5, 2.0)


async def admit(store: Store, agent: AgentKey, submission: Submission, now_ms: int) -> Admission:
    """Store and queue a task, or find the one of the same idempotency key.

    Args:
        now_ms: milliseconds since 1970, which the id of a new task carries.

    Raises:
        Problem: it was refused.
        StoreUnavailable: nobody knows whether it was stored; no answer came, twice.
    """
    identifier = tasks.new_task_id(agent, now_ms, secrets.token_bytes(10))
    try:
        admission = await _admit(store, agent, identifier, submission)
    except errors.AdmissionRefused as refusal:
        _count_over_budget(agent, refusal.scope, "refused")
        raise problems.refused(refusal, len(submission.input)) from refusal
    _count_over_budget(
        agent, admission.over_rate, "escalated" if admission.escalates else "reported"
    )
    if not admission.existed and not submission.revision:
        revision = names.revision_name(agent.name, admission.revision)
        metrics.ADMISSIONS.labels(agent.namespace, agent.name, revision, admission.arm).inc()
    return admission


def _count_over_budget(agent: AgentKey, scope: str, outcome: str) -> None:
    if scope:
        metrics.OVER_BUDGET.labels(agent.namespace, agent.name, scope, outcome).inc()


async def _admit(
    store: Store, agent: AgentKey, identifier: str, submission: Submission
) -> Admission:
    try:
        return await store.tasks.admit(agent, identifier, submission)
    except errors.StoreUnavailable:
        # Perhaps only the answer was lost: the same id again finds the task it made.
        return await store.tasks.admit(agent, identifier, submission)


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
        preview=bool(submission.revision),
    )


async def wait_for_end(
    request: Request, store: Store, stopping: Stopping, identifier: str, seconds: float
) -> None:
    """Return at the task's end, after the time, or earlier: the gateway stops, the caller has gone.

    The task is stored, so a store that does not answer for a while is no error: waiting goes on.
    """
    waiting = stopping.unless_stopped(_until_end(store, identifier, seconds))
    with metrics.WAITING.track_inprogress():
        await unless_gone(request.receive, waiting)


async def _until_end(store: Store, identifier: str, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                try:
                    return await store.notifications.wait_for_end(identifier, seconds)
                except (errors.StoreUnavailable, errors.StoreRefused):
                    await asyncio.sleep(random.uniform(*_RETRY_SECONDS))
