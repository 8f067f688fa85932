"""What `kubectl` tells while a person is needed, on a real API server."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from penstock_dev.components import RUNTIME_IMAGE
from tests.integration.cluster import Cluster, agent

#: A pass of the operator; only a test that fails waits so long.
SOON = 120.0
#: A pod that starts, and a worker in it that comes to speak, are the machine's time.
STARTED = 240.0
pytestmark = pytest.mark.timeout(600)


def told(cluster: Cluster, kind: str) -> tuple[str, str, str]:
    return cluster.condition("agent/support", kind)


def until_told(
    cluster: Cluster,
    kind: str,
    status: str,
    *words: str,
    seconds: float = SOON,
    by: str = "agent/support",
) -> str:
    """Wait until a condition has this status and all these words; answers its reason."""

    def said() -> str:
        now, reason, message = cluster.condition(by, kind)
        return reason if now == status and all(word in message for word in words) else ""

    try:
        return str(cluster.until(f"{kind} is {status}", said, seconds))
    except AssertionError as error:
        seen = cluster.condition(by, kind)
        raise AssertionError(f"{kind} is {seen}, wanted {status} {words}") from error


def until_a_worker_has_said(cluster: Cluster, words: str) -> None:
    """Wait until a pod's status holds a worker's last words: from then on it is the operator's time."""

    def said() -> bool:
        pods = cluster.items("pods")
        return any(words in ended for pod in pods for ended in last_words(pod))

    cluster.until(f"a pod says {words!r}", said, STARTED)


def last_words(pod: dict[str, Any]) -> list[str]:
    """What the containers of a pod said when they ended, lately or before."""
    containers = pod.get("status", {}).get("containerStatuses") or []
    states = [one.get(state) or {} for one in containers for state in ("state", "lastState")]
    return [state.get("terminated", {}).get("message") or "" for state in states]


def refused_by(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "tight"}, "spec": spec}


QUOTA = refused_by("ResourceQuota", {"hard": {"requests.memory": "1Gi"}})
MINIMUM = refused_by("LimitRange", {"limits": [{"type": "Container", "min": {"cpu": "4"}}]})
SMALL = {"worker": {"resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}}}


@pytest.mark.parametrize(
    ("refusal", "spec", "words"),
    [
        (QUOTA, {}, ("failed quota", "set spec.worker.resources")),
        (MINIMUM, SMALL, ("minimum cpu usage",)),
    ],
    ids=["quota", "limit range"],
)
def test_pods_that_are_refused_are_told_in_the_words_of_the_server(
    cluster: Cluster, refusal: dict[str, Any], spec: dict[str, Any], words: tuple[str, ...]
) -> None:
    cluster.apply(refusal)
    cluster.apply(agent(**spec))
    assert until_told(cluster, "Stalled", "True", *words) == "PodsFailing"
    assert until_told(cluster, "Ready", "False", *words) == "PodsNotReady"


def test_a_missing_secret_is_not_called_found_and_then_told_with_its_command(
    cluster: Cluster,
) -> None:
    ref = {"name": "vendor", "key": "api-key"}
    model = {"name": "claude-haiku-5-5", "credentialsSecretRef": ref}
    cluster.apply(agent(template={"model": model}))
    seen: set[tuple[str, str]] = set()

    def unfit() -> bool:
        status, reason, _ = told(cluster, "ReferencesResolved")
        seen.add((status, reason))
        return status == "False"

    command = "create secret generic vendor --from-literal=api-key=VALUE"
    cluster.until("the Agent says it", unfit, STARTED)
    assert not {one for one in seen if one[0] == "True"}
    until_a_worker_has_said(cluster, command)
    assert until_told(cluster, "ReferencesResolved", "False", command) == "SecretUnfit"
    assert until_told(cluster, "Stalled", "True", command) == "PodsFailing"
    cluster.kubectl(*f"{command.replace('VALUE', 'abc')}".split())
    assert until_told(cluster, "ReferencesResolved", "True", seconds=STARTED) == "Found"


def test_workers_that_crash_are_told_by_their_last_words(cluster: Cluster) -> None:
    own = {"image": RUNTIME_IMAGE}  # an image that is named may know more prices than ours
    model = {"name": "claude-nope-9", "baseURL": "http://nobody/"}
    cluster.apply(agent(template={"model": model, "worker": own}))
    words = "no price is known for model 'claude-nope-9'"
    until_a_worker_has_said(cluster, words)
    assert until_told(cluster, "Stalled", "True", words) == "PodsFailing"
    assert until_told(cluster, "Ready", "False", words) == "PodsNotReady"


def test_scaled_to_nothing_is_told_with_the_command_that_brings_workers_back(
    cluster: Cluster,
) -> None:
    cluster.apply(agent())
    cluster.until_condition("agent/support", "Ready", "True", "Serving")
    cluster.kubectl("scale", "agent", "support", "--replicas=0")
    command = "scale agent support --replicas=1"
    assert until_told(cluster, "Ready", "False", command) == "ScaledToZero"
    assert until_told(cluster, "Stalled", "False", command) == "ScaledToZero"
    cluster.kubectl(*command.split())
    cluster.until_condition("agent/support", "Ready", "True", "Serving")


def test_the_scale_subresource_counts_one_thing(
    cluster: Cluster, kubectl: Callable[..., str], namespace: str
) -> None:
    cluster.apply(agent("v1", rolloutPolicy="Immediate"))
    cluster.until_condition("agent/support", "Ready", "True", "Serving")
    cluster.kubectl("scale", "agent", "support", "--replicas=2")
    stable = cluster.get("agent", "support")["status"]["stableRevision"]
    path = f"/apis/penstock.dev/v1alpha1/namespaces/{namespace}/agents/support/scale"

    def scale() -> dict[str, Any]:
        return dict(json.loads(kubectl("get", "--raw", path)))

    cluster.until("two are ready", lambda: scale()["status"]["replicas"] == 2)
    selector = scale()["status"]["selector"]
    chosen = cluster.get("pods", "-l", selector)["items"]
    assert len(chosen) == scale()["spec"]["replicas"] == 2
    assert f"penstock.dev/revision={stable.rpartition('-')[2]}" in selector


def test_waiting_for_up_to_date_right_after_apply_waits_for_what_was_applied(
    cluster: Cluster,
) -> None:
    cluster.apply(agent("v1"))
    cluster.until_condition("agent/support", "UpToDate", "True", "Stable")
    before = cluster.get("agent", "support")["status"]["stableRevision"]
    cluster.apply(agent("v2"))
    cluster.kubectl("wait", "--for=condition=UpToDate", "agent/support", "--timeout=90s")
    after = cluster.get("agent", "support")["status"]
    assert after["stableRevision"] == after["latestRevision"] != before


VENDOR = {"name": "vendor", "key": "api-key"}
SECRETIVE = {"model": {"name": "claude-haiku-5-5", "credentialsSecretRef": VENDOR}}
COMMAND = "create secret generic vendor --from-literal=api-key=VALUE"
ROLLOUT = {
    "apiVersion": "penstock.dev/v1alpha1",
    "kind": "AgentRollout",
    "metadata": {"name": "support"},
    "spec": {"agentRef": {"name": "support"}},
}


@pytest.mark.parametrize(
    ("refusal", "template", "words"),
    [([QUOTA], {}, "failed quota"), ([], SECRETIVE, COMMAND)],
    ids=["quota", "secret"],
)
def test_of_a_canary_whose_pods_only_a_person_brings_agent_and_rollout_say_so(
    cluster: Cluster, refusal: list[dict[str, Any]], template: dict[str, Any], words: str
) -> None:
    cluster.apply(agent("v1"), ROLLOUT)
    cluster.until_condition("agentrollout/support", "Ready", "True", "Stable")
    cluster.until_condition("agent/support", "Ready", "True", "Serving")
    cluster.apply(*refusal, agent("v2", template=template))
    if template:
        until_a_worker_has_said(cluster, words)
    for one in ("agentrollout/support", "agent/support"):
        assert until_told(cluster, "Stalled", "True", words, by=one) == "PodsFailing"
    assert told(cluster, "Ready")[:2] == ("True", "Serving"), "v1 serves"
    asked = cluster.get("events.events.k8s.io")["items"]
    warned = [(one["type"], one["note"]) for one in asked if one["reason"] == "Stalled"]
    assert [kind for kind, note in warned if words in note] == ["Warning"], warned
    if template:
        cluster.kubectl(*COMMAND.replace("VALUE", "abc").split())
        for one in ("agentrollout/support", "agent/support"):
            until_told(cluster, "Stalled", "False", seconds=STARTED, by=one)
