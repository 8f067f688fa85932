"""Alarms about the share: told once, kept as long as they are true, and nothing is decided on them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.analysis.drawn import Drawn, Side
from penstock.analysis.metrics import Tally
from penstock.rollout.alarms import is_far
from penstock.traffic import Arm
from tests.unit.rollout.world import GOOD, NONE, world_at


def came(world, ours, theirs, *, each=1):
    """So many tasks of new sessions, each user making so many."""
    measured = type(world).observation

    def observation():
        sides = {
            Arm.CANARY: Side(ours, ours**2 // max(world.percent, 1) * each),
            Arm.STABLE: Side(theirs, theirs**2 // 80 * each),
        }
        return replace(measured(world), drawn=Drawn(world.status.route_version, sides))

    world.observation = observation
    return world


def held(percent=20):
    """A person holds the share, so that nothing moves while it is looked at."""
    return world_at(percent).set(percent).decide()


def minute(world):
    return world.after(60).decide()


def shares(world):
    """Tasks at about the share in force."""
    return world.measure(GOOD, Tally(tasks=400, errors=4, timed=400, latency_ms=400_000))


def test_tasks_that_do_not_fit_the_share_ring_once_with_their_numbers():
    world = minute(came(shares(held()), 400, 600))
    assert world.condition("SampleRatioMismatch") == ("True", "TasksDoNotFitShare")
    assert "Of 1000 tasks of sessions that began at 20 %, 400 came to the canary (40.0 %)" in (
        world.message("SampleRatioMismatch")
    )
    assert world.reasons() == ["SampleRatioMismatch"]
    assert minute(world).reasons() == []
    assert (world.percent, world.verdicts) == (20, [])


@pytest.mark.parametrize(("ours", "theirs", "each"), [(210, 790, 1), (400, 600, 100), (3, 2, 1)])
def test_tasks_that_fit_or_hang_on_a_few_users_or_are_few_ring_nothing(ours, theirs, each):
    world = minute(came(shares(held()), ours, theirs, each=each))
    assert world.condition("SampleRatioMismatch") is None
    assert world.status.alarms is None


def test_it_is_told_until_the_share_is_another_one():
    world = minute(came(shares(held()), 400, 600))
    assert minute(came(world, 200, 800)).condition("SampleRatioMismatch")[0] == "True"
    world.set(50).decide()
    assert world.condition("SampleRatioMismatch") is None


def test_a_share_that_is_far_from_the_one_in_force_for_half_an_hour_rings():
    world = held().measure(GOOD, GOOD)
    for _ in range(29):
        assert minute(world).condition("ShareNotAchieved") is None
    minute(world)
    assert world.condition("ShareNotAchieved") == ("True", "FarFromShare")
    assert world.reasons() == ["ShareNotAchieved"]
    assert "20 % is in force, and 50 % of all work is the canary's (100 of 200 tasks)" in (
        world.message("ShareNotAchieved")
    )
    assert minute(world).reasons() == []
    minute(shares(world))
    assert (world.condition("ShareNotAchieved"), world.status.alarms) == (None, None)


def test_another_share_begins_the_half_hour_anew():
    world = held().measure(GOOD, GOOD)
    for _ in range(29):
        minute(world)
    world.set(10).decide()
    assert minute(world).condition("ShareNotAchieved") is None


def test_without_traffic_and_at_0_and_100_nothing_rings():
    assert minute(held().measure(NONE, NONE)).status.alarms is None
    assert minute(held().set(0).decide().measure(NONE, GOOD)).status.alarms is None
    assert minute(held().set(100).decide().measure(GOOD, GOOD)).status.alarms is None


@pytest.mark.parametrize(
    ("ours", "theirs", "percent", "far"),
    [
        (20, 80, 20, False), (34, 66, 20, True), (33, 67, 20, False), (11, 89, 20, True),
        (12, 88, 20, False), (0, 49, 20, False), (0, 51, 20, True), (90, 10, 95, False),
        (190, 30, 95, True),
    ],
)  # fmt: skip
def test_far_is_twice_the_odds_where_there_are_tasks_enough(ours, theirs, percent, far):
    assert is_far(ours, theirs, percent) is far
