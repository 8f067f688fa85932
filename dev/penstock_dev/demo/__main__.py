"""The demo from a terminal; it exits with 0 only when everything it shows has happened."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from penstock_dev import signals
from penstock_dev.demo import show


def main(arguments: list[str] | None = None) -> int:
    """Run the demo."""
    signals.as_in_the_foreground()
    parsed = _parser().parse_args(arguments)
    os.environ.pop("ANTHROPIC_API_KEY", None)  # the model is scripted: nobody's key is spent
    options = show.Options(
        state_dir=parsed.state_dir,
        keep=parsed.keep,
        plain=parsed.plain,
        manifests=parsed.manifests,
    )
    return show.run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m penstock_dev.demo", description=__doc__)
    parser.add_argument(
        "--keep", action="store_true", help="leave the environment running afterwards"
    )
    parser.add_argument(
        "--state-dir",
        type=Path,
        help="where the environment lives (default: a temporary folder; with --keep: .penstock)",
    )
    parser.add_argument("--plain", action="store_true", help="plain lines, as without a terminal")
    parser.add_argument(
        "--manifests",
        type=Path,
        default=show.MANIFESTS,
        help="a folder with agent-v1, agent-v2, agent-v3-bad and rollout.yaml of your own",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
