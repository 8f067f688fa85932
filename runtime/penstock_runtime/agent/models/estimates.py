"""About how much a text is, where nobody has counted it."""

from collections.abc import Mapping
from typing import Any

_CHARACTERS_PER_TOKEN = 4


def estimated_tokens(value: Any) -> int:
    """About how many tokens texts in a JSON value are: four characters a token, rounded up."""
    return -(-characters(value) // _CHARACTERS_PER_TOKEN)


def characters(value: Any) -> int:
    """How many characters texts in a JSON value have, however deep they stand."""
    found, left = 0, [value]
    while left:
        match left.pop():
            case str() as text:
                found += len(text)
            case list() | tuple() as items:
                left += items
            case dict() | Mapping() as members:  # most are dicts, which is quicker seen
                found += sum(len(str(key)) for key in members)
                left += members.values()
            case other:
                found += len(str(other))
    return found
