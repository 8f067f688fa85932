"""A port of this machine that leads to a Service of the cluster, for as long as it is needed."""

import asyncio
import contextlib
import re
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import IO, Final

from penstock_cli.kubectl import Kubectl, KubectlFailed, last_words

_READY_SECONDS: Final = 30.0
_END_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 1.0
_FORWARDING: Final = re.compile(rb"Forwarding from 127\.0\.0\.1:([0-9]+) ")


@dataclass(frozen=True)
class Target:
    """A port of a Service."""

    namespace: str
    service: str
    port: int


@contextlib.asynccontextmanager
async def forwarded(kubectl: Kubectl, target: Target) -> AsyncIterator[int]:
    """The local port. What is forwarded leads to one pod; when that ends, another one takes over.

    Raises:
        KubectlFailed: it cannot be forwarded.
    """
    first = await _start(kubectl, target, 0)
    keeping = asyncio.create_task(_keep(kubectl, target, first))
    try:
        yield first.port
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])


@dataclass(frozen=True)
class _Forward:
    process: asyncio.subprocess.Process
    port: int

    async def ended(self) -> None:
        """Return when kubectl has ended; what it says about each connection is read away."""
        async for _ in _output(self.process):
            pass
        await self.process.wait()


async def _keep(kubectl: Kubectl, target: Target, forward: _Forward) -> None:
    while True:
        try:
            await forward.ended()
        finally:
            await _end(forward.process)
        forward = await _again(kubectl, target, forward.port)


async def _again(kubectl: Kubectl, target: Target, port: int) -> _Forward:
    while True:
        await asyncio.sleep(_AGAIN_SECONDS)
        with contextlib.suppress(KubectlFailed):
            return await _start(kubectl, target, port)


async def _start(kubectl: Kubectl, target: Target, port: int) -> _Forward:
    """Forward from a local port (0: any free one); return once it listens."""
    command = kubectl.command(
        "port-forward",
        f"--namespace={target.namespace}",
        "--address=127.0.0.1",
        f"service/{target.service}",
        f"{port or ''}:{target.port}",
    )
    with tempfile.TemporaryFile() as complaints:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=complaints,
        )
        try:
            return _Forward(process, await _listening(process, complaints))
        except BaseException:
            await _end(process)
            raise


async def _listening(process: asyncio.subprocess.Process, complaints: IO[bytes]) -> int:
    try:
        async with asyncio.timeout(_READY_SECONDS):
            async for line in _output(process):
                if found := _FORWARDING.match(line):
                    return int(found[1])
            await process.wait()
    except TimeoutError:
        raise KubectlFailed(f"it does not listen after {_READY_SECONDS:g} s") from None
    complaints.seek(0)
    raise KubectlFailed(last_words(complaints.read()))


def _output(process: asyncio.subprocess.Process) -> asyncio.StreamReader:
    if process.stdout is None:
        raise KubectlFailed("its output cannot be read")
    return process.stdout


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_END_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
