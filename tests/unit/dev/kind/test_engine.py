"""When an engine may be started here, which one, and what is taken out of what it asks for."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys

import pytest

from penstock_dev import processes, state
from penstock_dev.kind import capabilities, engine

ALL = "CapInh:\t0000000000000000\nCapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000000\n"
WITHOUT_SYS_RESOURCE = ALL.replace("000001ffffffffff", "000001fffeffffff")
DEBIAN_ROOT = engine.Machine(
    is_linux=True,
    is_root=True,
    has_service_manager=False,
    can_install=True,
    docker_host=None,
    has_daemon=False,
)


def test_an_engine_is_started_where_we_are_root_and_nobody_else_starts_services():
    assert engine.refusal(DEBIAN_ROOT) is None


@pytest.mark.parametrize(
    ("difference", "advice"),
    [
        ({"docker_host": "tcp://x:1"}, "DOCKER_HOST=tcp://x:1"),
        ({"is_linux": False}, "Docker Desktop"),
        ({"has_service_manager": True}, "systemctl start docker"),
        ({"is_root": False}, "as root"),
        ({"can_install": False}, "install Docker"),
    ],
)
def test_elsewhere_a_person_is_told_what_to_do(difference, advice):
    assert advice in engine.refusal(dataclasses.replace(DEBIAN_ROOT, **difference))


def test_an_installed_daemon_needs_no_apt():
    machine = dataclasses.replace(DEBIAN_ROOT, has_daemon=True, can_install=False)
    assert engine.refusal(machine) is None


def test_the_capabilities_a_machine_lacks_are_read_from_its_bounding_set():
    assert capabilities.missing(WITHOUT_SYS_RESOURCE) == {"CAP_SYS_RESOURCE"}
    assert capabilities.missing(ALL) == frozenset()
    assert capabilities.missing("no bounding set here") == frozenset()


@pytest.mark.parametrize(
    ("said", "version", "needs_bend"),
    [
        ("Docker version 20.10.24+dfsg1, build 297e128", (20, 10), True),
        ("Docker version 26.1.5+dfsg1, build 411e817", (26, 1), False),
        ("nonsense", (0,), True),
    ],
)
def test_only_an_old_engine_on_a_machine_that_lacks_something_is_replaced(
    said, version, needs_bend
):
    assert engine.parse_version(said) == version
    assert engine.needs_bend(version, frozenset({"CAP_SYS_RESOURCE"})) is needs_bend
    assert not engine.needs_bend(version, frozenset())


def test_what_is_trimmed_is_the_lacking_capability_alone():
    process = {
        "args": ["sh"],
        "capabilities": {"bounding": ["CAP_KILL", "CAP_SYS_RESOURCE"], "ambient": None},
    }
    trimmed = capabilities.trim(process, {"CAP_SYS_RESOURCE"})
    assert trimmed == {"args": ["sh"], "capabilities": {"bounding": ["CAP_KILL"], "ambient": []}}
    assert capabilities.trim({"args": ["sh"]}, {"CAP_KILL"}) == {"args": ["sh"]}


def test_the_runtime_hands_every_word_over_and_leaves_no_capability_this_machine_lacks(tmp_path):
    said = tmp_path / "said"
    runc = tmp_path / "runc"
    runc.write_text(f'#!/bin/sh\necho "$@" > {said}\n')
    runc.chmod(0o755)
    asked = {"bounding": [f"CAP_{name}" for name in capabilities.NAMES]}
    (tmp_path / "config.json").write_text(
        json.dumps({"process": {"capabilities": asked}, "root": {"path": "rootfs"}})
    )
    words = ["--root", "/run/x", "create", f"--bundle={tmp_path}", "--pid-file", "pid", "name"]
    program = [sys.executable, capabilities.__file__, str(runc), *words]
    subprocess.run(program, check=True)
    assert said.read_text().split() == words
    spec = json.loads((tmp_path / "config.json").read_text())
    granted = spec["process"]["capabilities"]["bounding"]
    assert set(asked["bounding"]) - set(granted) == capabilities.missing_here()
    assert spec["root"] == {"path": "rootfs"}


def test_a_recorded_process_id_that_another_process_has_now_is_not_ours(tmp_path):
    home = engine.Home.of({"XDG_CACHE_HOME": str(tmp_path)})
    assert home.started() is None
    home.root.mkdir(parents=True)
    mine = processes.identify(os.getpid())
    state.write_json(home.record, {"pid": mine.pid, "startedTicks": mine.started_ticks})
    assert home.started() == mine
    state.write_json(home.record, {"pid": mine.pid, "startedTicks": mine.started_ticks - 1})
    assert home.started() is None


@pytest.mark.parametrize("containers", ["", "4f1d2c"], ids=["idle", "in use"])
def test_our_engine_stops_when_no_container_runs_in_it(tmp_path, monkeypatch, containers):
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\necho {containers}\n", encoding="utf-8")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    home = engine.Home.of(os.environ)
    home.root.mkdir(parents=True)
    daemon = subprocess.Popen(["sleep", "60"])
    try:
        identity = processes.identify(daemon.pid)
        record = {"pid": daemon.pid, "startedTicks": identity.started_ticks}
        state.write_json(home.record, record)
        assert engine.stop_idle(lambda _: None) is (not containers)
        assert processes.is_alive(identity) is bool(containers)
    finally:
        daemon.kill()
        daemon.wait()
