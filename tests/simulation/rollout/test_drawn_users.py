"""Whole rollouts where the users who were drawn may be why: a bad version is taken from them, and a good one is not rejected.

With PENSTOCK_SIMULATION=full as many seeds are played as docs/simulation.md tells of.
"""

from __future__ import annotations

import os

import pytest

from penstock_bench.rollouts import product
from penstock_bench.rollouts.sums import OnSums
from penstock_bench.rollouts.weather import Sky, Weather

FULL = os.environ.get("PENSTOCK_SIMULATION") == "full"
SEEDS = range(12 if FULL else 1)
LOOK_SECONDS, HOURS = 15.0, 3.0 if FULL else 1.25
#: Bad from a moment on, and not from a share on.
NEVER, ALWAYS = 0, 100


class Turning(Sky):
    """The canary is good until it has had 95 % of the users for five minutes, and bad from then on."""

    turns_at = float("inf")

    def _task(self, turn, percent):
        if percent >= 95:
            self.turns_at = min(self.turns_at, turn.at + 300)
        return super()._task(turn, ALWAYS if turn.at >= self.turns_at else NEVER)


def played(sky):
    """The rollout at its end, and when it first lost its users after it had turned bad."""
    rollout = OnSums(policy=product.spec())
    now, off_at = 0.0, None
    while now < HOURS * 3600 and not rollout.verdict:
        tasks = sky.tasks(now, LOOK_SECONDS, rollout.percent, rollout.version)
        rollout.route(tasks)
        now += LOOK_SECONDS
        rollout.look(now)
        if off_at is None and now > getattr(sky, "turns_at", 0.0) and not rollout.percent:
            off_at = now
    return rollout, off_at


@pytest.mark.parametrize("seed", SEEDS)
def test_users_are_off_a_canary_that_turns_bad_within_minutes_and_it_is_rejected(seed):
    sky = Turning(Weather(1.0, users=20, canary_errors=0.9, from_percent=ALWAYS), seed)
    rollout, off_at = played(sky)
    assert off_at is not None
    assert off_at - sky.turns_at <= 120
    assert rollout.verdict == "condemned", rollout.message


@pytest.mark.parametrize("users", [5, 20])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_good_version_of_few_very_unlike_users_is_not_rejected_against_themselves(users, seed):
    rollout, _ = played(Sky(Weather(1.0, users=users, alike=0.15), seed))
    assert "it was taken off for this before" not in rollout.message
