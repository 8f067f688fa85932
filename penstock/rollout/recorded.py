"""The record of decisions as it is read again: its entries, their chain, and what each pass was given."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.analysis.pending import Position, position
from penstock.api.decisions import RowsSeen
from penstock.rollout import given, record
from penstock.rollout.given import Measured
from penstock.rollout.situation import Situation
from penstock.rollout.words import verified

Told = Mapping[str, Any]


@dataclass(frozen=True)
class Head:
    """The end of the chain: number and digest of the last decision."""

    number: int = 0
    digest: str = ""


@dataclass(frozen=True)
class Entry:
    """One entry as it was read; ``told`` is empty where its text is no entry."""

    number: int
    text: str
    told: Told

    @property
    def head(self) -> Head:
        """The end of the chain, were it the last one."""
        return Head(self.number, record.digest(self.text))

    @property
    def engine_needed(self) -> str:
        """Which other engine has decided; empty where it was this one."""
        ours = (record.SCHEMA, record.ENGINE)
        theirs = (self.told.get("schema"), self.told.get("engine"))
        return "" if ours == theirs else str(theirs[1])


@dataclass(frozen=True)
class Break:
    """Where the chain is broken: the entry, what it has, and what it must have."""

    number: int
    field: str
    recorded: str
    found: str
    why: str


@dataclass(frozen=True)
class Pass:
    """The entries of one pass of the operator on one revision, and what it was given.

    ``measured`` is None where nothing was measured. ``rows``: the digest of what was counted.
    """

    entries: tuple[Told, ...]
    situation: Situation
    measured: Measured | None
    through: Position
    rows: RowsSeen | None

    @property
    def revision(self) -> str:
        """Whom they are about."""
        return str(self.entries[0]["revision"])


def entries(texts: Mapping[str, str]) -> list[Entry]:
    """The entries of a record by their numbers; what has no number for a key is passed over."""
    numbers = {name.partition(".")[0]: text for name, text in texts.items()}
    known = {int(name): text for name, text in numbers.items() if _is_number(name)}
    return [Entry(number, text, _told(number, text)) for number, text in sorted(known.items())]


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdecimal() and len(name) <= 9 and int(name) > 0


def _told(number: int, text: str) -> Told:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) and told.get("number") == number else {}


def missing(found: Sequence[Entry], head: Head | None) -> list[int]:
    """Numbers that are not there, of each gap at most a thousand."""
    numbers = [0, *(one.number for one in found)]
    last = head.number + 1 if head and head.number > numbers[-1] else numbers[-1]
    ends = [*numbers[1:], last]
    return [
        absent
        for before, after in zip(numbers, ends, strict=True)
        for absent in range(before + 1, min(after, before + 1_001))
    ]


def breaks(found: Sequence[Entry], head: Head | None) -> Iterator[Break]:
    """Where an entry is none, has not the digest of the one before it, or is not what the head says."""
    before = Head()
    for one in found:
        if not one.told:
            yield Break(one.number, "number", one.text[:64], str(one.number), verified.NO_ENTRY)
        elif one.number == before.number + 1 and one.told.get("previous") != before.digest:
            told = str(one.told.get("previous"))
            yield Break(one.number, "previous", told, before.digest, verified.CHANGED_BEFORE)
        before = one.head
    if head and found and head.number == before.number and head != before:
        yield Break(before.number, "digest", before.digest, head.digest, verified.OTHER_HEAD)


def passes(found: Sequence[Entry]) -> Iterator[Pass | tuple[Entry, str]]:
    """The entries in passes; one that cannot be decided again by itself, with the reason."""
    together: list[Entry] = []
    for one in found:
        follows = together and one.number == together[-1].number + 1
        if "inputs" not in one.told and follows:
            together.append(one)
            continue
        yield from _made(together)
        together = [one]
    yield from _made(together)


def _made(together: Sequence[Entry]) -> Iterator[Pass | tuple[Entry, str]]:
    if not together:
        return
    first = together[0].told
    if "inputs" not in first:
        yield from ((one, verified.NOT_GIVEN) for one in together)
        return
    try:
        situation, measured = given.read(first["inputs"], first["parameters"])
        rows = first["measured"].get("rows") or {}
        yield Pass(
            entries=tuple(one.told for one in together),
            situation=situation,
            measured=measured,
            through=position(rows.get("through", "")),
            rows=RowsSeen.model_validate(rows) if "digest" in rows else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = verified.unread(error)
        yield from ((one, why) for one in together)
