"""Who is served by which revision: the route record, and the sticky, monotone choice of a side."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from penstock import rings

BUCKETS: Final = 100


class Arm(StrEnum):
    """A side of the comparison, as it stands in outcome rows."""

    STABLE = "S"
    CANARY = "C"

    #: As its value, to which it is equal; and at a fraction of the time, in the key of nearly everything that is counted.
    __hash__ = str.__hash__


class Unit(StrEnum):
    """What is hashed to a side; a missing user falls back to the session, then the task."""

    USER = "User"
    SESSION = "Session"
    TASK = "Task"


def bucket(salt: str, unit_key: str) -> int:
    """Bucket 0-99 of a user, session or task.

    The first 32 bits of sha1(salt + ":" + key) modulo 100; ``admit.lua`` computes the same.
    """
    digest = hashlib.sha1(f"{salt}:{unit_key}".encode(), usedforsecurity=False).hexdigest()
    return int(digest[:8], 16) % BUCKETS


@dataclass(frozen=True)
class Split:
    """Who serves whom: what a version of a route stands for.

    ``stable`` and ``canary`` are revisions (empty: none), by name where it is decided and by hash
    in a route; ``percent`` is the canary's share of new sessions; ``suspended``: nothing is
    admitted. ``chosen``: members of the rings whose users get the canary whatever their bucket is, as
    ``penstock.rings.members`` has them. Without a stable but with a canary the first revision climbs: whom it is not given is
    refused.
    """

    stable: str = ""
    canary: str = ""
    percent: int = 0
    salt: str = ""
    unit: Unit = Unit.USER
    suspended: bool = False
    chosen: tuple[str, ...] = ()

    @property
    def tries(self) -> bool:
        """Whether some users are given the canary."""
        return bool(self.canary) and (self.percent > 0 or bool(self.chosen))

    def pick(self, unit_key: str, user: str = "", tenant: str = "") -> tuple[str, Arm, int]:
        """(revision, arm, bucket) for a new session of this user, session or task; no revision: it is refused.

        In place of the bucket of a user who was chosen stands the number of his ring, from
        ``penstock.rings.FIRST`` on.
        """
        ring = rings.number(self.chosen, self.salt, user, tenant) if self.chosen else None
        if self.canary and ring is not None:
            return self.canary, Arm.CANARY, rings.FIRST + ring
        slot = bucket(self.salt, unit_key)
        if self.canary and slot < self.percent:
            return self.canary, Arm.CANARY, slot
        return self.stable, Arm.STABLE, slot


@dataclass(frozen=True)
class RevisionLimits:
    """What admission and the fold must know of a revision."""

    input_chars: int
    queue_seconds: int
    wall_seconds: int

    @property
    def overdue_seconds(self) -> int:
        """A task routed longer ago than this without an end counts as an error."""
        return self.queue_seconds + self.wall_seconds + 30


class Standing(StrEnum):
    """What a revision's workers may do with the work they hold.

    OPEN: gets new work.
    DRAINING: finishes everything it has, sessions stay; what no worker touches for a minute moves.
    SUPERSEDED: gives back what has not begun and has no older session, finishes the rest.
    WITHDRAWN: the same while a canary is suspended or stopped (it may come back).
    REJECTED: gives back everything: unbegun work at once, running work at its next step.
    CLOSED: has nothing and gets nothing.
    """

    OPEN = "Open"
    DRAINING = "Draining"
    SUPERSEDED = "Superseded"
    WITHDRAWN = "Withdrawn"
    REJECTED = "Rejected"
    CLOSED = "Closed"


class WayBack(StrEnum):
    """How a revision whose workers take no work may come back.

    RETRY: it was rejected, and is what the Agent declares.
    DECLARE_AND_RETRY: it was rejected, and another template is declared.
    UNDO: it has served everybody once, so that it may again; declared, it is a canary.
    DECLARE: it has never served everybody.
    UNKNOWN: the operator does not say, or has no record of it.
    """

    RETRY = "Retry"
    DECLARE_AND_RETRY = "DeclareAndRetry"
    UNDO = "Undo"
    DECLARE = "Declare"
    UNKNOWN = ""


@dataclass(frozen=True)
class Messages:
    """What end users of a revision read instead of an answer; "": what there is of one."""

    escalated: str = ""
    unavailable: str = ""
    blocked: str = ""


@dataclass(frozen=True)
class RoutedRevision:
    """A revision as the route record knows it; ``hash`` is its short hash.

    ``version`` is what its template declares, empty when it declares none.
    """

    hash: str
    standing: Standing
    limits: RevisionLimits
    version: str = ""
    messages: Messages = Messages()
    way_back: WayBack = WayBack.UNKNOWN


@dataclass(frozen=True)
class RequestRates:
    """How many tasks one user and one tenant may submit in a minute; 0: as many as they like.

    What is over a rate is refused, or where it is not ``enforced`` counted.
    """

    user: int = 0
    tenant: int = 0
    enforced: bool = True

    def __bool__(self) -> bool:
        return self.user > 0 or self.tenant > 0


NO_RATES: Final = RequestRates()


@dataclass(frozen=True)
class Route:
    """The one record that decides an agent's traffic, fenced by (uid, epoch, version).

    ``split`` and ``revisions`` go by hash; ``max_queued`` is how many tasks may wait for a worker, 0
    as many as the installation allows. ``rates`` are those of its users and tenants;
    ``budget_mark`` tells the budget that is declared in the ledger from others, "" where there is none.
    ``restrictions``: as ``penstock.restrictions.written`` has them. ``harm``: what the canary may do to the
    world, as ``penstock.rollout.harm_budget.written`` has it, "" for no bound. ``shadow``: whether copies of
    stable's tasks are made for the canary, as ``penstock.shadow.written`` has it.
    """

    uid: str
    epoch: int
    version: int
    split: Split
    max_queued: int = 0
    rates: RequestRates = NO_RATES
    budget_mark: str = ""
    restrictions: str = ""
    harm: str = ""
    shadow: str = ""
    revisions: Mapping[str, RoutedRevision] = field(default_factory=dict)


def unit_key(unit: Unit, user: str, session: str, task: str) -> str:
    """What is hashed: the unit's own key, falling back user, session, task; never the caller."""
    if unit is Unit.USER and user:
        return user
    if unit in (Unit.USER, Unit.SESSION) and session:
        return session
    return task
