"""The demo as a stranger runs it: it shows what it promises, or fails and says what is missing."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from penstock_dev import environment, processes
from penstock_dev.demo import show
from penstock_dev.state import StateDirectory
from tests import background_job

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

COMMAND = [sys.executable, "-m", "penstock_dev.demo"]
PLAYED_SECONDS = 480


def play(state_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "--state-dir", str(state_dir), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PLAYED_SECONDS, check=False
    )


def left_of(state_dir: Path) -> list[processes.Identity]:
    """Processes that carry the environment's mark."""
    return list(processes.owned_by(StateDirectory.at(state_dir).owner))


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    """A copy of the demo's manifests, to be changed."""
    return shutil.copytree(show.MANIFESTS, tmp_path / "manifests")


def edit(path: Path, change, source: Path | None = None) -> None:
    document = yaml.safe_load((source or path).read_text())
    change(document["spec"])
    with path.open("w" if source is None else "a") as written:
        written.write("---\n" + yaml.safe_dump(document))


# ---------------------------------------------------------------------------- all of it


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """One whole run without a terminal, and where its environment was."""
    state_dir = tmp_path_factory.mktemp("demo") / "state"
    done = play(state_dir)
    print(done.stdout)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done, state_dir


@pytest.fixture
def told(played) -> str:
    return played[0].stdout


def test_the_good_revision_climbs_and_the_share_moved_by_hand_is_measured(told: str) -> None:
    shares = [
        (int(old), int(new))
        for old, new in re.findall(r"(\d+) → (\d+) %, after \d+ tasks on 2\.0, 0 failed", told)
    ]
    assert shares == [(5, 20), (35, 50), (50, 100)]
    measured = re.search(r"(\d+) of (\d+) users are answered by 2\.0", told)
    assert measured
    ours, everybody = map(int, measured.groups())
    assert everybody >= 300
    assert 0.25 < ours / everybody < 0.45
    assert "2.0 is stable now." in told


def test_a_budget_holds_while_callers_push_and_a_cap_stops_a_canary(told: str) -> None:
    pushed = re.search(
        r"(\d+) answers for ([\d.]+) USD of ([\d.]+), which is what their tasks add up to; (\d+) requests",
        told,
    )
    assert pushed, told
    answers, spent, limit, refused = map(float, pushed.groups())
    assert answers > 100
    assert 0.9 * limit < spent <= limit
    assert refused >= 1
    assert "It answers again." in told
    assert re.search(
        r"concierge-[0-9a-f]{8} was stopped at 50 %: it has spent [\d.]+ USD of the 0", told
    )


def test_the_bad_revision_is_rolled_back_with_the_reason_in_one_sentence(told: str) -> None:
    sentence = re.search(
        r"was rolled back at (\d+) %: error rate ([\d.]+) % on the canary \((\d+)/(\d+)\) "
        r"and ([\d.]+) % on stable \((\d+)/(\d+)\)",
        told,
    )
    assert sentence, told
    share, rate, errors, tasks, stable_rate, *_ = map(float, sentence.groups())
    assert share < 100
    assert errors >= 3
    assert rate == pytest.approx(100 * errors / tasks, abs=0.1)
    assert rate > stable_rate
    assert re.search(r"No: \d{3} tasks later none has reached it, and its share is 0 %", told)


def test_it_ends_with_the_decision_record(told: str) -> None:
    _, _, record = told.partition("kept on the revision's record:")
    assert re.search(r"revision +support-[0-9a-f]{8} \(version 3\.0\), attempt 1", record)
    assert re.search(r"decision +Rejected: ErrorRateRegression", record)
    assert re.search(r"check +errorRate", record)
    assert re.search(r"numbers +rolled back at \d+ %: error rate", record)
    touched = re.search(r"touched +(\d+) tasks of (\d+) users", record)
    assert touched
    tasks, users = map(int, touched.groups())
    assert tasks >= users > 0


def test_nobody_but_users_of_the_bad_revision_saw_a_failure(told: str) -> None:
    balance = told[told.index("In all") :]
    assert "1.0" in balance
    failed = {
        version: int(count)
        for version, count in re.findall(r"([\w.]+) \d+ \((\d+) failed\)", balance)
    }
    assert failed.pop("3.0") >= 3
    assert failed == {"1.0": 0, "2.0": 0}


def test_every_command_it_shows_is_kubectl_and_none_needs_a_file_of_its_own(told: str) -> None:
    commands = re.findall(r"^ +\$ (.*)$", told, re.MULTILINE)
    assert len(commands) == 10
    assert all(command.startswith("kubectl ") for command in commands)
    files = re.findall(r"-f (\S+)", " ".join(commands))
    assert len(files) == 7
    assert all(Path(file).is_file() for file in files)


def test_it_leaves_nothing_behind(played) -> None:
    _, state_dir = played
    assert not left_of(state_dir)
    assert not state_dir.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing_behind(state_dir, number: signal.Signals) -> None:
    interrupted(state_dir, [*COMMAND, "--state-dir", str(state_dir)], number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("way", background_job.WAYS)
def test_in_a_scripts_background_it_ends_alike(state_dir, number: signal.Signals, way: str) -> None:
    command = background_job.command(way, [*COMMAND, "--state-dir", str(state_dir)])
    interrupted(state_dir, command, number)


# ---------------------------------------------------------------------- when it goes wrong


def test_without_a_rollback_it_fails_and_says_so_and_leaves_only_the_logs(
    tmp_path: Path, manifests: Path
) -> None:
    def harmless(spec) -> None:
        instructions = spec["template"]["instructions"]
        spec["template"]["instructions"] = instructions.replace('"errorPercent": 30, ', "")
        assert instructions != spec["template"]["instructions"]

    def quick(spec) -> None:
        for step in spec["strategy"]["steps"]:
            step |= {"holdSeconds": 1, "minTasks": 3}
        spec["strategy"]["finalHoldSeconds"] = 1

    bad = manifests / "agent-v3-bad.yaml"
    edit(bad, harmless)
    # Quick from here on: earlier a person moves the share of a canary that must not have arrived yet.
    edit(bad, quick, source=manifests / "rollout.yaml")
    state_dir = tmp_path / "state"
    done = play(state_dir, "--manifests", str(manifests))
    assert done.returncode == 1, done.stdout
    last = done.stderr.splitlines()[-1]
    assert re.fullmatch(
        r"The demo failed: the rollback of the bad revision did not happen: "
        r"support-[0-9a-f]{8} was promoted instead",
        last,
    ), f"{done.stdout}\n{done.stderr}"
    assert "rolled back" not in done.stdout
    assert not left_of(state_dir)
    assert (state_dir / "logs" / "operator.log").is_file()


def test_what_was_kept_can_be_reached_also_after_a_failure(state_dir, manifests: Path) -> None:
    (manifests / "agent-v1.yaml").write_text("kind: Agent\n")
    done = play(state_dir, "--manifests", str(manifests), "--keep")
    assert done.returncode == 1
    assert "The demo failed: kubectl apply" in done.stderr.splitlines()[-1]
    assert f"penstock dev down --state-dir {state_dir}" in done.stdout
    running = environment.read(state_dir)
    assert f"export KUBECONFIG={running.kubeconfig}" in done.stdout


def test_an_environment_that_runs_there_already_is_left_alone(state_dir) -> None:
    environment.start(state_dir, {"redis"}, report=lambda _: None)
    done = play(state_dir)
    assert done.returncode == 1
    assert "an environment already runs in" in done.stderr.splitlines()[-1]
    assert environment.read(state_dir).redis_url


def interrupted(state_dir: Path, command: list[str], number: signal.Signals) -> None:
    """Starts the demo, interrupts it while its environment starts, and looks what is left."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout
        for line in demo.stdout:
            if "redis is ready" in line:
                break
        assert left_of(state_dir)
        demo.send_signal(number)
        _, errors = demo.communicate(timeout=180)
    assert demo.returncode == show.INTERRUPTED
    assert errors.splitlines()[-1] == "The demo was interrupted."
    assert not left_of(state_dir)
    assert not state_dir.exists()
