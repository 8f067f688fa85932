"""What the operator remembers of an agent between passes; losing it costs nothing but time."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self, TypeAlias, TypeVar

from penstock.api import condition
from penstock.api.agent_status import AgentStatus
from penstock.api.reasons import ConditionType
from penstock.revision import Revision
from penstock.rollout.situation import Entry
from penstock.traffic import Route
from penstock_operator.cluster.drift import Answer, answer, differs
from penstock_operator.cluster.kinds import Object, name_of
from penstock_operator.leadership.fencing import Strange
from penstock_operator.reconcile.rest import Rest

#: A revision; else why what was read is none, and whether a newer Penstock can read it.
Found = Revision | tuple[str, bool]
#: uid and resourceVersion.
Version: TypeAlias = tuple[str, str]
Cuts = dict[Version, Found]
Made = TypeVar("Made")


def object_version(obj: Object) -> Version:
    """What never stands for two contents of an object; without a version it is read anew."""
    told = obj["metadata"]
    return str(told.get("uid", "")), str(told.get("resourceVersion") or id(obj))


@dataclass
class Once:
    """What was made of things is not made again of the very same things.

    A pass each second or four looks at objects that change once in a minute. What a pass did not ask for is
    forgotten with the next one.
    """

    _made: dict[str, tuple[object, Any]] = field(default_factory=dict)
    _before: dict[str, tuple[object, Any]] = field(default_factory=dict)

    def begin(self) -> None:
        """A pass begins."""
        self._before, self._made = self._made, {}

    def of(self, what: str, made_from: object, make: Callable[[], Made]) -> Made:
        """What ``make`` returns: it depends on ``made_from`` alone, and nobody changes it."""
        known = self._made.get(what) or self._before.get(what)
        if known is None or known[0] != made_from:
            known = made_from, make()
        self._made[what] = known
        found: Made = known[1]
        return found


@dataclass(frozen=True)
class Lull:
    """A time in which a revision needs fewer workers than it has.

    ``most``: the most that it needed in that time; ``replicas``: what it has. Another number of
    workers begins another lull.
    """

    since: datetime
    most: int
    replicas: int


@dataclass(frozen=True)
class Quiet:
    """What a revision would be cut from, and since when it has been the same.

    ``before_seconds``: for how long it had been the same before that; infinite where nobody knows.
    """

    inputs: str
    since: datetime
    before_seconds: float = math.inf

    def then(self, inputs: str, now: datetime) -> Self:
        """The same when it is seen again, or what it was changed to."""
        return self if inputs == self.inputs else type(self)(inputs, now, self._seconds(now))

    def settled(self, now: datetime, seconds: float, *, refers: bool) -> bool:
        """Whether a revision may be cut of it: at once, but for an edit that follows on another one.

        Args:
            seconds: for how long it must be the same then.
            refers: a ConfigMap belongs to it, which may come with it or right after: it waits in any case.
        """
        alone = not refers and self.before_seconds >= seconds
        return alone or self._seconds(now) >= seconds

    def _seconds(self, now: datetime) -> float:
        return (now - self.since).total_seconds()


@dataclass
class Memory:
    """One agent's clocks and last writes.

    ``quiet`` is what a revision would be cut from; ``lulls`` are revisions that have more workers
    than they need; ``no_redis_user`` is why the namespace's workers cannot reach Redis; ``told`` is
    the last route that Redis took; ``strange`` is a route in Redis that is above what its leader
    may write; ``numbers_at`` when the status numbers were last written; ``unrecorded`` are verdicts,
    by record, that the API server would not take, ``unkept`` are decisions, by revision, ``owes_effects``: so is what a canary has done; ``answers`` hold children that the API server
    stored otherwise than they were applied; ``cuts`` what its records hold; ``once`` what was made of
    its objects; ``rest`` is there while the last plan holds until there is news.
    """

    quiet: Quiet | None = None
    lulls: Mapping[str, Lull] = field(default_factory=dict)
    name_conflict: str = ""
    refused: str = ""
    no_redis_user: str = ""
    told: Route | None = None
    strange: Strange | None = None
    numbers_at: datetime | None = None
    unrecorded: dict[str, Object] = field(default_factory=dict)
    unkept: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    owes_effects: bool = False
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    cuts: Cuts = field(default_factory=dict)
    once: Once = field(default_factory=Once)
    rest: Rest | None = None

    @classmethod
    def after(cls, status: AgentStatus) -> Self:
        """The memory with which an operator begins: what was refused before still is.

        The first pass finds out. Until then a status that said so would be taken back, and told anew.
        """
        found = condition.find(status.conditions, ConditionType.STALLED)
        words = {found.reason: found.message} if found and found.status == "True" else {}
        user = condition.find(status.conditions, ConditionType.REDIS_USER_MISSING)
        return cls(
            name_conflict=words.get("NameConflict", ""),
            refused=words.get("ChildRefused", ""),
            no_redis_user=user.message if user else "",
        )

    def answered(self, wanted: Object, written: Object) -> bool:
        """Whether a child was stored otherwise than applied; it is then not applied again."""
        place = (str(wanted["kind"]), name_of(wanted))
        if not differs(wanted, written):
            self.answers.pop(place, None)
            return False
        self.answers[place] = answer(wanted, written)
        return True
