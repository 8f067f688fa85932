"""Copies of stable's tasks, on which a canary is tried unseen.

One is made as stable's task ends, with what that was told and did. It lies in a list of its own, not in a
lane of tasks: a worker that does not know of copies never takes one. Who takes its name out of the list runs
it, and where that worker dies nobody does: it is a sample, and a sample may be lost.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from penstock import shadow
from penstock.money.ledger import Money
from penstock.names import AgentKey
from penstock.shadow import Differing, Intent, Told, Verdict
from penstock.task import TaskStatus, task_id
from penstock_store import checkpoints, codec, keys, money
from penstock_store.agent_scripts import AgentScripts


@dataclass(frozen=True)
class Copy:
    """A copy to be run: what stable's task was told, and how it went.

    ``checkpoint`` is its saved conversation; where nothing was saved ``history`` is what its session
    had before it. ``changing``: the tools of stable that change something; ``kept``: others that are
    not called either. ``id`` is the copy's own, in the ledger and before tools.
    """

    name: str
    agent: AgentKey
    revision: str
    input: str
    type: str
    stable_status: TaskStatus
    changing: Collection[str] = ()
    kept: Collection[str] = ()
    checkpoint: bytes | None = None
    history: bytes | None = None

    @property
    def id(self) -> str:
        """What the copy is known by."""
        return f"copy.{self.revision}.{self.name}"


@dataclass(frozen=True)
class Found:
    """What a copy has shown. ``intents``: the calls it wanted that change something; ``stopped_at`` the one that ended it.

    ``stable_intents``: those that stable's task wanted; None where nobody says.
    """

    verdict: Verdict
    stable_status: TaskStatus
    status: TaskStatus | None = None
    intents: Sequence[Intent] = ()
    stopped_at: Intent | None = None
    stable_intents: Sequence[Intent] | None = None


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
            kept = frozenset(json.loads(stored.get("kept", b"[]")))
            return Copy(
                name=name,
                agent=agent,
                revision=revision,
                input=codec.word(stored.get("input")),
                type=codec.word(stored.get("type")),
                stable_status=TaskStatus(codec.word(stored.get("status"))),
                changing=frozenset(json.loads(stored.get("changing", b"[]"))) - kept,
                kept=kept,
                checkpoint=checkpoints.read(stored),
                history=stored.get("history") or None,
            )

    async def differing(self, agent: AgentKey, revision: str) -> list[Differing]:
        """The copies of a canary that went another way, the newest first; as many as are kept.

        Args:
            revision: the canary's hash.
        """
        key = f"{keys.AgentKeys(agent).tag}:shadow:found:{revision}"
        found = await self._scripts.connection.read("LRANGE", key, 0, -1)
        read = (_differing(agent, text) for text in found)
        return [one for one in read if one is not None]

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


def _written(copy: Copy, found: Found) -> dict[str, Any]:
    """A copy that went another way, without a word that anybody said: of arguments there are digests alone."""
    return {
        "task": copy.name,
        "verdict": found.verdict.value,
        "stable": found.stable_status.value,
        "copy": found.status.value if found.status else "",
        "intents": [_told(one) for one in found.intents],
        "stableIntents": None
        if found.stable_intents is None
        else [_told(one) for one in found.stable_intents],
        "stoppedAt": _told(found.stopped_at) if found.stopped_at else None,
    }


def _told(wanted: Intent) -> dict[str, str]:
    return {"tool": wanted.tool, "arguments": wanted.digest}


def _differing(agent: AgentKey, text: bytes) -> Differing | None:
    """As ``_written`` has made it; None where another hand has written there."""
    try:
        said = json.loads(text)
        stable = said.get("stableIntents")  # workers of the version before do not say it
        wanted = tuple(map(_read, said["intents"]))
        return Differing(
            task=task_id(agent, b"") + said["task"],
            verdict=str(said["verdict"]),
            stable_end=str(said["stable"]),
            copy_end=str(said["copy"]),
            calls=shadow.beside(None if stable is None else [*map(_read, stable)], wanted),
            at_call=_read(said["stoppedAt"]) if said["stoppedAt"] else None,
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _read(said: dict[str, str]) -> Told:
    return Told(str(said["tool"]), str(said["arguments"]))
