"""The operator's calls: put routes in force, look, read outcomes, move and close work."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from penstock.errors import StaleWrite
from penstock.names import AgentKey
from penstock.outcomes import End, Row
from penstock.task import task_id
from penstock.traffic import Route
from penstock_store import codec, keys
from penstock_store.connected import Connected
from penstock_store.records import Look, Memory, RowPage

_OUTAGE_SECONDS = 20  # after one, until workers that live have sent a heartbeat again
_SWEEP = 200  # tasks ended in one step, so that no script holds Redis up


class Routing(Connected):
    """Routes, revisions and outcomes of agents."""

    async def set_route(
        self, agent: AgentKey, route: Route, *, instead_of: tuple[int, int] | None = None
    ) -> None:
        """Put a route in force, with the standing and limits of its revisions.

        A revision that is not listed any more is forgotten when it holds nothing, else Closed.
        A route of another uid replaces the record, and the former agent's tasks end Cancelled.

        Raises:
            StaleWrite: a route of the same uid with a higher (epoch, version) is in force, and it
                is not ``instead_of``.
        """
        arguments = _route_arguments(route, instead_of)
        said, *rest = await self._run("route", agent, arguments=arguments)
        if said == b"stale":
            epoch, version = (int(number) for number in rest[0].split())
            raise StaleWrite(
                f"route {(route.epoch, route.version)} of {agent} is older than the one in force, "
                f"{(epoch, version)}"
            )
        if rest[0]:
            await self._sweep(agent, "")

    async def look(self, agent: AgentKey, revisions: Sequence[str]) -> Look:
        """One agent as Redis has it now, with the work of the named revision hashes.

        A revision that nobody names but that still holds tasks is in ``work`` as well: it is no
        longer listed in the route, and its tasks wait for ``rehome``. ``queued`` leaves out tasks that wait for an earlier one of their session.
        """
        return codec.look(await self._run("look", agent, arguments=revisions))

    async def rows(self, agent: AgentKey, after: str = "", limit: int = 10000) -> list[Row]:
        """Outcome rows with an id greater than ``after``, oldest first; see ``row_page``."""
        return list((await self.row_page(agent, after, limit)).rows)

    async def row_page(self, agent: AgentKey, after: str = "", limit: int = 10000) -> RowPage:
        """Up to ``limit`` rows of the outcome log with an id greater than ``after``, oldest first.

        REHOMED names the revision that the task left; a later FINISHED the one where it ended. What
        this version cannot read, or a namespace's user has written, is passed over and counted.
        """
        outcomes = keys.AgentKeys(agent).outcomes
        # The row itself is asked for as well: whether it is still there is told in the same step.
        most = limit + 1 if after else limit
        entries = await self._connection.read("XRANGE", outcomes, after or "-", "+", "COUNT", most)
        held = not after or bool(entries and entries[0][0].decode() == after)
        found = entries[1:] if after and held else entries[:limit]
        return replace(codec.row_page(task_id(agent, b""), found, limit), held=held)

    async def ends(self, agent: AgentKey, identifiers: Sequence[str]) -> dict[str, End]:
        """How tasks ended, by id; without those that have not, or that are kept no longer.

        Of a task nothing is read but two words out of closed lists.
        """
        found = await self._run("ends", agent, arguments=identifiers) if identifiers else []
        ends = {name: codec.end(*said) for name, said in zip(identifiers, found, strict=True)}
        return {name: end for name, end in ends.items() if end is not None}

    async def expire(self, agent: AgentKey, limit: int = 200) -> int:
        """End up to so many tasks that wait for longer than queueSeconds; returns how many ended.

        A worker does the same when it claims; this is for where none lives. A suspension is no
        waiting. Of a session, the tasks behind one that expired are looked at too.
        """
        return int(await self._run("expire", agent, arguments=(limit,)))

    async def memory(self) -> Memory | None:
        """What Redis uses and may use; None where its user may not ask, or it is a cluster."""
        return await self._connection.memory()

    async def rehome(self, agent: AgentKey, revision: str, limit: int = 200) -> int:
        """Move work from a revision to stable, as its standing says.

        Rejected and Closed: everything queued, and claimed tasks whose worker is gone. Superseded
        and Withdrawn: queued tasks without an older session. These and Draining: all that no
        worker has touched for a minute, queued or claimed; a suspension does not count. Returns
        how many were moved; call again until it is 0. A moved task writes a REHOMED row and is a
        sample of neither side.

        For 20 s after a call of this store has failed no claimed task is moved: during an outage
        workers that live could send no heartbeat either.
        """
        queues = self._queues(agent, revision)
        claimed_too = int(self._connection.seconds_since_failure() > _OUTAGE_SECONDS)
        arguments = (revision, limit, claimed_too)
        return int(await self._run("rehome", agent, *queues, arguments=arguments))

    async def set_index(self, agents: Mapping[AgentKey, str]) -> None:
        """Replace the index of agents (to their uid) and stamp it complete."""
        flat = [text for agent, uid in agents.items() for text in (str(agent), uid)]
        await self._connection.run(self._scripts["index"], self._index_keys, flat)

    async def index(self) -> dict[AgentKey, str]:
        """The index of agents as last written; what names no agent is passed over."""
        flat = codec.pairs(await self._connection.read("HGETALL", self._index_keys[0]))
        return {
            AgentKey(*name.split("/")): uid.decode(errors="replace")
            for name, uid in flat.items()
            if name.count("/") == 1 and keys.well_named(AgentKey(*name.split("/")))
        }

    async def close_agent(self, agent: AgentKey, uid: str) -> int:
        """Close a deleted agent: no route, its tasks end Cancelled. Returns how many ended.

        Whoever still works on one of them hears Lost. All that is kept of the agent expires.
        """
        return await self._sweep(agent, uid)

    async def _sweep(self, agent: AgentKey, uid: str) -> int:
        ended = 0
        while True:
            now: int
            now, _ = await self._run("sweep", agent, arguments=(uid, _SWEEP))
            ended += now
            if now < _SWEEP:
                return ended


def _route_arguments(route: Route, instead_of: tuple[int, int] | None) -> list[str | int]:
    record: list[str | int] = [*codec.route_record(route)]
    record.append("{} {}".format(*instead_of) if instead_of else "")
    for revision in route.revisions.values():
        limits = revision.limits
        figures = [limits.input_chars, limits.queue_seconds, limits.wall_seconds]
        record += [revision.hash, revision.standing.value, *figures, revision.version]
    return record
