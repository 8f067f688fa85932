"""kubectl with waiting, on a cluster with a running operator."""

from collections.abc import Callable

import pytest

from tests.integration.cluster import Cluster


@pytest.fixture
def cluster(kubectl: Callable[..., str], operator: str) -> Cluster:
    """The test's namespace on a cluster with a running operator."""
    assert operator
    return Cluster(kubectl)
