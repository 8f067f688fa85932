"""Programs that are started as forks of a process that has loaded them."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from penstock_dev import processes
from penstock_dev.template import MOST_BYTES

#: What is run as ``python -m``, and what it imports.
LOADED: Mapping[str, str] = {"penstock_runtime.worker": "penstock_runtime.worker.main"}
#: Variables that begin so are read before a program's first line, or while it is imported: a fork would not see its own.
READ_AT_START = ("PYTHON", "LD_", "GLIBC_", "MALLOC_", "TZ", "LANG", "LC_", "ANTHROPIC_LOG")
_PATIENCE_SECONDS = 120.0  # a crowded machine may take a minute to import everything


class Forks:
    """One process for each program of LOADED, made when the first fork is asked for; ends with the node."""

    def __init__(
        self, environment: Mapping[str, str], directory: Path, loaded: Mapping[str, str] = LOADED
    ) -> None:
        """``environment`` is that of the templates, as every container's begins; ``directory`` has their logs."""
        self._environment = environment
        self._loaded = loaded
        self._directory = directory
        self._templates: dict[str, _Template] = {}

    async def spawn(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log_path: Path,
        directory: Path,
    ) -> processes.Child:
        """Start a program; as a fork where it is one of LOADED, and by itself where it would be another one then.

        Raises OSError when the program cannot be started.
        """
        module = module_of(command)
        request = _request(command[3:], environment, directory)
        if (
            module in self._loaded
            and len(request) < MOST_BYTES
            and _read_at_start(environment) == _read_at_start(self._environment)
        ):
            template = self._template(module)
            try:
                return await template.fork(name, request, log_path)
            except (OSError, TimeoutError, ValueError) as error:
                print(f"{name} is started by itself: no fork of {module}: {error!r}", flush=True)
                if self._templates.get(module) is template:
                    del self._templates[module]
                template.end()
        return processes.spawn(
            name, command, environment=environment, log_path=log_path, directory=directory
        )

    def _template(self, module: str) -> _Template:
        if module not in self._templates:
            log = self._directory / f"{module}.template.log"
            words = [module, self._loaded[module]]
            self._templates[module] = _Template(words, self._environment, log)
        return self._templates[module]


def _request(arguments: Sequence[str], environment: Mapping[str, str], directory: Path) -> bytes:
    wanted = {
        "arguments": list(arguments),
        "environment": dict(environment),
        "directory": str(directory),
    }
    return json.dumps(wanted).encode()


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(READ_AT_START)}


class _Template:
    def __init__(
        self, words: Sequence[str], environment: Mapping[str, str], log_path: Path
    ) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(0)
        command = [sys.executable, "-m", "penstock_dev.template", *words]
        with theirs:
            self._process = processes.spawn(
                "template",
                [*command, str(theirs.fileno())],
                environment=environment,
                log_path=log_path,
                keep=(theirs.fileno(),),
            )
        self._socket = ours
        self._turn = asyncio.Lock()

    async def fork(self, name: str, request: bytes, log_path: Path) -> processes.Child:
        """A fork; one that is not waited for any more is ended. Raises OSError, ValueError or TimeoutError where there is none."""
        making = asyncio.create_task(self._made(name, request, log_path))
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(_end)
            raise

    async def _made(self, name: str, request: bytes, log_path: Path) -> processes.Child:
        async with self._turn, asyncio.timeout(_PATIENCE_SECONDS):
            with log_path.open("ab") as log:
                socket.send_fds(self._socket, [request], [log.fileno()])
            pid = int(await asyncio.get_running_loop().sock_recv(self._socket, 32))
        if not pid:
            raise ValueError("it ended before it had begun")
        return processes.handed_over(name, pid)

    def end(self) -> None:
        """What was asked for and has not begun does not begin."""
        self._process.end()
        self._socket.close()


def _end(making: asyncio.Task[processes.Child]) -> None:
    if not making.cancelled() and not making.exception():
        making.result().end()


def module_of(command: Sequence[str]) -> str:
    """What ``python -m`` runs; empty where it is another command."""
    interpreter, *words = command
    if os.path.realpath(interpreter) != os.path.realpath(sys.executable) or words[:1] != ["-m"]:
        return ""
    return words[1] if len(words) > 1 else ""
