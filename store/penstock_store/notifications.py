"""Waiting without polling for what happens to tasks."""

import asyncio
from collections.abc import Callable

from penstock.names import AgentKey
from penstock_store import codec, keys
from penstock_store.connection import Connection
from penstock_store.news import News
from penstock_store.records import Event
from penstock_store.subscription import Subscription
from penstock_store.tasks import agent_of


class Notifications:
    """What happens to tasks, as it happens."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._news = News(connection)

    async def aclose(self) -> None:
        """Stop listening."""
        await self._news.aclose()

    def subscription(
        self, told: Callable[[AgentKey], None], clock: Callable[[], float]
    ) -> Subscription:
        """A line on which many agents are followed, for as long as it is run."""
        return Subscription(self._connection, told, clock)

    async def events(self, identifier: str, after: str = "") -> list[Event]:
        """Events of a task after an event id, oldest first.

        Raises:
            ValueError: ``after`` is no event id.
        """
        agent = agent_of(identifier)
        if agent is None:
            return []
        if after and not all(part.isascii() and part.isdigit() for part in after.split("-", 1)):
            raise ValueError(f"{after!r} is no event id")
        key = keys.AgentKeys(agent).events(identifier)
        entries = await self._connection.read("XRANGE", key, f"({after}" if after else "-", "+")
        return codec.events(entries) or await self._kept_events(agent, identifier, after)

    async def _kept_events(self, agent: AgentKey, identifier: str, after: str) -> list[Event]:
        """What is kept of the events of a task that ended a while ago: the newest."""
        task = keys.AgentKeys(agent).task(identifier)
        (text,) = await self._connection.read("HMGET", task, "events")
        return [
            event for event in codec.kept_events(text) if _position(event.id) > _position(after)
        ]

    async def wait(self, identifier: str, after: str, timeout_seconds: float) -> list[Event]:
        """Events of a task after an event id, waiting for the first one; empty after the time.

        All callers of a process share one subscription; each also looks for itself now and then.
        """
        agent = agent_of(identifier)
        if agent is None:
            return []
        clock = asyncio.get_running_loop().time
        deadline = clock() + timeout_seconds
        async with self._news.about(keys.AgentKeys(agent).news, identifier) as listener:
            while True:
                listener.bell.clear()
                if found := await self.events(identifier, after):
                    return found
                remaining = deadline - clock()
                if remaining <= 0:
                    return []
                await listener.rest(remaining)

    async def wait_for_end(self, identifier: str, timeout_seconds: float) -> None:
        """Return when a task has ended or waits for a person, or after the time; nothing else wakes.

        Returns at once for a task that is not there.
        """
        agent = agent_of(identifier)
        if agent is None:
            return
        clock = asyncio.get_running_loop().time
        deadline = clock() + timeout_seconds
        own = keys.AgentKeys(agent)
        async with self._news.about(own.news, identifier, for_end=True) as listener:
            while (remaining := deadline - clock()) > 0:
                listener.bell.clear()
                known = ("status", "parked")
                status, parked = await self._connection.read("HMGET", own.task(identifier), *known)
                if status is None or parked or codec.has_ended(status):
                    return
                await listener.rest(remaining)


def _position(event_id: str) -> tuple[int, int]:
    """An event id as numbers that can be compared; what is none comes before all."""
    milliseconds, _, number = event_id.partition("-")
    try:
        return int(milliseconds or 0), int(number or 0)
    except ValueError:
        return -1, 0
