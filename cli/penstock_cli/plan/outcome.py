"""A plan as data: what an apply does to each object, and what comes of it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from penstock.money.prices import EMPTY, Table
from penstock.rollout.foreseen import Leg
from penstock_cli.exits import Exit
from penstock_cli.plan.drafts import Draft
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
class Cost:
    """What a task costs in the mean, in micro-USD: with the model before, and with the one after.

    ``tasks``: on so many it rests, which ended from ``since`` to ``until``. ``unknown``: why it cannot be told.
    """

    model_before: str
    model_after: str
    tasks: int = 0
    since: str = ""
    until: str = ""
    before: int | None = None
    after: int = 0
    unknown: str = ""


@dataclass(frozen=True)
class Planned:
    """What an apply does to one object, and what comes of it.

    ``cuts`` are the fields by which a new revision is cut, ``acts`` those that act at once. ``before``
    and ``after`` are the revisions of the template, by name, ``serves`` is the stable one; ``why`` says why the last one was rejected.
    ``doubts``: what is not known, and why; ``beside``: what is there in place of refused manifests; ``idle``: why an AgentRollout does nothing. ``models``: as declared before and after, where both are known;
    ``prices``: the installation's own, None where they cannot be read; ``cost``: where another model or price makes it another.
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
    beside: tuple[str, ...] = ()
    idle: str = ""
    models: tuple[Document, Document] | None = None
    prices: Table | None = EMPTY
    cost: Cost | None = None


@dataclass(frozen=True)
class Plan:
    """What was planned; ``away``: why no API server was asked; ``others``: kind and name of what was left out."""

    items: tuple[Planned, ...]
    away: str = ""
    others: tuple[tuple[str, str], ...] = ()

    @property
    def exit(self) -> int:
        """0: nothing would change; 1: something would; above: it is refused, or checked in part."""
        if any(one.refusal for one in self.items):
            return Exit.REFUSED
        if self.away or any(one.doubts or not one.draft.asked for one in self.items):
            return Exit.UNFINISHED
        return int(any(one.change is not Change.UNCHANGED for one in self.items))


def change(draft: Draft, *, changed: bool) -> Change:
    """What an apply does to an object that would be taken."""
    if not draft.compared:
        return Change.UNKNOWN
    return Change.NEW if draft.live is None else Change.CHANGED if changed else Change.UNCHANGED


def refused(draft: Draft) -> Planned:
    """An object that the API server would not take; without one, that our own checks found wrong."""
    refusal = Refusal(API_SERVER if draft.asked else OWN_CHECKS, "Invalid", draft.refused)
    return Planned(draft, Change.REFUSED, refusal=refusal)
