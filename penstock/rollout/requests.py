"""Requests of people: the annotation ``penstock.dev/request: <verb>/<revision>/<nonce>``."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from penstock import names

#: The answer to a value that was answered before: nothing is done, and nobody is warned.
REPEATED: Final = "Repeated"
#: So many answered values are remembered, the last ones. A value that is sent again after so many
#: others is a new request.
REMEMBERED: Final = 32
DIGEST_CHARACTERS: Final = 16


class Verb(StrEnum):
    """What a person can ask for."""

    PROMOTE = "promote"
    PROMOTE_FULL = "promote-full"
    ABORT = "abort"
    RETRY = "retry"
    UNDO = "undo"


@dataclass(frozen=True)
class Request:
    """A well-formed request; ``revision`` is a name, its hash, or its template.version."""

    verb: Verb
    revision: str


def parse(value: str) -> Request | None:
    """Read the annotation; None when it is not ``<verb>/<revision>/<nonce>``."""
    if not value:
        return None
    verb, _, rest = value.partition("/")
    revision, slash, nonce = rest.partition("/")
    if verb not in tuple(Verb) or not (revision and slash and nonce):
        return None
    return Request(Verb(verb), revision)


def named(text: str, versions: Mapping[str, str | None]) -> list[str]:
    """The revisions that a person may mean: by name or hash one, by version all that have it.

    Args:
        text: what stands in the request.
        versions: the template.version of each revision, by its name.
    """
    exact = [name for name in versions if text in (name, names.hash_of(name))]
    return exact or sorted(name for name, version in versions.items() if version == text)


def is_answered(value: str, digests: Sequence[str]) -> bool:
    """Whether a value is among those that were answered."""
    return bool(value) and _digest(value) in digests


def remember(digests: Sequence[str], *values: str) -> tuple[str, ...]:
    """The digests with those of more values, the newest last; the oldest make room."""
    new = [_digest(value) for value in values if value]
    return (*(one for one in digests if one not in new), *new)[-REMEMBERED:]


def _digest(value: str) -> str:
    """64 bits of SHA-256: a status has no room for 32 whole values."""
    return hashlib.sha256(value.encode()).hexdigest()[:DIGEST_CHARACTERS]
