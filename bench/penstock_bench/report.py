"""What both benches do around their measurements: options, conditions, the table, the exit code."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from penstock_bench import machine, table, verdict
from penstock_bench.crew import BenchFailed
from penstock_bench.verdict import Row, Yardstick

MISSED: Final = 1
FAILED: Final = 2
_STARTED: Final = time.monotonic()


@dataclass(frozen=True)
class Measured:
    """The rows of the table, and what tells whether this is a quiet machine."""

    rows: Sequence[Row]
    yardsticks: Sequence[Yardstick]


def options() -> argparse.ArgumentParser:
    """The options that all benches have."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true", help="longer and more rounds; quick without")
    parser.add_argument(
        "--unjudged", action="store_true", help="exit with 0 also where a goal is missed"
    )
    return parser


async def run(
    name: str,
    measure: Callable[[Path, argparse.Namespace], Awaitable[Measured]],
    how: argparse.Namespace,
) -> int:
    """Measure, print, judge; the exit code."""
    folder = machine.REPOSITORY / ".bench" / name
    shutil.rmtree(folder, ignore_errors=True)
    conditions = machine.Conditions()
    failures: list[str] = []
    measured = Measured((), ())
    try:
        measured = await measure(folder, how)
    except* BenchFailed as failed:
        failures += map(str, failed.exceptions)
    if failures:
        print(f"{name} failed: {'; '.join(failures)}; logs: {folder}", file=sys.stderr)
        return FAILED
    mode = "full" if how.full else "quick"
    noisy = verdict.noise(conditions.others(), measured.yardsticks)
    text = [conditions.describe(f"{name}, {mode}"), "", table.render(measured.rows, noisy), ""]
    text += table.summary(measured.rows, noisy)
    print("\n".join(text))
    (folder / "table.md").write_text("\n".join(text) + "\n")
    return MISSED if table.any_missed(measured.rows, noisy) and not how.unjudged else 0


def say(what: str) -> None:
    """A line of progress, on stderr."""
    print(f"bench {time.monotonic() - _STARTED:6.1f} s  {what}", file=sys.stderr, flush=True)
