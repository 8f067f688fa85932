"""What a worker's hold on a task knows besides its claim: how long it waits for Redis, and what it may have to write again."""

import asyncio
from dataclasses import dataclass

from penstock.task import Usage
from penstock_runtime.agent.keeper import Event
from penstock_runtime.agent.step import Run


@dataclass(frozen=True)
class Patience:
    """How long a task waits for Redis: until its wall time ends, and its end a little longer.

    ``writers`` lets so few of a process's tasks write at once that heartbeats and claims never wait
    for a connection. ``sign_seconds``: see ``Duty``.
    """

    wall_seconds: float
    claim_idle_seconds: float
    writers: asyncio.Semaphore
    sign_seconds: float = 0.0


@dataclass(frozen=True)
class Saved:
    """A state as it was saved last."""

    text: bytes
    usage: Usage
    intents: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """A step after which the task only ends, not written yet."""

    run: Run
    events: list[Event]
