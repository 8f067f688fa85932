"""Counts finished tasks inside a worker and ends it with figures; standard library only, for peers' workers too."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Count:
    """Measures from the end of task `skipped` to the end of the last of `counted` more.

    What a process does once (imports, connections) falls into the skipped ones. Without a `result`
    it counts nothing, and the worker goes on serving.
    """

    skipped: int
    counted: int
    result: Path | None
    seen: int = 0
    begun_seconds: float = 0.0
    begun_cpu: float = 0.0

    def one(self) -> None:
        """A task has ended. The last one writes the figures and ends the process at once."""
        self.seen += 1
        if self.seen == self.skipped:
            self.begun_seconds, self.begun_cpu = time.monotonic(), cpu_seconds()
        if self.result and self.seen == self.skipped + self.counted:
            self._write(self.result)
            leave(0)

    def _write(self, result: Path) -> None:
        figures = {
            "seconds": time.monotonic() - self.begun_seconds,
            "cpu": cpu_seconds() - self.begun_cpu,
            "resident_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        result.write_text(json.dumps(figures))


def cpu_seconds() -> float:
    """What this process has used."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime


def leave(code: int, words: str = "") -> None:
    """End this process here, whatever runs in it."""
    sys.stdout.flush()
    sys.stderr.write(words)
    sys.stderr.flush()
    os._exit(code)
