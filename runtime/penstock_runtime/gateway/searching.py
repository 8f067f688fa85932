"""What a caller looks for among an agent's tasks: the query, read within bounds, refused in one sentence."""

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, TypeVar

from penstock import naming
from penstock.names import AgentKey
from penstock.task import OutcomeReason, TaskStatus
from penstock_runtime.gateway import bodies, plain
from penstock_runtime.gateway.problems import Problem
from penstock_store.listing import Place, Wanted

MAX_ITEMS: Final = 200
DEFAULT_ITEMS: Final = 50
MAX_VALUES: Final = 32  # of a parameter that may be given several times
_FIRST_EPOCH_SECONDS: Final = 1_000_000_000  # a smaller number is a time back from now
_LAST_EPOCH_SECONDS: Final = 253_402_300_799  # the year 9999
_SECONDS: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,6}", re.ASCII)

#: How a revision is named wherever one is asked for.
A_REVISION: Final = (
    "Name of a revision, its hash or the beginning of that, or its declared version (3 also finds v3); what several "
    "have is refused with their names."
)
#: What can be asked for, in the order of the reference, and what it means.
PARAMETERS: Final[Mapping[str, str]] = {
    "revision": f"Only tasks that it serves. {A_REVISION}",
    "status": "Status of the task; several, with commas or given several times: any of them.",
    "reason": "Reason of the outcome; several as with status.",
    "user": "For whom the task is.",
    "since": "When the task was submitted at the earliest: RFC 3339, or seconds before now; from "
    "1,000,000,000 on, seconds since 1970.",
    "limit": f"How many tasks a page has at most: 1 to {MAX_ITEMS}, else {DEFAULT_ITEMS}.",
    "continue": "What the page before said under the same name.",
}
_SEVERAL: Final = frozenset({"status", "reason"})
_Word = TypeVar("_Word", bound=StrEnum)
_Read = TypeVar("_Read")


@dataclass(frozen=True)
class Search:
    """What is looked for, from where on, and how many tasks a page has at most."""

    wanted: Wanted
    place: Place
    limit: int


def read(
    agent: AgentKey,
    query: Sequence[tuple[str, str]],
    tenant: str | None,
    versions: Mapping[str, str] = MappingProxyType({}),
) -> Search:
    """What a query asks for; an empty value is as good as none.

    Args:
        agent: whose tasks are looked for.
        query: its parameters, in their order.
        tenant: whose tasks the caller sees, None for those of all tenants.
        versions: what the revisions declare, by hash; empty where that is not known.

    Raises:
        Problem: invalid-query.
    """
    given = _grouped(query)

    def one(name: str, reading: Callable[[str], _Read], otherwise: _Read) -> _Read:
        text = given[name][0] if given.get(name) else ""
        return _parsed(name, text, reading) if text else otherwise

    beginning: tuple[int, int | None] = (0, None)
    since_ms, ago_ms = one("since", _since, beginning)
    wanted = Wanted(
        tenant=tenant,
        revision=revision(agent, "".join(given.get("revision", ())), versions),
        statuses=_words("status", given, TaskStatus),
        reasons=_words("reason", given, OutcomeReason),
        user=one("user", _name, ""),
        since_ms=since_ms,
        ago_ms=ago_ms,
    )
    return Search(wanted, one("continue", _place, Place()), one("limit", _limit, DEFAULT_ITEMS))


def is_about_one(query: Sequence[tuple[str, str]]) -> bool:
    """Whether a query names a revision, so that what revisions declare has to be known."""
    return any(name == "revision" and value for name, value in query)


def _grouped(query: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in query:
        if name not in PARAMETERS:
            shown = plain.one_line(name, bodies.MAX_SHOWN)
            raise Problem(
                "invalid-query",
                f"There is no parameter {shown!r}; there are {_listed(PARAMETERS)}.",
            )
        values = value.split(",") if name in _SEVERAL else [value]
        found.setdefault(name, []).extend(filter(None, values))
    for name, values in found.items():
        most = MAX_VALUES if name in _SEVERAL else 1
        if len(values) > most:
            raise Problem("invalid-query", f"The parameter {name} may be given {_times(most)}.")
    return found


def _times(most: int) -> str:
    return "once" if most == 1 else f"{most} times at most"


def _parsed(name: str, text: str, reading: Callable[[str], _Read]) -> _Read:
    try:
        return reading(text)
    except (ValueError, OverflowError) as error:
        raise _unfit(name, text, str(error)) from None


def _unfit(name: str, text: str, why: str) -> Problem:
    shown = plain.one_line(text, bodies.MAX_SHOWN)
    return Problem("invalid-query", f"The parameter {name} is {shown!r}; {why}.")


def _words(name: str, given: Mapping[str, list[str]], kind: type[_Word]) -> tuple[_Word, ...]:
    known = {word.value: word for word in kind if word.value}
    for text in given.get(name, ()):
        if text not in known:
            raise _unfit(name, text, f"it must be one of {_listed(known)}")
    return tuple(dict.fromkeys(known[text] for text in given.get(name, ())))


def _listed(words: Mapping[str, Any]) -> str:
    return ", ".join(words)


def revision(agent: AgentKey, text: str, versions: Mapping[str, str]) -> str:
    """The hash of the revision that a query names; empty where it names none.

    Raises:
        Problem: invalid-query.
    """
    return (
        _parsed("revision", text, lambda said: naming.named(agent.name, said, versions))
        if text
        else ""
    )


def _name(text: str) -> str:
    if len(text) > bodies.MAX_NAME_LENGTH:
        raise ValueError(f"it may have at most {bodies.MAX_NAME_LENGTH} characters")
    return text


def _since(text: str) -> tuple[int, int | None]:
    """A time in ms: since 1970, or before now."""
    if not _SECONDS.fullmatch(text):
        return _moment(text), None
    seconds = float(text)
    if seconds < _FIRST_EPOCH_SECONDS:
        return 0, round(seconds * 1000)
    return round(min(seconds, _LAST_EPOCH_SECONDS) * 1000), None


def _moment(text: str) -> int:
    words = (
        "it must be RFC 3339 with an offset, such as 2025-11-21T09:00:00Z, or a number of seconds"
    )
    try:
        moment = datetime.datetime.fromisoformat(
            text.replace(" ", "+")
        )  # a plus that was not escaped
    except ValueError:
        raise ValueError(words) from None
    if moment.tzinfo is None or "T" not in text.upper():
        raise ValueError(words)
    return max(0, round(moment.timestamp() * 1000))


def _limit(text: str) -> int:
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= MAX_ITEMS:
        raise ValueError(f"it must be a number from 1 to {MAX_ITEMS}")
    return int(text)


def _place(text: str) -> Place:
    try:
        return Place.read(text)
    except ValueError:
        raise ValueError("it must be what a page before said under continue") from None
