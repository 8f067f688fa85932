"""The three commands of the first ten minutes, as printed; and what an uninstall leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.e2e.site import PRODUCT_PODS, ROOT, WORKER_PODS, Site

COMMANDS = (
    (
        "helm install penstock charts/penstock -n penstock-system --create-namespace "
        "--set demo.enabled=true --wait"
    ),
    "kubectl get agents,agentrollouts",
    'kubectl penstock run hello "What can you do?"',
)


def pods_left(site: Site) -> list[str]:
    """Pods of the product and of its agents."""
    found = []
    for selector in (PRODUCT_PODS, WORKER_PODS):
        shown = site.kubectl("get", "pods", "-A", "-l", selector, "-o", "name")
        found += shown.split()
    return found


@pytest.fixture
def deployed_again(site: Site) -> Iterator[None]:
    """Afterwards the product is there again as `make deploy` leaves it."""
    yield
    deploy = [sys.executable, "-m", "penstock_dev.kind", "deploy"]
    subprocess.run(deploy, cwd=ROOT, check=True, timeout=600)
    assert "NodePort" in site.system.kubectl("get", "service", "penstock-gateway")


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("deployed_again")
def test_uninstall_leaves_definitions_and_no_pods_and_the_three_commands_work(site: Site) -> None:
    others = json.loads(site.kubectl("get", "agents", "-A", "-o", "json"))["items"]
    for agent in others:
        place = agent["metadata"]["namespace"]
        if place != "default":
            site.kubectl("delete", "namespace", place, "--ignore-not-found")
    site.helm("uninstall", "penstock", "--wait", "--timeout", "3m")
    site.system.until("no pod is left", lambda: not pods_left(site), 120)
    definitions = site.kubectl("get", "crd", "-o", "name")
    assert "agents.penstock.dev" in definitions
    assert "agentrollouts.penstock.dev" in definitions
    said = [site.run("bash", "-c", command) for command in COMMANDS]
    print("\n".join(f"$ {command}\n{text}" for command, text in zip(COMMANDS, said, strict=True)))
    assert "agent.penstock.dev/hello" in said[1]
    assert "agentrollout.penstock.dev/hello" in said[1]
    assert said[2].strip(), "the agent answered"
