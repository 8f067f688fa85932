"""The whole product, a terminal, and pods by the names that the pages use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import yaml

from penstock_dev.environment import Environment
from penstock_dev.installation import SYSTEM_NAMESPACE
from penstock_dev.state import StateDirectory
from tests.integration.acceptance.conftest import product
from tests.integration.chart import charts
from tests.integration.chart.conftest import administrator, helm
from tests.integration.cluster import Cluster
from tests.integration.documents import elsewhere, stand_ins, typist

__all__ = ["administrator", "helm", "product"]  # fixtures of others, used here as well
RUNBOOKS = "docs/operating/runbooks.md"
#: The AgentRollout of the Agent `support`: its name is its own.
ROLLOUT = "by-steps"
_SHOWN = (
    ("Deployment", "penstock-operator", "operator"),
    ("Deployment", "penstock-gateway", "gateway"),
    ("StatefulSet", "penstock-redis", "redis"),
)

Follow = Callable[[str], AbstractContextManager[typist.Section]]


@pytest.fixture
def shell(environment: Environment, tmp_path: Path) -> typist.Shell:
    """A terminal, in a folder of its own."""
    folder = tmp_path / "programs"
    folder.mkdir()
    return typist.Shell.made(environment, folder)


@pytest.fixture
def runbook(shell: typist.Shell, namespace: str) -> Follow:
    """`with runbook("PenstockTasksFail") as section:` follows that section for this namespace."""
    return follower(shell, namespace, RUNBOOKS, elsewhere.RUNBOOKS)


def follower(shell: typist.Shell, namespace: str, page: str, others: Mapping[str, str]) -> Follow:
    """Follows sections of a page for an Agent `support` in a namespace."""

    def follow(title: str) -> AbstractContextManager[typist.Section]:
        known = {"NAME": "support", "NAMESPACE": namespace}
        words = {**dict.fromkeys(("REVISION", "VERSION", "ID"), ""), **known}
        return typist.following(shell, page, title, words, others)

    return follow


@pytest.fixture(scope="session")
def rendered(helm: charts.Helm) -> list[charts.Document]:
    """What the chart renders, for the release that the pages assume."""
    return helm.render()


@pytest.fixture
def installation(
    environment: Environment,
    administrator: Callable[..., str],
    rendered: list[charts.Document],
) -> Iterator[Cluster]:
    """kubectl in the release's namespace, with a pod for each process of the environment."""
    state = StateDirectory.at(environment.state_dir)
    made = [charts.named(rendered, "Service", "penstock-gateway")]
    for kind, name, process in _SHOWN:
        owner = charts.named(rendered, kind, name)
        made.append(stand_ins.showing(owner, state.log(process)))
    documents = yaml.safe_dump_all(made)

    def kubectl(*arguments: str, stdin: str | None = None, check: bool = True) -> str:
        return administrator("-n", SYSTEM_NAMESPACE, *arguments, stdin=stdin, check=check)

    cluster = Cluster(kubectl)
    kubectl("apply", "-f", "-", stdin=documents)
    for kind, name, process in _SHOWN:
        kubectl("rollout", "status", f"{kind}/{name}", "--timeout=100s")
        if state.log(process).read_text(errors="replace"):  # an operator may have nothing to say
            cluster.until(
                f"the log of {name}", lambda one=f"{kind}/{name}": kubectl("logs", one, "--tail=1")
            )
    yield cluster
    kubectl("delete", "-f", "-", "--wait=false", "--ignore-not-found", stdin=documents)
