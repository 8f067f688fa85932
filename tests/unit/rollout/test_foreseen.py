"""What is foreseen of an apply is what the operator then decides, in every state a rollout can be in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.api.rollout import Stage
from penstock.api.shadow import ShadowStage
from penstock.api.strategy import Step, Strategy
from penstock.rollout import foreseen
from penstock.rollout.situation import Pods
from tests.unit.cli.rollouts import STATES
from tests.unit.rollout.world import APPROVED_AT_20, C, S, canary_world, stable_world

NEW = "support-0badcafe"
#: Where the operator knows more than the status: the outcomes of this very moment, a request.
UNDONE = {"undoing", "request not answered"}


def applied(world, revision):
    """The world in which the revision is the latest, and has a record."""
    if revision not in world.situation.records:
        world.record(revision)
    return world.apply(revision)


@pytest.mark.parametrize(
    ("state", "revision"),
    [
        *((state, NEW) for state in STATES if state not in UNDONE),
        *((state, S) for state in ("step", "rejected", "paused", "ceiling")),
    ],
)
def test_whom_an_apply_tries_and_takes_off_is_foreseen(state, revision):
    world = applied(STATES[state](), revision)
    told = foreseen.foresee(world.situation)
    world.situation = replace(world.situation, pods={revision: Pods(0, 1), **world.situation.pods})
    decided = world.decide().status
    seen = told.at_once
    assert (seen.canary_revision, seen.stage, seen.share.percent) == (
        decided.canary_revision,
        decided.stage,
        decided.share.percent,
    )
    assert seen.waiting == decided.waiting or {seen.waiting, decided.waiting} <= {
        "MeasurementMissing",
        "CandidateNotReady",
    }


@pytest.mark.parametrize("state", ["stable", "step", "paused", "ceiling", "setpoint", "rejected"])
def test_where_it_stands_with_its_first_worker_is_foreseen(state):
    world = applied(STATES[state](), NEW)
    told = foreseen.foresee(world.situation)
    decided = world.pods(NEW, 0, 1).decide().pods(NEW).decide().status
    assert (told.ready.share.percent, told.ready.waiting) == (
        decided.share.percent,
        decided.waiting,
    )


def test_who_was_rejected_gets_nothing_until_a_retry():
    world = STATES["rejected"]()
    assert foreseen.foresee(world.situation).rejected
    assert not foreseen.foresee(applied(world, NEW).situation).rejected


def test_a_return_within_the_window_is_foreseen_and_one_without_it_climbs():
    strategy = Strategy(rollback_window_revisions=2)
    world = stable_world().edit(strategy=strategy).record(C, promoted_sequence=0, served_sequence=1)
    world = world.record(S, promoted_sequence=2, served_sequence=2).apply(C)
    assert foreseen.foresee(world.situation).returns
    world = world.edit(strategy=Strategy())
    assert not foreseen.foresee(world.situation).returns


def test_a_share_that_was_left_over_is_a_ceiling():
    world = canary_world().set(20).decide()
    assert foreseen.foresee(world.situation).ceiling is None, "it is this canary's"
    assert foreseen.foresee(applied(world, NEW).situation).ceiling == 20


def test_the_way_has_all_parts_in_their_order():
    shadow = ShadowStage(spend_cap_usd="5", hold_seconds=600, min_tasks=7)
    strategy = Strategy(steps=APPROVED_AT_20, shadow=shadow, final_hold_seconds=90)
    legs = list(foreseen.legs(strategy))
    assert [leg.stage for leg in legs] == [Stage.SHADOW, *[Stage.STEPS] * 3, Stage.FINAL_HOLD]
    assert [leg.percent for leg in legs] == [10, 5, 20, 50, 95]
    assert [leg.hold_seconds for leg in legs] == [600, 60, 60, 60, 90]
    assert [leg.approval for leg in legs] == [False, False, True, False, False]
    assert next(foreseen.legs(strategy, alone=True)).stage is Stage.STEPS


def test_the_way_of_a_canary_goes_by_its_rings():
    made = [{"name": "staff", "users": ["anna"], "holdSeconds": 30, "minTasks": 7}]
    ring, step, *_ = foreseen.legs(Strategy.model_validate({"rings": made}))
    assert (ring.stage, ring.ring, ring.percent, ring.hold_seconds, ring.tasks) == (
        Stage.RINGS, "staff", 0, 30, 7,
    )  # fmt: skip
    assert (step.stage, step.percent, step.ring) == (Stage.STEPS, 5, "")


def test_the_record_of_a_revision_is_not_needed():
    world = stable_world()
    told = foreseen.foresee(replace(world.situation, latest=NEW))
    assert told.at_once.canary_revision == NEW


def steps(*shares):
    return tuple(Step(percent=share, hold_seconds=60, min_tasks=20) for share in shares)


def test_the_final_hold_is_no_smaller_than_the_last_step_and_no_part_where_none_is_declared():
    strategy = Strategy(steps=steps(50, 99))
    assert [leg.percent for leg in foreseen.legs(strategy)] == [50, 99, 99]
    without = strategy.model_copy(update={"final_hold_seconds": 0})
    assert [leg.percent for leg in foreseen.legs(without)] == [50, 99]


def test_of_a_first_step_above_half_half_comes_first_where_more_wants_proof():
    strategy = Strategy(steps=steps(80), final_hold_seconds=0)
    assert [leg.percent for leg in foreseen.legs(strategy)] == [80]
    for proves in ({"alone": True}, {"compares": True}):
        assert [leg.percent for leg in foreseen.legs(strategy, **proves)] == [50, 80]
