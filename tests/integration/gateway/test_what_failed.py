"""From an alert's revision to what failed, why and whom it touched: the commands of the runbook, one each."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import stat
import time
from pathlib import Path

import pytest
import yaml

from penstock.names import AgentKey
from penstock.task import Outcome, OutcomeReason, TaskStatus, Usage
from tests.integration.gateway.conftest import CANARY, STABLE, Agent
from tests.integration.gateway.test_cluster_terminal import FORWARDING, PLUGIN
from tests.integration.gateway.test_terminal import ended
from tests.repo import documents

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/operating/runbooks.md"
ROLES = ROOT / "charts/penstock/files/access-rules.yaml"
REASONS = {
    "ana": (TaskStatus.FAILED, OutcomeReason.MODEL_ERROR, "400 no such model"),
    "bob": (TaskStatus.FAILED, OutcomeReason.MODEL_ERROR, "400 no such\nmodel \x1b[31mred"),
    "cleo": (TaskStatus.ESCALATED, OutcomeReason.TOOL_ERROR, "the result of refund is unknown"),
    "dan": (TaskStatus.SUCCEEDED, OutcomeReason.NONE, ""),
}


def commands():
    """The commands of the section, in their order."""
    section = PAGE.read_text().partition("## What failed, and whom it touched\n")[2]
    section = section.partition("\n## ")[0]
    return [content.strip() for _, content in documents.fences(section)]


@pytest.fixture
async def agent(store, namespace):
    """An agent after a rollback: its canary had four tasks, and serves nobody any more."""
    agent = Agent(store, AgentKey(namespace, "support"))
    await agent.set_route(canary=CANARY, percent=100)
    return agent


@pytest.fixture
def carry_out(start, reviewing, cluster, environment, namespace, tmp_path):
    """Carries out a command of the page for this agent as a person would; the port is forwarded here."""
    labels = {"app.kubernetes.io/part-of": "penstock", "app.kubernetes.io/component": "gateway"}
    cluster.apply({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "penstock-gateway", "labels": labels},
        "spec": {"ports": [{"name": "http", "port": 80}]},
    })  # fmt: skip
    running = start(**reviewing)
    programs = tmp_path / "programs"
    programs.mkdir()
    program = programs / "kubectl"
    port = running.url.rpartition(":")[2]
    program.write_text(FORWARDING.format(port=port, kubectl=environment.kubectl))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    ambient = {key: value for key, value in os.environ.items() if key[:9] != "PENSTOCK_"}
    ambient |= {"KUBECONFIG": str(environment.kubeconfig)}
    ambient |= {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}

    async def run(command, *more):
        words = {"NAME": "support", "NAMESPACE": namespace, "REVISION": f"support-{CANARY}"}
        said = re.sub(r"\b[A-Z]+\b", lambda found: words.get(found[0], found[0]), command)
        _, *arguments = shlex.split(said)
        if arguments[0] == "penstock":
            arguments = [*PLUGIN, *arguments[1:], "--system-namespace", namespace]
        else:
            arguments = [str(program), *arguments]
        started = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *arguments,
            *more,
            env=ambient,
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        code, out, told = await ended(process)
        print(f"{time.monotonic() - started:.1f} s: {said}\n{out}{told}")
        assert code == 0, told
        return out, told

    run.gateway = running
    return run


async def roll_back_after_four_tasks(agent, client):
    """Four users' tasks at the canary; how each ended is in ``REASONS``."""
    found = {}
    for user, (status, reason, message) in REASONS.items():
        sent = {"input": "my card is 4111", "user": user}
        found[user] = (await client.post(agent.tasks, json=sent)).json()["id"]
        [claim] = await agent.store.claims.take(agent.key, CANARY, "worker", 1)
        assert await agent.store.claims.finish(claim, Outcome(status, reason, message), Usage(1))
    await agent.set_route()
    later = (await client.post(agent.tasks, json={"input": "x", "user": "eve"})).json()
    assert later["revision"].endswith(STABLE)
    return found


def columns(out, number):
    """One column of a printed table, without its head."""
    return [re.split(r" {3,}", line)[number] for line in out.splitlines()[1:]]


@pytest.fixture
def responder(cluster, kubectl):
    """The role of the chart for those who answer alerts."""
    cluster.apply({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "penstock-responder"},
        "rules": yaml.safe_load(ROLES.read_text())["responder"],
    })  # fmt: skip
    yield
    kubectl("delete", "clusterrole", "penstock-responder")


async def test_who_sees_one_tenant_alone_is_told_so_and_shown_how_to_see_all(
    agent, carry_out, kubectl, namespace
):
    which, *_, let_see_all = commands()
    assert "--clusterrole=penstock-responder" in let_see_all
    async with carry_out.gateway.client() as client:
        await roll_back_after_four_tasks(agent, client)
    kubectl("create", "serviceaccount", "penstock-caller")
    rights = ("--verb=create,get,delete", "--resource=agents.penstock.dev/tasks")
    kubectl("create", "role", "penstock-caller", *rights)
    bound = ("--role=penstock-caller", f"--serviceaccount={namespace}:penstock-caller")
    kubectl("create", "rolebinding", "penstock-caller", *bound)
    out, told = await carry_out(which)
    assert len(out.splitlines()) == 1
    assert f"only tasks of the tenant kubernetes:namespace:{namespace}" in told
    assert "the verb list on agents/tasks" in told


async def test_each_question_after_a_rollback_is_one_command_of_the_runbook(
    agent, carry_out, responder, kubectl
):
    which, why, whom, let_see_all = commands()
    async with carry_out.gateway.client() as client:
        ids = await roll_back_after_four_tasks(agent, client)
    kubectl("create", "serviceaccount", "penstock-caller")
    await carry_out(let_see_all)

    out, told = await carry_out(which)
    assert columns(out, 0) == [ids["cleo"], ids["bob"], ids["ana"]]
    assert columns(out, 3) == ["ToolError", "ModelError", "ModelError"]
    assert columns(out, 5) == ["cleo", "bob", "ana"]
    assert columns(out, 6) == ["acme"] * 3
    assert columns(out, 7)[0] == "the result of refund is unknown"
    assert "4111" not in out + told
    assert told == ""

    out, _ = await carry_out(why)
    assert [line.split()[:4] for line in out.splitlines()[1:]] == [
        ["ModelError", "2", "2", "2"],
        ["ToolError", "1", "1", "1"],
    ]
    assert "400 no such model" in out
    assert "\x1b" not in out

    out, _ = await carry_out(whom)
    touched = {line.split()[0]: line.split()[1:3] for line in out.splitlines()[1:]}
    assert touched == {
        "ana": ["1", "1"], "bob": ["1", "1"], "cleo": ["1", "1"], "dan": ["1", "0"],
    }  # fmt: skip

    out, _ = await carry_out(which, "-o", "json", "--reason", "ToolError")
    [item] = json.loads(out)["items"]
    assert (item["id"], item["tenant"]) == (ids["cleo"], "acme")
