"""An environment whose operator is down, for tests that start and end operators themselves."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock_dev import environment as embedded
from penstock_dev.state import StateDirectory
from tests import components


@contextlib.contextmanager
def running(directory: Path) -> Iterator[embedded.Environment]:
    """Start it with an operator, for the rights that come with it, and then keep that one down."""
    lines: list[str] = []
    try:
        started = embedded.start(directory, report=lines.append)
    except embedded.EnvironmentFailed as error:
        pytest.fail("\n".join(["no environment:", *lines, str(error)]), pytrace=False)
    state = StateDirectory.at(directory)
    state.stopped_file("operator").touch()
    components.send(state.recorded()["operator"].pid, signal.SIGTERM)
    try:
        yield started
    finally:
        embedded.stop(directory)
