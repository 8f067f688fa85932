"""Programs as a script starts them with `&`: with signals ignored, or blocked, that end them in the foreground."""

from __future__ import annotations

import sys

WAYS = {
    "ignored": "signal.signal(signal.SIGINT, signal.SIG_IGN)",
    "blocked": "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])",
}


def command(way: str, program: list[str]) -> list[str]:
    """The command that starts a program with its ending signals ignored or blocked."""
    start = f"import os, signal, sys; {WAYS[way]}; os.execv(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-c", start, *program]
