"""The routes that list what decisions on canaries rest on: rows of the outcome log, and copies that went another way."""

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from penstock.names import AgentKey
from penstock_runtime.gateway import description, plain, routes, seeking, wire
from penstock_runtime.gateway.access import Caller
from penstock_runtime.gateway.problems import Problem
from penstock_runtime.gateway.state import Gateway

router: Final = APIRouter(default_response_class=Response)


@router.get(
    "/v1/namespaces/{namespace}/agents/{agent}/rows",
    operation_id="listRows",
    responses={
        200: description.answer("A page of rows.", "RowList"),
        **description.refusals("invalid-query", "agent-forbidden", "agent-not-found"),
    },
    openapi_extra=description.ROWS,
)
async def list_rows(request: Request) -> Response:
    """List the rows of an agent's outcome log, oldest first: which task was routed to which side, and what became of it.

    A row does not say whose its task is, so that it is for callers of the cluster with the verb `list`, who see the
    tasks of all tenants, and for no static token. There is nothing in it of what was written in a task.
    """
    gateway: Gateway = request.app.state.gateway
    caller = await gateway.access.authenticate(request)
    agent = AgentKey(request.path_params["namespace"], request.path_params["agent"])
    routes.check_name(agent)
    await _check_sees_all(gateway, caller, agent, "outcome rows")
    after, limit = seeking.read_rows(request.query_params.multi_items())
    first, trimmed = await gateway.store.outcomes.kept(agent)
    page = await gateway.store.outcomes.page(agent, after, limit)
    document = {
        "items": [wire.row_document(row) for row in page.rows],
        "first": first,
        "trimmed": trimmed,
        "unreadable": page.unreadable,
        "continue": page.through if page.more else "",
    }
    return Response(plain.encoded(document), media_type="application/json")


@router.get(
    "/v1/namespaces/{namespace}/agents/{agent}/copies",
    operation_id="listCopies",
    responses={
        200: description.answer("Copies that went another way.", "DifferingCopyList"),
        **description.refusals("invalid-query", "agent-forbidden", "agent-not-found"),
    },
    openapi_extra=description.COPIES,
)
async def list_copies(request: Request) -> Response:
    """List the copies of a canary that did not go as stable's task did, newest first, with the calls of both side by side.

    It is for callers of the cluster with the verb `list`, and for no static token. Of arguments there are digests alone;
    the newest 50 copies are kept.
    """
    gateway: Gateway = request.app.state.gateway
    caller = await gateway.access.authenticate(request)
    agent = AgentKey(request.path_params["namespace"], request.path_params["agent"])
    routes.check_name(agent)
    await _check_sees_all(gateway, caller, agent, "copies")
    query = request.query_params.multi_items()
    revision = seeking.read_copies(agent, query, await routes.versions(gateway, agent, query))
    found = await gateway.store.copies.differing(agent, revision)
    if not found and await gateway.store.routes.knows_absent(agent):
        raise Problem("agent-not-found", f"There is no agent {agent}.")
    document = {"items": [wire.copy_document(one) for one in found]}
    return Response(plain.encoded(document), media_type="application/json")


async def _check_sees_all(gateway: Gateway, caller: Caller, agent: AgentKey, what: str) -> None:
    if not await gateway.access.sees_all(caller, agent):
        detail = (
            f"{caller.name!r} may not read the {what} of the agent {agent}, which are of all tenants: that takes a "
            f"token of the cluster, and the verb list on agents/tasks of penstock.dev in the namespace {agent.namespace}."
        )
        raise Problem("agent-forbidden", detail)
