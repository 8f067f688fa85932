"""Requests of people: the annotation ``penstock.dev/request: <verb>/<revision>/<nonce>``."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from penstock import names


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
