"""Live traffic: tasks submitted at a steady rate, whatever becomes of them."""

import asyncio
import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx

from penstock_dev import traffic as generator
from tests.integration.acceptance.background import Background

_QUESTION = "Where is my order?"


@dataclass(frozen=True)
class Accepted:
    """A task that the gateway took, and the revision it was routed to."""

    task: str
    user: str
    revision: str
    sent_at: float  # on the monotonic clock
    seconds: float  # until the gateway had answered


@dataclass
class Load:
    """What the gateway answered so far."""

    accepted: list[Accepted] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)  # by status and title
    sent: int = 0

    def since(self, moment: float) -> list[Accepted]:
        """What was sent at or after a moment of the monotonic clock, and accepted."""
        return [one for one in list(self.accepted) if one.sent_at >= moment]

    @property
    def tasks(self) -> set[str]:
        """The ids of all accepted tasks."""
        return {one.task for one in list(self.accepted)}


def by_revision(accepted: list[Accepted]) -> Counter[str]:
    """How many tasks each revision was given."""
    return Counter(one.revision for one in accepted)


async def submit(
    client: httpx.AsyncClient, target: generator.Target, user: str, load: Load
) -> Accepted | None:
    """Submit one task without waiting for its end; None when it was refused."""
    load.sent += 1
    begun = time.monotonic()
    try:
        answer = await client.post(target.path, json={"input": _QUESTION, "user": user}, timeout=60)
    except httpx.HTTPError as error:
        load.refused[type(error).__name__] += 1
        return None
    document = answer.json()
    if answer.status_code not in (200, 202):
        load.refused[f"{answer.status_code} {document['type'].rpartition('/')[2]}"] += 1
        return None
    taken = time.monotonic() - begun
    accepted = Accepted(document["id"], user, document["revision"], begun, taken)
    load.accepted.append(accepted)
    return accepted


async def crowd(
    target: generator.Target, users: list[str], load: Load, at_once: int = 8
) -> list[Accepted]:
    """One task from each of these users, so many at a time; refusals are left out."""
    waiting = iter(users)

    async def queue() -> None:
        # A connection of its own: a shared pool would look at all of them for each request.
        async with target.client() as client:
            for user in waiting:
                await submit(client, target, user, load)

    async with asyncio.TaskGroup() as queues:
        for _ in range(min(at_once, len(users))):
            queues.create_task(queue())
    return list(load.accepted)


async def _flow(
    target: generator.Target,
    per_second: float,
    users: Callable[[int], str],
    load: Load,
    stop: asyncio.Event,
) -> None:
    """Submit until told to stop. Requests leave on time, whether or not earlier ones were answered.

    Returns when all have been answered, so that every task that the gateway took is known.
    """
    begun = time.monotonic()
    async with target.client() as client, asyncio.TaskGroup() as requests:
        for index in itertools.count():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, begun + index / per_second - time.monotonic())):
                    await stop.wait()
            if stop.is_set():
                return
            requests.create_task(submit(client, target, users(index), load))


@contextlib.contextmanager
def flowing(
    background: Background,
    target: generator.Target,
    per_second: float,
    users: Callable[[int], str] = "user-{}".format,
) -> Iterator[Load]:
    """Traffic for the length of a `with` block; request number i comes from `users(i)`."""
    load, stop = Load(), asyncio.Event()
    running = background.start(_flow(target, per_second, users, load, stop))
    try:
        yield load
    finally:
        background.loop.call_soon_threadsafe(stop.set)
        running.result(180)
