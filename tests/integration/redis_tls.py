"""A Redis that is reached over TLS only, under a certificate of a private authority."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl

from penstock_dev.controlplane import certificates
from penstock_store import testing
from tests.integration.acceptance import background


@contextlib.contextmanager
def running(folder):
    """Its address; its authority is in the folder's ``ca.crt``."""
    authority = certificates.Authority.create(datetime.datetime.now(datetime.UTC))
    authority.pair.write(folder, "ca")
    authority.server(["localhost"], ["127.0.0.1"]).write(folder, "redis")
    serve = _speaking_tls if testing.system_server() else _behind_tls
    with serve(folder) as port:
        yield f"rediss://127.0.0.1:{port}/0"


@contextlib.contextmanager
def _speaking_tls(folder):
    """The system's server with TLS of its own; the port."""
    port = testing.free_port()
    options = (
        "--tls-port", str(port), "--tls-auth-clients", "no",
        "--tls-cert-file", str(folder / "redis.crt"), "--tls-key-file", str(folder / "redis.key"),
        "--tls-ca-cert-file", str(folder / "ca.crt"),
    )  # fmt: skip
    with testing.redis_server(testing.system_server(), *options):
        yield port


@contextlib.contextmanager
def _behind_tls(folder):
    """The bundled server, which is built without TLS, behind something that ends it; the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "redis.crt", folder / "redis.key")
    with testing.redis_server(testing.bundled_server()) as plain, background.running() as loop:

        async def relay(reader, writer):
            there, back = await asyncio.open_connection("127.0.0.1", plain.port)
            try:
                await asyncio.gather(_pump(reader, back), _pump(there, writer))
            except OSError:
                pass  # either side hung up
            finally:
                for each in (writer, back):
                    each.transport.abort()

        server = loop.run(asyncio.start_server(relay, "127.0.0.1", 0, ssl=context))
        yield server.sockets[0].getsockname()[1]
        loop.loop.call_soon_threadsafe(server.close)


async def _pump(reader, writer):
    while content := await reader.read(65536):
        writer.write(content)
        await writer.drain()
    writer.close()
