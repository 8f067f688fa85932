"""``penstock plan`` on a real API server: what it says comes true, and by itself it writes nothing."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock_dev import environment as embedded
from tests.integration.cluster import Cluster, agent

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(400),
]  # a plan is a process that starts several others

Document = dict[str, Any]
PROMPT = {"configMapKeyRef": {"name": "prompt", "key": "system.md"}}


def configmap(text: str) -> Document:
    metadata = {"name": "prompt"}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {"system.md": text},
    }


def rollout(*percents: int) -> Document:
    return {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "AgentRollout",
        "metadata": {"name": "support"},
        "spec": {
            "agentRef": {"name": "support"},
            "strategy": {"steps": [{"percent": one, "holdSeconds": 300} for one in percents]},
        },
    }


@pytest.fixture
def plan(environment: embedded.Environment, namespace: str) -> Callable[..., tuple[int, Any]]:
    """The exit code and the items of a plan; without items what it complained of."""

    programs = Path(environment.kubectl).parent

    def planned(
        *documents: Document, place: tuple[str, ...] = ("-n", namespace)
    ) -> tuple[int, Any]:
        where = ("--kubeconfig", str(environment.kubeconfig), *place)
        done = subprocess.run(
            [sys.executable, "-m", "penstock_cli", "plan", "-f", "-", "-o", "json", *where],
            input=yaml.safe_dump_all(documents),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
        )
        return done.returncode, json.loads(done.stdout)["items"] if done.stdout else done.stderr

    return planned


def written(cluster: Cluster) -> set[tuple[str, str]]:
    """Every object that a plan could touch, as it was last written."""
    kinds = "agents,agentrollouts,configmaps,controllerrevisions,deployments"
    return {
        (one["metadata"]["name"], one["metadata"]["resourceVersion"])
        for one in cluster.items(kinds)
    }


def test_what_is_planned_is_what_the_operator_does_then(
    cluster: Cluster, plan: Callable[..., tuple[int, Any]]
) -> None:
    declared = agent(template={"instructionsFrom": PROMPT})
    del declared["spec"]["template"]["instructions"]
    before = written(cluster)
    code, (first,) = plan(configmap("Be kind."), declared)
    assert (code, first["change"]) == (1, "New")
    assert first["revision"]["standing"] == "New"
    assert first["rollout"]["course"] == "Serves"
    assert written(cluster) == before, "nothing was written"

    cluster.apply(configmap("Be kind."), declared)
    cluster.until_condition("agent/support", "Ready", "True", "Serving")
    assert cluster.get("agent", "support")["status"]["stableRevision"] == first["revision"]["after"]
    code, (same,) = plan(configmap("Be kind."), declared)
    assert (code, same["change"], same["cutsRevision"]) == (0, "Unchanged", [])

    # The text alone is another: the Agent stands in no manifest, and is planned.
    code, (second,) = plan(configmap("Be brief."))
    assert (code, second["kind"], second["change"]) == (1, "Agent", "Changed")
    assert second["cutsRevision"] == ["ConfigMap prompt, key system.md"]
    cluster.apply(configmap("Be brief."))
    cluster.until(
        "the revision that was planned",
        lambda: (
            cluster.get("agent", "support")["status"]["latestRevision"]
            == second["revision"]["after"]
        ),
    )
    cluster.until_condition("agent/support", "UpToDate", "True")

    # What does not belong to the template acts at once; who was there before is known.
    declared["spec"]["revisionHistoryLimit"] = 7
    code, (third, policy) = plan(configmap("Be kind."), declared, rollout(5, 50))
    assert code == 1
    assert third["actsAtOnce"] == ["revisionHistoryLimit"]
    assert third["revision"]["after"] == first["revision"]["after"]
    assert third["revision"]["standing"] == "Former"
    assert third["rollout"]["course"] == "Climbs"
    assert [leg["percent"] for leg in third["rollout"]["legs"]] == [5, 50, 95]
    assert policy["change"] == "New"


def test_what_the_api_server_would_refuse_is_told_in_its_words(
    cluster: Cluster, plan: Callable[..., tuple[int, Any]]
) -> None:
    declared = agent()
    declared["spec"]["suspendd"] = True
    code, (misspelt, falling) = plan(declared, rollout(50, 5))
    assert code == 3
    assert 'unknown field "spec.suspendd"' in misspelt["refused"]["message"]
    assert "percent must rise strictly" in falling["refused"]["message"]
    assert {one["change"] for one in (misspelt, falling)} == {"Refused"}
    code, (unknown,) = plan(agent(template={"model": {"name": "claude-haiky-5-5"}}))
    assert (code, unknown["refused"]["reason"]) == (3, "UnknownModel")
    assert cluster.get("agent", "support") is None


def test_what_a_refused_manifest_means_to_the_others_comes_true(
    cluster: Cluster, plan: Callable[..., tuple[int, Any]]
) -> None:
    declared = agent(template={"instructionsFrom": PROMPT})
    del declared["spec"]["template"]["instructions"]
    cluster.apply(configmap("Be kind."), declared)
    cluster.until_condition("agent/support", "Ready", "True", "Serving")
    declared["spec"]["suspendd"] = True
    manifests = configmap("Be brief."), declared, rollout(50, 5)
    code, (refused, falling) = plan(*manifests)
    assert (code, falling["change"], refused["change"]) == (3, "Refused", "Refused")
    assert refused["rollout"]["course"] == "Serves"
    assert "Agent support would be refused, and stays as it is" in refused["besideRefused"]
    assert "AgentRollout support would be refused, and is not there" in refused["besideRefused"]

    cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests), check=False)
    cluster.until(
        "the revision that was planned",
        lambda: (
            cluster.get("agent", "support")["status"].get("stableRevision")
            == refused["revision"]["after"]
        ),
    )


def test_objects_are_planned_in_a_namespace_that_is_made_with_them(
    cluster: Cluster, plan: Callable[..., tuple[int, Any]], namespace: str
) -> None:
    there = f"{namespace}-next"
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": there}}
    declared = agent(template={"instructionsFrom": PROMPT})
    del declared["spec"]["template"]["instructions"]
    objects = [declared, configmap("Be kind."), rollout(5, 50)]
    for one in objects:
        one["metadata"]["namespace"] = there
    code, items = plan(made, *objects, place=())
    assert code == 1, items
    assert [(one["change"], one["checkedByServer"]) for one in items] == [("New", True)] * 2
    assert items[0]["revision"]["after"].startswith("support-")
    objects[2]["spec"]["strategy"]["steps"].reverse()
    code, (_, falling) = plan(made, *objects, place=())
    assert code == 3
    assert '"support" is invalid' in falling["refused"]["message"]
    assert cluster.get("namespace", there) is None
