"""The verbs of `penstock dev`: each prints for people (or JSON) and returns an exit code."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from penstock_dev import components, environment, processes, signals, traffic
from penstock_dev.environment import Environment, EnvironmentFailed
from penstock_dev.state import StateDirectory

DEFAULT_STATE_DIR = Path(".penstock")
_POLL_SECONDS = 0.1
_RESTART_DEADLINE_SECONDS = 30.0
_STOP_DEADLINE_SECONDS = 75.0  # the API server gives watches a minute to end


def up(
    state_dir: Path = DEFAULT_STATE_DIR,
    *,
    detach: bool = False,
    selected: frozenset[str] = components.ALL,
) -> int:
    """Start an environment; in the foreground until Ctrl-C, or leave it running (`detach`).

    Returns 0, or 1 with the reason as the last line on standard error.
    """
    state = StateDirectory.at(state_dir)
    try:
        with signals.ended_like_interrupted():
            running = environment.start(state_dir, selected, detach=detach, report=_say)
            _say(_summary(running))
            if not detach:
                _say("Ctrl-C ends it.")
                environment.wait(state_dir)
    except KeyboardInterrupt:
        _say("stopping")
        environment.stop(state_dir, remove=False)
        _say("stopped")
        return 0
    except EnvironmentFailed as error:
        _complain(f"{error} (logs: {state.root / 'logs'})")
        return 1
    return 0


def status(state_dir: Path = DEFAULT_STATE_DIR, *, output: str = "text") -> int:
    """Print how to reach the environment: `output` text or json. Returns 1 when none runs."""
    try:
        running = environment.read(state_dir)
    except EnvironmentFailed as error:
        _complain(str(error))
        return 1
    _say(json.dumps(as_json(running), indent=2) if output == "json" else _summary(running))
    return 0


def as_json(running: Environment) -> dict[str, object]:
    """What `status -o json` prints; null for what was not selected."""
    return {
        "stateDir": str(running.state_dir),
        "components": list(running.components),
        "kubeconfig": _text(running.kubeconfig),
        "kubectl": _text(running.kubectl),
        "gatewayURL": running.gateway_url,
        "token": running.token,
        "approverToken": running.approver_token,
        "secondApproverToken": running.second_approver_token,
        "modelURL": running.model_url,
        "redisURL": running.redis_url,
        "operatorURL": running.operator_url,
    }


def _text(path: Path | None) -> str | None:
    return str(path) if path else None


def _summary(running: Environment) -> str:
    rows = {
        "kubectl": f"{running.kubectl} --kubeconfig {running.kubeconfig}",
        "gateway": running.gateway_url,
        "token": running.token,
        "approver": running.approver_token,
        "approver 2": running.second_approver_token,
        "operator": running.operator_url,
        "model": running.model_url,
        "redis": running.redis_url,
        "state": str(running.state_dir),
    }
    shown = {name: value for name, value in rows.items() if value}
    return "\n".join(f"  {name:<10} {value}" for name, value in shown.items())


def down(state_dir: Path = DEFAULT_STATE_DIR) -> int:
    """Stop the environment and delete its directory; nothing to do is no error."""
    state = StateDirectory.at(state_dir)
    if not state.root.exists():
        _say(f"no environment in {state.root}")
        return 0
    try:
        environment.stop(state_dir)
    except EnvironmentFailed as error:
        _complain(str(error))
        return 1
    _say(f"stopped; {state.root} is removed")
    return 0


def send_traffic(
    agent: str,
    pattern: traffic.Pattern,
    state_dir: Path = DEFAULT_STATE_DIR,
    *,
    namespace: str = "default",
) -> int:
    """Send requests to an agent until the pattern or Ctrl-C ends it; print who served them.

    Returns 1 when no environment runs, or when nothing was answered by any revision.
    """
    ledger = traffic.Ledger()
    try:
        running = environment.read(state_dir)
        if running.gateway_url is None:
            raise EnvironmentFailed("the environment has no gateway")
        target = traffic.Target(running.gateway_url, running.token, agent, namespace)
        with contextlib.suppress(KeyboardInterrupt), signals.ended_like_interrupted():
            asyncio.run(traffic.run(target, pattern, ledger, _say))
    except EnvironmentFailed as error:
        _complain(str(error))
        return 1
    if not any(ledger.tallies):
        _complain(traffic.complaint(ledger))
        return 1
    return 0


def logs(state_dir: Path = DEFAULT_STATE_DIR, name: str = "", *, follow: bool = False) -> int:
    """Print the log of a component or of the pods whose name begins so; without a name, list."""
    state = StateDirectory.at(state_dir)
    found = {path.stem: path for path in sorted((state.root / "logs").rglob("*.log"))}
    if not name:
        _say("\n".join(found) or f"no logs in {state.root}")
        return 0
    chosen = [path for stem, path in found.items() if stem == name] or [
        path for stem, path in found.items() if _pod_name(stem).startswith(name)
    ]
    if not chosen:
        _complain(f"no log of {name}; there are: {', '.join(found) or 'none'}")
        return 1
    if follow:
        tail = [shutil.which("tail") or "tail", "-n", "+1", "-F", *map(str, chosen)]
        with contextlib.suppress(KeyboardInterrupt), signals.ended_like_interrupted():
            return signals.run(tail)
        return 0
    for path in chosen:
        if len(chosen) > 1:
            _say(f"==> {path.stem} <==")
        sys.stdout.write(path.read_text("utf-8", "replace"))
    return 0


def _pod_name(stem: str) -> str:
    """The pod in a log's name <namespace>_<pod>_<container>, else the name itself."""
    parts = stem.split("_")
    return parts[1] if len(parts) == 3 else stem


def stop_component(name: str, state_dir: Path = DEFAULT_STATE_DIR) -> int:
    """Stop one component (SIGTERM) and keep it down until it is started."""
    state = StateDirectory.at(state_dir)
    if (identity := _running(state, name)) is None:
        return 1
    state.stopped_file(name).touch()
    os.kill(identity.pid, signal.SIGTERM)
    return _await_gone(name, identity)


def start_component(name: str, state_dir: Path = DEFAULT_STATE_DIR) -> int:
    """Start one component again that was stopped."""
    state = StateDirectory.at(state_dir)
    if not state.stopped_file(name).exists():
        _complain(f"{name} is not stopped")
        return 1
    state.stopped_file(name).unlink()
    return _await_back(state, name, None)


def restart_component(name: str, state_dir: Path = DEFAULT_STATE_DIR, *, kill: bool = False) -> int:
    """End one component, with SIGKILL if asked, and wait until it is started again."""
    state = StateDirectory.at(state_dir)
    if (identity := _running(state, name)) is None:
        return 1
    os.kill(identity.pid, signal.SIGKILL if kill else signal.SIGTERM)
    return _await_back(state, name, identity)


def _running(state: StateDirectory, name: str) -> processes.Identity | None:
    recorded = state.recorded()
    identity = recorded.get(name)
    if identity and processes.is_alive(identity):
        return identity
    _complain(f"{name} does not run; running: {', '.join(recorded) or 'nothing'}")
    return None


def _await_gone(name: str, identity: processes.Identity) -> int:
    deadline = time.monotonic() + _STOP_DEADLINE_SECONDS
    while processes.is_alive(identity):
        if time.monotonic() > deadline:
            _complain(f"{name} (pid {identity.pid}) does not end")
            return 1
        time.sleep(_POLL_SECONDS)
    _say(f"{name} is stopped")
    return 0


def _await_back(state: StateDirectory, name: str, earlier: processes.Identity | None) -> int:
    deadline = time.monotonic() + _RESTART_DEADLINE_SECONDS
    while (now := state.recorded().get(name)) is None or now == earlier:
        if time.monotonic() > deadline:
            _complain(f"{name} was not started again")
            return 1
        time.sleep(_POLL_SECONDS)
    _say(f"{name} runs with pid {now.pid}")
    return 0


def _say(text: str) -> None:
    print(text, flush=True)


def _complain(reason: str) -> None:
    sys.stdout.flush()
    print(f"penstock dev: {reason}", file=sys.stderr, flush=True)
