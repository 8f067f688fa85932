"""Helm, found or built, on the shipped charts."""

from pathlib import Path

import pytest

from penstock_dev.kind import programs
from tests.integration.chart.charts import Helm


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm without a cluster; building it, where there is none, takes minutes."""
    home: Path = tmp_path_factory.mktemp("helm")
    return Helm(programs.helm(), home)
