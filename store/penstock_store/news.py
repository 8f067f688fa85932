"""One subscription for all callers of a process: whoever waits for a task is woken by its id.

A message is the task's id when the task has ended. Of what happens before, it is the id, a space and
the kind of event; a version before sends the id alone for that too, which wakes more often than needed.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from redis import exceptions
from redis.asyncio.connection import AbstractConnection as SingleConnection

from penstock_store.connection import Connection

_RECONNECT_SECONDS: Final = 0.5
_UNHEARD_SECONDS: Final = 1.0  # between a caller's own looks while nothing is heard
_LINGER_SECONDS: Final = 0.3  # how long a channel and the line are kept, once nobody waits
_HEARD_SECONDS: Final = 5.0  # and while the channel is heard: a safety net only


@dataclass
class Channel:
    """An agent's channel: how many wait on it, since when nobody does, and whether it is heard."""

    waiting: int = 0
    left_at: float = 0.0
    heard: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, eq=False)
class Listener:
    """One caller that waits for news of one task; ``bell`` is set when there may be some.

    ``for_end``: of what happens before the task's end it is not told.
    """

    channel: Channel
    for_end: bool = False
    bell: asyncio.Event = field(default_factory=asyncio.Event)

    async def rest(self, seconds: float) -> None:
        """Return when the bell was rung, or when it is time to look without it."""
        patience = _HEARD_SECONDS if self.channel.heard.is_set() else _UNHEARD_SECONDS
        await _within(min(seconds, patience), self.bell)


class News:
    """The subscriber: connected while somebody waits, and again whenever the line breaks."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._channels: dict[str, Channel] = {}
        self._listeners: dict[str, set[Listener]] = {}
        self._line: SingleConnection | None = None
        self._attendant: asyncio.Task[None] | None = None
        self._leaving: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def about(
        self, name: str, identifier: str, *, for_end: bool = False
    ) -> AsyncIterator[Listener]:
        """Listen for a task on a channel. What happens from now on rings the listener's bell."""
        channel = self._channels.setdefault(name, Channel())
        listener = Listener(channel, for_end)
        listeners = self._listeners.setdefault(identifier, set())
        channel.waiting += 1
        listeners.add(listener)
        try:
            await self._tune_in(name, channel)
            yield listener
        finally:
            channel.waiting -= 1
            listeners.discard(listener)
            if not listeners:
                self._listeners.pop(identifier, None)
            if not channel.waiting:
                channel.left_at = asyncio.get_running_loop().time()
                if self._leaving is None:
                    self._leaving = asyncio.create_task(self._leave(), name="penstock-store-leave")

    async def aclose(self) -> None:
        """Stop listening."""
        running = [task for task in (self._attendant, self._leaving) if task is not None]
        self._listeners.clear()
        self._attendant = self._leaving = None
        self._channels.clear()
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    async def _leave(self) -> None:
        """Give up the channels that nobody has waited on for a while, and the line with the last one.

        Callers come and go: what is given up at once is asked for again by the next one.
        """
        loop = asyncio.get_running_loop()
        while self._channels:
            await asyncio.sleep(_LINGER_SECONDS)
            over = loop.time() - _LINGER_SECONDS
            for name, channel in list(self._channels.items()):
                if not channel.waiting and channel.left_at <= over:
                    del self._channels[name]
                    await self._say("UNSUBSCRIBE", name)
        if self._attendant is not None:
            self._attendant.cancel()
            self._attendant = None
        self._leaving = None

    async def _tune_in(self, name: str, channel: Channel) -> None:
        if channel.heard.is_set():
            return
        if self._attendant is None or self._attendant.done():
            self._attendant = asyncio.create_task(self._attend(), name="penstock-store-news")
        elif channel.waiting == 1:
            await self._say("SUBSCRIBE", name)
        await _within(_UNHEARD_SECONDS, channel.heard)

    async def _say(self, command: str, name: str) -> None:
        if self._line is not None:
            with contextlib.suppress(exceptions.RedisError, OSError):  # the attendant sees it too
                await self._line.send_command(command, name, check_health=False)

    async def _attend(self) -> None:
        while True:
            with contextlib.suppress(exceptions.RedisError, OSError):
                await self._listen()
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _listen(self) -> None:
        line = self._connection.subscriber()
        try:
            await line.connect()  # type: ignore[no-untyped-call]
            self._line = line  # first: who comes while we subscribe must find it
            wanted = [name for name, channel in self._channels.items() if channel.waiting]
            self._channels = {name: self._channels[name] for name in wanted}
            if wanted:
                await line.send_command("SUBSCRIBE", *wanted, check_health=False)
            while True:
                self._hear(await line.read_response(disconnect_on_error=False))
        finally:
            if self._line is line:
                self._line = None
            self._wake_all()
            await line.disconnect(nowait=True)

    def _hear(self, message: list[bytes]) -> None:
        # Whoever has a namespace's credentials can say anything on its channels.
        kind, name, content = message[0], message[1].decode(errors="replace"), message[2]
        channel = self._channels.get(name)
        if channel is None:
            return
        if kind == b"subscribe":
            channel.heard.set()
        elif kind == b"message":
            identifier, goes_on, _ = content.decode(errors="replace").partition(" ")
            for listener in self._listeners.get(identifier, ()):
                if not (goes_on and listener.for_end):
                    listener.bell.set()

    def _wake_all(self) -> None:
        for channel in self._channels.values():
            channel.heard.clear()
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.bell.set()


async def _within(seconds: float, event: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
