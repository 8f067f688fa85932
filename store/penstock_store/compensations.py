"""What undoes calls: a task for each, made once, and how far it is."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from penstock import protocol
from penstock.effects import Effect, Undo, Undoing, Undone
from penstock.names import AgentKey
from penstock.task import Compensation, Submission, created_ms_of, new_task_id, task_id
from penstock_store import codec, keys, undo_fields
from penstock_store.agent_scripts import AgentScripts
from penstock_store.scripts import COMPENSATION_VERSION

_RANDOM_BYTES: Final = 10


class Asked(StrEnum):
    """What became of asking for a compensation."""

    ASKED = "asked"
    CHANGED = "changed"  # somebody else was first
    NO_ROUTE = "no-route"
    SUSPENDED = "agent-suspended"
    SERVES = "serves"  # the call is that of a revision that serves
    OLDER_WORKERS = "older-workers"
    FULL = "queue-full"


@dataclass(frozen=True)
class By:
    """Who asks for a compensation, and under which trace."""

    person: str
    trace_id: str = ""


class Compensations:
    """What undoes calls."""

    def __init__(self, scripts: AgentScripts) -> None:
        self._scripts = scripts

    async def known(self, agent: AgentKey, effects: Sequence[Effect]) -> list[Undone]:
        """How far the compensation of each is, in their order."""
        if not effects:
            return []
        names = [_name(one) for one in effects]
        found = await self._scripts.connection.read("HMGET", _key(agent), *names)
        return [_undone(agent, codec.word(text)) for text in found]

    async def ask(
        self,
        agent: AgentKey,
        effect: Effect,
        undo: Undo,
        known: Undone,
        by: By,
        *,
        dry: bool = False,
    ) -> tuple[Asked, str]:
        """Make the task that undoes a call, where nothing has become of it since ``known``; its id with it.

        With ``dry`` nothing is made, and it is told whether it would be.

        Asked again for a call of which the tool has said that it was not undone, it is another attempt. Else
        the task has the id that it had, and so has its call: a tool that knows keys makes it once. One that
        is done, or of which nobody knows whether it is, is not asked for again: CHANGED.
        """
        if known.state in (Undoing.DONE, Undoing.INTENDED):
            return Asked.CHANGED, known.task
        refused = known.state in (Undoing.REFUSED, Undoing.NOT_MADE)
        attempt = max(known.attempt, 1) + refused
        identifier = _id(agent, effect, attempt)
        own, tail = keys.AgentKeys(agent), identifier.rpartition(".")[2]
        (answer, *_) = await self._scripts.run(
            "compensate",
            agent,
            own.task(identifier),
            own.events(identifier),
            arguments=(
                identifier,
                _name(effect),
                _written(known),
                f"{Undoing.ASKED.value} {tail} {attempt}",
                effect.revision,
                protocol.COMPENSATES,
                int(dry),
                COMPENSATION_VERSION,
                *_fields(effect, undo, by),
            ),
        )
        return Asked(codec.word(answer)), identifier


def _fields(effect: Effect, undo: Undo, by: By) -> list[str]:
    wanted = Compensation(effect.call, undo.tool, undo.arguments)
    submission = Submission(
        input=f"Compensation of {effect.call}: {undo.tool} with {undo.arguments}",
        tenant=effect.tenant,
        user=effect.user,
        trace_id=by.trace_id,
        submitter=by.person,
    )
    return [*codec.submission_fields(submission), *undo_fields.written(wanted)]


def _id(agent: AgentKey, effect: Effect, attempt: int) -> str:
    """The same for the same attempt at the same call, whatever Redis has lost."""
    digest = hashlib.sha256(f"{effect.call} {attempt}".encode()).digest()
    return new_task_id(agent, created_ms_of(effect.task) or 0, digest[:_RANDOM_BYTES])


def _key(agent: AgentKey) -> str:
    return f"{keys.AgentKeys(agent).tag}:effects:undone"


def _name(effect: Effect) -> str:
    return effect.call.partition(".")[2]


def _written(known: Undone) -> str:
    tail = known.task.rpartition(".")[2]
    return f"{known.state.value} {tail} {known.attempt}" if known.state else ""


def _undone(agent: AgentKey, text: str) -> Undone:
    """As it stands; what another hand has written is as good as a call of which nobody knows."""
    if not text:
        return Undone()
    try:
        state, tail, attempt = text.split(" ")
        return Undone(Undoing(state), task_id(agent, b"") + tail, int(attempt))
    except ValueError:
        return Undone(Undoing.INTENDED)
