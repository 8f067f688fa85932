"""The product on the kind cluster of `make kind-up deploy`, and a namespace for each test."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest
import yaml

from penstock_dev.kind import programs
from tests.e2e import evidence
from tests.e2e.site import CONTEXT, ROOT, SYSTEM_NAMESPACE, Site, Tenant
from tests.integration.acceptance import background

_EVIDENCE = ROOT / ".e2e"
_KUBECONFIG = os.environ.get(
    "KUBECONFIG", ""
)  # where kind writes to; tests see none of the shell's
_RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"


def _caller(namespace: str) -> list[dict[str, object]]:
    """A service account that may ask the agents of its namespace, and nothing else."""
    account = {"kind": "ServiceAccount", "name": "penstock-caller", "namespace": namespace}
    group = "rbac.authorization.k8s.io"
    rule = {
        "apiGroups": ["penstock.dev"],
        "resources": ["agents/tasks"],
        "verbs": ["create", "get"],
    }
    metadata = {"name": "penstock-caller"}
    role = {"apiGroup": group, "kind": "Role", "name": "penstock-caller"}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata, "rules": [rule]},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "subjects": [account],
            "roleRef": role,
        },
    ]


@pytest.fixture(scope="session")
def site() -> Site:
    """The cluster with the product in it; fails at once when there is none."""
    found = Site(programs.folder(), _KUBECONFIG)
    seen = found.run("kubectl", "--context", CONTEXT, "get", "namespace", check=False)
    if SYSTEM_NAMESPACE not in seen:
        pytest.exit(f"no product on kind; run `make kind-up deploy` first. kubectl: {seen}", 3)
    return found


@pytest.fixture
def tenant(site: Site) -> Iterator[Tenant]:
    """A fresh namespace that admits only restricted pods, with a caller of its agents."""
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    site.kubectl("create", "namespace", name)
    site.kubectl("label", "namespace", name, _RESTRICTED)
    cluster = site.within(name)
    cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(_caller(name)))
    asking = ("create", "token", "penstock-caller", "--audience", "penstock")
    token = cluster.kubectl(*asking, "--duration", "1h").strip()
    with background.running() as loop:
        yield Tenant(cluster, site, name, token, loop)
    site.kubectl("delete", "namespace", name, "--wait=false")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Collect the evidence while the failed test's objects are still there."""
    report = yield
    if report.failed and report.when == "call" and "site" in item.fixturenames:
        folder = _EVIDENCE / item.name
        evidence.collect(item.funcargs["site"], folder)
        report.sections.append(("evidence", f"logs, events and statuses are in {folder}"))
    return report
