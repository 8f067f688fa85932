"""The route that tells what an agent may spend, what it has spent, and what lifts it."""

import functools
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from penstock import names
from penstock.money import lifts, spend
from penstock.money.ledger import Account, Lift, Limit, Spent, Unit, Window
from penstock.money.prices import usd
from penstock.names import AgentKey
from penstock_runtime.gateway import bodies, description, plain, routes, wire
from penstock_runtime.gateway.problems import Problem
from penstock_runtime.gateway.state import Gateway

_UNITS: Final = {Unit.TOKENS: "tokens", Unit.MICRO_USD: "USD"}

router: Final = APIRouter(default_response_class=Response)


@router.get(
    "/v1/namespaces/{namespace}/agents/{agent}/budget",
    operation_id="getBudget",
    responses={
        200: description.answer("The budget as it is now.", "Budget"),
        **description.refusals("invalid-query", "agent-forbidden", "agent-not-found"),
    },
    openapi_extra=description.BUDGET,
)
async def read(request: Request) -> Response:
    """Read what an agent may spend and has spent: itself, its canary, and the caller's tenant.

    With `user` also one user of that tenant. Who lifted a budget is told to a caller of the cluster with the
    verb `list` on `agents/tasks`.
    """
    gateway: Gateway = request.app.state.gateway
    caller = await gateway.access.authenticate(request)
    agent = AgentKey(request.path_params["namespace"], request.path_params["agent"])
    routes.check_name(agent)
    reads_all = await gateway.access.reads_all(caller, agent)
    user = _user(request.query_params.multi_items())
    account = await gateway.store.ledger.account(agent, tenant=caller.tenant, user=user)
    content = plain.encoded(_document(agent, account, with_names=reads_all))
    return Response(content, media_type="application/json")


def _user(query: list[tuple[str, str]]) -> str | None:
    if not query:
        return None
    if [name for name, _ in query] != ["user"]:
        raise Problem("invalid-query", "The only parameter is user, and it may be given once.")
    ((_, user),) = query
    if len(user) > bodies.MAX_NAME_LENGTH:
        detail = f"user may have at most {bodies.MAX_NAME_LENGTH} characters."
        raise Problem("invalid-query", detail)
    return user


# ------------------------------------------------------------------------------------ the document


def _document(agent: AgentKey, account: Account, *, with_names: bool) -> dict[str, Any]:
    """An account in the shape of ``documents.Budget``."""
    spending = account.spending
    costs = sorted(account.cost_today.items(), key=lambda item: (-item[1], item[0]))
    refusals = sorted(spending.refusals.items())
    return {
        "namespace": agent.namespace,
        "agent": agent.name,
        "asOf": wire.timestamp(spending.now_ms),
        "windows": [_window(spent, limit) for spent in spending.windows for limit in spent.limits],
        "lifts": list(_lifts(account.lifts, spending.now_ms, with_names=with_names)),
        "revisions": [
            {"revision": names.revision_name(agent.name, revision), "costUSD": usd(cost)}
            for revision, cost in costs
        ],
        "refusals": [
            {"scope": scope, "window": _named(window), "unit": _UNITS[unit], "count": count}
            for (scope, window, unit), count in refusals
        ],
    }


def _window(spent: Spent, limit: Limit) -> dict[str, Any]:
    settled, held = spend.of(limit.unit, spent.settled), spend.of(limit.unit, spent.held)
    say = functools.partial(_said, limit.unit)
    return {
        "scope": limit.scope,
        "window": _named(limit.window),
        "unit": _UNITS[limit.unit],
        "limit": say(limit.most),
        "spent": say(settled),
        "reserved": say(held),
        "left": say(max(0, limit.most - settled - held)),
        "percent": settled * 100 // limit.most if limit.most else 100,
        "resetsAt": wire.timestamp(spent.resets_ms) if spent.resets_ms else None,
        "refuses": spend.refuses(limit, spent),
    }


def _lifts(found: Iterable[Lift], now_ms: int, *, with_names: bool) -> Iterable[dict[str, Any]]:
    """Those whose window has not ended."""
    for lift in found:
        begins = datetime.fromtimestamp(lift.begins_ms / 1000, UTC)
        _, ends = lifts.bounds(lift.window, begins)
        ends_ms = int(ends.timestamp() * 1000)
        if ends_ms > now_ms:
            yield {
                "scope": lift.scope,
                "window": _named(lift.window),
                "unit": _UNITS[lift.unit],
                "amount": _said(lift.unit, lift.more),
                "by": lift.by if with_names else "",
                "at": wire.timestamp(lift.at_ms),
                "endsAt": wire.timestamp(ends_ms),
            }


def _said(unit: Unit, value: int) -> str:
    return str(value) if unit is Unit.TOKENS else usd(value)


def _named(window: Window) -> str:
    return spend.FIELDS.get(window, window.value)
