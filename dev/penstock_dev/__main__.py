"""The local environment from a terminal: python -m penstock_dev up | status | down | ..."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from penstock_dev import components, dev_cli, signals, traffic
from penstock_dev.controlplane import binaries


def main(arguments: list[str] | None = None, program: str = "python -m penstock_dev") -> int:
    """Run one verb; the exit code says whether it succeeded. `program` is its name in messages."""
    signals.as_in_the_foreground()
    parsed = _parser(program).parse_args(arguments)
    state_dir: Path = parsed.state_dir
    match parsed.verb:
        case "up":
            selected = frozenset(parsed.components.split(","))
            code = dev_cli.up(state_dir, detach=parsed.detach, selected=selected)
        case "status":
            code = dev_cli.status(state_dir, output=parsed.output)
        case "down":
            code = dev_cli.down(state_dir)
        case "logs":
            code = dev_cli.logs(state_dir, parsed.name, follow=parsed.follow)
        case "stop":
            code = dev_cli.stop_component(parsed.name, state_dir)
        case "start":
            code = dev_cli.start_component(parsed.name, state_dir)
        case "restart":
            code = dev_cli.restart_component(parsed.name, state_dir, kill=parsed.kill)
        case "traffic":
            pattern = traffic.Pattern(parsed.rate, parsed.users, parsed.seconds)
            code = dev_cli.send_traffic(
                parsed.agent, pattern, state_dir, namespace=parsed.namespace
            )
        case _:
            code = fetch()
    return code


def fetch() -> int:
    """Find, fetch or build the control plane's programs, so that later starts take seconds."""
    try:
        sources = binaries.Sources.from_environment(os.environ)
        found = asyncio.run(binaries.resolve(sources, print))
    except binaries.BinariesUnavailable as error:
        print(f"penstock dev: {error}", file=sys.stderr)
        return 1
    for name, path in found.items():
        print(f"  {name:<24} {path}")
    return 0


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program, description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text)
        said = os.environ.get("PENSTOCK_STATE_DIR") or dev_cli.DEFAULT_STATE_DIR
        added.add_argument("--state-dir", type=Path, default=Path(said))
        return added

    up = verb("up", "start an environment; Ctrl-C ends it")
    up.add_argument("--detach", action="store_true", help="return when it is ready")
    up.add_argument("--components", default=",".join(sorted(components.ALL)))
    status = verb("status", "how to reach the environment")
    status.add_argument("-o", "--output", choices=["text", "json"], default="text")
    verb("down", "stop the environment and delete its directory")
    logs = verb("logs", "the log of a component or pod; without a name the list of logs")
    logs.add_argument("name", nargs="?", default="")
    logs.add_argument("-f", "--follow", action="store_true")
    verb("stop", "stop one component and keep it down").add_argument("name")
    verb("start", "start a stopped component").add_argument("name")
    restart = verb("restart", "end one component; the supervisor starts it again")
    restart.add_argument("name")
    restart.add_argument("--kill", action="store_true", help="end it with SIGKILL")
    sending = verb("traffic", "requests for an agent from many users, at a steady rate")
    sending.add_argument("agent")
    sending.add_argument("-n", "--namespace", default="default")
    sending.add_argument("--rate", type=float, default=20.0, help="requests a second")
    sending.add_argument("--users", type=int, default=1000)
    sending.add_argument("--seconds", type=float, help="default: until Ctrl-C")
    verb("fetch", "find, fetch or build the control plane's programs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
