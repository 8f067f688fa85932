"""Fields whose effect only the whole product shows: a credential, a policy, a field taken away."""

import json

import httpx
import pytest

from penstock_dev import environment as embedded
from penstock_dev import traffic
from penstock_dev.model import testing
from tests.integration.cluster import Cluster, agent

KEY = "a-key-of-the-test"


@pytest.fixture(scope="module")
def guarded_model():
    """A Messages server that answers only who has the key."""
    with testing.model_server(3, "--require-key", KEY) as server:
        yield server


def ask(environment: embedded.Environment, namespace: str, name: str) -> dict:
    """One task, as it ended."""
    target = traffic.Target(environment.gateway_url, environment.token, name, namespace)
    answer = httpx.post(
        target.gateway_url + target.path,
        json={"input": "Where is my order?", "wait": 60},
        headers={"Authorization": f"Bearer {target.token}"},
        timeout=90,
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def with_credential(name: str, url: str, secret: str) -> dict:
    model = {
        "name": "claude-haiku-5-5",
        "baseURL": url,
        "credentialsSecretRef": {"name": secret, "key": "api-key"},
        "retries": 0,
    }
    return agent('Be kind.\n#fake {"text": "On its way."}', name=name, template={"model": model})


def test_a_task_is_answered_with_the_key_of_the_secret_and_fails_with_a_wrong_one(
    cluster: Cluster,
    environment: embedded.Environment,
    gateway: str,
    namespace: str,
    guarded_model: testing.ModelServer,
) -> None:
    for secret, key in (("right", KEY), ("wrong", "another-key")):
        cluster.kubectl("create", "secret", "generic", secret, f"--from-literal=api-key={key}")
    cluster.apply(
        with_credential("keyed", guarded_model.url, "right"),
        with_credential("locked-out", guarded_model.url, "wrong"),
    )
    cluster.until_condition("agent/keyed", "Ready", "True", "Serving")
    done = ask(environment, namespace, "keyed")
    assert (done["status"], done["output"]) == ("Succeeded", "On its way.")
    assert guarded_model.journal(1)["requests"], "the agent's own endpoint was asked"

    cluster.until_condition("agent/locked-out", "Ready", "True", "Serving")
    refused = ask(environment, namespace, "locked-out")
    assert (refused["status"], refused["outcome"]["reason"]) == ("Failed", "ModelError")
    assert "401" in refused["outcome"]["message"]


def parked(name: str = "support") -> dict:
    """An AgentRollout whose first step nobody waits for."""
    return {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "AgentRollout",
        "metadata": {"name": name},
        "spec": {
            "agentRef": {"name": name},
            "strategy": {"steps": [{"percent": 5, "holdSeconds": 3000}]},
        },
    }


@pytest.mark.timeout(240)
def test_without_its_rollout_a_canary_waits_until_the_policy_says_immediate(
    cluster: Cluster,
) -> None:
    cluster.apply(agent("Be kind."), parked())
    cluster.until_condition("agent/support", "Ready", "True", "Serving")
    stable = cluster.get("agent", "support")["status"]["stableRevision"]
    cluster.apply(agent("Be brief."))

    def canary() -> str:
        found = cluster.get("agentrollout", "support")["status"].get("canaryRevision", "")
        return found if found != stable else ""

    canary_name = cluster.until("a canary", canary)
    cluster.kubectl("delete", "agentrollout", "support")
    cluster.until_condition("agent/support", "RolloutMissing", "True")
    status = cluster.get("agent", "support")["status"]
    assert (status["stableRevision"], status["latestRevision"]) == (stable, canary_name)

    patch = json.dumps({"spec": {"rolloutPolicy": "Immediate"}})
    cluster.kubectl("patch", "agent", "support", "--type", "merge", "-p", patch)
    released = [{"revision": canary_name, "role": "Stable", "percent": 100}]
    cluster.until(
        "the canary serves everybody",
        lambda: cluster.get("agent", "support")["status"]["traffic"]["targets"] == released,
    )
    cluster.until(
        "nothing is missing any more",
        lambda: cluster.condition("agent/support", "RolloutMissing")[0] != "True",
    )
    assert cluster.get("agent", "support")["status"]["stableRevision"] == canary_name


def test_a_field_of_the_worker_acts_at_once_and_so_does_taking_it_away(cluster: Cluster) -> None:
    tolerations = [{"key": "gpu", "operator": "Exists"}]
    cluster.apply(agent(worker={"tolerations": tolerations, "concurrency": 4}))

    def pod() -> dict:
        (only,) = cluster.items("deployments") or [{}]
        return only["spec"]["template"]["spec"] if only else {}

    def concurrency() -> str:
        told = {item["name"]: item.get("value") for item in pod()["containers"][0]["env"]}
        return told["PENSTOCK_CONCURRENCY"]

    cluster.until("the toleration", lambda: pod().get("tolerations") == tolerations)
    assert concurrency() == "4"
    first = cluster.get("agent", "support")["status"]["latestRevision"]
    cluster.kubectl("patch", "agent", "support", "--type", "json",
                    "-p", '[{"op": "remove", "path": "/spec/worker"}]')  # fmt: skip
    cluster.until("no toleration", lambda: "tolerations" not in pod())
    assert concurrency() == "32"
    assert cluster.get("agent", "support")["status"]["latestRevision"] == first, "no new revision"


def test_a_user_beyond_the_rate_of_an_agent_is_refused_with_when_to_come_back(
    cluster: Cluster, environment: embedded.Environment, gateway: str, namespace: str
) -> None:
    declared = agent('Be kind.\n#fake {"text": "On its way."}', name="rated")
    declared["spec"]["budgets"] = {"perUser": {"requestsPerMinute": 1}}
    cluster.apply(declared)
    cluster.until_condition("agent/rated", "Ready", "True", "Serving")
    target = traffic.Target(environment.gateway_url, environment.token, "rated", namespace)

    def submit(user: str) -> httpx.Response:
        return httpx.post(
            target.gateway_url + target.path,
            json={"input": "Where is my order?", "user": user},
            headers={"Authorization": f"Bearer {target.token}"},
            timeout=60,
            trust_env=False,
        )

    answers = [submit("ana") for _ in range(3)]  # of three in a row two are in the same minute
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["type"].endswith("/rate-exceeded")
    assert "budgets.perUser.requestsPerMinute" in refused.json()["detail"]
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert submit("ben").status_code == 202


def test_a_budget_of_money_holds_and_is_lifted_by_a_larger_one(
    cluster: Cluster, environment: embedded.Environment, gateway: str, namespace: str
) -> None:
    declared = agent('Be kind.\n#fake {"text": "On its way."}', name="poor")
    declared["spec"]["budgets"] = {"costUSD": {"daily": "0.000001"}}
    cluster.apply(declared)
    cluster.until_condition("agent/poor", "Ready", "True", "Serving")
    refused = ask(environment, namespace, "poor")
    assert (refused["status"], refused["outcome"]["reason"]) == ("LimitExceeded", "Budget")
    assert "budgets.costUSD.daily is 0.000001 USD" in refused["outcome"]["message"]
    assert refused["usage"]["costUSD"] == "0.000000"

    before = cluster.get("agent", "poor")["status"]["latestRevision"]
    declared["spec"]["budgets"] = {"costUSD": {"daily": "10"}}
    cluster.apply(declared)
    cluster.until(
        "the larger budget", lambda: ask(environment, namespace, "poor")["status"] == "Succeeded"
    )
    assert cluster.get("agent", "poor")["status"]["latestRevision"] == before, "no new revision"


def test_the_brake_acts_on_what_serves_and_so_does_letting_go(
    cluster: Cluster, environment: embedded.Environment, gateway: str, namespace: str
) -> None:
    words = {"escalated": "A person will answer."}
    cluster.apply(agent(name="braked", template={"messages": words}))
    cluster.until_condition("agent/braked", "Ready", "True", "Serving")
    revision = cluster.get("agent", "braked")["status"]["stableRevision"]

    def patch(**restrictions: list[str]) -> None:
        body = json.dumps({"spec": {"restrictions": restrictions or None}})
        cluster.kubectl("patch", "agent", "braked", "--type", "merge", "-p", body)

    def ends(status: str) -> dict:
        return cluster.until(
            f"a task {status}",
            lambda: (ended := ask(environment, namespace, "braked"))["status"] == status and ended,
        )

    assert ask(environment, namespace, "braked")["status"] == "Succeeded"
    patch(denyModels=["claude-haiku-5-5"])
    refused = ends("Escalated")
    assert (refused["outcome"]["reason"], refused["output"]) == ("Restricted", words["escalated"])
    patch()
    ends("Succeeded")
    assert cluster.get("agent", "braked")["status"]["stableRevision"] == revision
