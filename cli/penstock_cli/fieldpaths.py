"""The fields at which two documents differ. Pure."""

from collections.abc import Mapping
from typing import Any


def paths(before: Any, after: Any, path: str = "") -> tuple[str, ...]:
    """The paths at which two values differ; items of lists go by their names where they have some."""
    if before == after:
        return ()
    pair = _named(before), _named(after)
    if not all(isinstance(one, Mapping) for one in pair):
        return (path,)
    first, second = pair
    keys = dict.fromkeys((*first, *second))
    if path and not (first and second):
        return (path,)
    return tuple(
        found
        for key in keys
        for found in paths(first.get(key), second.get(key), _joined(path, key, before))
    )


def _joined(path: str, key: str, value: Any) -> str:
    if isinstance(value, list):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key


def _named(value: Any) -> Any:
    """A list of things with names as a mapping from them; anything else as it is."""
    if not isinstance(value, list) or not value:
        return value
    if all(isinstance(one, Mapping) and isinstance(one.get("name"), str) for one in value):
        return {one["name"]: one for one in value}
    return value
