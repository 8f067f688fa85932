"""``helm upgrade`` while tasks run: a new operator, gateway and workers, and no task is lost."""

from __future__ import annotations

import pytest

from tests.e2e.site import Site, Tenant, name_of
from tests.integration.acceptance import manifests


@pytest.mark.timeout(600)
def test_an_upgrade_with_running_tasks_loses_none(tenant: Tenant, site: Site) -> None:
    two = {"scaling": {"minReplicas": 2, "maxReplicas": 2}}
    tenant.cluster.apply(manifests.agent("Slowly.", spec=two, latencyMs=1500))
    tenant.until_stable()
    before = {name_of(pod) for part in ("operator", "gateway") for pod in site.pods(part)}
    with tenant.live_traffic(8) as load:
        tenant.until("tasks run", lambda: len(load.accepted) >= 40)
        site.helm(
            "upgrade", "penstock", "charts/penstock", "--reuse-values", "--wait",
            "--timeout", "5m", "--set-string", "operator.podAnnotations.turn=2",
            "--set-string", "gateway.podAnnotations.turn=2",
        )  # fmt: skip
        done = len(load.accepted)
        tenant.until("tasks go on", lambda: len(load.accepted) >= done + 40)
    after = {name_of(pod) for part in ("operator", "gateway") for pod in site.pods(part)}
    assert before.isdisjoint(after), "all pods of operator and gateway are new"
    ended = tenant.until_all_ended(load)
    assert ended == {"Succeeded": len(load.tasks)}
    assert load.refused.total() == 0, load.refused
