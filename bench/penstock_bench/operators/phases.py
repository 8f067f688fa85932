"""What is done to each contender, and what is seen of it."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from penstock_bench.crew import BenchFailed, used
from penstock_bench.operators.audit import Writes
from penstock_bench.operators.contenders import Contender, Document, is_set, share_of
from penstock_dev import kube

_AT_ONCE: Final = 16
_WARM_SECONDS: Final = 4.0
_DRAIN_SECONDS: Final = 4.0  # after the last object is where it was to be, or was seen
_LIMIT_SECONDS: Final = 420.0
_SERVER: Final = "kube-apiserver"


@dataclass(frozen=True)
class Cold:
    """From nothing to the last object: of the operator, and of the API server."""

    seconds: float
    cpu_seconds: float
    server_cpu_seconds: float
    resident_mib: float
    writes: Writes


@dataclass(frozen=True)
class Restart:
    """From the start of the process until every object was looked at once, and what it wrote."""

    seconds: float
    cpu_seconds: float
    writes: Writes


async def cold(who: Contender, number: int) -> Cold:
    """Create so many agents while the operator runs, and wait until all are settled."""
    await who.start()
    await asyncio.sleep(_WARM_SECONDS)
    crew, log = who.plane.crew, who.plane.log
    before, mark, begun = crew.cpu(who.process, _SERVER), log.mark(), time.monotonic()
    async with asyncio.TaskGroup() as group:
        group.create_task(_create(who, number))
        for path in who.collections:
            group.create_task(until(who, path, number, who.settled))
    seconds = time.monotonic() - begun
    await asyncio.sleep(_DRAIN_SECONDS)
    spent = used(before, crew.cpu(who.process, _SERVER))
    resident = crew.resident_mib(who.process)
    writes = log.since(mark, who.users)
    return Cold(seconds, spent[who.process], spent[_SERVER], resident, writes)


async def restart(who: Contender, number: int) -> Restart:
    """End the operator and start it again; nothing has changed meanwhile."""
    crew, log = who.plane.crew, who.plane.log
    await crew.end(who.process)
    mark, begun = log.mark(), time.monotonic()
    await who.start()
    while await who.passes() < number:
        crew.check(who.process)
        if time.monotonic() - begun > _LIMIT_SECONDS:
            raise BenchFailed(
                f"after its restart it has looked at {await who.passes():.0f} objects"
            )
        await asyncio.sleep(0.1)
    seconds = time.monotonic() - begun
    cpu = crew.cpu(who.process)[who.process]
    await asyncio.sleep(_DRAIN_SECONDS)
    return Restart(seconds, cpu, log.since(mark, who.users))


async def cpu_per_minute(who: Contender, seconds: float) -> float:
    """CPU seconds of the operator in a minute, measured for a while."""
    before, begun = who.plane.crew.cpu(who.process), time.monotonic()
    await asyncio.sleep(seconds)
    spent = used(before, who.plane.crew.cpu(who.process))[who.process]
    return spent * 60 / (time.monotonic() - begun)


async def take_off(who: Contender, number: int) -> None:
    """Begin a rollout of each agent, and wait until all are in the middle of it."""
    for name in _names(number):
        await who.plane.client.merge(f"{who.collections[0]}/{name}", who.change())
    await until(who, who.collections[-1], number, who.in_flight)
    await asyncio.sleep(_DRAIN_SECONDS)


async def set_share(who: Contender, number: int, percent: int) -> None:
    """Give each canary a share by hand, and wait until all have it."""
    for name in _names(number):
        path = f"{who.collections[-1]}/{name}"
        await who.plane.client.merge(path, {"spec": {"traffic": {"canaryPercent": percent}}})
    await until(
        who, who.collections[-1], number, lambda seen: share_of(seen) == percent and is_set(seen)
    )
    await asyncio.sleep(_DRAIN_SECONDS)


async def until(who: Contender, path: str, number: int, wanted: Callable[[Document], bool]) -> None:
    """Follow a collection until so many of its objects are as wanted. Raises BenchFailed."""
    found: set[str] = set()
    try:
        async with asyncio.timeout(_LIMIT_SECONDS):
            while len(found) < number:
                await _follow(who, path, number, wanted, found)
    except TimeoutError:
        who.plane.crew.check(who.process)
        kind = path.rpartition("/")[2]
        raise BenchFailed(f"{len(found)} of {number} {kind} after {_LIMIT_SECONDS:.0f} s") from None


async def _follow(
    who: Contender,
    path: str,
    number: int,
    wanted: Callable[[Document], bool],
    found: set[str],
) -> None:
    try:
        async for kind, seen in who.plane.client.watch(path, "0"):
            if kind == "BOOKMARK":
                continue
            name = seen["metadata"]["name"]
            (found.add if kind != "DELETED" and wanted(seen) else found.discard)(name)
            if len(found) >= number:
                return
    except (kube.WatchExpired, kube.TransportError):
        await asyncio.sleep(0.1)


async def _create(who: Contender, number: int) -> None:
    documents = (document for name in _names(number) for document in who.documents(name))
    waiting = zip(itertools.cycle(who.collections), documents, strict=False)

    async def hand() -> None:
        for path, document in waiting:
            await who.plane.client.call("POST", path, document)

    await asyncio.gather(*(hand() for _ in range(_AT_ONCE)))


def _names(number: int) -> list[str]:
    return [f"a-{each:04d}" for each in range(number)]
