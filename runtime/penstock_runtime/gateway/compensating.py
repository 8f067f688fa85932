"""The route that undoes calls: each by a task of its own, once, on the word of a person who may approve."""

import re
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from penstock import escalation, names, naming
from penstock.effects import Effect, EffectState, Undo, Undoing, Undone
from penstock.names import AgentKey
from penstock.task import TaskStatus
from penstock_runtime import logs
from penstock_runtime.gateway import (
    bodies,
    boundary,
    description,
    escalating,
    plain,
    routes,
    wire,
)
from penstock_runtime.gateway.access import Caller
from penstock_runtime.gateway.compensation_documents import CompensationState
from penstock_runtime.gateway.decisions import CompensationRequest
from penstock_runtime.gateway.problems import Problem
from penstock_runtime.gateway.state import Gateway
from penstock_store.compensations import Asked, By
from penstock_store.effects import SoughtEffects

_AT_ONCE: Final = 50  # known calls of one answer
_ENTRY: Final = re.compile(r"[?]?[0-9]{1,20}-[0-9]{1,20}", re.ASCII)
_CALL: Final = re.compile(r"([^.]+[.][^.]+)[.]([0-9]{1,9})[.]([0-9]{1,9})", re.ASCII)
_FINAL: Final = (Undoing.DONE, Undoing.INTENDED)
#: What a person who names the call may ask for again.
_AGAIN: Final = (
    CompensationState.REFUSED,
    CompensationState.NOT_MADE,
    CompensationState.ENDED,
)
_REFUSED: Final = {
    Asked.CHANGED: "somebody else has asked at the same time; look again",
    Asked.NO_ROUTE: "no stable revision serves",
    Asked.SUSPENDED: "the agent is suspended",
    Asked.SERVES: "its revision serves; roll it back first",
    Asked.OLDER_WORKERS: "the workers of the stable revision are of a release that cannot do it; set spec.template.worker.image",
    Asked.FULL: "too many tasks wait for a worker; try again later",
}

router: Final = APIRouter(default_response_class=Response)


@dataclass(frozen=True)
class _Order:
    """What is asked of one agent, and by whom; ``named``: of one call, of which a person has thought."""

    gateway: Gateway
    agent: AgentKey
    caller: Caller
    said: CompensationRequest
    trace_id: str

    @property
    def named(self) -> bool:
        return self.said.effect is not None


@dataclass(frozen=True)
class _Standing:
    """How far the compensation of a call is, by which task, and why; both may be empty."""

    state: CompensationState
    task: str = ""
    message: str = ""


@router.post(
    "/v1/namespaces/{namespace}/agents/{agent}/compensations",
    operation_id="compensateEffects",
    responses={
        200: description.answer("How far the compensation of each call is.", "CompensationList"),
        **description.refusals(
            "invalid-body",
            "agent-forbidden",
            "approval-forbidden",
            "agent-not-found",
            "request-timeout",
            "body-too-large",
            "unsupported-media-type",
            "store-full",
        ),
    },
    openapi_extra=description.COMPENSATIONS,
)
async def compensate(request: Request) -> Response:
    """Undo calls of tools that a revision has made: all of them page by page, or one.

    Each becomes a task on the stable revision, which calls the tool of `compensate` as that revision
    declares it, with the arguments that were kept; no model is asked, and where the tool needs an approval, its
    task waits for another person. A call is undone once, however often it is asked. One of which nobody
    knows whether it was made is refused unless it is named, with `wasMade`. It takes the right to decide.
    """
    gateway: Gateway = request.app.state.gateway
    caller = await gateway.access.authenticate(request)
    agent = AgentKey(request.path_params["namespace"], request.path_params["agent"])
    routes.check_name(agent)
    tenant = await escalating.decided_tenant(gateway, caller, agent)
    if "\n" in caller.person:
        raise Problem("approval-forbidden", "The name of this caller cannot be written down.")
    said = bodies.parsed(CompensationRequest, await routes.read_content(request))
    order = _Order(gateway, agent, caller, said, request.scope[boundary.STATE].trace_id)
    revision = await _revision(order) if said.effect is None else ""
    effects, following = await _found(order, tenant, revision)
    known = await gateway.store.compensations.known(agent, effects)
    pairs = zip(effects, known, strict=True)
    items = [await _item(order, one, undone) for one, undone in pairs]
    name = names.revision_name(agent.name, revision) if revision else ""
    document = {"revision": name, "items": items, "continue": following}
    return Response(plain.encoded(document), media_type="application/json")


async def _revision(order: _Order) -> str:
    """The hash of the revision that is meant.

    A version or the beginning of a hash may mean another one by the next time, or never have meant the one of
    which a person thinks: it is enough to look, and not to call or to go on.
    """
    text, agent = order.said.revision or "", order.agent.name
    if not (order.said.dry_run and not order.said.continue_) and not naming.is_whole(agent, text):
        detail = (
            f"revision is {text!r}: without dryRun, and with continue, it must be the whole name of one, "
            f"{names.revision_name(agent, '<hash>')}, or its hash; a dry run tells which one is meant."
        )
        raise Problem("invalid-body", detail)
    if naming.is_whole(agent, text):
        return names.hash_of(text)
    try:
        return naming.named(agent, text, await order.gateway.store.routes.versions(order.agent))
    except ValueError as error:  # no revision must not mean the calls of all of them
        raise Problem("invalid-body", f"revision is {text!r}: {error}.") from None


async def _found(order: _Order, tenant: str, revision: str) -> tuple[list[Effect], str]:
    """The calls that are meant, unknown ones first, and where to go on."""
    if order.said.effect is not None:
        return await _one(order, tenant, order.said.effect), ""
    after = order.said.continue_ or ""
    if after and not _ENTRY.fullmatch(after):
        detail = "continue must be what an answer before said under continue."
        raise Problem("invalid-body", detail)
    sought = SoughtEffects(tenant=tenant, revision=revision)
    page = await order.gateway.store.effects.page(order.agent, sought, after, _AT_ONCE)
    done = [one for one in page.items if one.state is EffectState.DONE and not one.compensates]
    unknown = [one for one in page.unknown if not one.compensates]
    return [*unknown, *done], page.following


async def _one(order: _Order, tenant: str, named: str) -> list[Effect]:
    """The call of an idempotency key."""
    parts = _CALL.fullmatch(named)
    if not parts:
        raise Problem("invalid-body", "effect must be task, reply and position: ID.1.1")
    sought, after = SoughtEffects(tenant=tenant, task=parts[1].rpartition(".")[2]), ""
    while True:
        page = await order.gateway.store.effects.page(order.agent, sought, after, _AT_ONCE)
        found = [one for one in (*page.unknown, *page.items) if one.call == named]
        after = page.following
        if found or not after:
            return found[-1:]


async def _item(order: _Order, effect: Effect, known: Undone) -> dict[str, Any]:
    """How far the compensation of one call is, after it was asked for where it may be."""
    standing = await _standing(order, effect, known)
    if standing is None or (order.named and standing.state in _AGAIN):
        standing = await _asked(order, effect, known)
    return wire.compensation_document(effect, standing.state, standing.task, standing.message)


async def _standing(order: _Order, effect: Effect, known: Undone) -> _Standing | None:
    """How far it is before anything is asked for; None where nobody has asked yet, and one may."""
    if known.state in _FINAL:
        return _Standing(CompensationState(known.state), known.task)
    if problem := _problem(order, effect):
        return _Standing(CompensationState.IMPOSSIBLE, known.task, problem)
    if not known.state:
        return None
    task = await order.gateway.store.tasks.get(known.task, None)
    if task is not None and not task.status.ended:
        waits = "it waits for a person" if task.escalation else ""
        return _Standing(CompensationState.ASKED, known.task, waits)
    if task is not None and task.status is TaskStatus.SUCCEEDED:
        # by a tool that is declared to change nothing, so that no effect tells of it
        return _Standing(CompensationState.DONE, known.task)
    asked = known.state is Undoing.ASKED
    state = CompensationState.ENDED if asked else CompensationState(known.state)
    why = task.outcome.message[:512] if task and task.outcome else ""
    said = f"{why}; name the call to try again".removeprefix("; ")
    return _Standing(state, known.task, said)


async def _asked(order: _Order, effect: Effect, known: Undone) -> _Standing:
    """What came of asking for it."""
    undo, dry = effect.undo or Undo(""), order.said.dry_run
    by = By(order.caller.person, order.trace_id)
    ask = order.gateway.store.compensations.ask
    asked, task = await ask(order.agent, effect, undo, known, by, dry=dry)
    if asked is not Asked.ASKED:
        return _Standing(CompensationState.IMPOSSIBLE, message=_REFUSED[asked])
    if dry:
        return _Standing(CompensationState.WOULD_CALL, known.task)
    logs.get().info(
        "a call is undone",
        agent=str(order.agent),
        effect=effect.call,
        tool=undo.tool,
        task=task,
        person=order.caller.person,
        was_made=order.said.was_made,
    )
    return _Standing(CompensationState.ASKED, task)


def _problem(order: _Order, effect: Effect) -> str:
    """Why a call cannot be undone, as far as its effect tells; empty where it can."""
    undo = effect.undo
    if effect.compensates:
        return "it undoes another call itself"
    if effect.erased:
        return "its user was erased, and with that what it takes to undo it"
    if effect.state in (EffectState.REFUSED, EffectState.NOT_MADE):
        return "it was not made"
    if undo is None:
        return f"its revision declares no compensate of tool {effect.tool}"
    if undo.problem:
        return undo.problem
    if effect.state is EffectState.INTENDED and not order.said.was_made:
        return "nobody knows whether it was made: look there, then name it and say that it was"
    person = escalation.same_person(order.caller.person)
    if effect.user and person == escalation.same_person(effect.user):
        return "it is for the person who asks; somebody else decides"
    return ""
