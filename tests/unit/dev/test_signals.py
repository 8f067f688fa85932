"""Programs and what they start end by the signals that end them, however they were started themselves."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import background_job

DEADLINE_SECONDS = 60.0
BECOMES_ANOTHER_PROGRAM = {"kind/capabilities.py"}  # runc, which takes its signals itself
MODEL = [sys.executable, "-m", "penstock_dev.model", "--port", "0"]
SPAWN = """
import os, sys
from pathlib import Path
from penstock_dev import processes
child = processes.spawn(
    "child", [sys.executable, "-c", "print('on', flush=True); import time; time.sleep(60)"],
    environment=os.environ, log_path=Path(sys.argv[1]),
)
print(child.pid, flush=True)
sys.stdin.read()
"""


def held_back(pid: int) -> set[signal.Signals]:
    """The ending signals that a process ignores or blocks."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = 0
    for kind in ("SigBlk", "SigIgn"):
        line = re.search(rf"^{kind}:\s+([0-9a-f]+)$", status, re.MULTILINE)
        assert line
        found |= int(line[1], 16)
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    return {number for number in ending if found >> (number - 1) & 1}


def until_said(log: Path, word: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not log.exists() or word not in log.read_text():
        assert time.monotonic() < deadline, log.exists() and log.read_text()
        time.sleep(0.01)


@pytest.mark.parametrize("way", background_job.WAYS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_program_ends_by_a_signal_that_was_ignored_or_blocked_where_it_was_started(way, number):
    with subprocess.Popen(background_job.command(way, MODEL), stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline().startswith(b"listening on")
            assert held_back(process.pid) == set()
            process.send_signal(number)
            process.wait(timeout=DEADLINE_SECONDS)
        finally:
            process.kill()


@pytest.mark.parametrize("way", background_job.WAYS)
def test_a_child_has_the_defaults_whatever_its_parent_was_started_with(way, tmp_path):
    log = tmp_path / "log"
    command = background_job.command(way, [sys.executable, "-c", SPAWN, str(log)])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        child = int(parent.stdout.readline())
        until_said(log, "on")
        assert held_back(parent.pid)
        assert held_back(child) == set()
        parent.stdin.close()
        parent.wait(timeout=DEADLINE_SECONDS)


def test_what_nohup_asked_for_is_kept():
    command = "import signal; from penstock_dev import signals; signals.as_in_the_foreground()"
    ask = "\nwith signals.ended_like_interrupted(): signal.raise_signal(signal.SIGHUP)\nprint('on')"
    run = ["nohup", sys.executable, "-c", command + ask]
    done = subprocess.run(run, capture_output=True, text=True, check=False, env={**os.environ})
    assert (done.returncode, done.stdout) == (0, "on\n"), done.stderr


def test_every_program_of_the_local_environment_takes_its_signals_first(request):
    root = request.config.rootpath / "dev/penstock_dev"
    programs = {
        path.relative_to(root).as_posix(): path.read_text()
        for path in root.rglob("*.py")
        if 'if __name__ == "__main__":' in path.read_text()
    }
    assert len(programs) >= 5
    without = [name for name, text in programs.items() if "as_in_the_foreground()" not in text]
    assert set(without) == BECOMES_ANOTHER_PROGRAM


def test_a_signal_that_comes_while_a_program_starts_ends_it_too():
    """Between fork and exec: a parent that is interrupted there would leave a child behind."""
    early = "signals.to_defaults = lambda: os.kill(os.getppid(), signal.SIGTERM)\n"
    ask = "with signals.ended_like_interrupted(): signals.run(['sleep', '600'])"
    command = "import os, signal; from penstock_dev import signals\n" + early + ask
    with subprocess.Popen(
        [sys.executable, "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as parent:
        _, said = parent.communicate(timeout=DEADLINE_SECONDS)  # until the last of them has gone
    assert said.endswith("KeyboardInterrupt\n"), said
