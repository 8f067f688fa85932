"""Processes of a local environment, ended by a test."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from penstock_dev import processes
from penstock_dev.state import StateDirectory

DEADLINE_SECONDS = 60.0
POLL_SECONDS = 0.05


def living(state_dir: Path, component: str) -> processes.Identity:
    """The component's process; one that ended by itself is waited for until it was started again."""
    state = StateDirectory.at(state_dir)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not ((found := state.recorded().get(component)) and processes.is_alive(found)):
        assert time.monotonic() < deadline, f"{component} does not run"
        time.sleep(POLL_SECONDS)
    return found


def send(pid: int, number: signal.Signals) -> None:
    """Send one process a signal; no error when it is gone.

    The ids 0, 1 and negative ones mean groups and the machine's first process: a test that asks
    for them has lost its process, and would end everything that it was started by.
    """
    assert pid > 1, f"{pid} is the id of no process of a test"
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
