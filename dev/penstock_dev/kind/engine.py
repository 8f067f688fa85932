"""A Docker engine: the one that answers, else one that is started (and installed) here.

On a machine where Docker runs this only looks. Where it does not run, nobody else manages it and
we are root, the daemon is ours: its data, process id and log are in `<cache>/penstock/engine`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from penstock_dev import processes, state
from penstock_dev.kind import capabilities, commands, debian

_PACKAGES = ("docker.io", "iptables")
_NEWER_RELEASE = "trixie"
# From this version on a privileged container gets the capabilities that the daemon itself has.
_MODEST_VERSION = (23, 0)
_ANSWER_SECONDS = 10.0
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.2


class EngineUnavailable(Exception):
    """There is no Docker engine and none can be started; says why and what to do."""


@dataclass(frozen=True)
class Engine:
    """An engine that answers."""

    version: str
    started_here: bool


@dataclass(frozen=True)
class Machine:
    """What decides whether an engine may be started here."""

    is_linux: bool
    is_root: bool
    has_service_manager: bool
    can_install: bool
    docker_host: str | None
    has_daemon: bool

    @classmethod
    def here(cls, variables: Mapping[str, str]) -> Machine:
        """This machine, with the variables of the caller."""
        return cls(
            is_linux=Path("/proc/self/status").exists(),
            is_root=os.geteuid() == 0,
            has_service_manager=Path("/run/systemd/system").exists(),
            can_install=debian.can_install(),
            docker_host=variables.get("DOCKER_HOST"),
            has_daemon=_daemon_on_path() is not None,
        )


def refusal(machine: Machine) -> str | None:
    """Why no engine can be started on a machine, with advice; None when one can."""
    if machine.docker_host:
        return (
            f"nothing answers at DOCKER_HOST={machine.docker_host}: start that engine or unset it"
        )
    if not machine.is_linux:
        return "start Docker Desktop (or another Docker engine) and run the command again"
    if machine.has_service_manager:
        return "start it with `systemctl start docker`, and see that your user may use it"
    if not machine.is_root:
        return "start dockerd, or run the command as root so that it can start one"
    if not machine.has_daemon and not machine.can_install:
        return "there is no dockerd on the PATH and no apt-get to install it: install Docker"
    return None


@dataclass(frozen=True)
class Home:
    """The folder of the engine that we start."""

    root: Path

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> Home:
        """`<cache>/penstock/engine`, the same for every checkout of one user."""
        cache = variables.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return cls(Path(cache).absolute() / "penstock" / "engine")

    @property
    def log(self) -> Path:
        """What dockerd says."""
        return self.root / "dockerd.log"

    @property
    def record(self) -> Path:
        """Names the process that we started."""
        return self.root / "dockerd.json"

    @property
    def newer(self) -> Path:
        """Where a newer engine than the installed one is unpacked."""
        return self.root / "docker"

    def started(self) -> processes.Identity | None:
        """The daemon that we started, when it still lives."""
        record = state.read_json(self.record)
        if not record:
            return None
        identity = processes.Identity(record["pid"], record["startedTicks"])
        return identity if processes.is_alive(identity) else None


def version() -> str | None:
    """The version of the engine that answers, or None."""
    try:
        return commands.run(
            ["docker", "info", "--format", "{{.ServerVersion}}"], timeout_seconds=_ANSWER_SECONDS
        )
    except commands.CommandFailed:
        return None


def ensure(report: commands.Report) -> Engine:
    """See to it that an engine answers; takes a minute where it must be installed first.

    Raises EngineUnavailable.
    """
    home = Home.of(os.environ)
    if answered := version():
        return Engine(answered, home.started() is not None)
    if why := refusal(Machine.here(os.environ)):
        raise EngineUnavailable(f"no Docker engine answers; {why}")
    try:
        with _exclusive(home):
            if version() is None:  # another process may have started it while this one waited
                _start(_commandline(home, report), home, report)
    except (commands.CommandFailed, OSError) as failed:
        raise EngineUnavailable(f"cannot start a Docker engine: {failed}") from failed
    answered = version()
    if answered is None:
        raise EngineUnavailable(f"dockerd stopped answering; its log is {home.log}")
    return Engine(answered, started_here=True)


def stop_idle(report: commands.Report) -> bool:
    """Stop the engine that `ensure` started, once no container runs in it; leave any other alone.

    Whether it was stopped. Images and volumes stay in its folder. Raises EngineUnavailable.
    """
    home = Home.of(os.environ)
    identity = home.started()
    if identity is None or commands.run(["docker", "ps", "--quiet"]):
        return False
    os.kill(identity.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while processes.is_alive(identity) and time.monotonic() < deadline:
        _pause()
    if processes.is_alive(identity):
        raise EngineUnavailable(f"dockerd (pid {identity.pid}) did not stop; see {home.log}")
    home.record.unlink(missing_ok=True)
    report(f"stopped the Docker engine (pid {identity.pid})")
    return True


# --- which daemon


def needs_bend(daemon_version: tuple[int, ...], lacking: frozenset[str]) -> bool:
    """Whether a daemon would ask for capabilities that the machine cannot give."""
    return bool(lacking) and daemon_version < _MODEST_VERSION


def parse_version(said: str) -> tuple[int, ...]:
    """Major and minor number from what `dockerd --version` prints; (0,) when there are none."""
    found = re.search(r"version (\d+)\.(\d+)", said)
    return tuple(int(number) for number in found.groups()) if found else (0,)


def _commandline(home: Home, report: commands.Report) -> list[str]:
    """The daemon to start with what this machine needs of it. Raises CommandFailed."""
    lacking = capabilities.missing_here()
    daemon = _daemon_on_path()
    if daemon is None:
        debian.install(_PACKAGES, report)
        daemon = _daemon_on_path()
    if daemon is None:
        raise commands.CommandFailed("apt installed docker.io, but there is no dockerd")
    if not needs_bend(_version_of(daemon), lacking):
        return [daemon]
    report(f"this machine lacks {', '.join(sorted(lacking))}: using a newer Docker engine")
    try:
        return [_newer_daemon(home, lacking)]
    except commands.CommandFailed as failed:
        report(f"no newer engine ({failed}); taking the capabilities out of what runc is asked")
        return [daemon, *_runtime_options(home)]


def _daemon_on_path() -> str | None:
    return shutil.which("dockerd") or shutil.which("dockerd", path="/usr/sbin:/sbin")


def _version_of(daemon: str | Path) -> tuple[int, ...]:
    return parse_version(commands.run([daemon, "--version"]))


def _newer_daemon(home: Home, lacking: frozenset[str]) -> str:
    daemon = home.newer / "usr" / "sbin" / "dockerd"
    if not daemon.exists():
        debian.unpack_from(_NEWER_RELEASE, _PACKAGES[0], home.newer)
    if needs_bend(_version_of(daemon), lacking):
        raise commands.CommandFailed(f"{_NEWER_RELEASE} has no Docker {_MODEST_VERSION[0]}")
    return str(daemon)


def _runtime_options(home: Home) -> list[str]:
    runc = shutil.which("runc") or shutil.which("runc", path="/usr/sbin:/sbin")
    python = shutil.which("python3")
    if runc is None or python is None:
        raise commands.CommandFailed("the engine needs runc and python3")
    runtime = home.root / "runc-trimmed"
    runtime.write_text(
        f'#!/bin/sh\nexec {python} {capabilities.__file__} {runc} "$@"\n', encoding="utf-8"
    )
    runtime.chmod(0o755)
    return ["--add-runtime", f"trimmed={runtime}", "--default-runtime", "trimmed"]


# --- starting


def _start(command: list[str], home: Home, report: commands.Report) -> None:
    """Start the daemon so that it outlives this process. Raises CommandFailed."""
    started = time.monotonic()
    pid = _spawn([*command, *_folders(home)], home)
    identity = processes.identify(pid) or processes.Identity(pid, 0)
    state.write_json(home.record, {"pid": identity.pid, "startedTicks": identity.started_ticks})
    while (answered := version()) is None:
        if not processes.is_alive(identity):
            raise commands.CommandFailed(f"dockerd ended:\n{processes.last_lines(home.log)}")
        if time.monotonic() - started > _START_SECONDS:
            raise commands.CommandFailed(
                f"no answer after {_START_SECONDS:.0f} s:\n{processes.last_lines(home.log)}"
            )
        _pause()
    seconds = time.monotonic() - started
    report(f"Docker {answered} answers after {seconds:.1f} s (pid {pid}, log {home.log})")


def _folders(home: Home) -> list[str]:
    return ["--data-root", str(home.root / "data"), "--pidfile", str(home.root / "dockerd.pid")]


def _spawn(command: list[str], home: Home) -> int:
    # Its own helpers (docker-proxy, docker-init) are beside it and of its version.
    search = f"{Path(command[0]).parent}:{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    with home.log.open("ab") as log:
        return subprocess.Popen(
            command,
            env={**os.environ, "PATH": search},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ).pid


@contextlib.contextmanager
def _exclusive(home: Home) -> Iterator[None]:
    home.root.mkdir(parents=True, exist_ok=True)
    with (home.root / ".lock").open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _pause() -> None:
    time.sleep(_POLL_SECONDS)
