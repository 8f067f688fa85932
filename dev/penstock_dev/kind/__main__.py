"""Penstock on kind: python -m penstock_dev.kind up | down | node-image | deploy [helm arguments]."""

from __future__ import annotations

import argparse
import asyncio
import functools
import sys
from collections.abc import Callable, Coroutine

from penstock_dev import signals
from penstock_dev.controlplane import build
from penstock_dev.kind import bases, cluster, commands, deploy, engine, programs, stages, up

Verb = Callable[[stages.Stages], Coroutine[None, None, None]]
FAILURES = (
    bases.BaseUnavailable,
    build.BuildFailed,
    cluster.ClusterFailed,
    commands.CommandFailed,
    engine.EngineUnavailable,
    programs.ProgramUnavailable,
)
DEPLOY = "deploy"
INTERRUPTED = 130
_VERBS: dict[str, tuple[Verb, str]] = {
    "up": (up.up, "make the cluster, or keep the one that is there"),
    "down": (up.down, "remove the cluster"),
    "node-image": (up.build_node_image, "build the node image from source, without a registry"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; the exit code says whether it succeeded."""
    signals.as_in_the_foreground()
    parser = _parser()
    parsed, extra = parser.parse_known_args(arguments)
    if parsed.verb == DEPLOY:
        return run(functools.partial(deploy.deploy, extra=extra))
    if extra:
        parser.error(f"unrecognized arguments: {' '.join(extra)}")
    verb, _ = _VERBS[parsed.verb]
    return run(verb)


def run(verb: Verb) -> int:
    """Run a verb to its end; what it could not do is told without a traceback."""
    code = 0
    try:
        asyncio.run(verb(stages.Stages(say=_say)))
    except* KeyboardInterrupt:
        print("kind was interrupted", file=sys.stderr)
        code = INTERRUPTED
    except* FAILURES as failed:
        for reason in causes(failed):
            print(f"kind failed: {reason}", file=sys.stderr)
        code = 1
    return code


def causes(failed: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """The single exceptions of a group, however deep."""
    found: list[BaseException] = []
    for one in failed.exceptions:
        found += causes(one) if isinstance(one, BaseExceptionGroup) else [one]
    return found


def _say(line: str) -> None:
    print(line, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m penstock_dev.kind", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name, (_, text) in _VERBS.items():
        verbs.add_parser(name, help=text)
    text = "build and load the images, and install or upgrade the chart; other arguments go to helm"
    verbs.add_parser(DEPLOY, help=text)
    return parser


if __name__ == "__main__":
    sys.exit(main())
