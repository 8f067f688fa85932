"""Revisions on a real API server: cut, projected, kept, put back."""

import json
import shlex
import signal
import subprocess

from penstock import revision
from penstock_dev import environment as embedded
from penstock_dev import processes
from tests import components
from tests.integration.cluster import Cluster, agent, version


def test_an_agent_becomes_record_projection_and_serving_workers(cluster: Cluster) -> None:
    cluster.apply(agent())
    cluster.until_condition("agent/support", "Ready", "True", "Serving")
    status = cluster.get("agent", "support")["status"]
    name = status["stableRevision"]
    record = cluster.get("controllerrevision", name)
    projection = cluster.get("configmap", name)
    assert json.loads(projection["data"]["revision.json"]) == record["data"]
    assert projection["immutable"] is True
    assert record["metadata"]["ownerReferences"][0]["kind"] == "Agent"
    assert status["traffic"]["targets"] == [{"revision": name, "role": "Stable", "percent": 100}]
    assert status["observedGeneration"] == 1


def test_a_changed_prompt_is_a_new_revision_and_the_old_one_leaves_only_its_record(
    cluster: Cluster,
) -> None:
    cluster.apply(agent("Be kind."))
    cluster.until_condition("agent/support", "Ready", "True")
    first = cluster.get("agent", "support")["status"]["stableRevision"]
    cluster.apply(agent("Be brief."))
    cluster.until(
        "another stable revision",
        lambda: cluster.get("agent", "support")["status"]["stableRevision"] != first,
    )
    cluster.until("the old Deployment is gone", lambda: cluster.get("deployment", first) is None)
    assert cluster.get("controllerrevision", first) is not None


def test_a_deleted_projection_comes_back_from_the_record(cluster: Cluster) -> None:
    cluster.apply(agent())
    cluster.until_condition("agent/support", "Ready", "True")
    name = cluster.get("agent", "support")["status"]["stableRevision"]
    before = cluster.get("configmap", name)
    cluster.kubectl("delete", "configmap", name)
    after = cluster.until(
        "the projection of the record", lambda: cluster.get("configmap", name) or {}
    )
    assert after["data"] == before["data"]
    assert after["metadata"]["uid"] != before["metadata"]["uid"]

    def told() -> bool:
        """Events are posted after what they tell of."""
        events = cluster.items("events.events.k8s.io")
        return "RevisionTampered" in {event["reason"] for event in events}

    cluster.until("an Event says so", told)


def test_a_name_that_belongs_to_another_owner_is_reported_and_not_taken(cluster: Cluster) -> None:
    declared = agent()
    name = revision.cut("support", declared["spec"]["template"], {}, "any").name
    cluster.kubectl("create", "configmap", name, "--from-literal=mine=yes")
    cluster.apply(declared)
    message = cluster.until_condition("agent/support", "NameConflict", "True")
    assert name in message
    assert cluster.get("configmap", name)["data"] == {"mine": "yes"}
    cluster.kubectl("delete", "configmap", name)
    cluster.until_condition("agent/support", "Ready", "True")


def test_instructions_from_a_config_map_are_part_of_the_revision(cluster: Cluster) -> None:
    source = {"configMapKeyRef": {"name": "prompt", "key": "system.md"}}
    declared = agent(template={"instructionsFrom": source})
    del declared["spec"]["template"]["instructions"]
    cluster.apply(declared)
    message = cluster.until_condition("agent/support", "ReferencesResolved", "False")
    assert "prompt" in message
    cluster.kubectl("create", "configmap", "prompt", "--from-literal=system.md=Be kind.")
    cluster.until_condition("agent/support", "Ready", "True")
    first = cluster.get("agent", "support")["status"]["stableRevision"]
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "prompt"},
            "data": {"system.md": "Be brief."},
        }
    )
    cluster.until(
        "the edited prompt serves",
        lambda: cluster.get("agent", "support")["status"]["stableRevision"] != first,
    )
    cluster.kubectl("delete", "configmap", "prompt")
    cluster.until_condition("agent/support", "ReferencesResolved", "False")
    assert cluster.condition("agent/support", "Ready")[0] == "True", "the last revision serves"


def test_a_crash_loops_own_words_reach_the_condition(cluster: Cluster) -> None:
    declared = agent(template={"worker": {"env": [{"name": "PYTHONHOME", "value": "/nowhere"}]}})
    cluster.apply(declared)
    message = cluster.until_condition("agent/support", "Stalled", "True", "PodsFailing")
    assert "exit code" in message
    assert cluster.condition("agent/support", "Ready")[0] == "False"


def test_a_missing_credential_is_told_with_the_command_that_makes_it(cluster: Cluster) -> None:
    model = {
        "name": "claude-haiku-5-5",
        "credentialsSecretRef": {"name": "no-such-secret", "key": "api-key"},
    }
    cluster.apply(agent(template={"model": model}))
    cluster.until(
        "the condition names the Secret",
        lambda: "no-such-secret" in cluster.condition("agent/support", "Stalled")[2],
    )
    assert cluster.condition("agent/support", "Stalled")[:2] == ("True", "PodsFailing")
    said = cluster.condition("agent/support", "Stalled")[2]
    command = said[said.index("kubectl -n ") :].replace("VALUE", "sk-test")
    cluster.kubectl(*shlex.split(command)[1:])
    cluster.until_condition("agent/support", "Ready", "True", "Serving")


def test_kubectl_scale_sets_the_workers_of_stable(cluster: Cluster) -> None:
    cluster.apply(agent())
    cluster.until_condition("agent/support", "Ready", "True")
    name = cluster.get("agent", "support")["status"]["stableRevision"]
    patch = json.dumps({"spec": {"scaling": {"replicas": 1}}})
    cluster.kubectl("patch", "agent", "support", "--type", "merge", "-p", patch)
    cluster.kubectl("scale", "agent", "support", "--replicas=2")
    cluster.until("two workers", lambda: cluster.get("deployment", name)["spec"]["replicas"] == 2)


def test_lost_status_does_not_lose_who_is_stable(cluster: Cluster) -> None:
    cluster.apply(agent())
    cluster.until_condition("agent/support", "Ready", "True")
    status = cluster.get("agent", "support")["status"]
    stable = status["stableRevision"]
    # The counters of `traffic` cannot be taken away; tests/integration/acceptance/test_restore.py does without them too.
    wiped = json.dumps({"status": dict.fromkeys(status.keys() - {"traffic"})})
    cluster.kubectl(
        "patch", "agent", "support", "--subresource=status", "--type=merge", "-p", wiped
    )
    cluster.until_condition("agent/support", "Ready", "True")
    assert cluster.get("agent", "support")["status"]["stableRevision"] == stable


def test_a_killed_operator_comes_back_and_writes_nothing_to_a_converged_agent(
    cluster: Cluster, environment: embedded.Environment
) -> None:
    cluster.apply(agent())
    cluster.until_condition("agent/support", "Ready", "True")
    cluster.until(
        "a quiet Agent", lambda: cluster.condition("agent/support", "Reconciling")[0] == "False"
    )

    def versions() -> dict[str, str]:
        kinds = "agents,controllerrevisions,configmaps,deployments"
        return {
            item["kind"] + item["metadata"]["name"]: version(item) for item in cluster.items(kinds)
        }

    looks: list[dict[str, str]] = [{}]

    def same() -> dict[str, str]:
        """The versions, once two looks see the same."""
        looks.append(versions())
        return looks[-1] if looks[-1] == looks[-2] else {}

    before = cluster.until("nothing is written", same)
    killed = components.living(environment.state_dir, "operator")
    components.send(killed.pid, signal.SIGKILL)
    cluster.until("it is gone", lambda: not processes.is_alive(killed))
    components.living(environment.state_dir, "operator")
    cluster.until("it is ready", lambda: _ready(environment))
    cluster.apply(agent(name="second"))
    cluster.until_condition("agent/second", "Ready", "True")
    after = versions()
    assert {key: after[key] for key in before} == before


def _ready(environment: embedded.Environment) -> bool:
    done = subprocess.run(
        ["curl", "-fsS", f"{environment.operator_url}/readyz"], capture_output=True, check=False
    )
    return done.returncode == 0
