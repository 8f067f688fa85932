"""An environment whose operator is down, and operators that a test starts and ends itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.guard import unguarded
from penstock_dev import environment as embedded
from penstock_store.store import Store
from tests.integration import unmanned
from tests.integration.acceptance import background
from tests.integration.acceptance.product import Product
from tests.integration.cluster import Cluster
from tests.integration.election.operators import Operators


@pytest.fixture(scope="package")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.Environment]:
    """An environment of these tests' own: the operator of the others would do the work as well."""
    with unmanned.running(tmp_path_factory.mktemp("election")) as found:
        yield found


@pytest.fixture
def operators(
    environment: embedded.Environment, namespace: str, tmp_path: Path
) -> Iterator[Operators]:
    """Operators of the test's namespace that all stand for the one Lease; there is none yet."""
    made = Operators(environment, namespace, tmp_path)
    made.delete_lease()
    yield made
    with contextlib.ExitStack() as stack:
        for operator in made.started:
            stack.callback(operator.kill)


@pytest.fixture
def product(
    environment: embedded.Environment, operators: Operators, kubectl, namespace: str
) -> Iterator[Product]:
    """The product in the test's namespace, run by whichever of the operators leads."""
    assert operators
    assert environment.redis_url
    with background.running() as loop:
        store = Store.connect(environment.redis_url, guard=unguarded, timeout_seconds=30)
        try:
            yield Product(Cluster(kubectl), environment, namespace, loop, store)
        finally:
            loop.run(store.aclose())
