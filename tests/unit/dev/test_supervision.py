"""Processes, ports and records that an environment rests on."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from penstock_dev import ports, processes, supervisor
from penstock_dev.controlplane import build
from penstock_dev.state import StateDirectory

STUBBORN = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
WITH_CHILD = "import subprocess,sys,time; subprocess.Popen([sys.executable,'-c','import time; time.sleep(60)']); print('on', flush=True); time.sleep(60)"


def spawn(tmp_path: Path, script: str) -> processes.Child:
    return processes.spawn(
        "child",
        [sys.executable, "-c", script],
        environment={**os.environ, processes.OWNER_VARIABLE: str(tmp_path)},
        log_path=tmp_path / "log",
    )


def await_line(tmp_path: Path) -> None:
    deadline = time.monotonic() + 60
    while "on" not in processes.last_lines(tmp_path / "log"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def test_a_child_that_ignores_sigterm_is_killed_after_its_grace(tmp_path: Path) -> None:
    child = spawn(tmp_path, STUBBORN)
    await_line(tmp_path)
    assert await child.stop(grace_seconds=0.1) == -signal.SIGKILL
    assert not processes.is_alive(child.identity)


async def test_what_a_child_started_ends_with_it(tmp_path: Path) -> None:
    child = spawn(tmp_path, WITH_CHILD)
    await_line(tmp_path)
    assert len(list(processes.owned_by(str(tmp_path)))) == 2
    await child.stop(grace_seconds=5)
    deadline = time.monotonic() + 60
    while left := list(processes.owned_by(str(tmp_path))):
        assert time.monotonic() < deadline, left
        await asyncio.sleep(0.01)


async def test_a_recorded_process_is_not_confused_with_a_later_one_of_its_id(
    tmp_path: Path,
) -> None:
    child = spawn(tmp_path, "import time; time.sleep(60)")
    other = processes.Identity(child.pid, child.identity.started_ticks + 1)
    assert not processes.kill_identity(other)
    assert processes.is_alive(child.identity)
    assert processes.kill_identity(child.identity)
    assert await child.wait() == -signal.SIGKILL


def test_a_reserved_port_can_be_listened_on_but_not_reserved_again() -> None:
    held = ports.reserve()
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", held.port))
        server.listen()
        other = ports.reserve(held.port)
        assert other.port != held.port
        other.close()
    held.close()


def test_ranges_of_addresses_do_not_overlap_and_come_back_after_a_restart(tmp_path: Path) -> None:
    first = ports.reserve_addresses(tmp_path / "one")
    (tmp_path / "two").write_text((tmp_path / "one").read_text())
    second = ports.reserve_addresses(tmp_path / "two")
    address = first.take()
    assert address.startswith("127.")
    assert address.rpartition(".")[0] != second.take().rpartition(".")[0]
    first.close()
    again = ports.reserve_addresses(tmp_path / "one")
    assert again.take(preferred=address) == address
    assert again.take(preferred=address) != address
    second.close()
    again.close()


def test_restarts_wait_longer_up_to_ten_seconds() -> None:
    delays = [supervisor.restart_delay_seconds(exits) for exits in range(1, 9)]
    assert delays == [0.2, 0.5, 1, 2, 5, 10, 10, 10]


def test_only_a_directory_of_ours_is_removed(tmp_path: Path) -> None:
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "letter").touch()
    StateDirectory.at(tmp_path / "foreign").remove()
    assert (tmp_path / "foreign" / "letter").exists()
    ours = StateDirectory.at(tmp_path / "ours")
    ours.create()
    assert not ours.is_held()
    with ours.lock():
        assert ours.is_held()
    ours.remove()
    assert not ours.root.exists()


def test_the_last_lines_of_a_log_begin_where_asked(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("one\ntwo\nthree\n")
    assert processes.last_lines(log, lines=2) == "two\nthree"
    assert processes.last_lines(log, start=4) == "two\nthree"
    assert processes.last_lines(log, max_bytes=6) == "three"
    assert processes.last_lines(tmp_path / "none") == ""


@pytest.mark.parametrize("name", build.PACKAGES)
def test_the_module_of_every_program_is_pinned_with_its_checksum(name: str) -> None:
    module = {"etcd": "go.etcd.io/etcd/server/v3 v3.6.4"}.get(name, "k8s.io/kubernetes v1.34.4")
    assert module in (build.MODULE / "go.mod").read_text()
    assert f"{module} h1:" in (build.MODULE / "go.sum").read_text()
