"""An agent of few users: how unlike they are cannot be known, so what they do by nature condemns no version."""

from __future__ import annotations

import random

import pytest

from penstock.analysis.comparison import judge
from penstock.analysis.comparison.cohorts import COHORT_MS, Cohorts
from penstock.analysis.comparison.judge import Bounds
from penstock.analysis.comparison.yardsticks import Yardsticks
from penstock.analysis.metrics import of_end
from penstock.task import Counting
from penstock.traffic import Arm

FEW = (3, 11, 27, 34, 52, 68, 81, 96)


def tried(share, minutes, rate, users=FEW, seed=1, **more):
    """Ten minutes at ``before`` percent, then so many at ``share``: ten tasks a minute of each user, which fail at ``rate(arm, bucket)``."""
    chance, cohorts = random.Random(seed), Cohorts(Yardsticks((10_000, 0)))
    for minute in range(10 + minutes):
        percent = more.get("before", 0) if minute < 10 else share
        cohort = cohorts.find(minute * COHORT_MS, 2 + (minute >= 10))
        for bucket in users:
            arm = Arm.CANARY if bucket < percent else Arm.STABLE
            for _ in range(10):
                fails = chance.random() < rate(arm, bucket)
                cohort.route(arm, bucket)
                end = of_end(Counting.ERROR if fails else Counting.GOOD, 1000, 100)
                cohort.end(arm, bucket, end, 1000)
    return cohorts.observe((10 + minutes) * COHORT_MS)


def one_fails_by_nature(_arm, bucket):
    return 0.25 if bucket == 34 else 0.01


@pytest.mark.parametrize("seed", range(6))
def test_a_user_who_fails_on_stable_as_well_is_no_evidence_where_he_comes_to_the_canary(seed):
    """Without the others of its kind he is all of the difference, as the canary's only heavy user."""
    seen = tried(40, 20, one_fails_by_nature, users=(34, 52, 68, 81, 96), seed=seed)
    found = judge.strengths(seen, Bounds())
    assert found.metrics[0].alone >= judge.SUSPICIOUS
    assert found.metrics[0].bucket == 34, "and he is named"
    assert not found.condemns


def test_two_users_who_fail_condemn_nobody_where_there_are_only_few():
    def both_fail(_arm, bucket):
        return 0.6 if bucket in (3, 11) else 0.01

    seen = tried(20, 20, both_fail, before=20)
    found = judge.strengths(seen, Bounds())
    assert found.metrics[0].alone >= judge.SUSPICIOUS
    assert found.metrics[0].bucket in (3, 11)
    assert not found.condemns


def test_a_version_that_fails_with_each_of_few_users_is_condemned():
    seen = tried(60, 20, lambda arm, _: 0.4 if arm is Arm.CANARY else 0.01)
    found = judge.strengths(seen, Bounds())
    assert found.metrics[0].bucket is None
    assert found.condemns


def test_among_many_users_a_few_of_the_canary_condemn_as_ever():
    seen = tried(
        5, 20, lambda arm, _: 0.4 if arm is Arm.CANARY else 0.01, users=range(100), before=5
    )
    assert judge.strengths(seen, Bounds()).condemns
