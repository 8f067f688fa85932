"""The stage before the percentage counts: users who were chosen by name go first, ring by ring. What of it stands where."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from penstock import rings
from penstock.api import condition
from penstock.api.rings import MOST_GIVEN, MOST_MEMBERS, GivenRing, Ring
from penstock.api.rollout import Stage
from penstock.rollout.facts import Facts


def following(facts: Facts) -> Ring | None:
    """The first declared ring that was not given this canary yet; None where none is left, or the stage is over."""
    if facts.status.stage not in (Stage.SHADOW, Stage.RINGS):
        return None
    if len(facts.status.rings) >= MOST_GIVEN:
        return None
    return next(iter(_not_given(facts)), None)


def past_bound(facts: Facts) -> tuple[str, ...]:
    """The declared rings for which no room is left among those that are kept of this canary."""
    full = facts.in_rings and len(facts.status.rings) >= MOST_GIVEN
    return tuple(ring.name for ring in _not_given(facts)) if full else ()


def stage_seen(facts: Facts) -> Stage:
    """The stage with rings that were declared after the canary began, as long as no user was given to it.

    Files that are applied together come one by one: the template, and then the rings for it.
    """
    status, analysis = facts.status, facts.status.analysis
    begun = facts.started or facts.exposed or status.route_version != analysis.since_version
    late = begun or status.stage is not Stage.STEPS or not any(_declared(facts))
    return status.stage if late or facts.rejected else Stage.RINGS


def too_late(facts: Facts) -> tuple[str, ...]:
    """The rings into which somebody came who is given nothing, since the stage of this canary is over."""
    if facts.status.stage not in (Stage.STEPS, Stage.FINAL_HOLD):
        return ()
    kept = {ring.name: ring.members for ring in facts.status.rings}
    return tuple(
        ring.name
        for ring in _declared(facts)
        if _together(facts, ring, kept) != kept.get(ring.name, "")
    )


def present(facts: Facts) -> Ring | None:
    """The ring that was given the canary last, as it is declared now; None where it is not any more, or none was."""
    given = facts.status.rings if facts.in_rings else ()
    name = given[-1].name if given else ""
    return next((ring for ring in _declared(facts) if ring.name == name), None)


def returns(facts: Facts) -> bool:
    """Whether users of rings were given this canary, and it is off since: by a setpoint of 0 that is gone."""
    return facts.in_rings and bool(facts.status.rings) and not facts.status.chosen


def grown(facts: Facts) -> Ring | None:
    """A ring that was given the canary, and into which somebody came since."""
    return next(iter(grown_all(facts).values()), None)


def grown_all(facts: Facts) -> dict[str, Ring]:
    """All such rings, by name."""
    if not facts.in_rings:
        return {}
    kept = {ring.name: ring.members for ring in facts.status.rings}
    named = (ring for ring in _declared(facts) if ring.name in kept)
    return {ring.name: ring for ring in named if _members(facts, ring, kept) != kept[ring.name]}


def left_out(facts: Facts) -> dict[str, int]:
    """How many came into a ring and are given nothing, since there is no room for their names; by the ring's name."""
    if not facts.in_rings:
        return {}
    kept = {ring.name: ring.members for ring in facts.status.rings}
    found = {
        ring.name: (len(_together(facts, ring, kept)) - len(_members(facts, ring, kept)))
        // rings.DIGITS
        for ring in _declared(facts)
        if ring.name in kept
    }
    return {name: count for name, count in found.items() if count}


def refused(facts: Facts) -> frozenset[str]:
    """The members of declared rings who came too late for this canary, or for whom there is no room."""
    late, kept = too_late(facts), {ring.name: ring.members for ring in facts.status.rings}
    found: set[str] = set()
    for ring in _declared(facts):
        given = kept.get(ring.name, "") if ring.name in late else _members(facts, ring, kept)
        if ring.name in late or (facts.in_rings and ring.name in kept):
            found.update({*rings.each(_together(facts, ring, kept))} - {*rings.each(given)})
    return frozenset(found)


def opened(facts: Facts, ring: Ring) -> tuple[GivenRing, ...]:
    """The rings of the status with one more, or with the members that it has now; nobody is taken out of any."""
    kept = facts.status.rings
    members = {one.name: one.members for one in kept}
    now = condition.timestamp(facts.now)
    given = GivenRing(name=ring.name, at=now, members=_members(facts, ring, members))
    if ring.name not in members:
        return (*kept, given)
    same = (
        one.model_copy(update={"members": given.members}) if one.name == ring.name else one
        for one in kept
    )
    return tuple(same)


def begun_at(facts: Facts, moment: str) -> dict[str, Any]:
    """The hold of the present ring, or step, as one that began at a moment."""
    if facts.started:
        return {"step_started_at": moment}
    *before, last = facts.status.rings
    return {"rings": (*before, last.model_copy(update={"at": moment}))}


def left_seconds(facts: Facts, ring: Ring) -> float:
    """How much of a ring's hold is left; at most 0 once it is over."""
    begun = facts.place_since
    lasted = facts.now - condition.moment(begun) if begun else timedelta()
    return ring.hold_seconds - lasted.total_seconds()


def _declared(facts: Facts) -> Iterable[Ring]:
    return facts.strategy.rings or ()


def _not_given(facts: Facts) -> list[Ring]:
    given = {ring.name for ring in facts.status.rings}
    return [ring for ring in _declared(facts) if ring.name not in given]


def _together(facts: Facts, ring: Ring, kept: dict[str, str]) -> str:
    """All who were in a ring since it was given this canary, as many as they are."""
    before = kept.get(ring.name, "")
    now = rings.members(facts.status.salt, ring.users, ring.tenants)
    return rings.together(before, now) if before else now


def _members(facts: Facts, ring: Ring, kept: dict[str, str]) -> str:
    """All who were in a ring since it was given this canary, as many as there is room for."""
    both = _together(facts, ring, kept)
    if len(both) <= MOST_MEMBERS * rings.DIGITS:
        return both
    before = rings.each(kept.get(ring.name, ""))
    known = set(before)
    new = [one for one in rings.each(both) if one not in known]
    return "".join(sorted([*before, *new[: MOST_MEMBERS - len(before)]]))
