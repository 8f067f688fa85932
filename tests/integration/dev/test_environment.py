"""Environments start, run side by side, and leave nothing behind, however they end."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from penstock_dev import environment, processes
from penstock_dev.state import StateDirectory
from tests import background_job, components
from tests.integration.dev import pods

SMALL = ["--components", "redis,model"]


def penstock_dev(*arguments: str, timeout: float = 90) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "penstock_dev", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def up_command(state_dir: Path) -> list[str]:
    return [sys.executable, "-m", "penstock_dev", "up", "--state-dir", str(state_dir), *SMALL]


def left_of(state_dir: Path) -> list[str]:
    """Command lines of the processes that carry an environment's mark."""
    owner = StateDirectory.at(state_dir).owner
    return [
        Path(f"/proc/{identity.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        for identity in processes.owned_by(owner)
    ]


def test_up_detached_prints_how_to_reach_it_and_down_removes_everything(state_dir) -> None:
    up = penstock_dev("up", "--detach", "--state-dir", str(state_dir), *SMALL)
    assert up.returncode == 0, up.stderr
    status = penstock_dev("status", "-o", "json", "--state-dir", str(state_dir))
    told = json.loads(status.stdout)
    assert told["redisURL"].startswith("redis://127.0.0.1:")
    assert told["modelURL"].startswith("http://127.0.0.1:")
    assert told["token"]
    assert told["approverToken"] not in {None, told["token"]}
    assert told["gatewayURL"] is None
    assert left_of(state_dir)
    down = penstock_dev("down", "--state-dir", str(state_dir))
    assert down.returncode == 0, down.stderr
    assert not left_of(state_dir)
    assert not state_dir.exists()
    again = penstock_dev("status", "--state-dir", str(state_dir))
    assert again.returncode == 1
    assert "no environment runs in" in again.stderr


def test_a_second_up_in_the_same_directory_says_that_one_runs(state_dir) -> None:
    environment.start(state_dir, {"redis"}, report=lambda _: None)
    second = penstock_dev("up", "--detach", "--state-dir", str(state_dir), *SMALL)
    assert second.returncode == 1
    assert "already runs in" in second.stderr.splitlines()[-1]
    assert environment.read(state_dir).redis_url


def test_up_that_fails_names_the_reason_in_its_last_line_and_leaves_nothing(
    state_dir, monkeypatch
) -> None:
    monkeypatch.setenv("PENSTOCK_BINARY_SOURCES", "path")
    up = penstock_dev(
        "up", "--detach", "--state-dir", str(state_dir), "--components", "controlplane,redis"
    )
    assert up.returncode == 1
    assert "cannot get etcd" in up.stderr.splitlines()[-1]
    assert "KUBEBUILDER_ASSETS" in up.stderr.splitlines()[-1]
    pods.until(lambda: left_of(state_dir), lambda left: not left)


def ended(state_dir: Path, command: list[str], number: signal.Signals) -> int:
    """Starts an environment with `up`, ends it, and looks what is left; the exit code."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        for line in up.stdout:
            if "Ctrl-C" in line:
                break
        assert left_of(state_dir)
        up.send_signal(number)
        up.wait(timeout=120)
    pods.until(lambda: left_of(state_dir), lambda left: not left)
    return up.returncode


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_up_in_the_foreground(state_dir, number: signal.Signals) -> None:
    code = ended(state_dir, up_command(state_dir), number)
    assert code == (-number if number == signal.SIGKILL else 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("way", background_job.WAYS)
def test_nothing_outlives_up_in_a_scripts_background(
    state_dir, number: signal.Signals, way: str
) -> None:
    assert ended(state_dir, background_job.command(way, up_command(state_dir)), number) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("way", background_job.WAYS)
def test_traffic_from_a_scripts_background_ends_with_its_sums(
    state_dir, number: signal.Signals, way: str
) -> None:
    environment.start(state_dir, {"redis", "model", "gateway"}, report=lambda _: None)
    verb = [
        sys.executable,
        "-m",
        "penstock_dev",
        "traffic",
        "nobody",
        "--state-dir",
        str(state_dir),
    ]
    with subprocess.Popen(
        background_job.command(way, verb), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as sending:
        assert sending.stdout
        sending.stdout.readline()
        sending.send_signal(number)
        _, errors = sending.communicate(timeout=120)
    assert sending.returncode == 1  # nobody answered
    assert "Traceback" not in errors


@pytest.mark.parametrize("way", background_job.WAYS)
def test_a_log_that_is_followed_ends_with_its_reader(state_dir, way: str) -> None:
    environment.start(state_dir, {"redis"}, report=lambda _: None)
    verb = [sys.executable, "-m", "penstock_dev", "logs", "redis", "--follow"]
    command = background_job.command(way, [*verb, "--state-dir", str(state_dir)])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout
        assert following.stdout.readline()
        following.send_signal(signal.SIGTERM)
        following.communicate(timeout=120)  # its pipe closes when the last process below has gone
    assert following.returncode == 0


def test_nothing_outlives_a_supervisor_killed_with_sigkill(state_dir) -> None:
    running = environment.start(state_dir, {"controlplane", "node"}, report=lambda _: None)
    kubectl = [running.kubectl, "--kubeconfig", running.kubeconfig]
    document = pods.pod("sleeper", "import time; time.sleep(600)")
    subprocess.run(
        [*kubectl, "apply", "-f", "-"], input=json.dumps(document), text=True, check=True
    )

    def sleeper() -> dict[str, object]:
        got = subprocess.run(
            [*kubectl, "get", "pod", "sleeper", "-o", "json"], capture_output=True, check=True
        )
        return json.loads(got.stdout)

    pods.until(sleeper, pods.is_ready)
    assert any("time.sleep(600)" in line for line in left_of(state_dir))
    supervisor = StateDirectory.at(state_dir).recorded()["supervisor"]
    components.send(supervisor.pid, signal.SIGKILL)
    pods.until(lambda: left_of(state_dir), lambda left: not left)

    environment.stop(state_dir, remove=False)
    environment.start(state_dir, {"controlplane", "node"}, report=lambda _: None)
    found = pods.until(
        sleeper,
        lambda p: p["status"]["containerStatuses"][0]["restartCount"] == 1 and pods.is_ready(p),
    )
    last = found["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert (last["exitCode"], last["message"]) == (137, "the node was restarted")


def test_a_component_that_dies_is_started_again_and_a_stopped_one_stays_down(state_dir) -> None:
    environment.start(state_dir, {"redis"}, report=lambda _: None)
    state = StateDirectory.at(state_dir)
    before = state.recorded()["redis"]
    killed = penstock_dev("restart", "redis", "--kill", "--state-dir", str(state_dir))
    assert killed.returncode == 0, killed.stderr
    after = state.recorded()["redis"]
    assert after != before
    assert processes.is_alive(after)
    assert penstock_dev("stop", "redis", "--state-dir", str(state_dir)).returncode == 0
    time.sleep(1.0)  # longer than the first back-off: absence needs a time to be seen in
    assert "redis" not in state.recorded()
    assert penstock_dev("start", "redis", "--state-dir", str(state_dir)).returncode == 0
    assert processes.is_alive(state.recorded()["redis"])


def test_two_environments_run_side_by_side_with_pods_of_the_same_port(
    environment, namespace, kubectl, state_dir
) -> None:
    other = environment_of(state_dir)
    server = pods.pod(
        "server",
        pods.SERVER,
        env=[pods.POD_IP, {"name": "GREETING_FILE", "value": "/proc/version"}],
        readinessProbe={"httpGet": {"port": 8080}, "periodSeconds": 1},
    )
    pods.apply(kubectl, server)
    run = [other.kubectl, "--kubeconfig", other.kubeconfig]
    subprocess.run([*run, "apply", "-f", "-"], input=json.dumps(server), text=True, check=True)

    def elsewhere() -> dict[str, object]:
        got = subprocess.run(
            [*run, "get", "pod", "server", "-o", "json"], capture_output=True, check=True
        )
        return json.loads(got.stdout)

    here = pods.until(lambda: pods.read(kubectl, "pod", "server"), pods.is_ready)
    there = pods.until(elsewhere, pods.is_ready)
    assert here["status"]["podIP"] != there["status"]["podIP"]
    assert environment.redis_url != other.redis_url


def environment_of(state_dir: Path) -> environment.Environment:
    return environment.start(state_dir, {"controlplane", "node", "redis"}, report=lambda _: None)


def test_with_a_model_key_the_real_endpoint_and_a_secret_stand_in_for_the_fake(
    state_dir, monkeypatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test")
    running = environment.start(state_dir, {"controlplane", "model"}, report=lambda _: None)
    assert running.model_url == "https://api.anthropic.com"
    assert "model" not in StateDirectory.at(state_dir).recorded()
    kubectl = [running.kubectl, "--kubeconfig", running.kubeconfig]
    read_key = [*kubectl, "get", "secret", "anthropic", "-o", "jsonpath={.data.api-key}"]
    secret = subprocess.run(read_key, capture_output=True, check=True)
    assert base64.b64decode(secret.stdout) == b"sk-test"
    assert (
        b"sk-test"
        not in Path(
            f"/proc/{StateDirectory.at(state_dir).recorded()['etcd'].pid}/environ"
        ).read_bytes()
    )
