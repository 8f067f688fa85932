"""The route that lists an agent's newest tasks."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from penstock import errors
from penstock.names import AgentKey
from penstock.task import Task
from penstock_runtime.gateway import description, plain, problems, routes, searching, wire
from penstock_runtime.gateway.access import Caller
from penstock_runtime.gateway.state import Gateway
from penstock_store.listing import TaskPage

router: Final = APIRouter(default_response_class=Response)


@router.get(
    "/v1/namespaces/{namespace}/agents/{agent}/tasks",
    operation_id="listTasks",
    responses={
        200: description.answer("A page of tasks.", "TaskList"),
        **description.refusals("invalid-query", "agent-forbidden", "agent-not-found"),
    },
    openapi_extra=description.SEARCH,
)
async def list_tasks(request: Request) -> Response:
    """List the newest tasks of an agent, newest first, that fit all parameters.

    It lists those of the caller's tenant; to a caller of the cluster with the verb `list`, those of
    all tenants, each with its `tenant`. A page may be empty though more follow: ask until `continue`
    is empty. The newest 10,000 tasks of an agent are found, while they are kept.
    """
    gateway: Gateway = request.app.state.gateway
    caller = await gateway.access.authenticate(request)
    agent = AgentKey(request.path_params["namespace"], request.path_params["agent"])
    tenant = await _seen_tenant(gateway, caller, agent)
    query = request.query_params.multi_items()
    try:
        versions = await routes.versions(gateway, agent, query)
        search = searching.read(agent, query, tenant, versions)
        page = await gateway.store.tasks.recent(agent, search.wanted, search.place, search.limit)
    except errors.AdmissionRefused as refusal:
        raise problems.refused(refusal, 0) from refusal
    content = plain.encoded(_document(page, tenant))
    return Response(content, media_type="application/json")


async def _seen_tenant(gateway: Gateway, caller: Caller, agent: AgentKey) -> str | None:
    """Whose tasks the caller sees: None those of all tenants."""
    routes.check_name(agent)
    return None if await gateway.access.reads_all(caller, agent) else caller.tenant


def _document(page: TaskPage, tenant: str | None) -> dict[str, Any]:
    """A page in the shape of ``documents.TaskList``."""
    return {
        "items": [_item(task, with_tenant=tenant is None) for task in page.tasks],
        "continue": page.following.token if page.following else "",
        "unreadable": page.unreadable,
        "tenant": tenant or "",
    }


def _item(task: Task, *, with_tenant: bool) -> Mapping[str, Any]:
    """A task in the shape of ``documents.TaskItem``: without what was written."""
    whole = wire.task_document(task)
    del whole["output"]
    return whole | {"type": task.type} | ({"tenant": task.tenant} if with_tenant else {})
