"""Probes and metrics of a worker over HTTP."""

import contextlib
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import prometheus_client
import uvicorn
from prometheus_client.registry import Collector

_JSON = b"application/json"

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Probes:
    """An ASGI application: /healthz is true while the process turns, /readyz when it takes tasks.

    Args:
        problem: why it takes no tasks, "" while it does.
        registry: what is shown at /metrics.
    """

    def __init__(self, problem: Callable[[], str], registry: Collector) -> None:
        self._problem = problem
        self._registry = registry

    async def __call__(self, scope: Scope, _receive: Any, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            await _respond(send, *self._answer(scope["path"]))

    def _answer(self, path: str) -> tuple[int, bytes, bytes]:
        match path:
            case "/healthz":
                return 200, _JSON, _status("ok")
            case "/readyz":
                problem = self._problem()
                return 503 if problem else 200, _JSON, _status(problem or "ok")
            case "/metrics":
                kind = prometheus_client.CONTENT_TYPE_LATEST.encode()
                return 200, kind, prometheus_client.generate_latest(self._registry)
            case _:
                return 404, _JSON, _status("not found")


class Server(uvicorn.Server):
    """A uvicorn server that leaves the signals of the process to the worker."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signal."""
        yield


def make_server(application: Probes, host: str, port: int) -> Server:
    """A server for the probes: quiet, without lifespan."""
    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    return Server(config)


def _status(word: str) -> bytes:
    return json.dumps({"status": word}).encode()


async def _respond(send: Send, status: int, content_type: bytes, body: bytes) -> None:
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
