"""python -m penstock_runtime.gateway: serve until told to stop."""

import asyncio
import signal
import socket
import sys
import time
from types import FrameType
from typing import Final

import uvicorn

from penstock import errors
from penstock_runtime import logs
from penstock_runtime.gateway import app, routes, settings
from penstock_runtime.gateway.access import Access
from penstock_runtime.gateway.apiserver import APIServer
from penstock_runtime.gateway.identities import ClusterTokens
from penstock_runtime.gateway.tokens import TokensFile
from penstock_store.store import Store

GRACE_SECONDS: Final = 8
_KEEP_ALIVE_SECONDS: Final = 75
_BACKLOG: Final = 2048


class Server(uvicorn.Server):
    """uvicorn that ends streams and waiting calls before it waits for their answers."""

    def __init__(self, config: uvicorn.Config, gateway: routes.Gateway) -> None:
        super().__init__(config)
        self._gateway = gateway

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nothing more, finish what has begun, close what waits."""
        self._gateway.stopping.begin()
        await super().shutdown(sockets)


def main() -> None:
    """Serve with the settings in the environment; 0 after SIGTERM, 2 when they cannot be used."""
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, _leave)
    try:
        told = settings.read_gateway_settings()
        tokens = _load_tokens(told)
        listener = _listen(*told.address)
    except errors.InvalidResource as error:
        sys.stderr.write(f"penstock gateway: {error}\n")
        sys.exit(2)
    logs.configure(told.log_level, installation=told.installation)
    asyncio.run(_serve(told, tokens, listener))


def _load_tokens(told: settings.GatewaySettings) -> TokensFile | None:
    if place := told.api_server:
        place.check()
    if told.tokens_file is None:
        return None
    tokens = TokensFile(told.tokens_file)
    tokens.load()
    return tokens


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
    told: settings.GatewaySettings, tokens: TokensFile | None, listener: socket.socket
) -> None:
    trusted = str(told.redis_ca_file or "")
    store = Store.connect(told.redis_url, installation=told.installation, ca_file=trusted)
    gateway = routes.Gateway(store, Access(tokens, _cluster_tokens(told)))
    config = uvicorn.Config(
        app.application(gateway),
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    host, port = listener.getsockname()[:2]
    logs.get().info("the gateway listens", address=f"{host}:{port}")
    await Server(config, gateway).serve(sockets=[listener])


def _cluster_tokens(told: settings.GatewaySettings) -> ClusterTokens | None:
    if (place := told.api_server) is None:
        return None
    return ClusterTokens(APIServer(place), told.audiences, told.review_seconds, now=time.time)


if __name__ == "__main__":
    main()
