"""Shares that nobody was given: time in them proves nothing, and leads to no promotion."""

from __future__ import annotations

import pytest

from penstock.analysis.metrics import Tally
from tests.unit.rollout.world import GOOD, STEPS, C, S, canary_world, world_at

NOBODY = Tally()
TWO = GOOD._replace(tasks=2, errors=0, timed=2)


@pytest.mark.parametrize("percent", [5, 50, 95])
def test_a_step_begins_anew_when_its_share_was_not_in_force(percent):
    world = world_at(percent).after(3600).change(route_lags=True).decide()
    assert (world.percent, world.status.stable_revision) == (percent, S)
    world.change(route_lags=False).after(59).decide()
    assert (world.percent, world.status.stable_revision) == (percent, S)
    world.after(1).decide()
    assert world.percent > percent or world.status.stable_revision == C


def test_while_its_share_is_not_in_force_nobody_could_be_eligible():
    world = canary_world().measure(canary=NOBODY).after(3600).change(route_lags=True).decide()
    assert world.percent == 5
    world.change(route_lags=False).after(179).decide()
    assert world.percent == 5
    world.after(1).decide()
    assert world.percent == 20


def test_a_clock_that_stands_still_goes_on_once_the_share_is_in_force():
    world = world_at(20).blind().after(10).decide().after(600).measure()
    world.change(route_lags=True).decide()
    assert (world.status.blind_since, world.percent) == (None, 20)
    assert world.change(route_lags=False).after(59).decide().percent == 20
    assert world.after(1).decide().percent == 50


def test_a_step_that_time_has_passed_owes_its_tasks_before_a_promotion():
    world = canary_world().measure(canary=NOBODY)
    while world.percent < 95:
        world.after(181).decide()
    fewest = STEPS[-1].min_tasks
    world.measure(canary=TWO).after(3600).decide()
    assert (world.waits, world.status.stable_revision) == ("AwaitingEvidence", S)
    assert f"has 2 of the {fewest} counted tasks" in world.message("Ready")
    world.measure(canary=GOOD._replace(tasks=fewest, errors=0)).after(1).decide()
    assert world.status.stable_revision == C


def test_a_person_promotes_without():
    world = canary_world().measure(canary=NOBODY)
    while world.percent < 95:
        world.after(181).decide()
    world.measure(canary=TWO).after(60).ask("promote").decide()
    assert world.status.stable_revision == C
