"""The routes of what waits for a person: list it, read it, decide it."""

import json
from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from penstock import escalation
from penstock.escalation import Escalation, Verdict
from penstock.names import AgentKey
from penstock_runtime import logs
from penstock_runtime.agent.tools import toolbox
from penstock_runtime.gateway import (
    bodies,
    decisions,
    description,
    metrics,
    plain,
    routes,
    seeking,
    wire,
)
from penstock_runtime.gateway.access import Caller
from penstock_runtime.gateway.identities import Verb
from penstock_runtime.gateway.problems import Problem
from penstock_runtime.gateway.state import Gateway
from penstock_runtime.gateway.tokens import StaticCaller
from penstock_store import escalations
from penstock_store.escalations import Decided, Word

MAX_AGENTS: Final = 64  # of which one page asks, whatever is looked for

router: Final = APIRouter(default_response_class=Response)


@router.get(
    "/v1/escalations",
    operation_id="listEscalations",
    responses={
        200: description.answer("A page of what waits.", "EscalationList"),
        **description.refusals("invalid-query", "agent-forbidden", "agent-not-found"),
    },
    openapi_extra=description.ESCALATIONS,
)
async def list_escalations(request: Request) -> Response:
    """List calls that wait for a person, agent by agent, the first to lapse first.

    It lists those of the caller's tenant; to a caller of the cluster with the verbs `list` and
    `approve`, or `list` and `get`, those of all tenants, each with its `tenant`. A page may be empty though more follow: ask until `continue`
    is empty. What was decided is read by its id, as long as its task is kept.
    """
    gateway: Gateway = request.app.state.gateway
    caller = await gateway.access.authenticate(request)
    query = request.query_params.multi_items()
    sought = seeking.read(query)
    agents = await _agents(gateway, caller, sought)
    items: list[dict[str, Any]] = []
    place, asked = sought.place, 0
    for agent in agents:
        if len(items) >= sought.limit or asked >= MAX_AGENTS:
            return _page(items, escalation.token(str(agent), ""))
        tenant = await seen_tenant(gateway, caller, agent, alone=bool(sought.agent))
        asked += 1
        if tenant == NOTHING:
            continue
        if sought.agent:  # whoever may not read the agent learns no version of it
            sought = sought.known(agent, await routes.versions(gateway, agent, query))
        after = place[1] if place[0] == str(agent) else ""
        page = await gateway.store.escalations.page(
            agent, sought.of(tenant), after, sought.limit - len(items)
        )
        items += [wire.escalation_document(one, tenant=not tenant) for one in page.items]
        if page.following:
            return _page(items, escalation.token(str(agent), page.following))
    return _page(items, "")


NOTHING: Final = "\n"  # no tenant's name: the caller sees nothing of the agent


async def _agents(gateway: Gateway, caller: Caller, sought: seeking.Search) -> list[AgentKey]:
    """The agents to ask, in order, from the place on."""
    if sought.agent:
        routes.check_name(AgentKey(sought.namespace, sought.agent))
        return [AgentKey(sought.namespace, sought.agent)]
    known = [
        agent
        for agent in await gateway.store.routes.index()
        if sought.namespace in ("", agent.namespace)
        and str(agent) >= sought.place[0]
        and not (isinstance(caller, StaticCaller) and not caller.may_use(agent))
    ]
    return await gateway.store.escalations.waiting(sorted(known, key=str))


async def seen_tenant(gateway: Gateway, caller: Caller, agent: AgentKey, *, alone: bool) -> str:
    """Whose escalations the caller sees: "" those of all tenants.

    They show what was written, which the verb `list` alone does not open.
    """
    access = gateway.access
    if await access.sees_all(caller, agent) and (
        await access.may(caller, Verb.APPROVE, agent) or await access.may(caller, Verb.READ, agent)
    ):
        return ""
    if alone:
        await access.check(caller, Verb.READ, agent)
    elif not await access.may(caller, Verb.READ, agent):
        return NOTHING
    return caller.tenant


async def decided_tenant(gateway: Gateway, caller: Caller, agent: AgentKey) -> str:
    """On whose calls the caller may decide: "" on those of all tenants. Nobody decides on what he may not see.

    Raises:
        Problem: agent-forbidden.
    """
    await gateway.access.check(caller, Verb.APPROVE, agent)
    return await seen_tenant(gateway, caller, agent, alone=True)


@router.get(
    "/v1/escalations/{escalation}",
    operation_id="getEscalation",
    responses={
        200: description.answer("What waits, with the conversation before it.", "Escalation"),
        **description.refusals("agent-forbidden", "escalation-not-found"),
    },
    openapi_extra=description.ESCALATION,
)
async def read(request: Request) -> Response:
    """Read one: what was wanted, why a person is asked, the conversation, the deadline, the cost so far."""
    gateway: Gateway = request.app.state.gateway
    caller = await gateway.access.authenticate(request)
    identifier, agent = _named(request)
    tenant = await seen_tenant(gateway, caller, agent, alone=True)
    found = await find_escalation(gateway, identifier, tenant)
    return _json(wire.escalation_document(found, tenant=not tenant, whole=True))


@router.post(
    "/v1/escalations/{escalation}/decision",
    operation_id="decideEscalation",
    responses={
        200: description.answer("It as it is afterwards.", "Escalation"),
        **description.refusals(
            "invalid-body",
            "invalid-arguments",
            "agent-forbidden",
            "approval-forbidden",
            "escalation-not-found",
            "escalation-decided",
            "escalation-differs",
            "escalation-not-remembered",
            "escalation-unconfirmed",
            "request-timeout",
            "body-too-large",
            "unsupported-media-type",
            "store-full",
        ),
    },
    openapi_extra=description.DECISION,
)
async def decide(request: Request) -> Response:
    """Approve, deny or answer a call that waits; who decides is the caller.

    It is decided once: the same word of the same person again changes nothing, another one is refused
    with 409. Where two persons must approve, it goes on with the second one's word. Where the store may
    have lost what became of the call (`doubt`), the decision names it by its `digest`.
    """
    gateway: Gateway = request.app.state.gateway
    caller = await gateway.access.authenticate(request)
    identifier, agent = _named(request)
    tenant = await decided_tenant(gateway, caller, agent)
    said = bodies.parsed(decisions.DecisionRequest, await routes.read_content(request))
    after = await decide_on(gateway, caller, tenant, identifier, said)
    return _json(wire.escalation_document(after, tenant=not tenant, whole=True))


async def decide_on(
    gateway: Gateway,
    caller: Caller,
    tenant: str,
    identifier: str,
    said: decisions.DecisionRequest,
    *,
    signed_in: bool = True,
) -> Escalation:
    """The escalation after a caller's decision, once and for all.

    Args:
        gateway: with the store.
        caller: who decides.
        tenant: on whose calls he may, as ``decided_tenant`` tells; "" on those of all.
        identifier: of the escalation.
        said: his decision.
        signed_in: whether he has shown a token; a link is none.

    Raises:
        Problem: approval-forbidden, invalid-arguments, escalation-not-found, escalation-decided,
            escalation-not-remembered, escalation-unconfirmed.
    """
    found = await find_escalation(gateway, identifier, tenant)
    decisions.check_person(caller, found, signed_in=signed_in)
    arguments = await _checked_arguments(gateway, found, said)
    word = Word(
        caller.person,
        said.decision,
        said.note or "",
        said.answer or "",
        arguments,
        said.digest or "",
        said.is_remembered,
    )
    became = await gateway.store.escalations.decide(identifier, word, tenant or None)
    _count(found, word, became, by_link=not signed_in)
    if became is Decided.MISSING:
        raise decisions.missing(identifier)
    after = await find_escalation(gateway, identifier, tenant)
    if became is Decided.DONE and after.decided_by:
        seconds = max(0, after.decided_ms - after.asked_ms) / 1000
        metrics.DECISION_SECONDS.labels(after.agent.namespace, after.agent.name).observe(seconds)
    if became not in (Decided.DONE, Decided.AGAIN):
        raise decisions.refused(became, after)
    return after


@router.post(
    "/v1/tasks/{task}/escalate",
    operation_id="escalateTask",
    responses={
        200: description.answer("The task as it is afterwards; an ended one as it was.", "Task"),
        **description.refusals(
            "invalid-body",
            "agent-forbidden",
            "task-not-found",
            "task-expired",
            "request-timeout",
            "body-too-large",
            "unsupported-media-type",
            "store-full",
        ),
    },
    openapi_extra=description.TAKE_OVER,
)
async def take_over(request: Request) -> Response:
    """Take a task over: it ends `Escalated`, one that waits at once, one that runs at its next step.

    It takes the same right as to cancel it.
    """
    gateway: Gateway = request.app.state.gateway
    caller = await gateway.access.authenticate(request)
    task: str = request.path_params["task"]
    found = await routes.find(gateway, caller, Verb.CANCEL, task)
    said = bodies.parsed(decisions.TakeOverRequest, await routes.read_content(request))
    if not found.status.ended:
        taken = await gateway.store.tasks.cancel(task, found.tenant, caller.person, said.note or "")
        found = routes.existing(gateway, taken, task)
    return _json(wire.task_document(found))


def _count(found: Escalation, word: Word, became: Decided, *, by_link: bool) -> None:
    """Count a word, and say in the log who has said it."""
    agent = found.agent
    metrics.DECISIONS.labels(agent.namespace, agent.name, word.verdict.value, became.value).inc()
    logs.get().info(
        "a person decided",
        agent=str(agent),
        task=found.task,
        escalation=found.id,
        tool=found.tool,
        person=word.person,
        decision=word.verdict.value,
        outcome=became.value,
        changed=bool(word.arguments),
        remember=word.remember,
        by_link=by_link,
    )


async def _checked_arguments(
    gateway: Gateway, found: Escalation, said: decisions.DecisionRequest
) -> str:
    """Changed arguments as JSON, once they fit the tool's schema; empty for the model's own."""
    if said.arguments is None or said.decision is not Verdict.APPROVE:
        return ""
    schema = await gateway.store.escalations.schema(found)
    if schema is None or toolbox.is_heavy(schema):
        detail = (
            "Other arguments cannot be checked here; approve the model's own, or deny the call."
        )
        raise Problem("invalid-arguments", detail)
    if problem := toolbox.fit(toolbox.compiled(schema), said.arguments):
        raise Problem("invalid-arguments", f"{problem[:1].upper()}{problem[1:]}.")
    try:
        return json.dumps(said.arguments, ensure_ascii=False, allow_nan=False, sort_keys=True)
    except ValueError:
        raise Problem("invalid-arguments", "A number in them is larger than any can be.") from None


def _named(request: Request) -> tuple[str, AgentKey]:
    identifier: str = request.path_params["escalation"]
    agent = escalations.agent_of_escalation(identifier)
    if agent is None:
        raise decisions.missing(identifier)
    routes.check_name(agent)
    return identifier, agent


async def find_escalation(gateway: Gateway, identifier: str, tenant: str) -> Escalation:
    """An escalation of a tenant; "": of whichever.

    Raises:
        Problem: escalation-not-found.
    """
    found = await gateway.store.escalations.get(identifier, tenant or None)
    if found is None:
        raise decisions.missing(identifier)
    return found


def _page(items: Sequence[dict[str, Any]], following: str) -> Response:
    return _json({"items": list(items), "continue": following})


def _json(document: Any) -> Response:
    return Response(plain.encoded(document), media_type="application/json")
