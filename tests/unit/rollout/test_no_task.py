"""A canary without a task: time may pass a step that nobody is in, and promotes nobody."""

from __future__ import annotations

import pytest

from tests.unit.rollout.beside import COMPARED, alike, beside
from tests.unit.rollout.world import GOOD, NONE, C, canary_world, world_at

NOTHING = beside(minutes=1, ours=0, theirs=0)


def unexposed(**fields):
    return canary_world(**fields).measure(NONE, GOOD, NOTHING)


def hours(world):
    """Minutes pass, and every look finds the same."""
    for _ in range(40):
        world.step_over()
    return world


@pytest.mark.parametrize("final_hold", [0, 60])
def test_time_passes_steps_that_nobody_is_in_and_promotes_nobody(final_hold):
    world = hours(unexposed(final_hold=final_hold))
    assert world.percent == (95 if final_hold else 50)
    assert world.status.stable_revision != C
    assert world.waits == "AwaitingEvidence"


@pytest.mark.parametrize("final_hold", [0, 60])
def test_where_limits_must_be_proven_time_passes_no_step_to_more_than_half(final_hold):
    world = hours(unexposed(final_hold=final_hold, analysis=COMPARED))
    assert (world.percent, world.waits) == (50, "AwaitingEvidence")
    assert f"no task has reached {C} in this step" in world.message("Progressing")
    assert f'penstock.dev/request="promote/{C}/' in world.message("Progressing")


def test_what_was_proven_in_an_earlier_step_raises_no_step_that_nobody_is_in():
    """Its limits are proven by tasks of before; in this step none came."""
    world = world_at(50, analysis=COMPARED).measure(NONE, GOOD, alike())
    for _ in range(3):
        world.step_over()
    assert (world.percent, world.waits) == (50, "AwaitingEvidence")


def test_with_its_first_tasks_it_goes_on():
    world = hours(unexposed(analysis=COMPARED)).measure(compared=alike())
    assert world.step_over().percent == 95


# ----------------------------------------------------------------------- without a final hold


def since_the_last_raise(world, **more):
    """As many tasks of each as prove everything, all under the route version that the last raise made."""
    since = world.status.analysis.comparison.since
    return beside(minutes=30, ours=500, since=since, version=world.status.route_version, **more)


def test_without_a_final_hold_the_last_step_proves_what_it_would():
    """What is proven of all tasks, and of none since the last raise, promotes nobody."""
    world = world_at(50, analysis=COMPARED, final_hold=0)
    world.measure(compared=alike()).step_over().step_over()
    assert (world.percent, world.waits) == (50, "AwaitingEvidence")
    world.measure(compared=since_the_last_raise(world)).step_over()
    assert (world.status.stable_revision, world.verdicts[-1].reason) == (C, "AllStepsPassed")


def test_without_a_final_hold_each_return_to_the_last_step_is_another_proof():
    world, tries = world_at(50, analysis=COMPARED, final_hold=0), []
    for _ in range(3):
        tries.append(world.status.analysis.comparison.final_proofs)
        world.set(20).decide()
        world.set(None).measure(compared=alike()).decide().step_over()
        assert world.percent == 50
    assert tries == [1, 2, 3]
