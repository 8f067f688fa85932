"""An environment whose operator is down: tests run operators that give each namespace its user."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from penstock.guard import unguarded
from penstock_dev import environment as embedded
from penstock_store.store import Store
from tests.integration import unmanned
from tests.integration.acceptance import background
from tests.integration.acceptance.product import Product
from tests.integration.cluster import Cluster
from tests.integration.election.operators import Operator, Operators

KEY = "a key of the installation for tests, long enough"


@pytest.fixture(scope="package")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.Environment]:
    """An environment of these tests' own: the operator of the others tells workers the address."""
    with unmanned.running(tmp_path_factory.mktemp("tenancy")) as found:
        yield found


@dataclass(frozen=True)
class Tenancy:
    """Operators with a key, and what Redis and the API server have of the namespace."""

    operators: Operators
    cluster: Cluster
    redis: Redis
    namespace: str

    def start(self, name: str, key: str = KEY, **more: str) -> Operator:
        """An operator that gives each namespace a Redis user, by this key."""
        settings = {"PENSTOCK_REDIS_USERS": "PerNamespace", "PENSTOCK_REDIS_USER_KEY": key}
        alone = {"PENSTOCK_LEASE": "", "PENSTOCK_RELIST_SECONDS": "5"}
        return self.operators.start(name, **settings, **alone, **more)

    def users(self) -> set[str]:
        """The users that Redis knows; none while it is away."""
        with contextlib.suppress(RedisConnectionError):
            return set(self.redis.acl_users())
        return set()

    def connected(self) -> set[str]:
        """The users of all connections to Redis."""
        found = self.redis.client_list()
        return {one["user"] for one in found}

    def secret(self) -> dict[str, str] | None:
        """The content of the namespace's Secret."""
        found = self.cluster.get("secret", "penstock-redis-user")
        if found is None:
            return None
        return {key: base64.b64decode(text).decode() for key, text in found["data"].items()}


@pytest.fixture
def tenancy(
    environment: embedded.Environment,
    kubectl: Callable[..., str],
    namespace: str,
    tmp_path: Path,
) -> Iterator[Tenancy]:
    """No operator yet; those that a test starts end with it."""
    assert environment.redis_url
    redis = Redis.from_url(environment.redis_url)
    made = Tenancy(Operators(environment, namespace, tmp_path), Cluster(kubectl), redis, namespace)
    yield made
    with contextlib.ExitStack() as stack:
        stack.callback(redis.close)
        for operator in made.operators.started:
            stack.callback(operator.kill)


@pytest.fixture
def product(
    environment: embedded.Environment, tenancy: Tenancy, namespace: str
) -> Iterator[Product]:
    """The product in the test's namespace, run by the operators that the test starts."""
    assert environment.redis_url
    with background.running() as loop:
        store = Store.connect(environment.redis_url, guard=unguarded, timeout_seconds=30)
        try:
            yield Product(tenancy.cluster, environment, namespace, loop, store)
        finally:
            loop.run(store.aclose())
