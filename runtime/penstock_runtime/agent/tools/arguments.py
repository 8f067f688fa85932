"""Single arguments of a call: found by their path, read as a number."""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

#: What is found where there is no argument of that name.
ABSENT: Final = object()
_NUMBER: Final = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][-+]?[0-9]{1,3})?", re.ASCII)
_LONGEST_NUMBER: Final = 100


def found(given: Mapping[str, Any], path: str) -> Any:
    """The argument of a path: a name, or names of objects within each other, with dots between.

    Where a call has both, nobody can say which one its tool reads: then it is as good as absent.
    """
    inner = _within(given, path)
    if "." not in path or path not in given:
        return inner
    return given[path] if inner is ABSENT else ABSENT


def _within(given: Mapping[str, Any], path: str) -> Any:
    inner: Any = given
    for name in path.split("."):
        if not isinstance(inner, Mapping) or name not in inner:
            return ABSENT
        inner = inner[name]
    return inner


def number(value: Any) -> Decimal | None:
    """A number, or one that is written as text; None where it cannot be compared."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    text = value.strip() if isinstance(value, str) else repr(value)
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None
