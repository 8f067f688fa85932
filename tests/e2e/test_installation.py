"""What the chart installs: everything runs, restricted, with its own rights only."""

from __future__ import annotations

import json

from tests.e2e.site import Site, is_ready, name_of


def test_every_part_runs_twice_where_it_must_and_one_operator_leads(site: Site) -> None:
    for component, count in (("operator", 2), ("gateway", 2), ("redis", 1)):
        pods = site.pods(component)
        assert [is_ready(pod) for pod in pods] == [True] * count, f"{component}: {pods}"
    leader = site.system.until("one operator leads", site.leader)
    print(f"leader: {leader}")


FORBIDDEN = (
    ("-A", "list secrets"),
    ("-n penstock-system", "get secrets"),
    ("-n penstock-system", "get secrets/penstock-redis"),
    ("-n default", "get secrets/penstock-redis-user"),
    ("-A", "create pods"),
    ("-A", "update agents"),
    ("-A", "* *"),
)


def test_the_operator_runs_as_its_own_account_and_may_read_no_secret(site: Site) -> None:
    accounts = {pod["spec"]["serviceAccountName"] for pod in site.pods("operator")}
    assert accounts == {"penstock-operator"}
    whoever = "--as=system:serviceaccount:penstock-system:penstock-operator"
    for where, question in FORBIDDEN:
        asked = ("auth", "can-i", *question.split(), *where.split(), whoever)
        answer = site.kubectl(*asked, check=False)
        assert answer.splitlines()[0] == "no", f"{question} {where}: {answer}"
    assert "yes" in site.kubectl("auth", "can-i", "list", "agents", "-A", whoever)


def warnings_if_restricted(site: Site, namespace: str) -> str:
    """What the API server says of the pods of a namespace if only restricted ones were admitted."""
    asked = ("label", "namespace", namespace, "--dry-run=server", "--overwrite")
    return site.kubectl(*asked, "pod-security.kubernetes.io/enforce=restricted", check=False)


def test_no_pod_of_the_product_has_more_than_restricted_rights(site: Site) -> None:
    assert "violate" in warnings_if_restricted(site, "kube-system"), "there it says so"
    shown = warnings_if_restricted(site, "penstock-system")
    assert "violate" not in shown, shown
    pods = json.loads(site.kubectl("get", "pods", "-A", "-o", "json"))["items"]
    workers = [
        pod
        for pod in pods
        if pod["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by") == "penstock"
    ]
    assert workers, "the demo's agent has a worker"
    for pod in workers:
        mounts = [m["mountPath"] for c in pod["spec"]["containers"] for m in c["volumeMounts"]]
        tokens = [mount for mount in mounts if "serviceaccount" in mount]
        assert not tokens, f"{name_of(pod)} has a token of the API server: {tokens}"


def test_helm_test_passes(site: Site) -> None:
    said = site.helm("test", "penstock", "--timeout", "3m")
    assert "Succeeded" in said, said
