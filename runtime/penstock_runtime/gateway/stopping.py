"""Ending what waits: when the gateway stops, and when a caller has gone."""

import asyncio
import contextlib
from collections.abc import Awaitable, Iterator
from typing import TypeVar

from starlette.types import Receive

T = TypeVar("T")


class Stopping:
    """Whether the gateway is stopping; ends every wait that was begun through it."""

    def __init__(self) -> None:
        self.begun = False
        self._waits: set[asyncio.Timeout] = set()

    def begin(self) -> None:
        """End all waits, and from now on begin none."""
        self.begun = True
        now = asyncio.get_running_loop().time()
        for wait in self._waits:
            wait.reschedule(now)

    async def unless_stopped(self, awaited: Awaitable[T]) -> T | None:
        """The result; None when the gateway stops before there is one."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0 if self.begun else None) as wait:
                with self._registered(wait):
                    return await awaited
        return None

    @contextlib.contextmanager
    def _registered(self, wait: asyncio.Timeout) -> Iterator[None]:
        self._waits.add(wait)
        try:
            yield
        finally:
            self._waits.discard(wait)


async def unless_gone(receive: Receive, awaited: Awaitable[T]) -> T | None:
    """The result; None when the caller closes the connection before there is one.

    Args:
        receive: the request's channel, its body already read.
    """
    waiting = asyncio.ensure_future(awaited)
    watching = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait((waiting, watching), return_when=asyncio.FIRST_COMPLETED)
        return waiting.result() if waiting.done() else None
    finally:
        for task in (waiting, watching):
            task.cancel()
        await asyncio.wait((waiting, watching))


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
