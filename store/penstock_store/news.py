"""One subscription for all callers of a process: whoever waits for a task is woken by its id."""

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
_LINGER_SECONDS: Final = 0.3  # how long the line is held when nobody waits any more
_HEARD_SECONDS: Final = 5.0  # and while the channel is heard: a safety net only


@dataclass
class Channel:
    """An agent's channel: how many wait on it, and whether it is heard."""

    waiting: int = 0
    heard: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class Listener:
    """One caller that waits for news of one task; ``bell`` is set when there may be some."""

    channel: Channel
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
        self._bells: dict[str, set[asyncio.Event]] = {}
        self._line: SingleConnection | None = None
        self._attendant: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def about(self, name: str, identifier: str) -> AsyncIterator[Listener]:
        """Listen for a task on a channel. What happens from now on rings the listener's bell."""
        channel = self._channels.setdefault(name, Channel())
        listener = Listener(channel)
        bells = self._bells.setdefault(identifier, set())
        channel.waiting += 1
        bells.add(listener.bell)
        try:
            await self._tune_in(name, channel)
            yield listener
        finally:
            channel.waiting -= 1
            bells.discard(listener.bell)
            if not bells:
                self._bells.pop(identifier, None)
            if not self._bells:
                asyncio.get_running_loop().call_later(_LINGER_SECONDS, self._hang_up)

    async def aclose(self) -> None:
        """Stop listening."""
        attendant = self._attendant
        self._bells.clear()
        self._hang_up()
        if attendant is not None:
            await asyncio.wait([attendant])

    def _hang_up(self) -> None:
        if not self._bells and self._attendant is not None:
            self._attendant.cancel()
            self._attendant = None
            self._channels.clear()

    async def _tune_in(self, name: str, channel: Channel) -> None:
        if channel.heard.is_set():
            return
        if self._attendant is None or self._attendant.done():
            self._attendant = asyncio.create_task(self._attend(), name="penstock-store-news")
        elif self._line is not None and channel.waiting == 1:
            with contextlib.suppress(exceptions.RedisError, OSError):  # the attendant sees it too
                await self._line.send_command("SUBSCRIBE", name, check_health=False)
        await _within(_UNHEARD_SECONDS, channel.heard)

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
                await self._hear(line, await line.read_response(disconnect_on_error=False))
        finally:
            if self._line is line:
                self._line = None
            self._wake_all()
            await line.disconnect(nowait=True)

    async def _hear(self, line: SingleConnection, message: list[bytes]) -> None:
        # Whoever has a namespace's credentials can say anything on its channels.
        kind, name, content = message[0], message[1].decode(errors="replace"), message[2]
        channel = self._channels.get(name)
        if channel is None:
            return
        if kind == b"subscribe":
            channel.heard.set()
        elif kind == b"message":
            for bell in self._bells.get(content.decode(errors="replace"), ()):
                bell.set()
            if not channel.waiting:
                del self._channels[name]
                await line.send_command("UNSUBSCRIBE", name, check_health=False)

    def _wake_all(self) -> None:
        for channel in self._channels.values():
            channel.heard.clear()
        for bells in self._bells.values():
            for bell in bells:
                bell.set()


async def _within(seconds: float, event: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
