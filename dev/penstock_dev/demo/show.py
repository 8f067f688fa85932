"""The show: an environment comes up, the story is played on it, and nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml
from rich.console import Console

from penstock_dev import dev_cli, environment, kube, signals
from penstock_dev.demo import story
from penstock_dev.demo.cluster import Cluster, CommandFailed
from penstock_dev.demo.lines import LinesView
from penstock_dev.demo.panel import PanelView
from penstock_dev.demo.stage import DidNotHappen, Stage, View
from penstock_dev.environment import Environment, EnvironmentFailed
from penstock_dev.state import StateDirectory

Clock = Callable[[], float]
MANIFESTS: Final = Path(__file__).parent / "manifests"
INTERRUPTED: Final = 130
_INTERRUPTED_WORD: Final = "interrupted"


@dataclass(frozen=True)
class Options:
    """What was asked for on the command line."""

    state_dir: Path | None = None
    keep: bool = False
    plain: bool = False
    manifests: Path = MANIFESTS


def run(options: Options) -> int:
    """Play the demo. Returns 0, or 1 (130 when interrupted) with the reason as the last line."""
    begun = time.monotonic()
    elapsed = lambda: time.monotonic() - begun  # noqa: E731
    lines = LinesView(elapsed, _write)
    state_dir = _state_dir(options)
    if StateDirectory.at(state_dir).is_held():
        return _complain(f"an environment already runs in {state_dir}: penstock dev down")
    try:
        with signals.ended_like_interrupted():
            failure = _play(options, state_dir, lines)
    except KeyboardInterrupt:
        failure = _INTERRUPTED_WORD
    _leave(options, state_dir, lines, failure)
    if failure:
        return _complain(failure)
    return 0


def _complain(failure: str) -> int:
    if failure == _INTERRUPTED_WORD:
        print("The demo was interrupted.", file=sys.stderr)
        return INTERRUPTED
    print(f"The demo failed: {failure}", file=sys.stderr)
    return 1


def _write(line: str) -> None:
    print(line, flush=True)


def _state_dir(options: Options) -> Path:
    if options.state_dir:
        return options.state_dir
    if options.keep:
        return dev_cli.DEFAULT_STATE_DIR
    return Path(tempfile.mkdtemp(prefix="penstock-demo-"))


def _play(options: Options, state_dir: Path, lines: LinesView) -> str:
    """The reason why it failed, empty when everything happened."""
    lines.say(
        "Starting a cluster of its own: control plane, node, Redis, model, operator, gateway."
    )
    try:
        running = environment.start(state_dir, detach=options.keep, report=lines.detail)
        lines.say("The cluster is up.")
        with _view(options, lines) as view:
            asyncio.run(_perform(options, running, view, lines.elapsed))
    except (EnvironmentFailed, DidNotHappen, CommandFailed) as error:
        return str(error)
    return ""


@contextlib.contextmanager
def _view(options: Options, lines: LinesView) -> Iterator[View]:
    console = Console(highlight=False)
    if options.plain or not console.is_terminal or console.is_dumb_terminal:
        yield lines
        return
    with PanelView(lines.elapsed, console) as panel:
        yield panel


async def _perform(options: Options, running: Environment, view: View, elapsed: Clock) -> None:
    if running.kubeconfig is None:
        raise EnvironmentFailed("the environment has no control plane")
    async with kube.KubeClient.from_kubeconfig(running.kubeconfig) as client:
        cluster = Cluster(running, client)
        stage = Stage(cluster, view, options.manifests, _steps(options.manifests), elapsed)
        begun = elapsed()
        async with stage.open():
            for act in story.ACTS:
                await act(stage)
        stage.say(f"All of that took {elapsed() - begun:.0f} s.")


def _steps(manifests: Path) -> tuple[int, ...]:
    document = yaml.safe_load((manifests / "rollout.yaml").read_text(encoding="utf-8"))
    return tuple(step["percent"] for step in document["spec"]["strategy"]["steps"])


def _leave(options: Options, state_dir: Path, lines: LinesView, failure: str) -> None:
    """Stop everything, or say how to reach what was kept."""
    state = StateDirectory.at(state_dir)
    if options.keep and state.is_held():
        _tell_how_to_reach(options, lines, state)
        return
    worth_reading = failure not in ("", _INTERRUPTED_WORD)
    environment.stop(state_dir, remove=not worth_reading)
    if worth_reading:
        lines.say(f"Everything is stopped; the logs are in {state.root / 'logs'}.")
        return
    if options.state_dir is None:
        shutil.rmtree(state.root, ignore_errors=True)
    lines.say("Everything is stopped; nothing is left running.")


def _tell_how_to_reach(options: Options, lines: LinesView, state: StateDirectory) -> None:
    option = f" --state-dir {options.state_dir}" if options.state_dir else ""
    lines.say("The environment keeps running:")
    for line in (
        f"export KUBECONFIG={state.kubeconfig}",
        f"kubectl get agents,agentrollouts      # {_kubectl(state)}",
        f"penstock dev status{option}",
        f"penstock dev traffic support{option}",
        f"penstock dev down{option}",
    ):
        lines.detail(line)


def _kubectl(state: StateDirectory) -> str:
    return str(environment.read(state.root).kubectl)
