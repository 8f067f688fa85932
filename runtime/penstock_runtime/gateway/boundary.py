"""The outermost layer of a request: trace, measures, and the one place that catches everything."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from penstock_runtime import logs
from penstock_runtime.gateway import links, metrics, plain, problems, traces

STATE: Final = "penstock.trace"
_NO_ROUTE: Final = "none"


class Boundary:
    """Gives a request its trace, counts its answer, and turns what nobody foresaw into a 500."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace = traces.trace_of(Headers(scope=scope).get("traceparent"))
        scope[STATE] = trace
        answer = _Answer(scope, send, trace, time.perf_counter())
        try:
            await self._app(scope, receive, answer.send)
        except Exception as error:  # noqa: BLE001 - the gateway's one boundary
            await _fail(answer, error)


@dataclass
class _Answer:
    """The answer on its way out."""

    scope: Scope
    outward: Send
    trace: traces.Trace
    started_seconds: float
    begun: bool = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            self._count(message["status"])
            traced = (
                (b"traceparent", self.trace.parent.encode()),
                (b"x-trace-id", self.trace.trace_id.encode()),
            )
            message = {**message, "headers": [*message.get("headers", ()), *traced]}
        await self.outward(message)

    def _count(self, status: int) -> None:
        route = route_label(self.scope)
        metrics.REQUESTS.labels(route, str(status)).inc()
        elapsed = time.perf_counter() - self.started_seconds
        metrics.REQUEST_SECONDS.labels(route).observe(elapsed)


def route_label(scope: Scope) -> str:
    """Method and template of the route that was found: few, whatever callers ask for."""
    route = scope.get("route")
    if route is None:
        return _NO_ROUTE
    method = scope["method"] if scope["method"] in route.methods else "other"
    return f"{method} {route.path}"


def route_labels(routes: Iterable[BaseRoute]) -> list[str]:
    """The labels of all routes, and that of requests which find none."""
    known = [route for route in routes if isinstance(route, Route)]
    return [_NO_ROUTE] + [f"{verb} {route.path}" for route in known for verb in route.methods or ()]


def _shown(path: str) -> str:
    """A path as the log shows it: who has a link may decide with it."""
    if path.startswith(links.PATH):
        return links.PATH
    return plain.one_line(path, problems.MAX_INSTANCE)


async def _fail(answer: _Answer, error: Exception) -> None:
    scope, trace_id = answer.scope, answer.trace.trace_id
    logs.get().error(
        "the gateway failed to answer",
        route=route_label(scope),
        path=_shown(scope["path"]),
        trace_id=trace_id,
        exc_info=error,
    )
    if answer.begun:
        return  # the server closes a connection whose answer is not whole
    problem = problems.Problem("internal-error", "This is a bug; the trace id finds it in the log.")
    metrics.REFUSALS.labels(problem.kind.slug).inc()
    body = problem.body(scope["path"], trace_id)
    headers = [
        (b"content-type", problems.MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    await answer.send({"type": "http.response.start", "status": 500, "headers": headers})
    await answer.send({"type": "http.response.body", "body": body})
