"""Calls that wait for a person: listed, read, decided by people or by time."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from penstock import escalation, remembering
from penstock.api.oversight import OnTimeout
from penstock.errors import StoreRefused
from penstock.escalation import Ask, Asked, Escalation, EscalationStatus, Note, Verdict
from penstock.names import AgentKey
from penstock.task import agent_of, task_id
from penstock_store import codec, keys
from penstock_store.agent_scripts import AgentScripts
from penstock_store.connection import Argument

MOST_READ: Final = 500  # escalations of an agent that one page looks at, whatever is looked for
_AGENTS_AT_ONCE: Final = 64
#: The fields of an escalation that a list shows; the scripts read the first two of them.
_SHOWN: Final = (
    "askedAt", "status", "task", "revision", "tenant", "user", "session", "submitter", "tool", "arguments",
    "digest", "why", "approvers", "minApprovals", "onTimeout", "deadline", "usage", "decidedAt", "notes",
    "approvedBy", "approving", "decidedBy", "note", "answer", "changed", "decidedRevision", "schema",
    "proposed", "signIn", "memory", "remembered", "preview",
)  # fmt: skip
_WHOLE: Final = (*_SHOWN, "context")
_LOST: Final = "lost"  # what a script says after the fields


class Decided(StrEnum):
    """What became of a person's word."""

    DONE = "ok"
    AGAIN = "again"  # the same was said before
    TOO_LATE = "decided"  # by somebody else, by time, or otherwise by the same person
    DIFFERS = "differs"  # the approval before was for other arguments
    OTHER = "other"  # it is another call than the one that the person means
    FORGETS = "forgets"  # no approval of it holds for further calls
    DOUBT = "doubt"  # it may have been made before, and which call is meant was not said
    MISSING = "missing"


@dataclass(frozen=True)
class Word:
    """What a person says of a call; ``arguments`` is JSON, empty for the model's own.

    ``digest`` is that of the call which the person means; empty: whichever waits under this id.
    ``remember``: an approval for further calls of the session as well.
    """

    person: str
    verdict: Verdict
    note: str = ""
    answer: str = ""
    arguments: str = ""
    digest: str = ""
    remember: bool = False


@dataclass(frozen=True)
class Sought:
    """Which escalations are looked for: those that fit all; what is empty fits all."""

    tenant: str = ""
    user: str = ""
    tool: str = ""
    revision: str = ""


@dataclass(frozen=True)
class Page:
    """Open escalations of one agent, the first to lapse first; ``following`` is "" at the end."""

    items: tuple[Escalation, ...]
    following: str
    waiting: int


class Escalations:
    """Calls that wait for a person."""

    def __init__(self, scripts: AgentScripts) -> None:
        self._scripts = scripts

    async def page(self, agent: AgentKey, sought: Sought, after: str = "", most: int = 50) -> Page:
        """Open escalations of an agent after a place, in the order in which time decides.

        A page looks at a bounded number, so it may be empty though more follow.

        Raises:
            ValueError: ``after`` is no place.
        """
        answer = await self._scripts.run(
            "escalations",
            agent,
            arguments=lambda life: _page_arguments(agent, sought, after, most, life),
        )
        return _page(agent, answer)

    async def waiting(self, agents: Sequence[AgentKey], tenant: str = "") -> list[AgentKey]:
        """Those of the agents for which something waits."""
        found = []
        for start in range(0, len(agents), _AGENTS_AT_ONCE):
            batch = agents[start : start + _AGENTS_AT_ONCE]
            calls = [(each, _page_arguments(each, Sought(tenant), "", 1)) for each in batch]
            answers = await self._scripts.run_each("escalations", calls)
            found += [
                agent
                for agent, said in zip(batch, answers, strict=True)
                if not isinstance(said, StoreRefused) and said[2]
            ]
        return found

    async def get(self, identifier: str, tenant: str | None = None) -> Escalation | None:
        """An escalation with its conversation, if it is this tenant's; None: whosever it is."""
        agent = agent_of_escalation(identifier)
        if agent is None:
            return None
        values = await self._scripts.run(
            "escalation",
            agent,
            keys.AgentKeys(agent).escalation(identifier),
            arguments=lambda life: (life, *_WHOLE),
        )
        if not values:
            return None
        found = _escalation(agent, identifier, dict(zip((*_WHOLE, _LOST), values, strict=True)))
        return found if tenant is None or found.tenant == tenant else None

    async def schema(self, found: Escalation) -> dict[str, Any] | None:
        """The schema of an escalation's tool; None where it is kept no longer."""
        key = keys.AgentKeys(found.agent).schema(found.schema)
        (text,) = await self._scripts.connection.read("HMGET", key, "json")
        with codec.reading("a tool's schema"):
            schema: dict[str, Any] | None = json.loads(text) if text else None
            return schema

    async def decide(self, identifier: str, word: Word, tenant: str | None = None) -> Decided:
        """A person's word on a call; it is decided once."""
        agent = agent_of_escalation(identifier)
        if agent is None:
            return Decided.MISSING
        said = (word.person, word.verdict.value, word.note, word.answer, word.arguments)
        answer, *_ = await self._scripts.run(
            "decide",
            agent,
            keys.AgentKeys(agent).escalation(identifier),
            arguments=lambda life: (
                identifier,
                tenant or "",
                *said,
                life,
                escalation.same_person(word.person),
                word.digest,
                "Session" if word.remember else "",
            ),
        )
        return Decided(answer.decode())

    async def lapse(self, agent: AgentKey, limit: int = 200) -> int:
        """Let time decide up to so many calls on which nobody has decided; returns how many."""
        prefix = task_id(agent, b"")
        said = await self._scripts.run("lapse", agent, arguments=lambda life: (limit, prefix, life))
        return int(said)


def agent_of_escalation(identifier: str) -> AgentKey | None:
    """The agent that an escalation's id names, None when it cannot be one of ours."""
    agent = agent_of(escalation.task_of(identifier))
    return agent if agent and keys.well_named(agent) else None


def asked_arguments(asked: Asked) -> tuple[Argument, ...]:
    """What waits, as `park.lua` takes it after the task: seconds, the schema, then fields."""
    step, position = asked.place
    return (
        asked.timeout_seconds, asked.schema,
        "tool", asked.tool, "arguments", asked.arguments, "digest", asked.digest,
        "step", step, "position", position, "why", asked.ask.why,
        "approvers", json.dumps(asked.ask.approvers), "minApprovals", asked.ask.min_approvals,
        "planned", int(asked.ask.planned), "signIn", int(asked.ask.sign_in),
        "onTimeout", asked.on_timeout.value, "context", asked.context, "proposed", asked.proposed,
        "memory", asked.memory,
    )  # fmt: skip


def _page_arguments(
    agent: AgentKey, sought: Sought, after: str, most: int, life: str = ""
) -> tuple[str | int, ...]:
    score, tail = escalation.parts_of(after) if after else ("", "")
    if score and not score.isdecimal():
        raise ValueError("it is no place among escalations")
    wanted = (sought.tenant, sought.user, sought.tool, sought.revision)
    return (score, tail, MOST_READ, most, task_id(agent, b""), life, *wanted, *_SHOWN)


def _page(agent: AgentKey, answer: Sequence[Any]) -> Page:
    score, tail, waiting, entries = answer
    items = []
    for identifier, *values in entries:
        stored = dict(zip((*_SHOWN, _LOST), values, strict=True))
        try:
            items.append(_escalation(agent, codec.word(identifier), stored))
        except codec.Unreadable:
            continue  # another hand has written it: its own page says so
    following = escalation.token(codec.word(score), codec.word(tail)) if score else ""
    return Page(tuple(items), following, int(waiting))


def _escalation(agent: AgentKey, identifier: str, stored: Mapping[str, bytes | None]) -> Escalation:
    with codec.reading(f"escalation {identifier}"):
        text = {name: codec.word(value) for name, value in stored.items()}
        approvers = json.loads(text["approvers"] or "[]")
        return Escalation(
            id=identifier,
            task=text["task"],
            agent=agent,
            revision=text["revision"],
            status=EscalationStatus(text["status"]),
            tenant=text["tenant"],
            user=text["user"],
            session=text["session"],
            submitter=text["submitter"],
            tool=text["tool"],
            arguments=text["arguments"],
            digest=_digest(text["digest"], text["proposed"]),
            ask=Ask(
                text["why"],
                tuple(map(tuple, approvers)),
                int(text["minApprovals"] or 1),
                sign_in=text["signIn"] == "1",
            ),
            on_timeout=OnTimeout(text["onTimeout"]),
            asked_ms=codec.counter(text["askedAt"]),
            deadline_ms=codec.counter(text["deadline"]),
            usage=codec.usage(text["usage"] or "{}"),
            decided_ms=codec.counter(text["decidedAt"] or "0"),
            approved_by=_persons(text["approvedBy"]),
            decided_by=_persons(text["decidedBy"]),
            note=text["note"],
            notes=_notes(text["notes"] or "[]"),
            answer=text["answer"],
            changed=text["changed"] or text["approving"],
            decided_revision=text["decidedRevision"],
            context=text.get("context", ""),
            schema=text["schema"],
            doubt=codec.span(text[_LOST]),
            remembers=_remembers(text["memory"]) if text["session"] else "",
            remembered=text["remembered"] == "1",
            preview=text["preview"] == "1",
        )


def _digest(of_the_call: str, proposed: str) -> str:
    """What a person means: the model's call, or that with the arguments which another person has put forward."""
    if not proposed:
        return of_the_call
    return hashlib.sha1((of_the_call + proposed).encode(), usedforsecurity=False).hexdigest()


def _remembers(text: str) -> str:
    """For which further calls it may be approved; nothing where another hand has written that."""
    try:
        return remembering.read(text).words if text else ""
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return ""


def _notes(text: str) -> tuple[Note, ...]:
    return tuple(
        Note(str(said["by"]), Verdict(said["decision"]), str(said["note"]))
        for said in json.loads(text)
    )


def _persons(text: str) -> tuple[str, ...]:
    return tuple(text.split("\n")) if text else ()
