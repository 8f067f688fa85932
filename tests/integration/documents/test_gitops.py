"""What the page on GitOps says of appliers, tried on a real API server with the page's own commands."""

from __future__ import annotations

import os
import shlex
import subprocess

import pytest
import yaml

from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product
from tests.integration.documents import pages, typist

pytestmark = pytest.mark.cluster
PAGE = "docs/operating/gitops.md"


def test_the_health_scripts_go_into_the_config_map_of_argo_cd_and_its_other_keys_stay(
    environment, kubectl, namespace, tmp_path
):
    kubectl("create", "configmap", "argocd-cm", "--from-literal=url=https://argocd.example.com")
    program = tmp_path / "kubectl"
    call = shlex.join(map(str, (environment.kubectl, "--kubeconfig", environment.kubeconfig)))
    program.write_text(f'#!/bin/sh\nexec {call} "$@"\n')
    program.chmod(0o755)
    command = pages.block(PAGE, "argocd-cm").replace("-n argocd ", f"-n {namespace} ")
    for _ in range(2):  # again changes nothing
        subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=pages.ROOT,
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
            check=True,
            timeout=60,
        )
    data = yaml.safe_load(kubectl("get", "configmap", "argocd-cm", "-o", "yaml"))["data"]
    assert data["url"] == "https://argocd.example.com"
    for kind in ("Agent", "AgentRollout"):
        script = pages.ROOT / f"deploy/gitops/argocd/penstock.dev/{kind}/health.lua"
        assert data[f"resource.customizations.health.penstock.dev_{kind}"] == script.read_text()


def rollout(**spec):
    """An AgentRollout as Git holds it."""
    body = {"agentRef": {"name": "support"}, **spec}
    head = {"apiVersion": "penstock.dev/v1alpha1", "kind": "AgentRollout"}
    return yaml.safe_dump({**head, "metadata": {"name": "support"}, "spec": body})


@pytest.fixture
def git(kubectl):
    """`git(text)` applies a manifest, `git.patch()` sets 20 by hand, `git.share()` reads it."""

    def apply(text, *how, check=True):
        return kubectl("apply", *how, "-f", "-", stdin=text, check=check)

    apply.patch = lambda: kubectl(
        "patch", "agentrollout", "support", "--type", "merge",
        "-p", '{"spec":{"traffic":{"canaryPercent":20}}}',
    )  # fmt: skip
    apply.share = lambda: kubectl(
        "get", "agentrollout", "support", "-o", "jsonpath={.spec.traffic.canaryPercent}"
    )
    return apply


SERVER_SIDE = ("--server-side", "--field-manager=git")


@pytest.mark.parametrize("how", [(), SERVER_SIDE, (*SERVER_SIDE, "--force-conflicts")])
def test_a_percentage_that_git_does_not_name_stays_where_a_person_set_it(git, how):
    git(rollout(), *how)
    git.patch()
    git(rollout(paused=True), *how)
    assert git.share() == "20"


@pytest.mark.parametrize("how", [(), (*SERVER_SIDE, "--force-conflicts")])
def test_a_percentage_that_git_names_is_git_s_with_the_next_apply(git, how):
    git(rollout(traffic={"canaryPercent": 10}), *how)
    git.patch()
    git(rollout(traffic={"canaryPercent": 10}), *how)
    assert git.share() == "10"


def test_an_apply_that_is_not_forced_ends_in_a_conflict_that_names_kubectl_patch(git):
    text = rollout(traffic={"canaryPercent": 10})
    git(text, *SERVER_SIDE)
    git.patch()
    said = git(text, *SERVER_SIDE, check=False)
    assert 'conflict with "kubectl-patch"' in said
    assert git.share() == "20"


def prompt(words):
    """The ConfigMap that an Agent takes its instructions from."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "prompt"},
        "data": {"text": f"{words}\n#fake {{}}\n"},
    }


@pytest.mark.timeout(300)
def test_a_config_map_that_is_applied_alone_is_waited_for_by_both_commands(
    product: Product, shell: typist.Shell
) -> None:
    agent = manifests.agent(spec={"rolloutPolicy": "Immediate"})
    del agent["spec"]["template"]["instructions"]
    source = {"configMapKeyRef": {"name": "prompt", "key": "text"}}
    agent["spec"]["template"]["instructionsFrom"] = source
    product.cluster.apply(prompt("First."), agent)
    first = product.until_stable()
    product.cluster.wait("agent/support", "UpToDate")
    product.cluster.apply(prompt("Second."))
    both = pages.block(PAGE, "UpToDate=False").splitlines()
    for command in both:
        shell.succeeds(command.replace("kubectl wait ", f"kubectl wait -n {product.namespace} "))
    task = product.ask("anna").json()
    assert task["revision"] == product.agent()["stableRevision"] != first
