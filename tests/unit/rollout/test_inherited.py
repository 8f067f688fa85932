"""A rollout in flight goes on over the upgrade: its state is read out of conditions once."""

from __future__ import annotations

from penstock.api import condition
from penstock.api.rollout import AgentRolloutStatus
from tests.unit.rollout.test_taken_off import dead, outage
from tests.unit.rollout.world import BAD, GOOD, C, world_at


def as_before(world):
    """The status as the version before wrote it: without the fields that hold the state now."""
    wire = world.status.wire()
    for field in ("suspension", "waiting", "toldWaits", "unreachedPercent", "stableBreach"):
        wire.pop(field, None)
    return world.change(status=AgentRolloutStatus.model_validate(wire))


def test_a_canary_suspended_for_dead_pods_comes_back_when_they_do_and_not_before():
    world = as_before(dead(world_at(20), 30)).measure().after(200).decide()
    assert (world.percent, world.waits) == (0, "CandidateUnavailable")
    assert world.pods(C).after(5).decide().percent == 20


def test_a_canary_suspended_in_an_incident_comes_back_when_stable_is_well():
    world = as_before(outage(world_at(20)))
    assert outage(world.after(5)).waits == "SharedIncident"
    assert world.after(200).measure().decide().percent == 20


def test_what_was_measured_before_it_came_back_still_condemns_nobody():
    world = as_before(outage(world_at(20)).after(200).measure().decide())
    seen = world.measure(canary=BAD, stable=GOOD).observation()
    old = seen.window[0].__class__(seen.window[0].tick - 20, 2, seen.window[0].arms)
    world.observation = lambda: seen.__class__(**{**seen.__dict__, "window": (old,)})
    assert world.decide().percent == 20
    assert world.status.suspension.resumed_at


def test_nothing_is_told_again_because_of_the_upgrade():
    world = world_at(20).blind().decide()
    assert world.reasons() == ["MeasurementMissing"]
    assert as_before(world).decide().reasons() == []


def test_once_written_the_state_is_never_read_from_conditions_again():
    world = dead(world_at(20), 30)
    lie = condition.set_condition(
        (), "Suspended", True, "SharedIncident", "a lie", generation=1, now=world.situation.now
    )
    world.change(status=world.status.model_copy(update={"conditions": lie})).decide()
    assert world.condition("Suspended") == ("True", "CandidateUnavailable")
