"""What an agent asks of a person, and what a person has said: the types of an escalation."""

import base64
import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from penstock.api.oversight import OnTimeout
from penstock.names import AgentKey
from penstock.remembering import Kept
from penstock.revision import canonical
from penstock.task import Usage

LONGEST_SECONDS: Final = 604_800  # seven days
DEFAULT_SECONDS: Final = 3600

#: A call of a task: the number of the reply, and that of the call in it, both from 1.
Place = tuple[int, int]


class EscalationStatus(StrEnum):
    """Where an escalation is. Void: its task ended before anybody decided."""

    OPEN = "Open"
    APPROVED = "Approved"
    DENIED = "Denied"
    ANSWERED = "Answered"
    VOID = "Void"


class Verdict(StrEnum):
    """What a person says. Answer: the call is not made, the model reads the person's words instead."""

    APPROVE = "Approve"
    DENY = "Deny"
    ANSWER = "Answer"


@dataclass(frozen=True)
class Ask:
    """Why a call needs a person, and whose word it takes.

    ``planned``: whoever declared the agent has it wait whatever the model does; else the model asks by
    itself, or by what it put into the call, and its revision answers for that.
    ``approvers``: for each entry the person must be in one of its groups. ``min_approvals``: so
    many different persons must approve. ``sign_in``: whoever decides shows a token of the cluster.
    ``kept``: for each rule that asks, what an approval may be remembered for; none where one of them allows none.
    """

    why: str
    approvers: tuple[tuple[str, ...], ...] = ()
    min_approvals: int = 1
    planned: bool = True
    sign_in: bool = False
    kept: tuple[Kept, ...] = ()


@dataclass(frozen=True)
class Asked:
    """A call that waits, as it is kept for the person.

    ``arguments`` and ``context`` are JSON without credentials; ``digest`` is of the tool's name, its
    schema and the whole arguments. ``schema`` is JSON, by which changed arguments are checked.
    ``proposed``: the whole arguments, as JSON, that a person has put in the place of the model's and that
    take the word of others; empty where the call is as the model wants it. ``memory``: what an approval of it
    may be remembered for, see ``Memory.text``; empty for nothing.
    """

    ask: Ask
    tool: str
    place: Place
    arguments: str
    digest: str
    schema: str
    context: str
    timeout_seconds: int
    on_timeout: OnTimeout
    proposed: str = ""
    memory: str = ""


@dataclass(frozen=True)
class Decision:
    """What was decided of a call. ``by`` is empty where time decided.

    ``arguments``: those that a person put in the place of the model's; None: the model's own.
    ``digest`` is what the approval is bound to, ``approvers`` and ``sign_in`` whose word it took (see ``Ask``).
    """

    escalation: str
    place: Place
    verdict: Verdict
    digest: str
    by: tuple[str, ...] = ()
    note: str = ""
    answer: str = ""
    arguments: Mapping[str, Any] | None = None
    approvers: tuple[tuple[str, ...], ...] = ()
    sign_in: bool = False

    def covers(self, ask: Ask) -> bool:
        """Whether an approval is one of as many people, of the groups, and with such tokens, as a call takes."""
        enough = set(ask.approvers) <= set(self.approvers) and len(self.by) >= ask.min_approvals
        return enough and (self.sign_in or not ask.sign_in)


@dataclass(frozen=True)
class Note:
    """What a person has said of a call, whether or not it was the last word."""

    by: str
    decision: Verdict
    text: str


_NOTHING: Final = Usage()


@dataclass(frozen=True)
class Escalation:
    """An escalation as it is stored. Times are Redis milliseconds; ``revision`` is a hash.

    ``submitter`` is who submitted the task, ``user`` for whom. ``approved_by`` have approved so far,
    ``decided_by`` is empty where time decided, or nobody yet. ``changed``: JSON of the arguments that a
    person put in the place of the model's, also where one more must approve; empty where nobody did.
    ``doubt``: in this span Redis lost what became of the call; it may have been approved and made.
    ``notes``: what each person has said, in order; ``note`` is that of the last one. ``remembers``: for which
    further calls of its session it may be approved; "" where the rules allow none, or it has no session.
    ``remembered``: it was approved for them. ``preview``: a person has chosen the task's revision.
    """

    id: str
    task: str
    agent: AgentKey
    revision: str
    status: EscalationStatus
    tenant: str
    user: str
    session: str
    submitter: str
    tool: str
    arguments: str
    digest: str
    ask: Ask
    on_timeout: OnTimeout
    asked_ms: int
    deadline_ms: int
    usage: Usage = _NOTHING
    decided_ms: int = 0
    approved_by: tuple[str, ...] = ()
    decided_by: tuple[str, ...] = ()
    note: str = ""
    answer: str = ""
    changed: str = ""
    decided_revision: str = ""
    context: str = ""
    schema: str = ""
    doubt: str = ""
    notes: tuple[Note, ...] = ()
    remembers: str = ""
    remembered: bool = False
    preview: bool = False


def digest(tool: str, schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
    """What an approval is bound to: another tool, schema or argument gives another digest."""
    text = canonical([tool, schema, arguments])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def same_person(name: str) -> str:
    """What all spellings of a person's name have in common: case, width and blanks around it tell nobody apart."""
    return unicodedata.normalize("NFKC", name).casefold().strip()


def task_of(identifier: str) -> str:
    """The id of the task of an escalation; "" where it is no escalation's id."""
    task, dot, number = identifier.rpartition(".")
    fits = dot and task.count(".") == 1 and number.isascii() and number.isdecimal()
    return task if fits and len(identifier) <= _MOST_CHARACTERS else ""


def token(*parts: str) -> str:
    """Words as one opaque, URL-safe one."""
    return base64.urlsafe_b64encode("\n".join(parts).encode()).decode().rstrip("=")


def parts_of(text: str) -> list[str]:
    """The words of a token.

    Raises:
        ValueError: it is none.
    """
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().split("\n")


_MOST_CHARACTERS: Final = 220
