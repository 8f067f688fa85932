"""An agent's newest tasks, page by page, as people look for them: by revision, end, user and time."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from penstock.names import AgentKey
from penstock.task import OutcomeReason, Task, TaskStatus, task_id
from penstock_store import codec

#: Keys that one page reads at most, whatever is looked for; where it ends, the next page goes on.
MOST_READ: Final = 250
#: Bytes of a field that a page shows; a longer message is cut, another one is none of Penstock's.
MOST_FIELD_BYTES: Final = 4096
# What a caller wrote and what an agent answered can be large: a page is read without them.
_LEFT_OUT: Final[Mapping[str, bytes]] = {"input": b"", "output": b"", "metadata": b"{}"}
#: The fields of a task that a page reads, in this order.
SHOWN: Final = tuple(name for name in codec.TASK_FIELDS if name not in _LEFT_OUT)
_PLACE: Final = re.compile(r"([0-9]{1,9})\.([0-9a-f]{40})", re.ASCII)


@dataclass(frozen=True)
class Wanted:
    """Which tasks are looked for: those that fit all of it; what is empty or None fits all.

    ``since_ms`` and ``ago_ms`` say when a task was admitted at the earliest, in ms since 1970, or
    before now, by the clock of Redis; where both are given the second counts.
    """

    tenant: str | None = None
    revision: str = ""
    statuses: tuple[TaskStatus, ...] = ()
    reasons: tuple[OutcomeReason, ...] = ()
    user: str = ""
    since_ms: int = 0
    ago_ms: int | None = None

    def document(self, agent: AgentKey) -> str:
        """The same as the script reads it."""
        said = {
            "prefix": task_id(agent, b""),
            "tenant": self.tenant,
            "revision": self.revision,
            "statuses": self.statuses,
            "reasons": self.reasons,
            "user": self.user,
            "since": self.since_ms,
            "ago": self.ago_ms,
        }
        return json.dumps({name: value for name, value in said.items() if value is not None})


@dataclass(frozen=True)
class Place:
    """How far the index was read: to a task, by its place then and a digest of its id.

    Tasks that came since stand before it, so it is found at that place or further back. The digest
    keeps ids of other tenants from who reads the place.
    """

    number: int = 0
    digest: str = ""

    @property
    def token(self) -> str:
        """The place as one opaque, URL-safe word; empty at the beginning."""
        if not self.digest:
            return ""
        return (
            base64.urlsafe_b64encode(f"{self.number}.{self.digest}".encode()).decode().rstrip("=")
        )

    @classmethod
    def read(cls, token: str) -> "Place":
        """The place of a token.

        Raises:
            ValueError: it is none.
        """
        if not token:
            return cls()
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("ascii")
        found = _PLACE.fullmatch(text)
        if found is None:
            raise ValueError(f"{token!r} is no place in an index")
        return cls(int(found[1]), found[2])


@dataclass(frozen=True)
class TaskPage:
    """Tasks, newest first, without input, output and metadata.

    ``following``: where the next page goes on, None at the end. ``unreadable``: how many fit what
    is looked for, as far as could be seen, and cannot be read.
    """

    tasks: tuple[Task, ...]
    following: Place | None
    unreadable: int = 0


def page(agent: AgentKey, answer: Sequence[Any]) -> tuple[TaskPage, bool]:
    """A page from what the script answers, and whether there was nothing to read."""
    number, digest, unreadable, read, entries = answer
    found = [_task(agent, entry) for entry in entries]
    readable = tuple(task for task in found if task is not None)
    following = None if number < 0 else Place(number, digest.decode())
    return TaskPage(readable, following, unreadable + len(found) - len(readable)), read == 0


def _task(agent: AgentKey, entry: Sequence[Any]) -> Task | None:
    part, *values = entry
    stored = {name: value for name, value in zip(SHOWN, values, strict=True) if value is not None}
    try:
        identifier = task_id(agent, b"") + part.decode("ascii")
        return codec.task(agent, identifier, {**stored, **_LEFT_OUT})
    except (codec.Unreadable, UnicodeDecodeError):
        return None
