"""Each field of the automatic path and of a person's word on it: two values, two courses."""

from __future__ import annotations

import pytest

from penstock.analysis.metrics import Tally
from penstock.api.strategy import Step, StepApproval
from tests.unit.rollout.world import NONE, STEPS, C, canary_world, stable_world, world_at


def step(percent=5, hold_seconds=60, **more):
    return Step(percent=percent, hold_seconds=hold_seconds, **more)


def only(first):
    """A canary in this first step, before one at 50 %."""
    return canary_world(steps=(first, step(50)))


def tasks(count):
    return Tally(
        tasks=count, timed=count, latency_ms=1000 * count, latency_squares=1_100_000 * count
    )


@pytest.mark.parametrize("percent", [1, 40])
def test_a_step_gives_the_canary_its_percent(percent):
    assert only(step(percent)).percent == percent


@pytest.mark.parametrize(("hold_seconds", "percent"), [(60, 50), (300, 5)])
def test_a_step_is_not_left_before_its_hold_is_over(hold_seconds, percent):
    assert only(step(hold_seconds=hold_seconds)).after(100).decide().percent == percent


@pytest.mark.parametrize(("fewest", "percent"), [(20, 50), (31, 5)])
def test_a_step_waits_for_as_many_tasks_as_it_says(fewest, percent):
    world = only(step(min_tasks=fewest)).measure(canary=tasks(30), stable=tasks(200))
    assert world.step_over().percent == percent


@pytest.mark.parametrize(("longest", "percent"), [(90, 50), (3000, 5), (None, 5)])
def test_a_step_that_no_task_reached_is_left_after_its_longest_wait(longest, percent):
    world = only(step(max_wait_seconds=longest)).measure(canary=NONE, stable=tasks(200))
    assert world.after(100).decide().percent == percent


def test_without_a_longest_wait_it_is_three_holds():
    world = only(step()).measure(canary=NONE, stable=tasks(200))
    assert world.after(170).decide().percent == 5
    assert world.after(20).decide().percent == 50


@pytest.mark.parametrize(
    ("approval", "percent"), [(StepApproval.NONE, 50), (StepApproval.REQUIRED, 5)]
)
def test_a_step_that_needs_approval_waits_for_a_person(approval, percent):
    assert only(step(approval=approval)).step_over().percent == percent


@pytest.mark.parametrize(("hold_seconds", "promoted"), [(60, True), (600, False)])
def test_the_final_hold_comes_before_the_promotion(hold_seconds, promoted):
    world = world_at(50, final_hold=hold_seconds).step_over().after(100).decide()
    assert ("Promoted" in world.reasons()) is promoted
    assert (world.status.stable_revision == C) is promoted


@pytest.mark.parametrize("percent", [0, 5, 30])
def test_stable_keeps_the_holdback_during_the_final_hold(percent):
    assert world_at(50, holdback=percent).step_over().percent == 100 - percent


@pytest.mark.parametrize(("paused", "percent"), [(False, 20), (True, 5)])
def test_nothing_is_raised_by_itself_while_paused(paused, percent):
    assert canary_world().edit(paused=paused).step_over().percent == percent


@pytest.mark.parametrize(("percent", "source"), [(None, "Automatic"), (7, "Setpoint")])
def test_a_persons_percent_comes_before_the_steps(percent, source):
    world = canary_world().set(percent).decide()
    assert (world.percent, world.source) == (percent or 5, source)


@pytest.mark.parametrize(
    ("revision", "percent", "source"),
    [(C, 30, "Setpoint"), ("2.0", 30, "Setpoint"), ("3.0", 5, "Automatic")],
)
def test_a_percent_acts_on_the_revision_it_names_by_name_or_version(revision, percent, source):
    world = canary_world().set(30, revision).decide()
    assert (world.percent, world.source) == (percent, source)


@pytest.mark.parametrize("unit", ["User", "Session", "Task"])
def test_the_canary_begins_with_the_declared_unit(unit):
    world = stable_world(unit=unit).apply(C).pods(C).decide()
    assert world.percent == STEPS[0].percent
    assert world.status.unit == unit
