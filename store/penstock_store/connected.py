"""What the groups of calls have in common: a connection, the scripts, the keys of an agent."""

from typing import Any

from penstock.names import AgentKey
from penstock.task import LANES
from penstock_store import keys
from penstock_store.connection import Arguments, Connection
from penstock_store.scripts import Scripts


class Connected:
    """A group of calls on one connection. ``installation`` names the operator's index."""

    def __init__(self, connection: Connection, scripts: Scripts, installation: str) -> None:
        self._connection = connection
        self._scripts = scripts
        self._installation = installation
        self._index_keys = (keys.index(installation), keys.index_complete(installation))

    async def _run(
        self,
        script: str,
        agent: AgentKey,
        *more: str,
        arguments: Arguments = (),
        replicated: bool = False,
    ) -> Any:
        """Run a script on the agent's tag, route and outcome log, and the keys it further names."""
        own = keys.AgentKeys(agent)
        keyed = (own.tag, own.route, own.outcomes, *more)
        return await self._connection.run(
            self._scripts[script], keyed, arguments, replicated=replicated
        )

    @staticmethod
    def _queues(agent: AgentKey, revision: str) -> list[str]:
        own = keys.AgentKeys(agent)
        return [own.queue(revision, lane) for lane in LANES]
