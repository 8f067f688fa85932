"""Outcome rows as Redis holds them, in either layout; what nobody can read is passed over."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from penstock.outcomes import End, Row, RowKind
from penstock.task import Counting, OutcomeReason, TaskStatus
from penstock.traffic import Arm
from penstock_store.codec import ENDED, counter, pairs, word
from penstock_store.records import RowPage

#: The newest layout of outcome rows that is read. Written is version 1: a version that is gone back to reads
#: the same log.
ROW_VERSION: Final = 2


def row_page(prefix: str, entries: Sequence[Any], asked: int) -> RowPage:
    """Outcome rows from their stream entries; the ids of those that cannot be read are told.

    Args:
        prefix: what the agent's task ids begin with.
        entries: of the stream.
        asked: for how many was asked; fewer came when the log has no more.
    """
    found = [(entry, row(prefix, entry)) for entry in entries]
    rows = tuple(one for _, one in found if one is not None)
    passed_over = tuple(entry[0].decode() for entry, one in found if one is None)
    through = entries[-1][0].decode() if entries else ""
    first = entries[0][0].decode() if entries else ""
    return RowPage(rows, through, len(entries) >= asked > 0, passed_over, first)


def row(prefix: str, entry: Sequence[Any]) -> Row | None:
    """An outcome row from its stream entry; None when it is none that this version can read.

    There are two layouts. Version 1 is one field, named by the kind, with values in a fixed order.
    From version 2 on a row is a map of named fields, of which those that are not known are passed
    over; ``v`` says which reader it needs at least.
    """
    identifier, flat = entry
    try:
        fields = pairs(flat)
        said = _keyed(fields) if "v" in fields else _in_order(flat)
        return _row(prefix, identifier.decode(), said)
    except (ValueError, KeyError, TypeError, IndexError):
        return None


#: The fields of a row in the order of version 1; after FINISHED alone come the last three.
_ROW_FIELDS: Final = (
    "kind", "task", "arm", "revision", "route", "begin", "bucket", "counting", "latency", "cost",
)  # fmt: skip
_UNENDED_FIELDS: Final = _ROW_FIELDS[:-3]
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9_.-]{1,200}", re.ASCII)
_REASONS: Final = frozenset(reason.value for reason in OutcomeReason)


def _in_order(flat: Sequence[bytes]) -> dict[str, str]:
    kind, content = flat
    parts = [kind.decode(), *content.decode().split("|")]
    names = _UNENDED_FIELDS if len(parts) == len(_UNENDED_FIELDS) else _ROW_FIELDS
    return dict(zip(names, parts, strict=True))


def _keyed(fields: Mapping[str, bytes]) -> dict[str, str]:
    if int(fields["v"]) > ROW_VERSION:
        raise ValueError("it needs a newer reader")
    return {name: value.decode() for name, value in fields.items()}


def _identifier(text: str) -> str:
    """A task's id; people who may not read tasks read it, so it holds no other text."""
    if not _IDENTIFIER.fullmatch(text):
        raise ValueError("it is no task's id")
    return text


def _row(prefix: str, identifier: str, said: Mapping[str, str]) -> Row:
    return Row(
        id=identifier,
        kind=RowKind(said["kind"]),
        task=_identifier(prefix + said["task"]),
        arm=Arm(said["arm"]),
        revision=said["revision"],
        route_version=counter(said["route"]),
        begin_version=counter(said["begin"]),
        bucket=counter(said["bucket"]),
        counting=Counting(said.get("counting", Counting.GOOD)),
        latency_ms=counter(said.get("latency", "0")),
        cost_micro_usd=counter(said.get("cost", "0")),
        reason=_reason(said["reason"]) if "reason" in said else None,
    )


def _reason(text: str) -> OutcomeReason:
    """A reason out of the closed list; a word that is not in it says nothing."""
    return OutcomeReason(text) if text in _REASONS else OutcomeReason.NONE


def end(status: bytes | None, reason: bytes | None) -> End | None:
    """How a task ended, None when it has not, or nobody knows; no word is taken over that is not ours."""
    said = word(status)
    if said not in ENDED:
        return None
    return End(TaskStatus(said), _reason(word(reason)))
