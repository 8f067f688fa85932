"""Who has a Redis user and a Secret, from the first Agent of a namespace to its last."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from penstock import names
from penstock.errors import StoreUnavailable
from penstock.guard import unguarded
from penstock_dev import environment as embedded
from penstock_dev.state import StateDirectory
from penstock_operator.cluster.cache import Cache
from penstock_operator.cluster.client import Cluster, ClusterError
from penstock_operator.cluster.kinds import AGENT, DEPLOYMENT, SECRET, Kind
from penstock_operator.tenancy.credentials import Credentials
from penstock_operator.tenancy.tenants import Pace, Tenants
from penstock_store.store import Store
from tests.integration import cluster as kubernetes

KEY = "a key of the installation for tests, long enough"
pytestmark = pytest.mark.cluster


@dataclass
class Keeping:
    """Tenants under the shipped rights, what they believe there is, and kubectl."""

    tenants: Tenants
    cache: Cache
    namespace: str
    kubectl: Callable[..., str]
    now: float = 1000.0

    def there_is(self, kind: Kind, name: str = "support") -> dict[str, Any]:
        """Let the cache hold an object of the namespace."""
        metadata = {"name": name, "namespace": self.namespace, "uid": name, "resourceVersion": "1"}
        obj = {"metadata": metadata}
        self.cache.observe(kind, obj)
        return obj

    async def has_user(self) -> bool:
        """Whether Redis knows the namespace's user."""
        return self.namespace in await self.tenants.store.users.namespaces()

    def secret(self) -> dict[str, Any] | None:
        """The Secret as the administrator sees it."""
        shown = self.kubectl(
            "get", "secret", "penstock-redis-user", "-o", "json", "--ignore-not-found"
        )
        return json.loads(shown) if shown.strip() else None


@pytest.fixture
async def keeping(
    environment: embedded.Environment, kubectl: Callable[..., str], namespace: str
) -> AsyncIterator[Keeping]:
    assert environment.redis_url
    cache = Cache()
    store = Store.connect(
        environment.redis_url,
        guard=unguarded,
        installation=f"of-{namespace}",
        timeout_seconds=30,
    )
    rights = StateDirectory.at(environment.state_dir).root / "pki" / "operator.conf"
    async with await Cluster.connect(str(rights), unguarded) as cluster:
        credentials = Credentials(f"of-{namespace}", environment.redis_url, KEY)
        pace = Pace(look=0.05, renew=0.2, former=10, empty=60)
        tenants = Tenants(
            cluster, store, cache, credentials, lambda: True, lambda: made.now, (), pace
        )
        made = Keeping(tenants, cache, namespace, kubectl)
        yield made
        await store.users.dismiss(namespace)
        await store.aclose()


async def test_a_namespace_is_provided_for_once_and_what_somebody_removed_comes_back(
    keeping: Keeping,
) -> None:
    keeping.there_is(AGENT)
    assert await keeping.tenants.provide(keeping.namespace) == ""
    assert await keeping.has_user()
    secret = keeping.secret()
    assert secret
    assert secret["metadata"].get("ownerReferences") is None
    version = secret["metadata"]["resourceVersion"]
    await keeping.tenants.renew()
    assert keeping.secret() == secret, f"written again: {version}"
    await keeping.tenants.store.users.dismiss(keeping.namespace)
    await keeping.tenants.look()
    assert await keeping.has_user()
    keeping.kubectl("delete", "secret", "penstock-redis-user")
    await keeping.tenants.renew()
    assert (keeping.secret() or {})["data"] == secret["data"]


async def test_a_secret_that_somebody_changed_is_put_right(keeping: Keeping) -> None:
    keeping.there_is(AGENT)
    await keeping.tenants.provide(keeping.namespace)
    before = keeping.secret()
    evil = base64.b64encode(b"redis://elsewhere:6379/0").decode()
    patch = json.dumps({"data": {"url": evil}})
    keeping.kubectl("patch", "secret", "penstock-redis-user", "--type", "merge", "-p", patch)
    await keeping.tenants.renew()
    assert before
    assert (keeping.secret() or {})["data"] == before["data"]


async def test_workers_that_still_run_keep_their_user_and_a_minute_more(keeping: Keeping) -> None:
    agent, workers = keeping.there_is(AGENT), keeping.there_is(DEPLOYMENT)
    await keeping.tenants.provide(keeping.namespace)
    keeping.cache.forget(AGENT, agent)
    for _ in range(2):
        await keeping.tenants.renew()
        keeping.now += 1000
    assert await keeping.has_user()
    keeping.cache.forget(DEPLOYMENT, workers)
    await keeping.tenants.renew()
    keeping.now += 59
    await keeping.tenants.renew()
    assert await keeping.has_user()
    keeping.now += 2
    await keeping.tenants.renew()
    assert not await keeping.has_user()


async def test_the_last_agents_end_takes_user_and_secret_and_the_next_one_brings_them_back(
    keeping: Keeping,
) -> None:
    agent = keeping.there_is(AGENT)
    await keeping.tenants.provide(keeping.namespace)
    keeping.cache.forget(AGENT, agent)
    await keeping.tenants.renew()
    keeping.now += 61
    await keeping.tenants.renew()
    assert not await keeping.has_user()
    assert keeping.secret() is None
    keeping.there_is(AGENT)
    assert await keeping.tenants.provide(keeping.namespace) == ""
    assert await keeping.has_user()
    assert keeping.secret()


async def test_a_secret_in_which_somebody_keeps_something_else_is_not_deleted(
    keeping: Keeping,
) -> None:
    agent = keeping.there_is(AGENT)
    await keeping.tenants.provide(keeping.namespace)
    patch = json.dumps({"stringData": {"mine": "yes"}})
    keeping.kubectl("patch", "secret", "penstock-redis-user", "--type", "merge", "-p", patch)
    keeping.cache.forget(AGENT, agent)
    await keeping.tenants.renew()
    keeping.now += 61
    await keeping.tenants.renew()
    assert not await keeping.has_user()
    assert "mine" in (keeping.secret() or {})["data"]


async def test_a_cache_that_lacks_an_agent_takes_nothing_from_it(keeping: Keeping) -> None:
    keeping.kubectl("apply", "-f", "-", stdin=json.dumps(kubernetes.agent()))
    await keeping.tenants.provide(keeping.namespace)
    await keeping.tenants.renew()
    keeping.now += 1000
    await keeping.tenants.renew()
    assert await keeping.has_user()
    assert keeping.secret()


async def test_a_namespace_that_is_not_watched_keeps_its_user(keeping: Keeping) -> None:
    await keeping.tenants.provide(keeping.namespace)
    keeping.tenants.watched = ("another",)
    for _ in range(3):
        await keeping.tenants.renew()
        keeping.now += 1000
    assert await keeping.has_user()


async def test_the_password_of_a_former_key_is_dropped_when_its_time_is_over(
    keeping: Keeping,
) -> None:
    keeping.there_is(AGENT)
    store, namespace = keeping.tenants.store, keeping.namespace
    await store.users.permit(namespace, "f" * 64)
    await keeping.tenants.renew()
    former = [False, False, False]
    for index, seconds in enumerate((0, 9, 2)):
        keeping.now += seconds
        await keeping.tenants.renew()
        kept = await store.users.permit(
            namespace, keeping.tenants.credentials.password(namespace), keep_former=True
        )
        former[index] = kept
    assert former == [True, True, False]


async def test_the_shipped_rights_reach_no_other_secret_and_read_none(keeping: Keeping) -> None:
    await keeping.tenants.provide(keeping.namespace)
    cluster, namespace = keeping.tenants.cluster, keeping.namespace
    other = keeping.tenants.credentials.secret(namespace)
    other["metadata"]["name"] = "other"
    for attempt in (
        cluster.get(SECRET, namespace, "penstock-redis-user"),
        cluster.listing(SECRET, namespace),
        cluster.apply(SECRET, other, names.MANAGER),
        cluster.create(SECRET, other),
    ):
        with pytest.raises(ClusterError) as refused:
            await attempt
        assert refused.value.status == 403


async def test_it_keeps_on_when_something_fails_for_a_while(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping.there_is(AGENT)
    fails = iter([True, True])
    known = keeping.tenants.store.users.namespaces

    async def sometimes() -> set[str]:
        if next(fails, False):
            raise StoreUnavailable("away")
        return await known()

    monkeypatch.setattr(keeping.tenants.store.users, "namespaces", sometimes)
    running = asyncio.create_task(keeping.tenants.run())
    deadline = time.monotonic() + 20
    for _ in range(2):
        await keeping.tenants.store.users.dismiss(keeping.namespace)
        while keeping.namespace not in await known():
            assert time.monotonic() < deadline, "the user is not there again"
            await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
