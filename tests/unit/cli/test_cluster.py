"""The gateway of the cluster, found and reached by kubectl; what is missing is said."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from penstock_cli import exits
from penstock_dev.state import StateDirectory
from tests import background_job, components
from tests.unit.cli.fake_kubectl import service
from tests.unit.cli.test_terminal import penstock

LABELS = "app.kubernetes.io/part-of=penstock,app.kubernetes.io/component=gateway"


@pytest.fixture
def run(kubectl, tmp_path):
    """``penstock run hello hi`` where kubectl is the fake one; only submits."""

    def ended(*arguments, **variables):
        return penstock(
            *("run", "hello", "hi", "--wait", "0", *arguments),
            cwd=tmp_path,
            **{"PATH": kubectl.path, "KUBECONFIG": "/nowhere", **variables},
        )

    return ended


def is_alive(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def until(condition, seen):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, f"it never came to that: {seen()}"
        time.sleep(0.02)


def test_the_gateway_is_forwarded_with_a_token_of_the_caller_in_the_contexts_namespace(
    run, kubectl, gateway
):
    done = run()
    assert (done.returncode, done.stdout) == (0, "task-1\n"), done.stderr
    assert gateway.asked == [("/v1/namespaces/shop/agents/hello/tasks", "Bearer cluster-token")]
    timeout = "--request-timeout=10s"
    system = "--namespace=penstock-system"
    token = "create token penstock-caller --namespace=shop --audience=penstock --duration=600s"
    assert kubectl.calls == [
        f"config view --minify -o json {timeout}",
        f"get services {system} --selector={LABELS} -o json {timeout}",
        f"{token} {timeout}",
        f"port-forward {system} --address=127.0.0.1 service/penstock-gateway :80",
    ]
    assert kubectl.notes[-1].get("ended"), "the port-forward is told to end"
    assert not any(map(is_alive, kubectl.forwards))


def test_what_is_said_goes_before_what_the_cluster_says(run, kubectl, gateway):
    said = ("-n", "bank", "--token", "own", "--system-namespace", "operations")
    assert run(*said, "--context", "prod", "--kubeconfig", "/k").returncode == 0
    assert gateway.asked == [("/v1/namespaces/bank/agents/hello/tasks", "Bearer own")]
    assert all(call.startswith("--kubeconfig=/k --context=prod ") for call in kubectl.calls)
    assert not any("create token" in call for call in kubectl.calls)
    assert any("--namespace=operations" in call for call in kubectl.calls)


def test_a_token_lives_as_long_as_the_task_is_waited_for(run, kubectl):
    kubectl.answer("create token", {"error": "its arguments were enough"})
    assert run("--wait", "7200").returncode == exits.Exit.REFUSED
    assert any("--duration=7800s" in call for call in kubectl.calls)


def test_a_context_without_a_namespace_means_default(run, kubectl, gateway):
    kubectl.answer("config view", {"contexts": [{"name": "c", "context": {"cluster": "c"}}]})
    assert run().returncode == 0
    assert gateway.asked[0][0] == "/v1/namespaces/default/agents/hello/tasks"


def test_an_address_with_a_token_needs_no_cluster_and_without_one_only_a_token_of_it(
    run, kubectl, gateway
):
    address = ("--gateway", f"http://127.0.0.1:{gateway.port}")
    assert run(*address, PENSTOCK_TOKEN="own").returncode == 0
    assert kubectl.calls == []
    assert run(*address).returncode == 0
    assert not kubectl.forwards
    assert gateway.asked == [
        ("/v1/namespaces/default/agents/hello/tasks", "Bearer own"),
        ("/v1/namespaces/shop/agents/hello/tasks", "Bearer cluster-token"),
    ]


def test_a_local_environment_goes_before_the_cluster_unless_the_cluster_is_named(
    run, kubectl, gateway, tmp_path
):
    local = StateDirectory.at(tmp_path / ".penstock")
    local.create()
    record = {"gatewayURL": f"http://127.0.0.1:{gateway.port}", "token": "local-token"}
    local.environment_file.write_text(json.dumps(record))
    with local.lock():
        assert run().returncode == 0
        assert kubectl.calls == []
        assert run("--context", "staging").returncode == 0
        assert kubectl.forwards
    calls = len(kubectl.calls)
    assert run().returncode == 0
    assert len(kubectl.calls) > calls, "one that has ended is none"
    tokens = [authorization for _, authorization in gateway.asked]
    assert tokens == ["Bearer local-token", "Bearer cluster-token", "Bearer cluster-token"]


def test_a_local_environment_elsewhere_is_found_by_its_variable(run, kubectl, gateway, tmp_path):
    local = StateDirectory.at(tmp_path / "elsewhere")
    local.create()
    record = {"gatewayURL": f"http://127.0.0.1:{gateway.port}", "token": "local-token"}
    local.environment_file.write_text(json.dumps(record))
    with local.lock():
        assert run(PENSTOCK_STATE_DIR=str(tmp_path / "elsewhere")).returncode == 0
    assert kubectl.calls == []
    assert [authorization for _, authorization in gateway.asked] == ["Bearer local-token"]


def test_without_kubectl_it_is_said_what_was_looked_for_and_what_to_do(run):
    done = run(PATH="/nowhere")
    assert done.returncode == exits.Exit.USAGE
    assert done.stderr == (
        "penstock: no gateway is known: no local environment runs in .penstock, and there is no "
        "cluster to look in: kubectl is not on the PATH. Install Penstock there, start a local "
        "environment (penstock dev up), name the folder of one that runs (--state-dir, or "
        "PENSTOCK_STATE_DIR), or say where it is: --gateway and --token, or "
        "PENSTOCK_GATEWAY_URL and PENSTOCK_TOKEN.\n"
    )


@pytest.mark.parametrize(
    ("call", "answer", "code", "says"),
    [
        (
            "config view",
            {"error": "current-context must exist in order to minify"},
            exits.Exit.USAGE,
            ["no gateway is known", "kubectl config view", "current-context must exist"],
        ),
        ("config view", {"contexts": None}, exits.Exit.USAGE, ["no current context"]),
        ("config view", "no json", exits.Exit.USAGE, ["printed no JSON"]),
        (
            "get services",
            {"error": 'services is forbidden: User "ann" cannot list'},
            exits.Exit.REFUSED,
            ["penstock-system", "'staging'", "ann", "--gateway"],
        ),
        (
            "get services",
            {"items": []},
            exits.Exit.REFUSED,
            [f"no Service labelled {LABELS}", "--system-namespace", "'staging'"],
        ),
        (
            "get services",
            {"items": [service("b"), service("a")]},
            exits.Exit.USAGE,
            ["several gateways (a, b)", "--gateway"],
        ),
        (
            "create token",
            {"error": 'failed to create token: serviceaccounts "penstock-caller" not found'},
            exits.Exit.REFUSED,
            [
                '"penstock-caller" not found',
                "--token",
                "kubectl create serviceaccount penstock-caller -n shop\n",
                "--serviceaccount=shop:penstock-caller",
            ],
        ),
        (
            "port-forward",
            {"error": "unable to forward port because pod is not running"},
            exits.Exit.REFUSED,
            ["Service penstock-gateway", "pod is not running", "kubectl get pods"],
        ),
    ],
    ids=range(8),
)
def test_what_the_cluster_does_not_have_is_a_sentence(call, answer, code, says, run, kubectl):
    kubectl.answer(call, answer)
    done = run()
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    for words in says:
        assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_without_a_token_says_why_none_was_made(run, kubectl):
    kubectl.answer("config view", {"error": "no configuration has been provided"})
    done = run("--gateway", "http://127.0.0.1:1")
    assert done.returncode == exits.Exit.USAGE
    assert "no token is known" in done.stderr
    assert "no configuration has been provided" in done.stderr


@pytest.mark.parametrize(
    "how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda how: how.name
)
@pytest.mark.parametrize("way", [None, *background_job.WAYS], ids=str)
def test_an_interrupted_command_leaves_no_forwarding_behind(how, way, kubectl, gateway, tmp_path):
    gateway.answered.clear()
    command = [sys.executable, "-m", "penstock_cli", "run", "hello", "hi"]
    process = subprocess.Popen(
        background_job.command(way, command) if way else command,
        env={"PATH": kubectl.path, "KUBECONFIG": "/nowhere"},
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: gateway.asked, lambda: kubectl.notes)
    process.send_signal(how)
    _, told = process.communicate(timeout=120)
    assert process.returncode == exits.Exit.INTERRUPTED
    assert told.splitlines()[-1] == "penstock: interrupted; what was submitted goes on"
    assert "Traceback" not in told
    assert len(kubectl.forwards) == 1
    assert not is_alive(kubectl.forwards[0])


def test_a_forwarding_that_ends_is_begun_again_on_the_same_port(kubectl, gateway, tmp_path):
    gateway.answered.clear()
    process = subprocess.Popen(
        [sys.executable, "-m", "penstock_cli", "run", "hello", "hi", "--wait", "0"],
        env={"PATH": kubectl.path, "KUBECONFIG": "/nowhere"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    until(lambda: gateway.asked, lambda: kubectl.notes)
    components.send(kubectl.forwards[0], signal.SIGKILL)
    until(lambda: len(kubectl.forwards) == 2, lambda: kubectl.calls)
    assert kubectl.calls[-1].endswith(f"service/penstock-gateway {gateway.port}:80")
    gateway.answered.set()
    assert process.communicate(timeout=120)[0] == "task-1\n"
    assert not any(map(is_alive, kubectl.forwards))
