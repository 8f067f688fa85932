"""Redis behind TLS: known by its authority, refused otherwise, and users of namespaces on it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
import uuid

import pytest

from penstock import errors, names
from penstock.guard import unguarded
from penstock_dev.controlplane import certificates
from penstock_store import testing, users
from penstock_store.store import Store
from tests.integration.acceptance import background

pytestmark = pytest.mark.redis
AGENT = names.AgentKey("acme", "support")


@pytest.fixture(scope="module")
def authority():
    return certificates.Authority.create(datetime.datetime.now(datetime.UTC))


@contextlib.contextmanager
def speaking_tls(folder):
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
def behind_tls(folder):
    """The bundled server, which is built without TLS, behind something that ends it; the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "redis.crt", folder / "redis.key")
    with testing.redis_server(testing.bundled_server()) as plain, background.running() as loop:

        async def relay(reader, writer):
            there, back = await asyncio.open_connection("127.0.0.1", plain.port)
            with contextlib.suppress(OSError):
                await asyncio.gather(pump(reader, back), pump(there, writer))

        server = loop.run(asyncio.start_server(relay, "127.0.0.1", 0, ssl=context))
        yield server.sockets[0].getsockname()[1]
        server.close()


async def pump(reader, writer):
    while content := await reader.read(65536):
        writer.write(content)
        await writer.drain()
    writer.close()


@pytest.fixture(scope="module")
def secured(authority, tmp_path_factory):
    """A server's address, and a folder with the file of its authority."""
    folder = tmp_path_factory.mktemp("tls")
    authority.server(["localhost"], ["127.0.0.1"]).write(folder, "redis")
    (folder / "ca.crt").write_bytes(authority.pair.certificate)
    serve = speaking_tls if testing.system_server() else behind_tls
    with serve(folder) as port:
        yield f"rediss://127.0.0.1:{port}/0", folder


@pytest.fixture
async def connect():
    opened = []

    def made(url, **more):
        store = Store.connect(url, guard=unguarded, installation="i", timeout_seconds=5, **more)
        opened.append(store)
        return store

    yield made
    for store in opened:
        await store.aclose()


async def test_a_server_is_known_by_the_authority_that_is_given(secured, connect):
    url, folder = secured
    store = connect(url, ca_file=str(folder / "ca.crt"))
    await store.ping()
    await store.routes.set_index({AGENT: "uid"})
    assert await store.routes.index() == {AGENT: "uid"}
    assert await store.notifications.wait("t.unknown", "", 0.1) == []


async def test_a_server_of_another_authority_is_not_spoken_to(secured, connect, tmp_path):
    url, _ = secured
    other = certificates.Authority.create(datetime.datetime.now(datetime.UTC))
    (tmp_path / "ca.crt").write_bytes(other.pair.certificate)
    for options in ({"ca_file": str(tmp_path / "ca.crt")}, {}):
        with pytest.raises(errors.StoreUnavailable, match="certificate"):
            await connect(url, **options).ping()


async def test_a_name_that_the_certificate_does_not_have_is_refused(secured, connect):
    url, folder = secured
    elsewhere = url.replace("127.0.0.1", "127.0.0.2")
    with pytest.raises(errors.StoreUnavailable):
        await connect(elsewhere, ca_file=str(folder / "ca.crt")).ping()


async def test_an_authority_that_is_not_there_is_told(secured, connect, tmp_path):
    url, _ = secured
    with pytest.raises(errors.StoreUnavailable, match="No such file"):
        await connect(url, ca_file=str(tmp_path / "absent")).ping()


async def test_a_namespaces_user_works_over_tls_and_hears_its_doorbell(secured, connect):
    url, folder = secured
    ca_file = str(folder / "ca.crt")
    namespace = f"n-{uuid.uuid4().hex[:6]}"
    operator = connect(url, ca_file=ca_file)
    await operator.users.permit(namespace, "p" * 64)
    worker = connect(users.with_user(url, users.user_of("i", namespace), "p" * 64), ca_file=ca_file)
    agent = names.AgentKey(namespace, "support")
    await worker.queue.wait_for_work(agent, "aaaa0000", 0.1)
    assert await worker.claims.take(agent, "aaaa0000", "w1", 1) == []
    await operator.users.dismiss(namespace)
