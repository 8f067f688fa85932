"""The routes of links: a page that decides nothing, and the form on it, which decides once.

Programs open links by themselves, to look for viruses or to show a preview. So ``GET`` changes
nothing, however often it is asked. What the person may do is asked of the cluster at the click.
"""

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import parse_qs

from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from penstock import errors
from penstock.escalation import Escalation, Verdict
from penstock.names import AgentKey
from penstock_runtime.gateway import (
    bodies,
    decisions,
    escalating,
    links,
    metrics,
    pages,
    plain,
    problems,
    routes,
)
from penstock_runtime.gateway.apiserver import APIServerAway, User
from penstock_runtime.gateway.identities import ClusterCaller
from penstock_runtime.gateway.problems import Problem
from penstock_runtime.gateway.state import Gateway
from penstock_runtime.gateway.webhooks.signing import SecretUnusable
from penstock_store import escalations

_FORM: Final = "application/x-www-form-urlencoded"
_MOST_FIELDS: Final = 8

router: Final = APIRouter(default_response_class=Response, include_in_schema=False)


@router.get("/v1/links/{link}")
async def show(request: Request) -> Response:
    """The call that a link is about, with a form where the link decides on it."""
    return await _answered(request, _show)


@router.post("/v1/links/{link}")
async def decide(request: Request) -> Response:
    """Decide, with what the form on the page says."""
    return await _answered(request, _decide)


async def _show(request: Request, gateway: Gateway) -> Response:
    caller, opened, agent = _opened(request, gateway)
    tenant = await _decided_tenant(gateway, caller, agent)
    found = await _asked(gateway, opened, tenant)
    why_not = decisions.why_not_by_link(found)
    if not why_not and found.status == "Open":
        decisions.check_person(caller, found, signed_in=False)
    return pages.question(found, caller.person, why_not)


async def _decide(request: Request, gateway: Gateway) -> Response:
    caller, opened, agent = _opened(request, gateway)
    tenant = await _decided_tenant(gateway, caller, agent)
    said = await _form(request)
    found = await _asked(gateway, opened, tenant)
    after = await escalating.decide_on(gateway, caller, tenant, found.id, said, signed_in=False)
    return pages.decided(after)


async def _asked(gateway: Gateway, opened: links.Opened, tenant: str) -> Escalation:
    """The question that a link is about; a call that was asked for once more is another one.

    Raises:
        Problem: escalation-not-found, link-invalid.
    """
    found = await escalating.find_escalation(gateway, opened.escalation, tenant)
    if found.asked_ms != opened.asked_ms:
        raise Problem("link-invalid", "This link is of a question before the one that waits now.")
    return found


def _opened(request: Request, gateway: Gateway) -> tuple[ClusterCaller, links.Opened, AgentKey]:
    """The person whom a link was made for, what it is for, and whose call that is.

    Raises:
        Problem: link-invalid, link-expired.
    """
    if gateway.links is None:
        raise Problem("link-invalid", "This gateway makes no links.")
    try:
        opened = gateway.links.opened(request.path_params["link"], gateway.targets, gateway.now())
    except links.LinkExpired:
        detail = "Its time is over. The terminal still decides: penstock escalations list."
        raise Problem("link-expired", detail) from None
    except links.LinkInvalid as error:
        raise Problem("link-invalid", f"This link opens nothing here: {error}.") from None
    agent = escalations.agent_of_escalation(opened.escalation)
    if agent is None:
        raise decisions.missing(opened.escalation)
    routes.check_name(agent)
    person = opened.approver
    return ClusterCaller(User(person.user, groups=person.groups)), opened, agent


async def _decided_tenant(gateway: Gateway, caller: ClusterCaller, agent: AgentKey) -> str:
    """As ``escalating.decided_tenant``, by what the cluster says at this moment."""
    gateway.access.forget(caller, agent)
    return await escalating.decided_tenant(gateway, caller, agent)


async def _form(request: Request) -> decisions.DecisionRequest:
    """What the form says; it names the call that was on the page by its digest.

    Raises:
        Problem: body-too-large, request-timeout, invalid-body.
    """
    told = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if told != _FORM:
        raise Problem("invalid-body", f"A decision is the page's form, {_FORM}.")
    try:
        body = await bodies.read_body(request.stream(), request.headers.get("content-length"))
    except ClientDisconnect:
        raise Problem("request-timeout", "The connection ended before the body did.") from None
    try:
        given = parse_qs(body.decode(), strict_parsing=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise Problem("invalid-body", "The body is no form.") from None
    fields = {name: values[-1].replace("\r\n", "\n") for name, values in given.items()}
    if not fields.get("digest"):
        raise Problem(
            "invalid-body", "The form names no call: open the link, and decide on its page."
        )
    known = {name: text for name, text in fields.items() if name != "arguments" and text.strip()}
    if known.get("decision") != Verdict.APPROVE:
        known.pop("remember", None)  # the box of the form goes with its other button
    return bodies.parsed(decisions.DecisionRequest, plain.encoded(known))


async def _answered(
    request: Request, answer: Callable[[Request, Gateway], Awaitable[Response]]
) -> Response:
    """An answer as a page, also where it is a problem."""
    gateway: Gateway = request.app.state.gateway
    try:
        return await answer(request, gateway)
    except Problem as problem:
        return _refused(problem)
    except errors.StoreUnavailable as error:
        gateway.outages.note(str(error))
        return _refused(problems.store_unavailable(error))
    except errors.StoreRefused:
        return _refused(problems.store_refused())
    except APIServerAway as away:
        return _refused(problems.identity_unavailable(away.retry_after_seconds))
    except SecretUnusable as error:
        return _refused(Problem("link-invalid", f"Links cannot be opened now: {error}."))


def _refused(problem: Problem) -> Response:
    metrics.REFUSALS.labels(problem.kind.slug).inc()
    return pages.refusal(problem)
