"""The news of many agents on one line: who follows an agent is told that something happened.

What happened is not told: it is looked at. Whoever has a namespace's credentials can say anything
on its agents' channels.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable, Collection
from typing import Final

from redis import exceptions
from redis.asyncio.connection import AbstractConnection as SingleConnection

from penstock.names import AgentKey
from penstock_store import keys
from penstock_store.connection import Connection

_RECONNECT_SECONDS: Final = 0.5
_REFUSED_SECONDS: Final = 10.0  # a user of the version before may not subscribe


class Subscription:
    """Follows a changing set of agents for as long as ``run`` runs.

    Args:
        told: called with an agent for each message about it, while it is followed.
        clock: seconds; moments of ``heard_since`` are of it.
    """

    def __init__(
        self, connection: Connection, told: Callable[[AgentKey], None], clock: Callable[[], float]
    ) -> None:
        self._connection = connection
        self._told = told
        self._clock = clock
        self._followed: dict[str, AgentKey] = {}
        self._heard: dict[str, float] = {}
        self._line: SingleConnection | None = None

    def heard_since(self, agent: AgentKey) -> float:
        """From when on nothing that happens to an agent is missed; infinite while it may be."""
        return self._heard.get(keys.AgentKeys(agent).news, math.inf)

    async def follow(self, agents: Collection[AgentKey]) -> None:
        """Follow these agents from now on, and no others. A line that is down follows them later."""
        wanted = {keys.AgentKeys(agent).news: agent for agent in agents}
        new, over = wanted.keys() - self._followed.keys(), self._followed.keys() - wanted.keys()
        self._followed = wanted
        for name in over:
            self._heard.pop(name, None)
        await self._say("UNSUBSCRIBE", over)
        await self._say("SUBSCRIBE", new)

    async def run(self) -> None:
        """Keep the line for ever."""
        while True:
            refused = False
            try:
                await self._listen()
            except exceptions.ResponseError:
                refused = True
            except (exceptions.RedisError, OSError):
                pass
            await asyncio.sleep(_REFUSED_SECONDS if refused else _RECONNECT_SECONDS)

    async def _listen(self) -> None:
        line = self._connection.subscriber()
        try:
            await line.connect()  # type: ignore[no-untyped-call]
            self._line = line
            await self._say("SUBSCRIBE", self._followed.keys())
            while True:
                self._hear(await line.read_response(disconnect_on_error=False))
        finally:
            self._line = None
            self._heard.clear()
            await line.disconnect(nowait=True)

    async def _say(self, command: str, names: Collection[str]) -> None:
        if self._line is not None and names:
            with contextlib.suppress(exceptions.RedisError, OSError):  # ``run`` sees it too
                await self._line.send_command(command, *names, check_health=False)

    def _hear(self, message: list[bytes]) -> None:
        kind, name = message[0], message[1].decode(errors="replace")
        agent = self._followed.get(name)
        if agent is None:
            return
        if kind == b"subscribe":
            self._heard[name] = self._clock()
        elif kind == b"unsubscribe":  # of before it was followed anew
            self._heard.pop(name, None)
        elif kind == b"message":
            self._told(agent)
