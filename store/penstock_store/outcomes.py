"""The outcome log: what became of tasks, row by row, as the operator folds it."""

from collections.abc import Sequence
from dataclasses import replace

from penstock.names import AgentKey
from penstock.outcomes import End, Row
from penstock.task import task_id
from penstock_store import keys, rows
from penstock_store.agent_scripts import AgentScripts
from penstock_store.records import RowPage


class Outcomes:
    """Outcome rows of agents, and the ends of single tasks."""

    def __init__(self, scripts: AgentScripts) -> None:
        self._scripts = scripts

    async def rows(self, agent: AgentKey, after: str = "", limit: int = 10000) -> list[Row]:
        """Outcome rows with an id greater than ``after``, oldest first; see ``page``."""
        return list((await self.page(agent, after, limit)).rows)

    async def page(self, agent: AgentKey, after: str = "", limit: int = 10000) -> RowPage:
        """Up to ``limit`` rows of the outcome log with an id greater than ``after``, oldest first.

        REHOMED names the revision that the task left; a later FINISHED the one where it ended. What
        this version cannot read, or a namespace's user has written, is passed over and counted.
        """
        outcomes = keys.AgentKeys(agent).outcomes
        # The row itself is asked for as well: whether it is still there is told in the same step.
        most = limit + 1 if after else limit
        entries = await self._scripts.connection.read(
            "XRANGE", outcomes, after or "-", "+", "COUNT", most
        )
        held = not after or bool(entries and entries[0][0].decode() == after)
        found = entries[1:] if after and held else entries[:limit]
        return replace(rows.row_page(task_id(agent, b""), found, limit), held=held)

    async def kept(self, agent: AgentKey) -> tuple[str, bool]:
        """The id of the oldest row, empty for none, and whether older ones are gone."""
        first, trimmed = await self._scripts.run("kept", agent)
        return first.decode(), bool(trimmed)

    async def ends(self, agent: AgentKey, identifiers: Sequence[str]) -> dict[str, End]:
        """How tasks ended, by id; without those that have not, or that are kept no longer.

        Of a task nothing is read but two words out of closed lists.
        """
        found = await self._scripts.run("ends", agent, arguments=identifiers) if identifiers else []
        ends = {name: rows.end(*said) for name, said in zip(identifiers, found, strict=True)}
        return {name: end for name, end in ends.items() if end is not None}
