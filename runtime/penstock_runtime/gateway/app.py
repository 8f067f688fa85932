"""The gateway as an ASGI application: routes, probes, and problems for everything that fails."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import prometheus_client
from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from penstock import errors
from penstock_runtime import logs
from penstock_runtime.gateway import (
    apiserver,
    boundary,
    clicking,
    compensating,
    description,
    effecting,
    erasing,
    escalating,
    listing,
    metrics,
    modelling,
    plain,
    problems,
    retrying,
    routes,
    rowing,
    spending,
    state,
)
from penstock_runtime.gateway.lingering import Lingering

_probes = APIRouter(include_in_schema=False)
_measures = APIRouter(include_in_schema=False)


def application(gateway: state.Gateway, *, measured: bool = True) -> FastAPI:
    """The application on a store and on tokens that have been loaded.

    Args:
        measured: whether it shows its measures; not, where they have a listener of their own.
    """
    app = FastAPI(
        title="Penstock gateway",
        version="v1",
        description=description.OVERVIEW,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        exception_handlers={
            problems.Problem: _answer_problem,
            errors.StoreUnavailable: _answer_unavailable,
            errors.StoreRefused: _answer_refused,
            apiserver.APIServerAway: _answer_unidentified,
            HTTPException: _answer_http,
        },
    )
    app.state.gateway = gateway
    app.add_middleware(boundary.Boundary)
    app.include_router(_probes)
    if measured:
        app.include_router(_measures)
    app.include_router(routes.router)
    app.include_router(listing.router)
    app.include_router(escalating.router)
    app.include_router(spending.router)
    app.include_router(modelling.router)
    app.include_router(effecting.router)
    app.include_router(rowing.router)
    app.include_router(erasing.router)
    app.include_router(retrying.router)
    app.include_router(clicking.router)
    app.include_router(compensating.router)
    metrics.begin(boundary.route_labels(_every_route()), problems.KINDS)
    app.openapi = lambda: description.document(app)  # type: ignore[method-assign]
    return app


def measures(gateway: state.Gateway) -> FastAPI:
    """Measures and probes alone, for a listener that callers do not reach."""
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        exception_handlers={
            errors.StoreUnavailable: _answer_unavailable,
            errors.StoreRefused: _answer_refused,
            HTTPException: _answer_http,
        },
    )
    app.state.gateway = gateway
    app.add_middleware(boundary.Boundary)
    app.include_router(_probes)
    app.include_router(_measures)
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    gateway: state.Gateway = app.state.gateway
    aside = [asyncio.create_task(run()) for run in (gateway.access.follow, *gateway.aside)]
    for each in aside:
        each.add_done_callback(_tell_of_its_end)
    try:
        yield
    finally:
        for each in aside:
            each.cancel()
        await asyncio.wait(aside)
        await gateway.access.aclose()
        await gateway.store.aclose()


def _tell_of_its_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        logs.get().error("what ran beside the calls has ended", exc_info=error)


# --------------------------------------------------------------------------------------- probes


@_probes.get("/healthz")
async def healthz() -> Response:
    """Whether the process answers."""
    return PlainTextResponse("ok\n")


@_probes.get("/readyz")
async def readyz(request: Request) -> Response:
    """Whether tasks can be stored: Redis answers, and the gateway does not stop."""
    gateway: state.Gateway = request.app.state.gateway
    if gateway.stopping.begun:
        return PlainTextResponse("stopping\n", 503)
    await gateway.reach_store()
    return PlainTextResponse("ok\n")


@_measures.get("/metrics")
async def show_metrics() -> Response:
    """All measures in Prometheus' text format."""
    content = prometheus_client.generate_latest()
    return Response(content, media_type=prometheus_client.CONTENT_TYPE_PLAIN_0_0_4)


# ------------------------------------------------------------------------------------- problems


async def _answer_problem(request: Request, problem: problems.Problem) -> Response:
    trace = request.scope[boundary.STATE]
    metrics.REFUSALS.labels(problem.kind.slug).inc()
    answer = Lingering if problem.kind.status == 413 else Response
    return answer(
        problem.body(request.url.path, trace.trace_id),
        problem.kind.status,
        problem.headers,
        media_type=problems.MEDIA_TYPE,
    )


async def _answer_unavailable(request: Request, error: errors.StoreUnavailable) -> Response:
    gateway: state.Gateway = request.app.state.gateway
    gateway.outages.note(str(error))
    return await _answer_problem(request, problems.store_unavailable(error))


async def _answer_refused(request: Request, error: errors.StoreRefused) -> Response:
    logs.get().warning(
        "what is stored cannot be used",
        path=plain.one_line(request.url.path, problems.MAX_INSTANCE),
        trace_id=request.scope[boundary.STATE].trace_id,
        reason=str(error),
    )
    return await _answer_problem(request, problems.store_refused())


async def _answer_unidentified(request: Request, away: apiserver.APIServerAway) -> Response:
    return await _answer_problem(request, problems.identity_unavailable(away.retry_after_seconds))


async def _answer_http(request: Request, error: HTTPException) -> Response:
    """What the router refuses: an unknown path, or a method that a path does not have."""
    path = plain.one_line(request.url.path, problems.MAX_INSTANCE)
    if error.status_code == 405:
        allowed = {"Allow": ", ".join(sorted(_methods(request)))}
        detail = f"{path} does not know {request.method}."
        return await _answer_problem(
            request, problems.Problem("method-not-allowed", detail, allowed)
        )
    slug = "route-not-found" if error.status_code == 404 else "internal-error"
    detail = f"There is nothing at {path}."
    return await _answer_problem(request, problems.Problem(slug, detail))


def _every_route() -> list[BaseRoute]:
    routed = (
        routes,
        listing,
        spending,
        modelling,
        escalating,
        effecting,
        rowing,
        erasing,
        retrying,
        clicking,
        compensating,
    )
    return [
        *_probes.routes,
        *_measures.routes,
        *(route for each in routed for route in each.router.routes),
    ]


def _methods(request: Request) -> set[str]:
    """What can be asked of a path; each of its methods is a route of its own."""
    found = [
        route.methods
        for route in _every_route()
        if isinstance(route, Route) and route.path_regex.match(request.url.path)
    ]
    return {method for methods in found for method in methods or ()}
