"""Routes in force, the revisions that they name, and the operator's index of agents."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from penstock import rings
from penstock.errors import StaleWrite, StoreRefused
from penstock.names import AgentKey
from penstock.task import task_id
from penstock.traffic import Route
from penstock_store import codec, keys
from penstock_store.agent_scripts import AgentScripts
from penstock_store.records import Look

_INDEX_GOOD_MS: Final = 300_000  # older than this, an agent may have been made since
_SWEEP: Final = 200  # tasks ended in one step, so that no script holds Redis up


class Routes:
    """What decides where tasks go. ``installation`` names the operator's index."""

    def __init__(self, scripts: AgentScripts, installation: str) -> None:
        self._scripts = scripts
        self._index_keys = (keys.index(installation), keys.index_complete(installation))

    async def put(
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
        said, *rest = await self._scripts.run("route", agent, arguments=arguments)
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
        asked = _look_arguments(agent, revisions)
        return codec.look(await self._scripts.run("look", agent, arguments=asked))

    async def look_each(
        self, asked: Sequence[tuple[AgentKey, Sequence[str]]]
    ) -> list[Look | StoreRefused]:
        """``look`` at many agents in one round trip; where one is refused, why, in its place."""
        calls = [(agent, _look_arguments(agent, revisions)) for agent, revisions in asked]
        answers = await self._scripts.run_each("look", calls)
        return [_looked(said) for said in answers]

    async def versions(self, agent: AgentKey) -> dict[str, str]:
        """The version that each revision declares, by hash; empty where it declares none.

        It holds every revision of the route; none where an operator wrote the route that does not
        say, or where another hand has overwritten it.
        """
        if not keys.well_named(agent):
            return {}
        try:
            found = await self._scripts.connection.read("HGETALL", keys.AgentKeys(agent).versions)
        except StoreRefused:
            return {}
        said = codec.pairs(found)
        return {revision: version.decode(errors="replace") for revision, version in said.items()}

    async def set_index(self, agents: Mapping[AgentKey, str]) -> None:
        """Replace the index of agents (to their uid) and stamp it complete."""
        flat = [text for agent, uid in agents.items() for text in (str(agent), uid)]
        script = self._scripts.script("index")
        await self._scripts.connection.run(script, self._index_keys, flat)

    async def index(self) -> dict[AgentKey, str]:
        """The index of agents as last written; what names no agent is passed over."""
        flat = codec.pairs(await self._scripts.connection.read("HGETALL", self._index_keys[0]))
        return {
            AgentKey(*name.split("/")): uid.decode(errors="replace")
            for name, uid in flat.items()
            if name.count("/") == 1 and keys.well_named(AgentKey(*name.split("/")))
        }

    async def knows_absent(self, agent: AgentKey) -> bool:
        """Whether a complete and fresh index lacks the agent; it is in a slot of its own."""
        index, complete = self._index_keys
        connection = self._scripts.connection
        if await connection.read("HEXISTS", index, str(agent)):
            return False
        stamp = await connection.read("GET", complete)
        seconds, _ = await connection.read("TIME")
        return stamp is not None and int(seconds) * 1000 - int(stamp) < _INDEX_GOOD_MS

    async def close(self, agent: AgentKey, uid: str) -> int:
        """Close a deleted agent: no route, its tasks end Cancelled. Returns how many ended.

        Whoever still works on one of them hears Lost. All that is kept of the agent expires.
        """
        return await self._sweep(agent, uid)

    async def _sweep(self, agent: AgentKey, uid: str) -> int:
        ended = 0
        while True:
            now: int
            now, _ = await self._scripts.run(
                "sweep", agent, arguments=(uid, _SWEEP, task_id(agent, b""))
            )
            ended += now
            if now < _SWEEP:
                return ended


def _look_arguments(agent: AgentKey, revisions: Sequence[str]) -> tuple[str, ...]:
    return task_id(agent, b""), *revisions


def _looked(said: Any) -> Look | StoreRefused:
    try:
        return said if isinstance(said, StoreRefused) else codec.look(said)
    except (AttributeError, TypeError, ValueError) as error:
        return StoreRefused(f"Redis answered look with what cannot be read: {error!r}")


def _route_arguments(route: Route, instead_of: tuple[int, int] | None) -> list[str | int]:
    record: list[str | int] = [*codec.route_record(route)]
    record.append(rings.written(route.split.chosen))
    record.append("{} {}".format(*instead_of) if instead_of else "")
    for revision in route.revisions.values():
        limits = revision.limits
        figures = [limits.input_chars, limits.queue_seconds, limits.wall_seconds]
        record += [revision.hash, revision.standing.value, *figures, revision.version]
        said = revision.messages
        record += [said.escalated, said.unavailable, said.blocked, revision.way_back.value]
    return record
