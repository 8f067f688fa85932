"""Who may decide how a revision reaches its users: the shipped policy on a real API server."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import yaml

from penstock_dev import environment as embedded
from tests.integration.chart.charts import Helm

DEADLINE_SECONDS = 120.0
DEVELOPER, RELEASER, NOBODY = "dora", "rita", "nick"
REQUEST = "penstock.dev/request"
BY = "penstock.dev/requested-by"
TRAFFIC = {"spec": {"traffic": {"canaryPercent": 20}}}


@dataclass(frozen=True)
class Person:
    """kubectl in the test's namespace as somebody."""

    kubectl: Callable[..., str]
    name: str

    def says(self, *arguments: str, stdin: str | None = None) -> str:
        """What kubectl prints, whether it succeeds or not."""
        return self.kubectl(*arguments, "--as", self.name, stdin=stdin, check=False)

    def patch(self, change: dict[str, Any], resource: str = "agentrollout/support") -> str:
        """A merge patch; `patched` stands in the answer when it was let through."""
        kind, name = resource.split("/")
        return self.says("patch", kind, name, "--type", "merge", "-p", json.dumps(change))


def rollout(name: str = "support", **spec: Any) -> dict[str, Any]:
    """An AgentRollout of the Agent `support`."""
    return {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "AgentRollout",
        "metadata": {"name": name, "annotations": {}},
        "spec": {"agentRef": {"name": "support"}, **spec},
    }


def agent(**spec: Any) -> dict[str, Any]:
    """An Agent."""
    template = {"instructions": "Be kind.", "model": {"name": "claude-haiku-5-5"}}
    return {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "Agent",
        "metadata": {"name": "support"},
        "spec": {"template": template, **spec},
    }


def refused(said: str) -> bool:
    """Whether the policy, and not something else, refused."""
    return "ValidatingAdmissionPolicy" in said and "denied request" in said and "promote" in said


@pytest.fixture(scope="module")
def access(
    helm: Helm, environment: embedded.Environment, administrator: Callable[..., str]
) -> Iterator[str]:
    """The shipped roles and policy, under a name of the test's own, bound to one namespace.

    The roles are not aggregated: a test must not change what others may do on the same server.
    """
    name = "policy-test"
    administrator("create", "namespace", name)
    documents = replace(helm, kubeconfig=environment.kubeconfig).render(
        {"fullnameOverride": name, "watchNamespaces": [name], "rbac": {"aggregate": False}},
        namespace=name,
        options=("-s", "templates/access/roles.yaml", "-s", "templates/access/promote-policy.yaml"),
    )
    shipped = yaml.safe_dump_all(documents)
    administrator("apply", "-f", "-", stdin=shipped)
    bound = {DEVELOPER: ("edit",), RELEASER: ("releaser",), "ada": ("edit", "admin")}
    for person, roles in bound.items():
        for role in roles:
            administrator(
                *("create", "rolebinding", f"{person}-{role}", "-n", name),
                *(f"--clusterrole={name}-{role}", f"--user={person}"),
            )
    yield name
    administrator("delete", "-f", "-", "--ignore-not-found", stdin=shipped)
    administrator("delete", "namespace", name, "--wait=false")


@pytest.fixture
def people(administrator: Callable[..., str], access: str) -> Iterator[Callable[[str], Person]]:
    """Persons in a namespace with an Agent and an AgentRollout, where the policy acts."""

    def kubectl(*arguments: str, stdin: str | None = None, check: bool = True) -> str:
        return administrator("-n", access, *arguments, stdin=stdin, check=check)

    kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([agent(), rollout(paused=True)]))
    developer = Person(kubectl, DEVELOPER)
    deadline = time.monotonic() + DEADLINE_SECONDS
    probe = json.dumps(TRAFFIC)
    while not refused(
        seen := developer.says(
            *("patch", "agentrollout", "support", "--type", "merge", "-p", probe),
            "--dry-run=server",
        )
    ):
        assert time.monotonic() < deadline, f"the policy does not act: {seen}"
        time.sleep(0.1)
    yield lambda name: Person(kubectl, name)
    kubectl("delete", "agents,agentrollouts,configmaps", "--all", "--wait=true")


FORBIDDEN = {
    "a share by hand": TRAFFIC,
    "a revision by hand": {"spec": {"traffic": {"canaryRevision": "support-1234"}}},
    "other steps": {"spec": {"strategy": {"steps": [{"percent": 99, "holdSeconds": 0}]}}},
    "a shorter final hold": {"spec": {"strategy": {"finalHoldSeconds": 0}}},
    "wider guardrails": {"spec": {"analysis": {"guardrails": {"errorRatePercent": 100}}}},
    "going on after a pause": {"spec": {"paused": False}},
    "no pause any more": {"spec": {"paused": None}},
    "a request": {"metadata": {"annotations": {REQUEST: "promote/support-1234/1"}}},
    "going back": {"metadata": {"annotations": {REQUEST: "undo/1.0/1"}}},
    "owners with which it goes": {
        "metadata": {
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "0-0"}
            ]
        }
    },
}


@pytest.mark.parametrize("what", sorted(FORBIDDEN))
def test_what_decides_over_users_needs_the_verb_promote(people, what):
    said = people(DEVELOPER).patch(FORBIDDEN[what])
    assert refused(said), said
    assert "patched" in people("ada").patch(FORBIDDEN[what])


@pytest.mark.parametrize(
    "arguments",
    [
        ("delete", "agentrollout", "support"),
        ("delete", "agentrollouts", "--all"),
        ("delete", "--raw", "/apis/penstock.dev/v1alpha1/namespaces/{}/agentrollouts"),
    ],
    ids=["by name", "all", "as a collection"],
)
def test_deleting_an_agent_rollout_needs_the_verb_promote(people, access, arguments):
    said = people(DEVELOPER).says(*(word.format(access) for word in arguments))
    assert refused(said), said
    assert "support" in people("ada").says("get", "agentrollouts", "-o", "name")
    people("ada").says(*(word.format(access) for word in arguments))
    assert not people("ada").says("get", "agentrollouts", "-o", "name").strip()


def test_replacing_by_force_is_deleting(people):
    manifest = json.dumps(rollout())
    said = people(DEVELOPER).says("replace", "--force", "-f", "-", stdin=manifest)
    assert refused(said), said


@pytest.mark.parametrize(
    "document",
    [
        rollout("second", traffic={"canaryPercent": 100}),
        rollout("second", traffic={"canaryRevision": "support-1234"}),
        {
            **rollout("second"),
            "metadata": {"name": "second", "annotations": {REQUEST: "abort/x/1"}},
        },
    ],
    ids=["with a share", "with a revision", "with a request"],
)
def test_creating_an_agent_rollout_that_decides_needs_the_verb_promote(people, document):
    said = people(DEVELOPER).says("create", "-f", "-", stdin=json.dumps(document))
    assert refused(said), said
    assert "created" in people("ada").says("create", "-f", "-", stdin=json.dumps(document))


def test_releasing_without_an_agent_rollout_needs_the_verb_promote(people):
    change = {"spec": {"rolloutPolicy": "Immediate"}}
    said = people(DEVELOPER).patch(change, "agent/support")
    assert refused(said), said
    assert "patched" in people("ada").patch(change, "agent/support")
    back = people(DEVELOPER).patch({"spec": {"rolloutPolicy": "Guarded"}}, "agent/support")
    assert "patched" in back


ALLOWED = {
    "a label": {"metadata": {"labels": {"team": "support"}}},
    "another annotation": {"metadata": {"annotations": {"note": "hello"}}},
    "what is counted as one": {"spec": {"unit": "Session"}},
    "what is there already": {"spec": {"paused": True}},
    "an empty setpoint": {"spec": {"traffic": None}},
}


@pytest.mark.parametrize("what", sorted(ALLOWED))
def test_what_decides_nothing_needs_the_right_to_edit_alone(people, what):
    said = people(DEVELOPER).patch(ALLOWED[what])
    assert "agentrollout.penstock.dev/support patched" in said, said


def test_a_developer_declares_agents_and_a_first_agent_rollout_and_pauses_it(people):
    ada, developer = people("ada"), people(DEVELOPER)
    ada.says("delete", "agentrollout", "support")
    manifests = yaml.safe_dump_all([agent(description=None), rollout()])
    assert "created" in developer.says("apply", "-f", "-", stdin=yaml.safe_dump(rollout()))
    assert "patched" in developer.patch({"spec": {"paused": True}})
    change = {"spec": {"template": {"instructions": "Be kinder."}}}
    assert "patched" in developer.patch(change, "agent/support"), manifests
    assert "patched" in developer.patch({"spec": {"suspended": True}}, "agent/support")
    assert "deleted" in developer.says("delete", "agent", "support")


def asks(value: str | None, by: str | None = None) -> dict[str, Any]:
    """A request on the Agent, with a name beside it or without."""
    return {"metadata": {"annotations": {REQUEST: value, BY: by}}}


def test_lifting_a_budget_needs_the_verb_budget_and_no_other_request_on_an_agent_does(people):
    change = asks("budget-lift/agent/daily/4/1")
    said = people(DEVELOPER).patch(change, "agent/support")
    assert "denied request" in said, said
    assert "needs the verb budget on agents" in said
    assert "patched" in people("ada").patch(change, "agent/support")
    assert "patched" in people(DEVELOPER).patch(asks("undo/1.0/1"), "agent/support")
    assert "patched" in people(DEVELOPER).patch(asks(None), "agent/support")


def test_a_lift_that_stands_there_hinders_nobody_who_edits(people):
    people("ada").patch(asks("budget-lift/agent/daily/4/1", "ada"), "agent/support")
    change = {"spec": {"budgets": {"costUSD": {"daily": "5"}}}}
    assert "patched" in people(DEVELOPER).patch(change, "agent/support")
    assert "patched" in people(DEVELOPER).patch(asks(None), "agent/support")


def test_a_lift_names_who_asks_or_nobody(people):
    ada = people("ada")
    said = ada.patch(asks("budget-lift/agent/daily/4/1", DEVELOPER), "agent/support")
    assert "set it to your own name" in said, said
    assert "patched" in ada.patch(asks("budget-lift/agent/daily/4/1", "ada"), "agent/support")
    forged = {"metadata": {"annotations": {BY: "ada"}}}
    people(DEVELOPER).patch(asks(None), "agent/support")
    assert "set it to your own name" in people(DEVELOPER).patch(forged, "agent/support")


def test_who_lifts_after_somebody_else_does_not_do_it_in_their_name(people, administrator, access):
    administrator(
        "create", "rolebinding", "bob", "-n", access, "--user=bob", f"--clusterrole={access}-edit"
    )
    administrator(
        "create",
        "rolebinding",
        "bob-a",
        "-n",
        access,
        "--user=bob",
        f"--clusterrole={access}-admin",
    )
    people("ada").patch(asks("budget-lift/agent/daily/4/1", "ada"), "agent/support")
    second = {"metadata": {"annotations": {REQUEST: "budget-lift/agent/daily/4/2"}}}
    deadline = time.monotonic() + DEADLINE_SECONDS
    while "forbidden" in (said := people("bob").patch(second, "agent/support").lower()):
        if "set it to your own name" in said:
            break
        assert time.monotonic() < deadline, said
        time.sleep(0.1)
    assert "set it to your own name" in said, said
    mine = asks("budget-lift/agent/daily/4/2", "bob")
    assert "patched" in people("bob").patch(mine, "agent/support")


def test_a_releaser_releases_and_edits_no_agent(people):
    releaser = people(RELEASER)
    assert "patched" in releaser.patch(TRAFFIC)
    assert "forbidden" in releaser.patch({"spec": {"suspended": True}}, "agent/support").lower()
    assert "forbidden" in releaser.says("delete", "agentrollout", "support").lower()


def test_who_has_no_role_is_refused_by_rbac_before_the_policy(people):
    said = people(NOBODY).patch(ALLOWED["a label"])
    assert "forbidden" in said.lower()
    assert "ValidatingAdmissionPolicy" not in said


def test_garbage_collection_takes_an_agent_rollout_with_its_owner(people):
    ada = people("ada")
    owner = json.loads(ada.kubectl("create", "configmap", "owner", "-o", "json"))
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner"}
    reference["uid"] = owner["metadata"]["uid"]
    assert "patched" in ada.patch({"metadata": {"ownerReferences": [reference]}})
    ada.kubectl("delete", "configmap", "owner")
    until_gone(lambda: ada.kubectl("get", "agentrollouts", "-o", "name"))


def test_a_namespace_goes_with_its_agent_rollouts(helm, environment, administrator):
    name = "policy-goes"
    administrator("create", "namespace", name)
    documents = helm.render(
        {"fullnameOverride": name, "watchNamespaces": [name]},
        namespace=name,
        options=("-s", "templates/access/promote-policy.yaml"),
    )
    shipped = yaml.safe_dump_all(documents)
    administrator("apply", "-f", "-", stdin=shipped)
    try:
        administrator("-n", name, "apply", "-f", "-", stdin=yaml.safe_dump(rollout()))
        administrator("delete", "namespace", name, "--wait=false")
        until_gone(lambda: administrator("get", "namespace", name, "--ignore-not-found"))
    finally:
        administrator("delete", "-f", "-", stdin=shipped)


def until_gone(look: Callable[[], str]) -> None:
    """Poll until there is nothing to be seen."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while seen := look().strip():
        assert time.monotonic() < deadline, f"still there: {seen}"
        time.sleep(0.2)


def test_the_api_server_finds_no_fault_with_the_policy(administrator, access):
    def status() -> Any:
        shown = administrator("get", "validatingadmissionpolicy", f"{access}-promote", "-o", "json")
        return json.loads(shown).get("status", {})

    deadline = time.monotonic() + DEADLINE_SECONDS
    while "observedGeneration" not in (seen := status()):
        assert time.monotonic() < deadline, f"never type-checked: {seen}"
        time.sleep(0.1)
    assert not seen.get("typeChecking", {}).get("expressionWarnings"), seen


def test_who_lacks_the_verb_reads_so_at_the_terminal(people, environment, access, tmp_path):
    assert people(DEVELOPER)
    config = yaml.safe_load(environment.kubeconfig.read_text())
    for user in config["users"]:
        user["user"]["as"] = DEVELOPER
    as_developer = tmp_path / "kubeconfig"
    as_developer.write_text(yaml.safe_dump(config))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "penstock_cli", "set-percent", "support", "20"),
            *("-n", access, "--kubeconfig", str(as_developer)),
        ],
        env={**os.environ, "PATH": f"{environment.kubectl.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert refused(done.stderr)
    command = f"kubectl auth can-i promote agentrollouts.penstock.dev/support -n {access}"
    assert command in done.stderr
