"""Agents at rest: what their last plan was made from, and until when it holds without news."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from penstock_operator.cluster.kinds import Object
from penstock_operator.tenancy.prices import Prices
from penstock_store.records import Look

#: Kind, uid and version of an object.
Stamp = tuple[str, str, str]


@dataclass(frozen=True)
class Basis:
    """What a pass reads of an agent beside Redis, by what tells that it is still the same.

    ``objects`` are all that belong to it; ``epoch`` is the leadership; ``provided``: its namespace
    has its way to Redis; ``prices`` are the installation's own.
    """

    objects: frozenset[Stamp]
    epoch: int
    provided: bool
    prices: Prices


@dataclass(frozen=True, eq=False)
class Rest:
    """An agent at rest: its last plan wrote nothing, and would not now.

    ``revisions`` are the hashes that were asked for, ``look`` is what Redis answered, without what
    time alone changes. ``until`` is of the leadership's clock, in seconds. ``urgent``: a canary
    has users, so that its news goes before all others. ``closely``: something is awaited in Redis of
    which no message tells.
    """

    basis: Basis
    revisions: tuple[str, ...]
    look: Look = field(repr=False)
    until: float
    urgent: bool = False
    closely: bool = False

    def goes_on(self, basis: Basis, now: float) -> bool:
        """Whether nothing has changed beside Redis, and the time has not come."""
        return now < self.until and basis == self.basis

    def told_by(self, look: Look) -> bool:
        """Whether Redis says what it said then."""
        return lasting(look) == self.look


def stamps(objects: Iterable[Object]) -> frozenset[Stamp]:
    """What tells these objects, in these versions, from all others."""
    return frozenset(map(_stamp, objects))


def _stamp(obj: Object) -> Stamp:
    told = obj["metadata"]
    version = told.get("resourceVersion") or id(obj)
    return str(obj.get("kind", "")), str(told.get("uid", "")), str(version)


def lasting(look: Look) -> Look:
    """A look without what differs from moment to moment though nothing has happened.

    A worker says again and again what it keeps, and when its model spoke last, each time a little
    otherwise: of that is kept whether it holds, and in which order one word replaces another. Whatever
    is spent comes with an end of a task, which is news by itself; that a day or a window is over is no
    reason to wake all agents at once.
    """
    in_order = sorted(look.heard.items(), key=lambda item: item[1].at_ms)
    heard = {name: replace(word, at_ms=place) for place, (name, word) in enumerate(in_order)}
    spoken = {
        name: replace(said, at_ms=0)
        for name, said in look.spoken.items()
        if said.holds(look.now_ms)
    }
    return replace(look, now_ms=0, heard=heard, spoken=spoken, cost_today={}, spending=None)
