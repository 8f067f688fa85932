"""The last proof speaks for all users: those who never had the canary, and of tasks since the last raise alone."""

from __future__ import annotations

import math
import random

import pytest

from penstock.analysis.comparison import proof, unseen
from penstock.analysis.comparison.cohorts import COHORT_MS, Cohorts
from penstock.analysis.comparison.judge import Bounds
from penstock.analysis.comparison.yardsticks import Yardsticks
from penstock.analysis.metrics import of_end
from penstock.task import Counting
from penstock.traffic import Arm

BOUNDS = Bounds(limited=(True, False))
NEVER_BEFORE = 10  # minutes with 5 % of the users, before the last raise
LAST_RAISE = 5  # its route version


def tried(rates, *, percent=95, minutes=20, since=(1, 2, 3, LAST_RAISE, 0), seed=1, **more):
    """Twenty tasks a minute of each user, first at 5 % (``before``) under route version 2 (``version``) and then at ``percent``.

    ``rates``: by bucket, of both arms. ``weights``: how many times as many tasks a bucket has; ``seconds``: how long they take
    (2); ``lately``: the canary's rate since the last raise.
    """
    chance, cohorts = random.Random(seed), Cohorts(Yardsticks((10_000, 0)))
    cohorts.begin(since)
    weights, seconds = more.get("weights", {}), more.get("seconds", {})
    for minute in range(NEVER_BEFORE + minutes):
        last = minute >= NEVER_BEFORE
        cohort = cohorts.find(minute * COHORT_MS, max(since) if last else more.get("version", 2))
        for bucket, rate in rates.items():
            arm = (
                Arm.CANARY if bucket < (percent if last else more.get("before", 5)) else Arm.STABLE
            )
            now = more.get("lately", rate) if last and arm is Arm.CANARY else rate
            for _ in range(20 * weights.get(bucket, 1)):
                fails = chance.random() < now
                took = int(1000 * seconds.get(bucket, 2.0) * chance.lognormvariate(0, 0.5))
                cohort.route(arm, bucket)
                end = of_end(Counting.ERROR if fails else Counting.GOOD, took, 100)
                cohort.end(arm, bucket, end, took)
    return cohorts.observe((NEVER_BEFORE + minutes) * COHORT_MS)


def held(seen, final=1):
    """What is not proven, by name."""
    return {one.name: one for one in proof.unproven(seen, BOUNDS, final=final)}


FEW = dict.fromkeys((3, 27, 52, 68, 81), 0.02)
#: Most failures are those of one user, who is on stable to the end.
ONE_UNSEEN = {**FEW, 97: 0.3}


def test_many_users_who_are_alike_speak_for_the_few_who_never_had_it():
    seen = tried(dict.fromkeys(range(100), 0.02), minutes=2)
    others = unseen.of_ratio(seen, 0, BOUNDS, 0.08, 0.0125)
    assert others.part == pytest.approx(0.05, abs=0.04)
    assert others.at_least > 0.85
    assert held(seen) == {}


@pytest.mark.parametrize("seed", range(3))
def test_few_unlike_users_do_not_speak_for_the_one_who_never_had_it(seed):
    one = held(tried(ONE_UNSEEN, seed=seed))["errorRate"]
    assert one.missing is None
    assert one.unseen == pytest.approx(1 / 6, abs=0.05)
    assert "errorRate" not in held(tried(ONE_UNSEEN, seed=seed), final=0)


def test_once_he_has_it_tasks_tell():
    assert held(tried({**ONE_UNSEEN, 97: 0.02}, percent=100)) == {}


def test_who_makes_few_tasks_cannot_fail_in_more_than_all_of_them():
    """One task in a hundred is his: with all of them failed, the others have seven of eight failures in a hundred."""
    rates = {**dict.fromkeys(FEW, 0.01), 97: 1.0}
    seen = tried(rates, minutes=1, weights=dict.fromkeys(FEW, 20))
    others = unseen.of_ratio(seen, 0, BOUNDS, 0.08, 0.0125)
    assert others.part == pytest.approx(0.01, abs=0.001)
    assert others.at_least == pytest.approx(7 / 8 / 0.99, abs=0.02)
    assert held(seen) == {}


def test_nor_do_users_of_shorter_tasks_speak_for_one_of_long_tasks():
    """10 s in the mean of those who had it, 16 s of all: 15 s is not ruled out."""
    users = dict.fromkeys((3, 27, 52, 68, 81, 97), 0.0)
    seconds = {**dict.fromkeys(FEW, 8.8), 97: 42.0}
    seen = tried(users, seconds=seconds)
    assert held(seen)["latency"].unseen
    assert "latency" not in held(seen, final=0)


@pytest.mark.parametrize("part", [0.02, 0.05, 0.3])
@pytest.mark.parametrize("unlike", [0.3, 2.0, 8.0])
def test_so_rarely_have_those_who_had_it_fewer_of_the_events(part, unlike):
    """Buckets of Gamma-distributed rates: the part of one side is Beta-distributed."""
    chance, asked = random.Random(f"{part}{unlike}"), 0.05
    size = 20 / unlike
    least = unseen._least(1 - part, -math.log(asked) / size)
    drawn = [chance.betavariate(size * (1 - part), size * part) for _ in range(4000)]
    assert sum(x <= least for x in drawn) <= 1.1 * asked * len(drawn)
    assert 0 < least < 1 - part


# ------------------------------------------------------------------------- since the last raise


ALIKE = dict.fromkeys(range(100), 0.01)


def test_what_came_with_a_raise_after_an_incident_is_not_proven_by_tasks_from_before_it():
    """Good until the canary came back and was raised again: half of the users were not those who fail."""
    returned = {"minutes": 2, "since": (1, 2, 3, 4, 8), "before": 50, "version": 7}
    assert "errorRate" in held(tried(ALIKE, **returned, lately=0.08))
    assert "errorRate" not in held(tried(ALIKE, **returned))


def test_who_comes_back_again_and_again_needs_more_each_time():
    """So that it does not get past by trying: as many tasks prove it the first time and not the tenth."""
    since = (1, 2, 3, 4, LAST_RAISE)
    seen = tried(dict.fromkeys(range(0, 100, 10), 0.02), percent=100, minutes=1, since=since)
    needed = [held(seen, final)["errorRate"].missing for final in (1, 3, 30)]
    assert needed == sorted(set(needed))
