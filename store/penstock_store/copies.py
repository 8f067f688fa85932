"""Copies of stable's tasks, on which a canary is tried unseen.

One is made as stable's task ends, with what that was told and did. It lies in a list of its own, not in a
lane of tasks: a worker that does not know of copies never takes one. Who takes its name out of the list runs
it, and where that worker dies nobody does: it is a sample, and a sample may be lost.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from penstock.money.ledger import NOTHING, Amount, Money
from penstock.names import AgentKey
from penstock.shadow import Intent, Verdict
from penstock.task import TaskStatus
from penstock_store import checkpoints, codec, keys, money
from penstock_store.agent_scripts import AgentScripts

_VERDICTS: Final = tuple(verdict.value for verdict in Verdict)


@dataclass(frozen=True)
class Copy:
    """A copy to be run: what stable's task was told, and how it went.

    ``checkpoint`` is its saved conversation; where nothing was saved ``history`` is what its session
    had before it. ``changing``: the tools of stable that change something. ``id`` is the copy's own, in the
    ledger and before tools.
    """

    name: str
    agent: AgentKey
    revision: str
    input: str
    type: str
    stable_status: TaskStatus
    changing: Collection[str] = ()
    checkpoint: bytes | None = None
    history: bytes | None = None

    @property
    def id(self) -> str:
        """What the copy is known by."""
        return f"copy.{self.revision}.{self.name}"


@dataclass(frozen=True)
class Found:
    """What a copy has shown. ``intents``: the calls it wanted that change something; ``stopped_at`` the one that ended it."""

    verdict: Verdict
    stable_status: TaskStatus
    status: TaskStatus | None = None
    intents: Sequence[Intent] = ()
    stopped_at: Intent | None = None


@dataclass(frozen=True)
class Seen:
    """What copies have shown of a canary, and what they cost.

    ``verdicts`` counts them; ``not_made`` those that were not made or not heard of, by why: ``capped``, ``full``,
    ``tooLarge``, ``putDown``. ``spent`` is what their calls have used and what those that run hold.
    ``differing``: the newest that went another way, as they were told, newest first.
    """

    drawn: int = 0
    verdicts: Mapping[Verdict, int] = field(default_factory=dict)
    not_made: Mapping[str, int] = field(default_factory=dict)
    spent: Amount = NOTHING
    differing: Sequence[Mapping[str, Any]] = ()

    @property
    def judged(self) -> int:
        """How many copies say something."""
        return sum(
            count for verdict, count in self.verdicts.items() if verdict is not Verdict.LEFT_OUT
        )

    @property
    def agreed(self) -> int:
        """How many went the way of stable's task."""
        return self.verdicts.get(Verdict.AGREES, 0)


class Copies:
    """The copies of an agent's tasks."""

    def __init__(self, scripts: AgentScripts) -> None:
        self._scripts = scripts

    async def take(self, agent: AgentKey, revision: str, name: str) -> Copy | None:
        """A copy whose name a worker of a canary has heard; None where nobody is to run it any more.

        Raises:
            Unreadable: it is none that this version can run.
        """
        stored = codec.pairs(await self._scripts.run("copy", agent, arguments=(name, revision)))
        if not stored:
            return None
        with codec.reading(f"the copy of task {name}"):
            return Copy(
                name=name,
                agent=agent,
                revision=revision,
                input=codec.word(stored.get("input")),
                type=codec.word(stored.get("type")),
                stable_status=TaskStatus(codec.word(stored.get("status"))),
                changing=frozenset(json.loads(stored.get("changing", b"[]"))),
                checkpoint=checkpoints.read(stored),
                history=stored.get("history") or None,
            )

    async def tell(self, copy: Copy, found: Found | None, bills: Money = money.NOTHING) -> bool:
        """Say what a copy has shown (None: it was put down), and what its calls were billed.

        Returns whether it counts: not where its user was erased meanwhile. Bills count all the same.
        """
        differs = found is not None and found.verdict in (Verdict.OTHER_CALLS, Verdict.OTHER_END)
        text = json.dumps(_written(copy, found)) if found and differs else ""
        verdict = found.verdict.value if found else ""
        said = money.money_text(bills, self._scripts.process)
        arguments = (copy.name, copy.revision, verdict, text, said)
        return bool(await self._scripts.run("copied", copy.agent, arguments=arguments))

    async def seen(self, agent: AgentKey, revision: str) -> Seen:
        """What copies have shown of a revision so far, by its hash."""
        own, read = keys.AgentKeys(agent), self._scripts.connection.read
        counts = codec.pairs(await read("HGETALL", own.copies_seen(revision)))
        place = codec.pairs(await read("HGETALL", own.copies_spent(revision)))
        found = await read("LRANGE", own.copies_found(revision), "0", "-1")
        with codec.reading(f"what copies have shown of revision {revision}"):
            figures = {name: int(count) for name, count in counts.items() if name != "since"}
            tokens, micro_usd = (
                int(place.get(settled, 0)) + int(place.get(held, 0))
                for settled, held in (("t", "ot"), ("u", "ou"))
            )
            return Seen(
                figures.pop("drawn", 0),
                {Verdict(name): figures.pop(name) for name in _VERDICTS if name in figures},
                figures,
                Amount(tokens, micro_usd),
                tuple(json.loads(one) for one in found),
            )


def _written(copy: Copy, found: Found) -> dict[str, Any]:
    """A copy that went another way, without a word that anybody said: of arguments there are digests alone."""
    return {
        "task": copy.name,
        "verdict": found.verdict.value,
        "stable": found.stable_status.value,
        "copy": found.status.value if found.status else "",
        "intents": [_told(one) for one in found.intents],
        "stoppedAt": _told(found.stopped_at) if found.stopped_at else None,
    }


def _told(wanted: Intent) -> dict[str, str]:
    return {"tool": wanted.tool, "arguments": wanted.digest}
