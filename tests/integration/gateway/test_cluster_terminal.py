"""``kubectl penstock run`` on a real API server and a real gateway that asks it.

Only the forwarding of a port is played: it takes a kubelet, and is tried where there is one.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import stat
import sys

import pytest

from penstock.names import AgentKey
from tests.integration.gateway.conftest import Agent

pytestmark = pytest.mark.cluster

PLUGIN = (sys.executable, "-c", "from penstock_cli.main import plugin; plugin()")
FORWARDING = """#!/bin/sh
case " $* " in
*" port-forward "*) echo "Forwarding from 127.0.0.1:{port} -> 8080"; exec sleep 600;;
esac
exec "{kubectl}" "$@"
"""


@pytest.fixture
async def agent(store, namespace):
    agent = Agent(store, AgentKey(namespace, "hello"))
    await agent.set_route()
    return agent


@pytest.fixture
def service(cluster):
    """The Service of an installation, in the test's own namespace."""
    labels = {"app.kubernetes.io/part-of": "penstock", "app.kubernetes.io/component": "gateway"}
    cluster.apply({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "penstock-gateway", "labels": labels},
        "spec": {"ports": [{"name": "http", "port": 80}]},
    })  # fmt: skip


@pytest.fixture
def run(start, reviewing, environment, namespace, tmp_path):
    """Starts ``kubectl penstock run hello`` against a cluster whose gateway reviews tokens."""
    port = start(**reviewing, PENSTOCK_TOKENS_FILE="").url.rpartition(":")[2]
    programs = tmp_path / "programs"
    programs.mkdir()
    program = programs / "kubectl"
    program.write_text(FORWARDING.format(port=port, kubectl=environment.kubectl))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    ambient = {key: value for key, value in os.environ.items() if key[:9] != "PENSTOCK_"}

    async def started(*arguments):
        return await asyncio.create_subprocess_exec(
            *(*PLUGIN, "run", "hello", "What can you do?", "--system-namespace", namespace),
            *("--kubeconfig", str(environment.kubeconfig), "-n", namespace, *arguments),
            env={**ambient, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    return started


async def ended(process):
    async with asyncio.timeout(60):
        said, told = await process.communicate()
    return process.returncode, said.decode(), told.decode()


async def test_the_commands_that_it_prints_are_all_it_takes_to_be_answered(
    run, agent, service, kubectl
):
    code, _, told = await ended(await run())
    assert code == 3
    assert 'serviceaccounts "penstock-caller" not found' in told
    commands = re.findall(r"^  kubectl (.+)$", told, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        kubectl(*shlex.split(command))

    process = await run()
    [claim] = await agent.claim()
    await agent.finish(claim, "I can greet you.")
    code, said, told = await ended(process)
    assert (code, said) == (0, "I can greet you.\n"), told


async def test_an_account_without_a_role_is_told_which_right_is_missing(
    run, agent, service, kubectl, namespace
):
    kubectl("create", "serviceaccount", "penstock-caller")
    code, said, told = await ended(await run())
    assert (code, said) == (3, "")
    assert f"'system:serviceaccount:{namespace}:penstock-caller' may not create tasks of" in told
    assert "the verb create on agents/tasks" in told


async def test_where_nothing_is_installed_it_says_where_it_looked(run, agent, namespace):
    code, _, told = await ended(await run())
    assert code == 3
    assert (
        f"the namespace {namespace} of the cluster in context 'penstock-dev' has no Service" in told
    )


async def test_a_context_that_does_not_exist_is_wrong_usage_in_kubectls_own_words(run):
    code, _, told = await ended(await run("--context", "nowhere"))
    assert code == 2
    assert "nowhere" in told
