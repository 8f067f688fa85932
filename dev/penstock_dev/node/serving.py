"""What the API server asks of a kubelet, over TLS: the logs of containers."""

from __future__ import annotations

import contextlib
import datetime
import ssl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn

from penstock_dev.controlplane import certificates
from penstock_dev.node import logs

#: The log of a container by namespace, pod and container. Raises logs.NoLog.
Find = Callable[[str, str, str], logs.LogFile]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class _Server(uvicorn.Server):
    """Leaves the signals to the program it runs in."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def make(directory: Path, name: str, address: str, client_ca: Path, find: Find) -> uvicorn.Server:
    """A server that answers only who has a certificate of the cluster's authority.

    Its own one signs itself, as a kubelet's does.
    """
    now = datetime.datetime.now(datetime.UTC)
    certificates.Authority.create(now).server([name], [address]).write(directory, "serving")
    config = uvicorn.Config(
        _application(find),
        log_level="warning",
        access_log=False,
        lifespan="off",
        ssl_certfile=str(directory / "serving.crt"),
        ssl_keyfile=str(directory / "serving.key"),
        ssl_ca_certs=str(client_ca),
        ssl_cert_reqs=ssl.CERT_REQUIRED,
        timeout_graceful_shutdown=1,
    )
    return _Server(config)


def _application(find: Find) -> Callable[[Any, Any, Send], Awaitable[None]]:
    async def answer(scope: dict[str, Any], _receive: object, send: Send) -> None:
        match scope["path"].split("/"):
            case ["", "containerLogs", namespace, pod, container]:
                await _logs(scope, send, lambda: find(namespace, pod, container))
            case ["", ("exec" | "attach" | "portForward") as verb, *_]:
                await _whole(send, 501, f"a process node has no {verb}")
            case _:
                await _whole(send, 404, "not found")

    return answer


async def _logs(scope: dict[str, Any], send: Send, find: Callable[[], logs.LogFile]) -> None:
    now = datetime.datetime.now(datetime.UTC)
    begun = False
    try:
        asked = logs.wanted(scope["query_string"].decode("latin-1"), now)
        async for part in logs.read(find(), asked):
            if not begun:
                await _start(send, 200)
                begun = True
            await send({"type": "http.response.body", "body": part, "more_body": True})
    except logs.NoLog as reason:
        await _whole(send, 400, str(reason))
        return
    if not begun:
        await _start(send, 200)
    await send({"type": "http.response.body", "body": b""})


async def _whole(send: Send, code: int, text: str) -> None:
    await _start(send, code)
    await send({"type": "http.response.body", "body": text.encode()})


async def _start(send: Send, code: int) -> None:
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": code, "headers": headers})
