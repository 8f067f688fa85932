"""What every client of the store is built on: a connection, the scripts, and the keys of an agent."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock.names import AgentKey
from penstock_store import keys
from penstock_store.connection import Argument, Arguments, Connection
from penstock_store.scripts import Script, Scripts


@dataclass(frozen=True)
class AgentScripts:
    """Scripts, run on the keys of one agent. ``process`` names who is rung for by the ledger."""

    connection: Connection
    scripts: Scripts
    process: str = field(default_factory=lambda: uuid.uuid4().hex)

    def script(self, name: str) -> Script:
        """A script by its name."""
        return self.scripts[name]

    async def run(
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
        return await self.connection.run(
            self.scripts[script], keyed, arguments, replicated=replicated
        )

    async def run_each(
        self, script: str, calls: Sequence[tuple[AgentKey, Sequence[Argument]]]
    ) -> list[Any]:
        """Run a script for many agents in one round trip; a refusal is in its place."""
        every = [(keys.AgentKeys(agent), arguments) for agent, arguments in calls]
        keyed = [((own.tag, own.route, own.outcomes), said) for own, said in every]
        return await self.connection.run_each(self.scripts[script], keyed)
