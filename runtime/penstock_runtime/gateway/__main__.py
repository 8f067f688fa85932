"""python -m penstock_runtime.gateway: serve until told to stop."""

import asyncio
import contextlib
import functools
import resource
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import FrameType
from typing import Any, Final, Literal

import uvicorn
from fastapi import FastAPI

from penstock import errors
from penstock.guard import unguarded
from penstock_runtime import logs, process
from penstock_runtime.gateway import app, connections, places, settings, state
from penstock_runtime.gateway.access import Access
from penstock_runtime.gateway.apiserver import APIServer
from penstock_runtime.gateway.connections import Door
from penstock_runtime.gateway.identities import ClusterTokens
from penstock_runtime.gateway.protocol import BoundedProtocol
from penstock_runtime.gateway.tokens import TokensFile
from penstock_runtime.gateway.webhooks.sender import sending
from penstock_store.store import Store

GRACE_SECONDS: Final = 8
MEASURES_CONNECTIONS: Final = 64
_OTHER_FILES: Final = 256  # that a gateway has open besides its connections
_BACKLOG: Final = 2048


class Server(uvicorn.Server):
    """uvicorn that ends streams and waiting calls before it waits for their answers."""

    def __init__(self, config: uvicorn.Config, gateway: state.Gateway) -> None:
        super().__init__(config)
        self._gateway = gateway

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nothing more, finish what has begun, close what waits."""
        self._gateway.stopping.begin()
        await super().shutdown(sockets)


class Aside(uvicorn.Server):
    """uvicorn beside another one, which alone hears signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the other one."""
        yield


def main() -> None:
    """Serve with the settings in the environment; 0 after SIGTERM, 2 when they cannot be used."""
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, _leave)
    try:
        told = settings.read_gateway_settings()
        tokens = _load_tokens(told)
        addresses = [told.address, *filter(None, [told.metrics_address])]
        listeners = [_listen(*address) for address in addresses]
    except errors.InvalidResource as error:
        sys.stderr.write(f"penstock gateway: {error}\n")
        sys.exit(2)
    logs.configure(told.log_level, installation=told.installation)
    _allow_files(told.max_connections + connections.SPARE_CONNECTIONS + _OTHER_FILES)
    process.run(_serve(told, tokens, listeners))


def _load_tokens(told: settings.GatewaySettings) -> TokensFile | None:
    if place := told.api_server:
        place.check()
    if told.tokens_file is None:
        return None
    tokens = TokensFile(told.tokens_file)
    tokens.load()
    return tokens


def _allow_files(wanted: int) -> None:
    """Raise the soft limit of open files where it would be reached before that of connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft < allowed and soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        logs.get().warning("fewer open files than connections", allowed=allowed, wanted=wanted)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """Before uvicorn has begun to listen for signals, and again when it has shut down."""
    sys.exit(0)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio turns Nagle's delay off only for sockets that name it.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        reason = f"cannot listen on {host}:{port}: {error.strerror or error}"
        raise errors.InvalidResource(reason) from error
    listener.listen(_BACKLOG)
    return listener


async def _serve(
    told: settings.GatewaySettings, tokens: TokensFile | None, listeners: list[socket.socket]
) -> None:
    trusted = str(told.redis_ca_file or "")
    store = Store.connect(
        told.redis_url,
        guard=unguarded,
        installation=told.installation,
        retention=told.retention,
        ca_file=trusted,
    )
    gateway = state.Gateway(
        store,
        Access(tokens, _cluster_tokens(told)),
        streams=places.streams(told.streams_per_caller),
        waits=places.waits(told.waits_per_caller),
        kept_seconds=told.ended_task_seconds,
        now=time.time,
        targets=told.targets,
        links=told.links,
        aside=_aside(told, store),
    )
    door = Door(told.max_connections, told.max_connections_per_address)
    listener, *apart = listeners
    served = app.application(gateway, measured=not apart)
    server = Server(_config(served, door, lifespan="on"), gateway)
    for each in apart:
        _tell("measures are shown", each)
    # The last line of a start: whoever waits for it finds the other one before it.
    _tell("the gateway listens", listener)
    async with _watching(door), _measures(gateway, apart):
        await server.serve(sockets=[listener])


def _tell(event: str, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    logs.get().info(event, address=f"{host}:{port}")


def _aside(
    told: settings.GatewaySettings, store: Store
) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
    """What runs beside the calls: nothing, where no webhook is named."""
    if not told.targets:
        return ()
    links, installation = told.links, told.installation
    sends = sending(store, told.targets, links, installation, time.time, time.monotonic)
    return (sends.run,)


def _config(served: FastAPI, door: Door, lifespan: Literal["on", "off"]) -> uvicorn.Config:
    return uvicorn.Config(
        served,
        http=functools.partial(BoundedProtocol, door),  # type: ignore[arg-type]
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan=lifespan,
        timeout_keep_alive=int(connections.KEEP_ALIVE_SECONDS),
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


@contextlib.asynccontextmanager
async def _watching(door: Door) -> AsyncIterator[None]:
    watching = asyncio.create_task(door.watch(), name="penstock-gateway-door")
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait([watching])


@contextlib.asynccontextmanager
async def _measures(gateway: state.Gateway, listeners: list[socket.socket]) -> AsyncIterator[None]:
    """Measures and probes on a listener of their own, for as long as callers are served."""
    if not listeners:
        yield
        return
    door = Door(MEASURES_CONNECTIONS, MEASURES_CONNECTIONS)
    server = Aside(_config(app.measures(gateway), door, lifespan="off"))
    async with _watching(door):
        serving = asyncio.create_task(server.serve(sockets=listeners))
        try:
            yield
        finally:
            server.should_exit = True
            await asyncio.wait([serving])


def _cluster_tokens(told: settings.GatewaySettings) -> ClusterTokens | None:
    if (place := told.api_server) is None:
        return None
    return ClusterTokens(APIServer(place), told.audiences, told.review_seconds, now=time.time)


if __name__ == "__main__":
    main()
