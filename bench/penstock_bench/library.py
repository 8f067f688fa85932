"""The peers' environment: its Python, and which versions its lock pins."""

from __future__ import annotations

import os
import re
from pathlib import Path

from penstock_bench.crew import BenchFailed
from penstock_bench.machine import REPOSITORY

LOCK = Path(__file__).parent / "peers" / "requirements.lock"
PYTHON = REPOSITORY / ".bench" / "peers" / "bin" / "python"


def python() -> Path:
    """The Python that has the peers. Raises BenchFailed when it was not made."""
    if not os.access(PYTHON, os.X_OK):
        raise BenchFailed(
            "the peers are not installed: python tools/peers.py, or make bench-runtime"
        )
    return PYTHON


def command(module: str, *arguments: str | Path) -> list[str | Path]:
    """How a module of the benches is run with the peers. Raises BenchFailed."""
    return [python(), "-m", f"penstock_bench.peers.{module}", *arguments]


def named(name: str) -> str:
    """A peer with its pinned version."""
    found = re.search(rf"^{re.escape(name)}==(\S+)", LOCK.read_text(), re.MULTILINE)
    if found is None:
        raise BenchFailed(f"{LOCK.name} does not pin {name}")
    return f"{name} {found[1]}"


def environment() -> dict[str, str]:
    """What lets that Python find the modules of the benches."""
    return {"PYTHONPATH": str(REPOSITORY / "bench")}
