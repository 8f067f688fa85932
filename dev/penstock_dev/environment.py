"""One embedded environment: a control plane, a node, Redis, a model, operator and gateway.

    with environment.running(Path(".penstock")) as env:
        print(env.gateway_url, env.token)

The environment is run by a supervisor process. `start` waits until everything answers; what it
started ends with `stop`, and, unless detached, with the process that called `start`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from penstock_dev import components, processes
from penstock_dev.state import StateDirectory, read_json

Report = Callable[[str], None]

# A cold build of the control plane takes four minutes on two cores.
START_DEADLINE_SECONDS = 1800.0
_STOP_DEADLINE_SECONDS = 40.0
_POLL_SECONDS = 0.05


class EnvironmentFailed(Exception):
    """The environment cannot be started, reached or stopped; the message says why."""


@dataclass(frozen=True)
class Environment:
    """How to reach a running environment; a URL is None when its component was not selected."""

    state_dir: Path
    components: tuple[str, ...]
    kubeconfig: Path | None
    kubectl: Path | None
    gateway_url: str | None
    token: str
    approver_token: str | None  # of a person who decides on calls that wait
    second_approver_token: str | None  # of another one
    model_url: str | None
    redis_url: str | None
    operator_url: str | None

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """Read what the supervisor published."""
        return cls(
            state_dir=Path(record["stateDir"]),
            components=tuple(record["components"]),
            kubeconfig=_path(record["kubeconfig"]),
            kubectl=_path(record["kubectl"]),
            gateway_url=record["gatewayURL"],
            token=record["token"],
            approver_token=record.get("approverToken"),
            second_approver_token=record.get("secondApproverToken"),
            model_url=record["modelURL"],
            redis_url=record["redisURL"],
            operator_url=record["operatorURL"],
        )


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def start(
    state_dir: Path | str,
    selected: Collection[str] = components.ALL,
    *,
    report: Report = print,
    detach: bool = False,
    deadline_seconds: float = START_DEADLINE_SECONDS,
) -> Environment:
    """Start an environment and return when all selected components are ready.

    It ends with the calling process unless `detach` is set. `report` gets progress lines.
    Raises EnvironmentFailed, having stopped what it started.
    """
    if sys.platform != "linux":
        raise EnvironmentFailed("the embedded environment runs on Linux only; elsewhere use kind")
    if unknown := sorted(set(selected) - components.ALL):
        raise EnvironmentFailed(f"unknown components: {', '.join(unknown)}")
    state = StateDirectory.at(state_dir)
    if state.is_held():
        raise EnvironmentFailed(f"an environment already runs in {state.root}; stop it first: down")
    state.create()
    state.environment_file.unlink(missing_ok=True)
    state.supervisor_log.unlink(missing_ok=True)
    process = _launch(state, selected, detach=detach)
    try:
        return _await_ready(state, process, report, time.monotonic() + deadline_seconds)
    except BaseException:
        stop(state.root, remove=False)
        raise


@dataclass(frozen=True)
class _Started:
    """A supervisor of this process, with the writing end of its lifeline (None when detached)."""

    process: subprocess.Popen[bytes]
    lifeline: int | None

    def end(self) -> None:
        """Tell the supervisor to end and wait for it; it may not have noted its pid yet."""
        if self.lifeline is not None:
            os.close(self.lifeline)
        self.process.terminate()
        try:
            self.process.wait(_STOP_DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


_STARTED: dict[Path, _Started] = {}


def _launch(
    state: StateDirectory, selected: Collection[str], *, detach: bool
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "penstock_dev.supervise", "--state-dir", str(state.root)]
    command += ["--components", ",".join(sorted(selected))]
    inherited: tuple[int, ...] = ()
    lifeline = None
    if not detach:
        # It closes with this process, however it ends, and the supervisor sees that.
        reading, lifeline = os.pipe()
        inherited = (reading,)
        command += ["--lifeline", str(reading)]
    with state.supervisor_log.open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=inherited,
            env={**os.environ, processes.OWNER_VARIABLE: state.owner, "PYTHONUNBUFFERED": "1"},
        )
    for descriptor in inherited:
        os.close(descriptor)
    _STARTED[state.root] = _Started(process, lifeline)
    return process


def _await_ready(
    state: StateDirectory, process: subprocess.Popen[bytes], report: Report, deadline: float
) -> Environment:
    told = 0
    while True:
        ended = process.poll() is not None  # before the record is read: its last word counts
        record = read_json(state.environment_file) or {}
        told = _relay(state.supervisor_log, told, report)
        if record.get("phase") == "ready":
            return Environment.from_record(record)
        if record.get("phase") == "failed":
            raise EnvironmentFailed(record["message"])
        if ended:
            last = processes.last_lines(state.supervisor_log, lines=1)
            raise EnvironmentFailed(f"the supervisor ended with {process.returncode}: {last}")
        if time.monotonic() > deadline:
            raise EnvironmentFailed(f"not ready in time; see {state.supervisor_log}")
        time.sleep(_POLL_SECONDS)


def _relay(log: Path, told: int, report: Report) -> int:
    """Report complete lines beyond byte `told` of the log; return where it stands now."""
    with log.open("rb") as file:
        file.seek(told)
        fresh, newline, _ = file.read().rpartition(b"\n")
    for line in fresh.decode("utf-8", "replace").splitlines():
        report(line)
    return told + len(fresh) + len(newline)


def read(state_dir: Path | str) -> Environment:
    """The environment that runs in a state directory.

    Raises EnvironmentFailed when none is ready there.
    """
    state = StateDirectory.at(state_dir)
    record = read_json(state.environment_file) or {}
    if not state.is_held():
        raise EnvironmentFailed(f"no environment runs in {state.root}; start one: penstock dev up")
    if record.get("phase") != "ready":
        raise EnvironmentFailed(f"the environment in {state.root} is still starting")
    return Environment.from_record(record)


def wait(state_dir: Path | str) -> None:
    """Return when the environment that this process started has ended unasked.

    Raises EnvironmentFailed, for that is never wanted.
    """
    state = StateDirectory.at(state_dir)
    code = _STARTED[state.root].process.wait()
    last = processes.last_lines(state.supervisor_log, lines=1)
    raise EnvironmentFailed(f"the supervisor ended with {code}: {last}")


def stop(state_dir: Path | str, *, remove: bool = True) -> None:
    """Stop an environment and all its processes, and delete its directory unless told not to.

    Does nothing where there is none. Raises EnvironmentFailed when something does not end.
    """
    state = StateDirectory.at(state_dir)
    if not state.root.exists():
        return
    if started := _STARTED.pop(state.root, None):
        started.end()
    if supervisor := state.recorded().get("supervisor"):
        _stop_supervisor(supervisor)
    clear_strays(state)
    if remove:
        state.remove()


def _stop_supervisor(supervisor: processes.Identity) -> None:
    if processes.is_alive(supervisor):
        with contextlib.suppress(ProcessLookupError):
            os.kill(supervisor.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_DEADLINE_SECONDS
    while processes.is_alive(supervisor) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    processes.kill_identity(supervisor)


def clear_strays(state: StateDirectory) -> None:
    """Kill what is left of an earlier life. Raises EnvironmentFailed when something survives."""
    deadline = time.monotonic() + _STOP_DEADLINE_SECONDS
    while left := processes.sweep(state.owner):
        if time.monotonic() > deadline:
            raise EnvironmentFailed(f"processes do not end: {[identity.pid for identity in left]}")
        time.sleep(_POLL_SECONDS)


@contextlib.contextmanager
def running(
    state_dir: Path | str,
    selected: Collection[str] = components.ALL,
    *,
    report: Report = print,
) -> Iterator[Environment]:
    """An environment for the length of a `with` block; its directory is deleted afterwards."""
    environment = start(state_dir, selected, report=report)
    try:
        yield environment
    finally:
        stop(state_dir)
