"""The operator that leads and a worker die in mid-rollout: it ends as it would have."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from penstock import names
from tests.e2e.site import Site, Tenant, name_of
from tests.integration.acceptance import manifests

LEADERSHIP_SECONDS = 20  # by when another operator leads after a death without a farewell
STEPS: manifests.Steps = ((5, 10, 5), (20, 10, 10), (50, 10, 10))


def kill_without_farewell(site: Site, namespace: str, pod: str) -> None:
    """SIGKILL for the pod's process, as the kernel does it; its pod object stays."""
    found = site.within(namespace).get("pod", pod)
    container = found["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    site.run("docker", "exec", "penstock-control-plane", "ctr", "-n", "k8s.io", "task", "kill",
             "--signal", "SIGKILL", container)  # fmt: skip


def leads_since(site: Site) -> float:
    """When the leader took the Lease, in seconds since the epoch; the node has this machine's clock."""
    lease = site.system.get("lease", "penstock-operator")
    return datetime.fromisoformat(lease["spec"]["acquireTime"]).timestamp()


@pytest.mark.timeout(600)
def test_a_rollout_goes_on_when_its_leader_and_a_worker_are_killed(
    tenant: Tenant, site: Site
) -> None:
    two = {"scaling": {"minReplicas": 2, "maxReplicas": 2}}
    tenant.cluster.apply(
        manifests.agent("v1", spec=two, latencyMs=300),
        manifests.rollout(STEPS, final_hold_seconds=10),
    )
    stable = tenant.until_stable()
    with tenant.live_traffic(8) as load:
        tenant.cluster.apply(manifests.agent("v2", spec=two, latencyMs=300))
        canary = tenant.until_canary(stable)
        tenant.until_share(5)
        leader = site.leader()
        kill_without_farewell(site, "penstock-system", leader)
        killed_at = time.time()
        successor = site.system.until(
            "another operator leads",
            lambda: found if (found := site.leader()) != leader else "",
            3 * LEADERSHIP_SECONDS,
        )
        seconds = leads_since(site) - killed_at
        print(f"{leader} was killed; {successor} leads {seconds:.1f} s later")
        selector = f"{names.LABEL_REVISION}={names.hash_of(stable)}"
        worker = name_of(tenant.cluster.get("pods", "-l", selector)["items"][0])
        tenant.cluster.kubectl("delete", "pod", worker, "--grace-period=0", "--force")
        tenant.until(
            f"{canary} is promoted",
            lambda: tenant.rollout().get("stableRevision") == canary,
            240,
        )
    ended = tenant.until_all_ended(load)
    assert seconds <= LEADERSHIP_SECONDS
    assert ended == {"Succeeded": len(load.tasks)}
    verdicts = tenant.rollout()["verdicts"]
    assert [(one["revision"], one["result"]) for one in verdicts] == [(canary, "Promoted")]
