"""Users who go first: rings of chosen users and tenants, by digests that a salt tells apart.

Who has a list of names and the salt can test them, as with the percentage; nobody can read them.
"""

import hashlib
from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Final

#: Hexadecimal digits of a member's digest: among so many users as there are, nobody is taken for another one.
DIGITS: Final = 12
#: Outcome rows of a ring's tasks say its number instead of a bucket: the first ring is that behind the last bucket.
FIRST: Final = 100
#: Rings whose digests are remembered: 550 names of one take some 60 KB.
_REMEMBERED: Final = 128


class Kind(StrEnum):
    """What a name is of."""

    USER = "user"
    TENANT = "tenant"


def member(salt: str, kind: Kind, name: str) -> str:
    """The digest of a name, the first 48 bits of sha1(salt:kind:name); ``admit.lua`` computes the same."""
    text = f"{salt}:{kind}:{name}"
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:DIGITS]


def members(salt: str, users: Iterable[str], tenants: Iterable[str]) -> str:
    """The digests of a ring's users and tenants in one text, sorted, each once."""
    return _members(salt, tuple(users), tuple(tenants))


@lru_cache(maxsize=_REMEMBERED)
def _members(salt: str, users: tuple[str, ...], tenants: tuple[str, ...]) -> str:
    """The same; each look asks for the members of every ring several times."""
    found = {member(salt, Kind.USER, user) for user in users}
    found |= {member(salt, Kind.TENANT, tenant) for tenant in tenants}
    return "".join(sorted(found))


def each(text: str) -> list[str]:
    """The digests in such a text."""
    return [text[at : at + DIGITS] for at in range(0, len(text), DIGITS)]


@lru_cache(maxsize=_REMEMBERED)
def together(one: str, other: str) -> str:
    """The digests of both texts."""
    return "".join(sorted({*each(one), *each(other)}))


def mark(rings: Sequence[str]) -> str:
    """What tells members of rings from others, in a route; "" for no ring."""
    return hashlib.sha256(written(rings).encode()).hexdigest()[:16] if rings else ""


def written(rings: Sequence[str]) -> str:
    """The members of all rings as a route carries them: ring by ring, parted by commas."""
    return ",".join(rings)


def number(rings: Sequence[str], salt: str, user: str, tenant: str) -> int | None:
    """The place of the first ring that a user or a tenant is in, from 0; None where it is none of them.

    Args:
        user: of the task; empty where it has none.
    """
    names = ((Kind.USER, user), (Kind.TENANT, tenant))
    ours = {member(salt, kind, name) for kind, name in names if name}
    found = (at for at, text in enumerate(rings) if ours.intersection(each(text)))
    return next(found, None)
