"""The fields of a task that undoes a call."""

from collections.abc import Mapping
from typing import Final

from penstock.task import Compensation

FIELDS: Final = ("undoes", "undoTool", "undoArguments")


def read(stored: Mapping[str, str]) -> Compensation | None:
    """What a task undoes; None of an ordinary one."""
    if not stored.get(FIELDS[0]):
        return None
    call, tool, arguments = (stored[name] for name in FIELDS)
    return Compensation(call, tool, arguments)


def written(wanted: Compensation) -> list[str]:
    """The fields, name and value in turn."""
    values = (wanted.call, wanted.tool, wanted.arguments)
    return [word for pair in zip(FIELDS, values, strict=True) for word in pair]
