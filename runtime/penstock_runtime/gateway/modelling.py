"""The route that tells which models an agent asks, how they are doing, and what they cost."""

import hashlib
from collections.abc import Iterator
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from penstock import names
from penstock.money.asked import ModelPrice
from penstock.money.endpoints import (
    AgentModels,
    Breaker,
    BreakerPosition,
    Endpoint,
    MinuteLimit,
    ModelSpend,
)
from penstock.money.prices import usd
from penstock.names import AgentKey
from penstock_runtime.gateway import description, plain, routes, wire
from penstock_runtime.gateway.problems import Problem
from penstock_runtime.gateway.state import Gateway

router: Final = APIRouter(default_response_class=Response)


@router.get(
    "/v1/namespaces/{namespace}/agents/{agent}/models",
    operation_id="listModels",
    responses={
        200: description.answer("The models as they are now.", "ModelList"),
        **description.refusals("invalid-query", "agent-forbidden", "agent-not-found"),
    },
    openapi_extra=description.MODELS,
)
async def read(request: Request) -> Response:
    """Read which models an agent's revisions ask: breaker, rate limits, price, and what ended tasks have cost.

    Rate limits and costs are of all tenants: they are told to a caller of the cluster with the verb `list` on
    `agents/tasks`.
    """
    gateway: Gateway = request.app.state.gateway
    caller = await gateway.access.authenticate(request)
    agent = AgentKey(request.path_params["namespace"], request.path_params["agent"])
    routes.check_name(agent)
    reads_all = await gateway.access.reads_all(caller, agent)
    if request.query_params:
        raise Problem("invalid-query", "There are no parameters.")
    found = await gateway.store.models.of(agent)
    if not found.revisions and await gateway.store.routes.knows_absent(agent):
        raise Problem("agent-not-found", f"There is no agent {agent}.")
    content = plain.encoded(_document(agent, found, reads_all=reads_all))
    return Response(content, media_type="application/json")


# ------------------------------------------------------------------------------------ the document

_ACCOUNT_DIGITS: Final = 12


def _document(agent: AgentKey, found: AgentModels, *, reads_all: bool) -> dict[str, Any]:
    """What is known of models in the shape of ``model_documents.ModelList``."""
    spend = {one.mark: one for one in found.spend}
    by_mark = dict(_models(agent, found))
    for mark, one in by_mark.items():
        known = spend.pop(mark, None)
        one["spend"] = _spend(known or ModelSpend("", "", 0, 0)) if reads_all else None
        one["pools"] = one["pools"] if reads_all else None
    former = [{"model": one.model, **_spend(one)} for one in spend.values()]
    return {
        "namespace": agent.namespace,
        "agent": agent.name,
        "asOf": wire.timestamp(found.now_ms),
        "models": [*by_mark.values()],
        "silent": [
            names.revision_name(agent.name, one.revision)
            for one in found.revisions
            if one.endpoints is None
        ],
        "former": former if reads_all else None,
        "unattributedTodayUSD": usd(found.unattributed) if reads_all else None,
    }


def _models(agent: AgentKey, found: AgentModels) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each model at its address once with its mark, in the order in which stable asks them."""
    together: dict[str, list[tuple[dict[str, Any], Endpoint]]] = {}
    for revision in found.revisions:
        name = names.revision_name(agent.name, revision.revision)
        for one in revision.endpoints or ():
            use = {"revision": name, "role": revision.role, "as": [*one.asked.uses]}
            together.setdefault(one.mark, []).append((use, one))
    for mark, seen in together.items():
        endpoints = [one for _, one in seen]
        first = endpoints[0].asked
        pools = {one.asked.account: _pool(one) for one in endpoints}
        prices = dict.fromkeys(one.asked.price for one in endpoints if one.asked.price)
        model = {
            "provider": first.provider,
            "address": first.address,
            "model": first.model,
            "usedBy": [use for use, _ in seen],
            "breaker": _breaker(endpoints[0].breaker),
            "pools": [*pools.values()],
            "prices": [_price(one) for one in prices],
        }
        yield mark, model


def _breaker(one: Breaker) -> dict[str, Any]:
    return {
        "state": one.position.value,
        "failuresInRow": one.outages,
        "openUntil": _moment(one.until_ms if one.position is BreakerPosition.OPEN else 0),
        "lastFailure": one.failure,
        "lastFailureAt": _moment(one.failed_ms),
    }


def _pool(endpoint: Endpoint) -> dict[str, Any]:
    one = endpoint.pool
    # A digest of what is stored, so that whatever was written there is told to nobody.
    digest = hashlib.sha256(endpoint.asked.account.encode()).hexdigest()
    return {
        "account": digest[:_ACCOUNT_DIGITS],
        "requests": _limit(one.requests),
        "inputTokens": _limit(one.input_tokens),
        "outputTokens": _limit(one.output_tokens),
        "waiting": [*one.waits],
        "toldToWaitUntil": _moment(one.paced_until_ms),
    }


def _limit(one: MinuteLimit) -> dict[str, Any]:
    return {"limit": one.most, "source": one.source.value, "used": one.used}


def _price(one: ModelPrice) -> dict[str, Any]:
    return {
        "inputPerMTok": one.input,
        "cachedInputPerMTok": one.cached_input,
        "outputPerMTok": one.output,
        "source": one.source.value,
        "release": one.release,
        "since": one.since,
    }


def _spend(one: ModelSpend) -> dict[str, str]:
    return {"todayUSD": usd(one.today), "monthUSD": usd(one.month)}


def _moment(at_ms: int) -> str | None:
    return wire.timestamp(at_ms) if at_ms else None
