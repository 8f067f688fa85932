"""A plan as data: what an apply does to each object, and what comes of it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from penstock.money.prices import EMPTY, Table
from penstock.rollout.foreseen import Leg
from penstock_cli.drafts import Draft
from penstock_cli.seen import Document

ACCEPTED: Final = "Accepted"
API_SERVER: Final = "API server"
OWN_CHECKS: Final = "penstock"


class Change(StrEnum):
    """What an apply does to an object. UNKNOWN: it was compared with nothing."""

    NEW = "New"
    CHANGED = "Changed"
    UNCHANGED = "Unchanged"
    UNKNOWN = "Unknown"
    REFUSED = "Refused"


class Standing(StrEnum):
    """What a revision is before it is applied. FORMER: it has served everybody; KNOWN: it never did."""

    NEW = "New"
    STABLE = "Stable"
    CANARY = "Canary"
    REJECTED = "Rejected"
    FORMER = "Former"
    KNOWN = "Known"


class Course(StrEnum):
    """What becomes of a revision that is applied."""

    NOTHING = "Nothing"
    SERVES = "Serves"
    RETURNS = "Returns"
    CLIMBS = "Climbs"
    GOES_ON = "GoesOn"
    WAITS = "Waits"
    REJECTED = "Rejected"


@dataclass(frozen=True)
class Refusal:
    """Who would refuse it, why in one word, and in words."""

    by: str
    reason: str
    message: str


@dataclass(frozen=True)
class Rollout:
    """What follows for the users. ``given_up``: the canary that ends at once, and its share.

    ``held``: what a person must do something about before it goes further, in the operator's words. ``share``:
    the canary's before, and as soon as it can be.
    """

    course: Course
    governed: str = ""
    given_up: tuple[str, int] | None = None
    legs: tuple[Leg, ...] = ()
    held: str = ""
    ceiling: int | None = None
    caps: tuple[tuple[str, str], ...] = ()
    share: tuple[int, int] | None = None


@dataclass(frozen=True)
class Planned:
    """What an apply does to one object, and what comes of it.

    ``cuts`` are the fields by which a new revision is cut, ``acts`` those that act at once. ``before``
    and ``after`` are the revisions of the template, by name, ``serves`` is the stable one; ``why`` says why the last one was rejected.
    ``doubts``: what is not known, and why; ``idle``: why an AgentRollout does nothing. ``models``: as declared before and after, where both are known;
    ``prices``: the installation's own, None where they cannot be read.
    """

    draft: Draft
    change: Change
    cuts: tuple[str, ...] = ()
    acts: tuple[str, ...] = ()
    diff: tuple[str, ...] = ()
    refusal: Refusal | None = None
    before: str = ""
    after: str = ""
    serves: str = ""
    version: str = ""
    standing: Standing | None = None
    why: str = ""
    rollout: Rollout | None = None
    doubts: tuple[str, ...] = ()
    idle: str = ""
    models: tuple[Document, Document] | None = None
    prices: Table | None = EMPTY
