"""Helm, found or built, on the shipped charts."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock_dev import environment as embedded
from penstock_dev.kind import programs
from tests.integration.chart.charts import Helm


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm without a cluster; building it, where there is none, takes minutes."""
    home: Path = tmp_path_factory.mktemp("helm")
    return Helm(programs.helm(), home)


@pytest.fixture(scope="session")
def administrator(environment: embedded.Environment) -> Callable[..., str]:
    """kubectl as administrator, in no namespace of its own."""
    assert environment.kubectl
    assert environment.kubeconfig
    command = [str(environment.kubectl), "--kubeconfig", str(environment.kubeconfig)]

    def run(*arguments: str, stdin: str | None = None, check: bool = True) -> str:
        done = subprocess.run(
            [*command, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.stderr}{done.stdout}"
        return done.stdout + done.stderr

    return run
