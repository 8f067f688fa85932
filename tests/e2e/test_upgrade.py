"""``helm upgrade`` and ``rollback`` while tasks run or wait for a person: a new operator, gateway and workers, no task lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import yaml

from tests.e2e.site import ROOT, WORKER_PODS, Site, Tenant, name_of
from tests.integration.acceptance import manifests
from tests.integration.acceptance.test_planned_approvals import REFUND


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


def waiting(tenant: Tenant, person: str) -> dict[str, str]:
    """What waits for a person: the id of the escalation by that of the task."""
    said = tenant.request("GET", f"/v1/escalations?namespace={tenant.namespace}", person)
    assert said.status_code == 200, said.text
    return {item["taskId"]: item["id"] for item in said.json()["items"]}


def answered(tenant: Tenant, person: str, task: str) -> None:
    """A person answers what a task waits for, and it goes on to its end."""
    path = f"/v1/escalations/{waiting(tenant, person)[task]}/decision"
    said = tenant.request(
        "POST", path, person, json={"decision": "Answer", "answer": "It was paid."}
    )
    assert said.status_code == 200, said.text

    def ended() -> bool:
        found = tenant.request("GET", f"/v1/tasks/{task}").json()
        return bool(found["status"] == "Succeeded")

    tenant.until(f"{task} goes on", ended, 120)


def refunds() -> dict[str, object]:
    """An agent of which each task waits for a person."""
    template = {"tools": [REFUND], "oversight": {"timeoutSeconds": 3600}}
    calls = [{"name": "refund", "input": {"order": "17"}}]
    return manifests.agent("Refund.", name="refunds", template=template, toolCalls=calls)


@pytest.fixture
def roll_back(site: Site) -> Iterator[Callable[[], None]]:
    """Makes the release what it was, by the command that people use for it; done afterwards at the latest."""
    due = [("rollback", "penstock", "--wait", "--timeout", "5m")]

    def back() -> None:
        while due:
            site.helm(*due.pop())

    yield back
    back()


@pytest.mark.timeout(600)
def test_an_upgrade_and_a_rollback_lose_no_task_that_runs_and_none_that_waits_for_a_person(
    tenant: Tenant, site: Site, roll_back: Callable[[], None]
) -> None:
    two = {"scaling": {"minReplicas": 2, "maxReplicas": 2}}
    tenant.cluster.apply(manifests.agent("Slowly.", spec=two, latencyMs=1500), refunds())
    tenant.until_stable()
    tenant.until_stable("refunds")
    first, second = sorted(one.task for one in tenant.crowd(["a", "b"], "refunds"))
    person = tenant.approver("ann")
    tenant.until("both wait", lambda: {*waiting(tenant, person)} == {first, second}, 120)
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
    assert {*waiting(tenant, person)} == {first, second}, "it is said which wait"
    answered(tenant, person, first)
    roll_back()
    assert {*waiting(tenant, person)} == {second}, "the version before says so, too"
    answered(tenant, person, second)
