"""The route that lists what an agent's calls have done to the world."""

from dataclasses import replace
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from penstock.names import AgentKey
from penstock_runtime.gateway import description, escalating, plain, routes, seeking, wire
from penstock_runtime.gateway.state import Gateway

router: Final = APIRouter(default_response_class=Response)


@router.get(
    "/v1/namespaces/{namespace}/agents/{agent}/effects",
    operation_id="listEffects",
    responses={
        200: description.answer("A page of effects.", "EffectList"),
        **description.refusals("invalid-query", "agent-forbidden", "agent-not-found"),
    },
    openapi_extra=description.EFFECTS,
)
async def list_effects(request: Request) -> Response:
    """List the calls of tools that are not ReadOnly: those of which nobody knows whether they were made, then
    the others, oldest first.

    It lists those of the caller's tenant; to a caller of the cluster with the verbs `list` and
    `approve`, or `list` and `get`, those of all tenants. A page may be empty though more follow: ask
    until `continue` is empty. The newest 200,000 calls of an agent are kept, for 30 days.
    """
    gateway: Gateway = request.app.state.gateway
    caller = await gateway.access.authenticate(request)
    agent = AgentKey(request.path_params["namespace"], request.path_params["agent"])
    routes.check_name(agent)
    tenant = await escalating.seen_tenant(gateway, caller, agent, alone=True)
    query = request.query_params.multi_items()
    versions = await routes.versions(gateway, agent, query)
    sought, after, limit = seeking.read_effects(agent, query, versions)
    page = await gateway.store.effects.page(agent, replace(sought, tenant=tenant), after, limit)
    found = (*page.unknown, *page.items)
    undone = await gateway.store.compensations.known(agent, found)
    pairs = zip(found, undone, strict=True)
    told = [wire.effect_document(agent, *pair, tenant=not tenant) for pair in pairs]
    unknown = len(page.unknown)
    document = {"unknown": told[:unknown], "items": told[unknown:], "continue": page.following}
    return Response(plain.encoded(document), media_type="application/json")
