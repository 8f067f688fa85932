"""What calls of tools have done to the world, as workers wrote it down."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from penstock.effects import ApprovedEarlier, Effect, EffectState, Sums, Undo
from penstock.names import AgentKey
from penstock.task import task_id
from penstock_store import codec, effect_sums, keys
from penstock_store.agent_scripts import AgentScripts

_ALL_READ: Final = "-"  # no effect's id
MOST_READ: Final = 1000  # entries that one page looks at, whatever is looked for


@dataclass(frozen=True)
class SoughtEffects:
    """Which effects are looked for: those that fit all; what is empty fits all.

    ``task`` is the last part of a task's id.
    """

    tenant: str = ""
    user: str = ""
    revision: str = ""
    task: str = ""


@dataclass(frozen=True)
class EffectPage:
    """Effects, oldest first; ``following`` is "" at the end.

    ``unknown`` stand on the first page, or on the first pages where they are more than one looks at.
    """

    unknown: tuple[Effect, ...]
    items: tuple[Effect, ...]
    following: str


@dataclass(frozen=True)
class Erased:
    """What was erased of a user; ``going_on``: tasks that have not ended, and so are there still.

    ``effects`` are calls, however often something was written down of each.
    """

    effects: int = 0
    tasks: int = 0
    sessions: int = 0
    going_on: int = 0
    answers: int = 0

    def __add__(self, other: "Erased") -> "Erased":
        return Erased(
            self.effects + other.effects,
            self.tasks + other.tasks,
            self.sessions + other.sessions,
            self.going_on + other.going_on,
            self.answers + other.answers,
        )


NOTHING: Final = Erased()


class Effects:
    """What calls of tools have done."""

    def __init__(self, scripts: AgentScripts) -> None:
        self._scripts = scripts

    async def page(
        self, agent: AgentKey, sought: SoughtEffects, after: str = "", most: int = 50
    ) -> EffectPage:
        """Effects of an agent after an entry; a page may be empty though more follow."""
        wanted = (sought.tenant, sought.user, sought.revision, sought.task)
        answer = await self._scripts.run(
            "effects", agent, arguments=(after, MOST_READ, most, *wanted)
        )
        following, unknown, items = answer
        return EffectPage(_read(agent, unknown), _read(agent, items), codec.word(following))

    async def erase(self, agent: AgentKey, tenant: str, user: str) -> Erased:
        """Erase a user of a tenant: of effects all but digests and amount, what has ended of tasks, own sessions.

        It goes through all that is kept, a bounded part at a time; said again, it does what is left.
        """
        own = keys.AgentKeys(agent)
        quoted, prefix = quote(tenant, safe=""), task_id(agent, b"")
        after, place, erased = "", 0, NOTHING
        while True:
            said = await self._scripts.run(
                "erase",
                agent,
                own.recent,
                own.sessions(tenant),
                arguments=(tenant, user, quoted, prefix, after, place, MOST_READ),
            )
            following, place, *counts = said
            erased += Erased(*counts)
            after = codec.word(following) or _ALL_READ
            if after == _ALL_READ and place < 0:
                return erased

    async def sums(self, agent: AgentKey, revision: str) -> Sums:
        """What a revision's calls have done, by its hash; of about the last 30 days."""
        own, read = keys.AgentKeys(agent), self._scripts.connection.read
        stored = codec.pairs(await read("HGETALL", own.effects_of(revision)))
        users = await read("PFCOUNT", own.effect_users(revision))
        with codec.reading(f"the effects of revision {revision}"):
            return effect_sums.read(users, stored)


def _read(agent: AgentKey, entries: Sequence[Any]) -> tuple[Effect, ...]:
    found = []
    for identifier, flat in entries:
        try:
            found.append(_effect(agent, codec.word(identifier), flat))
        except codec.Unreadable:
            continue  # another hand has written it
    return tuple(found)


def _effect(agent: AgentKey, identifier: str, flat: Sequence[bytes]) -> Effect:
    with codec.reading(f"effect {identifier}"):
        text = {name: codec.word(value) for name, value in codec.pairs(flat).items()}
        said = json.loads(text["said"])
        return Effect(
            id=identifier,
            task=task_id(agent, b"") + text["task"],
            tenant=text["tenant"],
            user=text["user"],
            revision=text["revision"],
            tool=str(said["tool"]),
            state=EffectState(said["state"]),
            at_ms=codec.counter(text.get("at", "") or identifier.partition("-")[0]),
            step=int(said["step"]),
            position=int(said["position"]),
            amount_micro=codec.counter(said["amount"]) if said["amount"] else None,
            shown=json.dumps(said["shown"]),
            arguments_digest=str(said["arguments"]),
            result_digest=str(said["result"]),
            undo=_undo(said.get("undo")),
            compensates=str(said.get("compensates", "")),
            erased="at" in text,
            approved_earlier=_earlier(said.get("approvedEarlier")),
        )


def _earlier(said: Any) -> ApprovedEarlier | None:
    if not isinstance(said, dict):
        return None
    return ApprovedEarlier(tuple(str(name) for name in said["by"]), str(said["escalation"]))


def _undo(said: Any) -> Undo | None:
    if not isinstance(said, dict):
        return None
    made = json.dumps(said.get("arguments", {}), sort_keys=True)
    return Undo(str(said["tool"]), made, str(said.get("problem", "")))
