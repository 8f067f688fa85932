"""The embedded control plane is a real one."""

from __future__ import annotations

import json

from penstock_dev.environment import Environment


def test_a_fresh_namespace_admits_pods_and_they_wait_for_a_node(kubectl) -> None:
    kubectl("run", "idle", "--image=any", "--overrides", json.dumps({"spec": {"nodeName": ""}}))
    pod = json.loads(kubectl("get", "pod", "idle", "-o", "json"))
    assert pod["status"]["phase"] == "Pending"
    assert pod["spec"]["serviceAccountName"] == "default"


def test_the_environment_tells_where_everything_is(environment: Environment) -> None:
    assert environment.kubeconfig is not None
    assert environment.kubeconfig.is_absolute()
    assert environment.redis_url is not None
    assert environment.redis_url.startswith("redis://127.0.0.1:")
    assert environment.token
