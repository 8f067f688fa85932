"""Running the fake Messages server on a socket."""

import resource
import socket

import uvicorn

from penstock_dev.model import app

KEEP_ALIVE_SECONDS = 75


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio turns Nagle's delay off only for sockets that name it.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(2048)
    return listener


def take_many_connections() -> None:
    """Let this process hold as many connections as the system allows it at all."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def make_server(application: app.App) -> uvicorn.Server:
    """A uvicorn server for an application: quiet, without lifespan, with connections kept longer than clients keep them."""
    return uvicorn.Server(
        uvicorn.Config(
            application,
            log_level="warning",
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=1,
        )
    )


async def serve(host: str, port: int, seed: int, settings: app.Settings | None = None) -> None:
    """Serve until cancelled or until the process is told to stop."""
    await make_server(app.App(seed, settings)).serve(sockets=[listen(host, port)])
