"""Whether tasks fit the share in force: exact for single users, blind to none, fooled by no heavy one."""

from __future__ import annotations

import math
import random

import pytest

from penstock.analysis import binomial, drawn
from penstock.analysis.drawn import Drawn, Draws, Side
from penstock.traffic import Arm

SPAN = 1_000_000


def play(seed, percent, tasks, *, users=0, true=None, every=20):
    """The largest odds over all looks; without ``users`` each task has one of its own."""
    chance = random.Random(seed)
    homes = [chance.randrange(100) for _ in range(users)]
    weights = [30 if n % 10 == 0 else 1 for n in range(users)]
    draws, largest = Draws(SPAN), 0.0
    for n in range(tasks):
        bucket = chance.choices(homes, weights)[0] if users else chance.randrange(100)
        canary = bucket < (percent if true is None else true)
        draws.route(Arm.CANARY if canary else Arm.STABLE, bucket, 3, n)
        if n % every == 0:
            largest = max(largest, drawn.odds(draws.seen(n), percent))
    return largest


@pytest.mark.parametrize("percent", [5, 20, 50, 95])
def test_at_the_share_in_force_it_never_rings_however_often_it_is_looked_at(percent):
    rung = [play(seed, percent, 1500) >= 100 for seed in range(60)]
    assert sum(rung) <= 3, "a hundred to one comes in at most one of a hundred"


@pytest.mark.parametrize("percent", [5, 20, 50])
def test_a_few_users_who_make_most_of_the_tasks_do_not_ring(percent):
    rung = [play(seed, percent, 2000, users=60, every=100) for seed in range(60)]
    assert max(rung) < drawn.AGAINST


@pytest.mark.parametrize(("percent", "true"), [(20, 35), (5, 12), (50, 40), (50, 100), (20, 0)])
def test_another_share_than_the_one_in_force_rings(percent, true):
    assert play(1, percent, 2500, true=true) >= drawn.AGAINST


def test_the_odds_are_the_exact_mixture():
    """Of single users: the probability under the mixture over that under the share, by direct sums."""
    came = Drawn(3, {Arm.CANARY: Side(3, 3), Arm.STABLE: Side(7, 7)})
    parts, grid = 0.0, 20_000
    for n in range(grid):
        share = (n + 0.5) / grid
        density = 1 / (math.pi * math.sqrt(share * (1 - share)))
        parts += share**3 * (1 - share) ** 7 * density / grid
    assert drawn.odds(came, 20) == pytest.approx(parts / (0.2**3 * 0.8**7), rel=0.01)
    assert binomial.tail(3, 10, 0.2) < 0.4


def test_without_a_task_there_are_no_odds():
    assert drawn.odds(Drawn(), 20) == pytest.approx(1.0)


def test_sessions_of_before_are_not_drawn_and_a_new_version_begins_anew():
    draws = Draws(SPAN)
    draws.route(Arm.CANARY, 1, 3, 10)
    draws.route(Arm.STABLE, 50, 2, 11)
    assert draws.seen(12) == Drawn(3, {Arm.CANARY: Side(1, 1), Arm.STABLE: Side()})
    draws.route(Arm.STABLE, 50, 4, 13)
    assert draws.seen(14) == Drawn(4, {Arm.CANARY: Side(), Arm.STABLE: Side(1, 1)})


def test_a_span_begins_at_a_fixed_moment_and_forgets():
    draws = Draws(SPAN)
    draws.route(Arm.CANARY, 1, 3, SPAN - 1)
    assert draws.seen(SPAN - 1).arm(Arm.CANARY).tasks == 1
    assert draws.seen(SPAN) == Drawn()
    draws.route(Arm.CANARY, 1, 3, SPAN)
    assert draws.seen(SPAN).arm(Arm.CANARY).tasks == 1


def test_what_was_routed_in_spans_before_decides_nothing_in_this_one():
    """A restart reads this span alone."""
    draws = Draws(SPAN)
    draws.route(Arm.CANARY, 7, 3, SPAN - 1)
    draws.route(Arm.STABLE, 8, 2, SPAN)
    assert draws.seen(SPAN).version == 2
    assert draws.seen(SPAN).arm(Arm.STABLE) == (1, 1)


def test_tasks_of_one_user_are_worth_one():
    one = Drawn(1, {Arm.CANARY: Side(100, 10_000), Arm.STABLE: Side(100, 100)})
    assert drawn.worth(one, 50) > 40
    many = Drawn(1, {Arm.CANARY: Side(100, 200), Arm.STABLE: Side(100, 200)})
    assert drawn.worth(many, 50) == 1.0
