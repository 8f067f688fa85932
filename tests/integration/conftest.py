"""One embedded environment per test session, one namespace per test."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from penstock_dev import environment as embedded
from penstock_dev.controlplane import binaries
from penstock_dev.kind import programs as helm_programs
from tests import windows

_ALWAYS = frozenset({"controlplane", "node", "redis", "model"})
_ON_REQUEST = frozenset({"operator", "gateway"})
_DEADLINE_SECONDS = 120.0


class Kubectl(Protocol):
    """Runs kubectl as administrator in the test's namespace and returns its output."""

    def __call__(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str: ...


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Before the test and what is started for it: no window of a budget ends in its midst."""
    time.sleep(windows.seconds_to_wait(time.time()))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Get the programs that tests need before the first one: building them takes minutes."""
    asked = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if session.config.option.collectonly:
        return
    terminal = session.config.pluginmanager.getplugin("terminalreporter")
    report = terminal.write_line if terminal else print
    if "helm" in asked:
        helm_programs.helm(report)
    if not {"environment", "state_dir", "audited"} & asked:
        return
    try:
        sources = binaries.Sources.from_environment(os.environ)
        asyncio.run(binaries.resolve(sources, report))
    except binaries.BinariesUnavailable as error:
        pytest.exit(str(error), returncode=3)


@pytest.fixture(scope="session")
def environment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[embedded.Environment]:
    """A running environment; operator and gateway are part of it when a collected test asks."""
    asked = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    directory = tmp_path_factory.mktemp("environment")
    lines: list[str] = []
    try:
        started = embedded.start(directory, _ALWAYS | (_ON_REQUEST & asked), report=lines.append)
    except embedded.EnvironmentFailed as error:
        pytest.fail("\n".join(["no environment:", *lines, str(error)]), pytrace=False)
    yield started
    # After a failure the logs are worth more than the space.
    embedded.stop(directory, remove=request.session.testsfailed == 0)


@pytest.fixture(scope="session")
def operator(environment: embedded.Environment) -> str:
    """The URL of the running operator."""
    assert environment.operator_url
    return environment.operator_url


@pytest.fixture(scope="session")
def gateway(environment: embedded.Environment) -> str:
    """The URL of the running gateway."""
    assert environment.gateway_url
    return environment.gateway_url


@pytest.fixture
def namespace(environment: embedded.Environment) -> Iterator[str]:
    """A fresh namespace that admits pods; deleted, without waiting, after the test."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    _kubectl(environment, "create", "namespace", name)
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while "default" not in (
        seen := _kubectl(
            environment, "-n", name, "get", "serviceaccounts", "-o", "name", check=False
        )
    ):
        assert time.monotonic() < deadline, f"no default service account in {name}: {seen!r}"
        time.sleep(0.05)
    yield name
    with contextlib.suppress(subprocess.CalledProcessError):
        _kubectl(environment, "delete", "namespace", name, "--wait=false")


@pytest.fixture
def kubectl(environment: embedded.Environment, namespace: str) -> Kubectl:
    """`kubectl("get", "pods")` in the test's own namespace."""

    def run(*arguments: str, stdin: str | None = None, check: bool = True) -> str:
        return _kubectl(environment, "-n", namespace, *arguments, stdin=stdin, check=check)

    return run


def _kubectl(
    environment: embedded.Environment,
    *arguments: str,
    stdin: str | None = None,
    check: bool = True,
) -> str:
    assert environment.kubectl
    assert environment.kubeconfig
    done = subprocess.run(
        [environment.kubectl, "--kubeconfig", environment.kubeconfig, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if check:
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}{done.stdout}"
        return done.stdout
    return done.stdout + done.stderr


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    """A directory for an environment of the test's own; what runs there is stopped afterwards."""
    directory = tmp_path / "state"
    yield directory
    embedded.stop(directory)
