"""Requests of people: the annotation ``penstock.dev/request: <verb>/<revision>/<nonce>``."""

from dataclasses import dataclass
from enum import StrEnum

from penstock import names


class Verb(StrEnum):
    """What a person can ask for."""

    PROMOTE = "promote"
    PROMOTE_FULL = "promote-full"
    ABORT = "abort"
    RETRY = "retry"


@dataclass(frozen=True)
class Request:
    """A well-formed request; ``revision`` is a name, its hash, or its template.version."""

    verb: Verb
    revision: str

    def is_for(self, candidate: str, version: str | None = None) -> bool:
        """Whether it names this revision, of this template.version."""
        known = (candidate, names.hash_of(candidate), version)
        return bool(candidate) and self.revision in known


def parse(value: str) -> Request | None:
    """Read the annotation; None when it is not ``<verb>/<revision>/<nonce>``."""
    verb, _, rest = value.partition("/")
    revision, slash, nonce = rest.partition("/")
    if verb not in tuple(Verb) or not (revision and slash and nonce):
        return None
    return Request(Verb(verb), revision)
