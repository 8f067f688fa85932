"""Objects that cannot be read, on a real API server: each is told, and holds up nothing else."""

import json
from typing import Any

import pytest
import yaml

from tests.integration.acceptance.product import Product
from tests.integration.cluster import Cluster, agent
from tests.integration.election.operators import STEADY, Operators, until


# Deeper ones cost the API server seconds for each status; a parser of Python ends at 1,000.
def bottomless(cluster: Cluster, name: str, levels: int) -> None:
    """An Agent with a schema that the API server takes, and that Python cannot read in one go."""
    tool = {"name": "t", "inputSchema": "HERE", "http": {"url": "http://t"}}
    text = json.dumps(agent(name=name, template={"tools": [tool]}))
    schema = '{"not":' * levels + "{}" + "}" * levels
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=text.replace('"HERE"', schema))


def refused(cluster: Cluster, name: str) -> str:
    """Why an Agent is not accepted; its spec is not read."""
    accepted = '{.status.conditions[?(@.type=="Accepted")]'
    return cluster.kubectl("get", "agent", name, "-o", f"jsonpath={accepted}.message}}")


def served(cluster: Cluster, name: str) -> bool:
    """Whether an Agent has its revision, and a Deployment of it."""
    path = "jsonpath={.status.latestRevision}"
    revision = cluster.kubectl("get", "agent", name, "-o", path)
    return bool(revision) and cluster.get("deployment", revision) is not None


@pytest.mark.timeout(300)
def test_schemas_without_an_end_are_refused_and_end_neither_list_nor_watch(
    operators: Operators, product: Product
) -> None:
    cluster = product.cluster
    bottomless(cluster, "listed", 1100)
    operator = operators.start("one")
    for name, levels in (("watched", 1300), ("readable", 150), ("almost", 900)):
        bottomless(cluster, name, levels)
        cluster.apply(agent(name=f"beside-{name}"))
        until(f"the Agent beside {name}", lambda name=name: served(cluster, f"beside-{name}"))
    for name in ("listed", "watched", "readable", "almost"):
        until(
            f"{name} is refused", lambda name=name: "nested more than 32" in refused(cluster, name)
        )
    assert operator.process.poll() is None
    again = operators.start("two")
    operator.kill()
    operators.until_leads(again)
    cluster.apply(agent(name="later"))
    until("an Agent under the next leader", lambda: served(cluster, "later"))


def record(cluster: Cluster, owner: str, revision: str, data: Any) -> dict[str, Any]:
    """A ControllerRevision that looks like one of ours."""
    uid = cluster.get("agent", owner)["metadata"]["uid"]
    reference = {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "Agent",
        "name": owner,
        "uid": uid,
        "controller": True,
    }
    labels = {
        "app.kubernetes.io/managed-by": "penstock",
        "penstock.dev/agent": owner,
        "penstock.dev/revision": revision[-8:],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {"name": revision, "labels": labels, "ownerReferences": [reference]},
        "data": data,
        "revision": 7,
    }


def test_garbage_around_an_agent_leaves_its_kill_switch_and_its_neighbour_alone(
    operators: Operators, product: Product
) -> None:
    cluster = product.cluster
    operators.start("one", STEADY)
    cluster.apply(agent())
    until("the first revision", lambda: served(cluster, "support"))
    first = cluster.get("agent", "support")["status"]["latestRevision"]
    notes = ("verdict={", "attempt=x", "promoted-sequence=many")
    told = [f"penstock.dev/{note}" for note in notes]
    # The operator may have noted some of them by now.
    cluster.kubectl("annotate", "--overwrite", "controllerrevision", first, *told)
    odd: list[Any] = [
        {},
        {"schemaVersion": [1]},
        {"schemaVersion": 2},
        {"schemaVersion": 1, "resolved": {}},
    ]
    names = [f"support-0000000{n}" for n in range(len(odd))]
    made = [record(cluster, "support", *pair) for pair in zip(names, odd, strict=True)]
    cluster.kubectl("create", "-f", "-", stdin=yaml.safe_dump_all(made))
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "stray",
            "labels": {
                "app.kubernetes.io/managed-by": "penstock",
                "penstock.dev/agent": "support",
            },
        },
        "spec": {"containers": [{"name": "c", "image": "none:1"}], "nodeName": "nowhere"},
    }
    cluster.apply(pod)
    told = cluster.until_condition("agent/support", "RecordUnreadable", "True", "Unreadable")
    assert all(name in told for name in names)
    assert f"{first}: verdict, promoted-sequence cannot be read; it counts as rejected" in told

    cluster.kubectl(
        "patch", "agent", "support", "--type", "merge", "-p", '{"spec":{"suspended":true}}'
    )
    until(
        "the kill switch",
        lambda: cluster.get("agent", "support")["status"]["traffic"]["suspended"],
    )
    cluster.apply(agent(name="neighbour"))
    until("the neighbour", lambda: served(cluster, "neighbour"))
    cluster.kubectl("delete", "controllerrevision", *names)
    cluster.kubectl(
        "annotate",
        "controllerrevision",
        first,
        *(f"penstock.dev/{n.partition('=')[0]}-" for n in notes),
    )
    until(
        "nothing unreadable is left",
        lambda: not cluster.condition("agent/support", "RecordUnreadable")[0],
    )
