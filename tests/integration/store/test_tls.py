"""Redis behind TLS: known by its authority, refused otherwise, and users of namespaces on it."""

from __future__ import annotations

import datetime
import uuid

import pytest

from penstock import errors, names
from penstock.guard import unguarded
from penstock_dev.controlplane import certificates
from penstock_store import users
from penstock_store.store import Store
from tests.integration import redis_tls

pytestmark = pytest.mark.redis
AGENT = names.AgentKey("acme", "support")


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    """A server's address, and a folder with the file of its authority."""
    folder = tmp_path_factory.mktemp("tls")
    with redis_tls.running(folder) as url:
        yield url, folder


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
