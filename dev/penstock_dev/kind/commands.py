"""Runs one command to its end and keeps its last words for the message."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Report = Callable[[str], None]
_LAST_LINES = 12


class CommandFailed(Exception):
    """A command ended with an error, took too long or is not installed; says which, and why."""


def run(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    stdin: str | None = None,
    timeout_seconds: float = 900.0,
) -> str:
    """The command's standard output without trailing blanks. Raises CommandFailed."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            env=None if environment is None else dict(environment),
            cwd=directory,
            input=stdin or "",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            check=False,
        )
    except FileNotFoundError as missing:
        raise CommandFailed(f"{words[0]} is not installed") from missing
    except subprocess.TimeoutExpired as late:
        raise CommandFailed(f"{_short(words)}: no end after {timeout_seconds:.0f} s") from late
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-_LAST_LINES:])
        raise CommandFailed(f"{_short(words)}: exit {done.returncode}\n{said}")
    return done.stdout.rstrip()


def succeeds(command: Sequence[str | Path], timeout_seconds: float = 20.0) -> bool:
    """Whether the command can be run, ends in time and reports success."""
    try:
        run(command, timeout_seconds=timeout_seconds)
    except CommandFailed:
        return False
    return True


def _short(words: Sequence[str]) -> str:
    return " ".join(words[:4]) + (" …" if len(words) > 4 else "")
