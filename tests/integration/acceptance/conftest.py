"""The whole product in a namespace of its own."""

from collections.abc import Iterator

import pytest

from penstock.guard import unguarded
from penstock_dev import environment as embedded
from penstock_store.store import Store
from tests.integration.acceptance import background
from tests.integration.acceptance.product import Product
from tests.integration.cluster import Cluster


@pytest.fixture
def product(
    environment: embedded.Environment,
    operator: str,
    gateway: str,
    kubectl,
    namespace: str,
) -> Iterator[Product]:
    """The running product, and a namespace in it."""
    assert operator
    assert gateway
    assert environment.redis_url
    with background.running() as loop:
        store = Store.connect(environment.redis_url, guard=unguarded, timeout_seconds=30)
        try:
            yield Product(Cluster(kubectl), environment, namespace, loop, store)
        finally:
            loop.run(store.aclose())
