"""The whole product, and a reader of one example in a namespace of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock_dev.environment import Environment
from tests.integration.examples import reader


@pytest.fixture
def read(environment: Environment, operator, gateway, namespace: str, tmp_path: Path):
    """`read("01-minimal")` is a reader of that example."""
    path = reader.programs_in(tmp_path, environment, namespace)

    def of(example: str) -> reader.Reader:
        return reader.Reader(reader.ROOT / "examples" / example, environment, namespace, path)

    return of
