"""``helm upgrade`` while tasks run: a new operator, gateway and workers, and no task is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from tests.e2e.site import ROOT, WORKER_PODS, Site, Tenant, name_of
from tests.integration.acceptance import manifests


def other_tag() -> str:
    """The runtime image's other name on the node: `make deploy` tells the chart the built one's."""
    about = (ROOT / "charts" / "penstock" / "Chart.yaml").read_text(encoding="utf-8")
    return str(yaml.safe_load(about)["appVersion"])


def release(site: Site) -> set[str]:
    """The names of the pods of operator and gateway."""
    return {name_of(pod) for part in ("operator", "gateway") for pod in site.pods(part)}


def workers(tenant: Tenant) -> set[str]:
    """The names of the agent's pods that are not on their way out."""
    found = tenant.cluster.get("pods", "-l", WORKER_PODS)["items"]
    return {name_of(pod) for pod in found if not pod["metadata"].get("deletionTimestamp")}


@pytest.fixture
def rolled_back(site: Site) -> Iterator[None]:
    """Afterwards the release is as it was, by the command that people use for it."""
    yield
    site.helm("rollback", "penstock", "--wait", "--timeout", "5m")


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("rolled_back")
def test_an_upgrade_with_running_tasks_loses_none(tenant: Tenant, site: Site) -> None:
    two = {"scaling": {"minReplicas": 2, "maxReplicas": 2}}
    tenant.cluster.apply(manifests.agent("Slowly.", spec=two, latencyMs=1500))
    tenant.until_stable()
    before = release(site) | workers(tenant)
    with tenant.live_traffic(8) as load:
        tenant.until("tasks run", lambda: len(load.accepted) >= 40)
        changed = ("--set", f"runtime.image.tag={other_tag()}", "--reuse-values")
        site.helm("upgrade", "penstock", "charts/penstock", *changed, "--wait", "--timeout", "5m")
        done = len(load.accepted)
        tenant.until("tasks go on", lambda: len(load.accepted) >= done + 40)
        tenant.until("all workers are new", lambda: workers(tenant).isdisjoint(before), 120)
    assert before.isdisjoint(release(site)), "new operators, gateways and workers"
    ended = tenant.until_all_ended(load)
    assert ended == {"Succeeded": len(load.tasks)}
    assert load.refused.total() == 0, load.refused
