"""The processes of a bench: started with a log each, watched through /proc, ended with the bench."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from penstock_bench import proc
from penstock_dev import components, ports, processes

Command = Sequence[str | Path]

_COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}  # as in an image: a start compiles nothing
_READY_SECONDS = 60.0
_GRACE_SECONDS = 20.0


class BenchFailed(Exception):
    """A bench could not measure; the message says what it saw instead."""


class Crew:
    """Running processes by name; used as an async context, at whose end all of them have ended.

    Logs and results go into `folder`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: dict[str, processes.Child] = {}
        self._held: list[ports.Reservation] = []

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    async def __aexit__(self, *exception: object) -> None:
        for name in reversed(list(self._running)):
            await self.end(name)
        for held in self._held:
            held.close()

    def port(self) -> int:
        """A free loopback port, kept from others until the crew ends."""
        self._held.append(ports.reserve())
        return self._held[-1].port

    def start(
        self, name: str, command: Command, environment: Mapping[str, str] | None = None
    ) -> None:
        """Start a process; the log of an earlier one of that name goes on."""
        self._running[name] = processes.spawn(
            name,
            [str(word) for word in command],
            environment={
                **components.host_environment(os.environ),
                **_COMPILED,
                **(environment or {}),
            },
            log_path=self._log(name),
        )

    async def end(self, name: str) -> None:
        """SIGTERM, patience, SIGKILL."""
        await self._running.pop(name).stop(_GRACE_SECONDS)

    async def ended(self, name: str, seconds: float) -> None:
        """Wait until a process has ended by itself, with success. Raises BenchFailed."""
        child = self._running[name]
        try:
            async with asyncio.timeout(seconds):
                code = await child.wait()
        except TimeoutError:
            await self.end(name)
            raise BenchFailed(
                f"{name} has not ended after {seconds:.0f} s: {self.words(name)}"
            ) from None
        del self._running[name]
        if code != 0:
            raise BenchFailed(f"{name} ended with {code}: {self.words(name)}")

    async def listening(self, name: str, port: int) -> None:
        """Wait until a process listens on a port. Raises BenchFailed."""
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                self.check(name)
                if time.monotonic() > deadline:
                    raise BenchFailed(f"{name} does not listen: {self.words(name)}") from None
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return

    def check(self, name: str) -> None:
        """Raises BenchFailed when a process has ended."""
        if not processes.is_alive(self._running[name].identity):
            raise BenchFailed(f"{name} has ended: {self.words(name)}")

    def cpu(self, *names: str) -> dict[str, float]:
        """CPU seconds of each process until now, its children not counted."""
        return {name: proc.cpu_seconds(self._running[name].pid) for name in names}

    def resident_mib(self, name: str) -> float:
        """Resident memory of a process."""
        return proc.resident_mib(self._running[name].pid)

    def words(self, name: str) -> str:
        """The last lines of a process's log."""
        return processes.last_lines(self._log(name), lines=8) or "no output"

    async def redis(self, name: str) -> str:
        """Start a Redis of its own with an append-only file, as the product asks for; its address."""
        port = self.port()
        folder = self.folder / f"{name}-{port}.data"  # of its own: an earlier one was full
        folder.mkdir()
        where = ("--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder))
        self.start(name, [components.redis_server(), *where, "--save", "", "--appendonly", "yes"])
        await self.listening(name, port)
        return f"redis://127.0.0.1:{port}/0"

    async def model(self, kit: Path) -> str:
        """Start the fake model; its address."""
        port = self.port()
        self.start("model", [kit, "model", "-listen", f"127.0.0.1:{port}"])
        await self.listening("model", port)
        return f"http://127.0.0.1:{port}"

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


def used(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What was used between two looks at the same processes."""
    return {name: after[name] - before[name] for name in after if name in before}
