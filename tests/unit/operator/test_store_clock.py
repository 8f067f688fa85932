"""Redis' time while Redis is away: no machine's time of day moves a rollout."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from penstock.api.rollout import AgentRolloutStatus
from penstock_operator.reconcile.measure import StoreClock, last_moment
from tests.unit.rollout.world import START, C, world_at

MS = int(START.timestamp() * 1000)
AHEAD = START + timedelta(minutes=10)


def test_while_redis_is_away_time_goes_on_from_its_last_word():
    clock = StoreClock()
    assert clock.tell(MS, at=50.0) == START
    assert clock.now(52.0, None, AHEAD) == START + timedelta(seconds=2)
    assert clock.now(40.0, None, AHEAD) == START, "no clock is set back"
    assert clock.tell(MS + 9_000, at=59.0) == START + timedelta(seconds=9)


def test_before_redis_has_said_anything_time_stands_still_where_the_status_was_written():
    assert StoreClock().now(5.0, START, AHEAD) == START
    assert StoreClock().now(5.0, None, AHEAD) == AHEAD


def test_the_last_moment_of_a_status_is_the_newest_that_it_tells_of():
    assert last_moment(AgentRolloutStatus()) is None
    world = world_at(20)
    assert last_moment(world.status) == world.situation.now.replace(microsecond=0)


def test_a_blip_of_redis_on_a_machine_ten_minutes_ahead_ends_no_hold_and_takes_nobody_off():
    world, clock = world_at(20), StoreClock()
    begun = world.situation.now
    clock.tell(int(begun.timestamp() * 1000), at=0.0)
    world.pods(C, ready=0).decide()
    for second in (1.0, 2.0):
        world.change(now=clock.now(second, None, AHEAD)).blind().decide()
    assert (world.percent, world.source) == (20, "Automatic")
    world.pods(C).measure().change(now=clock.tell(int(begun.timestamp() * 1000) + 3000, 3.0))
    assert world.decide().percent == 20


def test_a_blind_time_that_lies_in_the_future_is_no_time_that_has_passed():
    """The version before wrote this machine's time while Redis was away."""
    world = world_at(20).after(1)
    ahead = (world.situation.now + timedelta(minutes=10)).astimezone(UTC)
    blind = world.status.model_copy(update={"blind_since": f"{ahead:%Y-%m-%dT%H:%M:%SZ}"})
    assert world.change(status=blind).decide().percent == 20
    assert datetime.fromisoformat(world.status.step_started_at) <= world.situation.now


def test_it_knows_for_how_long_redis_has_answered_since_it_was_away() -> None:
    clock = StoreClock()
    assert clock.heard_seconds(5.0) == math.inf
    clock.away(10.0)
    clock.tell(1_000_000, 12.0)
    assert clock.heard_seconds(15.0) == 5.0
