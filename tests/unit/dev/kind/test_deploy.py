"""How Helm is called."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from penstock_dev.kind import __main__ as command_line
from penstock_dev.kind import cluster, deploy, paths, stages


def command(*extra: str) -> list[str]:
    values = {"demo.enabled": "true", "operator.image.tag": "dev-1"}
    return [str(word) for word in deploy.helm_command(Path("helm"), values, extra)]


def test_the_release_goes_into_our_cluster_whatever_the_current_context_is():
    words = command()
    assert words[1:4] == ["upgrade", "--install", "penstock"]
    assert words[words.index("--kube-context") + 1] == cluster.CONTEXT
    assert words[words.index("--namespace") + 1] == "penstock-system"
    assert "--wait" in words


def test_what_a_caller_adds_comes_last_and_so_wins():
    assert command("--set", "demo.enabled=false")[-2:] == ["--set", "demo.enabled=false"]
    assert command().index("demo.enabled=true") < len(command("--set", "demo.enabled=false")) - 1


def test_the_gateways_port_on_this_machine_leads_to_its_node_port():
    (node,) = yaml.safe_load(paths.CLUSTER_CONFIG.read_text())["nodes"]
    (mapping,) = node["extraPortMappings"]
    assert str(mapping["containerPort"]) == deploy.VALUES["gateway.service.nodePort"]
    assert f"http://{mapping['listenAddress']}:{mapping['hostPort']}" == deploy.GATEWAY


@pytest.fixture
def deployed(monkeypatch) -> list[list[str]]:
    """What is asked of a deployment that does not happen."""
    asked = []

    async def record(_: stages.Stages, extra: list[str]) -> None:
        asked.append(extra)

    monkeypatch.setattr(deploy, "deploy", record)
    return asked


def test_other_arguments_of_deploy_go_to_helm_as_they_are(deployed):
    assert command_line.main(["deploy", "--set", "operator.replicas=1", "--debug"]) == 0
    assert deployed == [["--set", "operator.replicas=1", "--debug"]]


def test_other_verbs_take_no_other_arguments(deployed, capsys):
    with pytest.raises(SystemExit):
        command_line.main(["down", "--set", "x=1"])
    assert "unrecognized arguments: --set x=1" in capsys.readouterr().err
