"""What the users who happen to be on the canary do by nature condemns no version, however few or unlike they are."""

from __future__ import annotations

import base64
import math
import random
import zlib
from itertools import combinations

import pytest

from penstock.analysis.comparison import draw, judge, sums
from penstock.analysis.comparison.cohorts import COHORT_MS, Cohorts
from penstock.analysis.comparison.judge import Bounds
from penstock.analysis.comparison.sums import VALUES, decode, encode
from penstock.analysis.comparison.yardsticks import Yardsticks
from penstock.analysis.metrics import of_end
from penstock.task import Counting
from penstock.traffic import Arm

FEW = (3, 11, 27, 34, 52, 68, 81, 96)


def tried(share, minutes, rate, users=FEW, seed=1, **more):
    """``past`` minutes (10) at ``before`` percent, then so many at ``share``: ten tasks a minute of each user.

    They fail at ``rate(arm, bucket)``, and take ``seconds(arm, bucket)`` in the middle (1).
    """
    seconds = more.get("seconds", lambda _arm, _bucket: 1.0)
    past = more.get("past", 10)
    chance, cohorts = random.Random(seed), Cohorts(Yardsticks((10_000, 0)))
    for minute in range(past + minutes):
        percent = more.get("before", 0) if minute < past else share
        cohort = cohorts.find(minute * COHORT_MS, 2 + (minute >= past))
        for bucket in users:
            arm = Arm.CANARY if bucket < percent else Arm.STABLE
            for _ in range(10):
                fails = chance.random() < rate(arm, bucket)
                cohort.route(arm, bucket)
                took = int(1000 * seconds(arm, bucket) * chance.lognormvariate(0, 0.5))
                end = of_end(Counting.ERROR if fails else Counting.GOOD, took, 100)
                cohort.end(arm, bucket, end, took)
    return cohorts.observe((past + minutes) * COHORT_MS)


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


def bad(arm, _bucket):
    return 0.4 if arm is Arm.CANARY else 0.01


def test_a_version_that_fails_with_each_of_few_users_is_condemned_and_of_fewer_it_is_held():
    """Six of ten are the six worst in one draw of 210, five of eight in one of 56."""
    for users, condemns in ((range(1, 101, 10), True), (FEW, False)):
        found = judge.strengths(tried(60, 20, bad, users=users), Bounds())
        assert found.metrics[0].alone > 100 * found.needed[0]
        assert found.suspicious
        assert found.condemns == condemns


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_users_who_did_well_on_stable_and_fail_on_the_canary_condemn_it(seed):
    """Three of eight: a draw of 25 users has these three too often, so that it is what they were before that tells."""

    def breaks_three(arm, bucket):
        return 0.6 if bucket in (4, 12, 16) and arm is Arm.CANARY else 0.01

    def three_fail(_arm, bucket):
        return 0.6 if bucket in (4, 12, 16) else 0.01

    found, by_nature = (
        judge.strengths(tried(32, 20, rate, users=range(0, 100, 4), past=45, seed=seed), Bounds())
        for rate in (breaks_three, three_fail)
    )
    assert found.condemns
    assert by_nature.metrics[0].alone > found.needed[0]
    assert by_nature.metrics[0].bucket in (4, 12, 16)
    assert not by_nature.condemns


def test_of_few_users_who_were_never_on_stable_two_are_not_enough():
    """Two of eight are the two worst in one draw of 28."""
    found = judge.strengths(tried(20, 20, bad, before=20), Bounds())
    assert found.metrics[0].alone > 100 * found.needed[0]
    assert found.metrics[0].bucket in (3, 11)
    assert found.suspicious, "so that it gets no more users"
    assert not found.condemns


def test_among_many_users_a_few_of_the_canary_condemn_as_ever():
    seen = tried(5, 20, bad, users=range(100), before=5)
    assert judge.strengths(seen, Bounds()).condemns


def test_one_bucket_of_a_hundred_is_just_enough_and_one_of_twenty_is_not():
    many = tried(1, 20, bad, users=range(100), before=1)
    few = tried(1, 20, bad, users=range(0, 100, 5), before=1)
    assert judge.strengths(many, Bounds()).condemns
    assert not judge.strengths(few, Bounds()).condemns


@pytest.mark.parametrize("part", [1, 1 / 2, 1 / 128, 1 / 1024])
def test_a_retry_has_as_many_draws_as_the_attempt_before(part):
    """It asks for stronger evidence, which more tasks bring; more buckets they do not."""
    seen = tried(1, 20, bad, users=range(100), before=1)
    assert judge.strengths(seen, Bounds(part=part)).condemns


def test_a_canary_that_was_taken_off_in_an_outage_is_condemned_once_it_is_back():
    """Its users failed on stable meanwhile, as all did: that excuses nothing."""
    cohorts, chance = Cohorts(Yardsticks((10_000, 0))), random.Random(3)
    for minute in range(30):
        outage = 5 <= minute < 10
        cohort = cohorts.find(minute * COHORT_MS, 2 + (minute >= 5) + (minute >= 10))
        for bucket in [b for b in range(100) for _ in range(6)]:
            arm = Arm.CANARY if bucket < 5 and not outage else Arm.STABLE
            fails = chance.random() < (
                0.6 if outage else bad(arm, bucket) if minute >= 10 else 0.01
            )
            cohort.route(arm, bucket)
            cohort.end(
                arm, bucket, of_end(Counting.ERROR if fails else Counting.GOOD, 1000, 0), 1000
            )
    assert judge.strengths(cohorts.observe(30 * COHORT_MS), Bounds()).condemns


@pytest.mark.parametrize("copies", [10, 30])
def test_a_heavy_user_of_stable_who_fails_more_often_shields_no_bad_version(copies):
    """He is in one draw of twenty, and in events he is all of it: as a rate he is one user."""

    def fails(arm, bucket):
        return 0.4 if arm is Arm.CANARY else 0.12 if bucket == 99 else 0.02

    seen = tried(5, 30, fails, users=(*range(99), *[99] * copies), before=5)
    found = judge.strengths(seen, Bounds())
    assert found.metrics[0].bucket is None
    assert found.condemns


def test_a_heavy_user_of_the_canary_who_fails_by_nature_condemns_it_no_more_than_a_light_one():
    def fails(_arm, bucket):
        return 0.2 if bucket == 2 else 0.02

    seen = tried(5, 30, fails, users=(*range(100), *[2] * 9), before=5)
    found = judge.strengths(seen, Bounds())
    assert found.metrics[0].alone >= judge.SUSPICIOUS
    assert found.metrics[0].bucket == 2
    assert not found.condemns


# ------------------------------------------------------------------------------------------ values


def test_a_heavy_user_of_stable_with_long_tasks_shields_no_slow_version():
    seen = tried(
        5, 30, lambda *_: 0.01, users=(*range(99), *[99] * 10), before=5,
        seconds=lambda arm, bucket: 2.0 if arm is Arm.CANARY or bucket == 99 else 1.0,
    )  # fmt: skip
    latency = judge.strengths(seen, Bounds()).metrics[len(VALUES)]
    assert latency.worse == latency.alone > 100
    assert latency.bucket is None


def test_a_user_whose_tasks_are_long_on_stable_as_well_makes_no_version_slow():
    seen = tried(
        40, 20, lambda *_: 0.01, users=(3, 11, 52, 68, 81), before=40,
        seconds=lambda _arm, bucket: 4.0 if bucket in (3, 11) else 1.0,
    )  # fmt: skip
    latency = judge.strengths(seen, Bounds()).metrics[len(VALUES)]
    assert latency.alone > 100
    assert latency.bucket in (3, 11)
    assert latency.worse < judge.SUSPICIOUS


def test_a_version_that_is_slow_with_each_of_many_users_is_condemned():
    seen = tried(
        10, 20, lambda *_: 0.01, users=range(100), before=10,
        seconds=lambda arm, bucket: (2.0 if arm is Arm.CANARY else 1.0) * (1 + bucket % 7 / 3),
    )  # fmt: skip
    assert judge.strengths(seen, Bounds()).condemns


def test_ranks_of_tasks_that_have_ended_are_counted_before_their_minute_is_over():
    """What is worked out of an open cohort is what its sums are once it is complete."""
    cohorts, chance = Cohorts(Yardsticks((10_000, 0))), random.Random(1)
    cohort = cohorts.find(0, 2)
    for task in range(300):
        arm = Arm.CANARY if task % 100 < 20 else Arm.STABLE
        cohort.route(arm, task % 100)
        took = int(1000 * chance.lognormvariate(0, 1))
        cohort.end(arm, task % 100, of_end(Counting.GOOD, took, 0), took)
    cohort.route(Arm.STABLE, 99)
    early = draw.of_value(cohorts.observe(COHORT_MS), 0)
    cohort.leave(Arm.STABLE, 99)
    late = draw.of_value(cohorts.observe(COHORT_MS), 0)
    assert list(early.canary.values()) == pytest.approx(list(late.canary.values()), rel=0.01)
    assert sum(early.canary.values()) != pytest.approx(0, abs=0.1)


# ------------------------------------------------------------------------------------------ a draw


@pytest.mark.parametrize("seed", range(12))
def test_a_draw_is_never_told_to_be_rarer_than_it_is(seed):
    """Every draw is counted: the bound is at or above its chance, and not far above."""
    chance = random.Random(seed)
    each = [chance.expovariate(1) ** 2 for _ in range(12)]
    m = 2 + seed % 9
    ours = sorted(each)[-m:] if seed % 2 else chance.sample(each, m)
    others = list(each)
    for one in ours:
        others.remove(one)
    sums = [sum(some) for some in combinations(each, m)]
    exact = sum(one >= sum(ours) - 1e-9 for one in sums) / len(sums)
    told = draw.drawn(ours, others)
    assert exact - 1e-9 <= told <= max(12 * exact, 0.02)
    if seed % 2:
        assert told == pytest.approx(1 / math.comb(12, m))


@pytest.mark.parametrize("enough", [0.01, 0.2, 0.9])
def test_what_is_rare_enough_is_told_as_by_the_least_bound(enough):
    """The search may end early, and says on which side of the question it is."""
    chance, sides = random.Random(7), []
    for _ in range(40):
        each = [chance.expovariate(1) ** 2 for _ in range(30)]
        ours, others = sorted(each)[-8:-1], [*sorted(each)[:-8], max(each)]
        ours = ours if chance.random() < 0.5 else [*ours[:3], *chance.sample(each, 4)]
        least, told = draw.drawn(ours, others), draw.drawn(ours, others, enough=enough)
        assert told >= least
        assert (told <= enough) == (least <= enough)
        sides.append((least <= enough, told > least))
    assert {rare for rare, _ in sides} == {True, False}
    assert any(early for _, early in sides)


def test_a_draw_of_all_of_none_or_of_equals_tells_nothing():
    assert draw.drawn((), (1.0,)) == draw.drawn((1.0,), ()) == 1.0
    assert draw.drawn((1.0, 1.0), (1.0,) * 8) == 1.0
    assert draw.drawn((-1.0, 0.0), (1.0,) * 8) == 1.0


def of_few_tasks(seed, users=60, had=3, tasks=2, all_tasks=60):
    """Centred ranks of users who differ by nature: of so many the canary has few tasks, of the others stable has many."""
    chance, part = random.Random(seed), tasks / all_tasks

    def excess(n):
        return n * nature + math.sqrt(n / 12) * chance.gauss(0, 1)

    ours, others = [], []
    for user in range(users):
        nature = chance.gauss(0, 0.1)
        (ours if user < had else others).append(excess(tasks if user < had else all_tasks))
    noise = [part * (1 - part) * all_tasks / 12] * (users - had)
    return ours, [part * one for one in others], noise


def test_what_few_tasks_tell_is_no_rare_draw():
    """Of 600 draws six may be told to be one in a hundred: without the noise of few tasks more are."""
    found = [of_few_tasks(seed) for seed in range(600)]
    told = sum(draw.drawn(ours, others, noise) <= 0.01 for ours, others, noise in found)
    exact = sum(draw.drawn(ours, others) <= 0.01 for ours, others, _ in found)
    assert told <= 6 < exact


def seldom(seed, minutes=300, users=40, had=2):
    """Three tasks a minute of users whose tasks are long or short by nature; the canary's two have one of twenty."""
    chance, cohorts = random.Random(seed), Cohorts(Yardsticks((10_000, 0)))
    long = [chance.lognormvariate(0, 0.7) for _ in range(users)]
    for minute in range(minutes):
        cohort = cohorts.find(minute * COHORT_MS, 2)
        for _ in range(3):
            user = chance.randrange(users)
            arm = Arm.CANARY if user < had else Arm.STABLE
            took = int(1000 * long[user] * chance.lognormvariate(0, 0.5))
            cohort.route(arm, user)
            cohort.end(arm, user, of_end(Counting.GOOD, took, 100), took)
    return cohorts.observe(minutes * COHORT_MS)


def test_stables_tasks_tell_of_its_users_where_no_task_of_the_canary_is_beside_them():
    """Else the canary's few tasks show more of its users than all of stable's do, and each draw of them is rare."""
    draws = [draw.of_value(seldom(seed), 0) for seed in range(100)]
    told = [draw.drawn(tuple(one.canary.values()), one.stable, one.noise) for one in draws]
    assert sum(chance <= 0.05 for chance in told) <= 5


@pytest.mark.parametrize("seed", range(4))
def test_noise_makes_no_draw_rarer(seed):
    ours, others, noise = of_few_tasks(seed)
    some = [draw.drawn(ours, others, [times * v for v in noise]) for times in (0.0, 0.5, 1.0, 2.0)]
    assert some == sorted(some)


def test_the_metrics_together_have_less_of_the_chance_than_four_draws():
    assert judge.RATIO_DRAWS[0] == 1.0
    assert sum((*judge.RATIO_DRAWS, *judge.VALUE_DRAWS)) == pytest.approx(1.6)


def test_huge_differences_break_no_draw():
    ours, others = (1e6, 0.0, 0.0, -3.0, 5e5), (2e5, *[0.0] * 94)
    assert 0 < draw.drawn(ours, others) <= 1
    assert 0 < draw.drawn([1e9] * 49 + [0.0], [1e-9] * 50) <= 1


# ------------------------------------------------------------------------------- as status keeps it


def as_before(evidence):
    """As the release before has encoded it."""
    whole = evidence.whole
    ratios, values = (
        tuple(one[:6] for one in whole.ratios),
        tuple(one[:3] for one in whole.values),
    )
    raw = bytearray()
    for number in sums._flat((evidence.since, (whole.canary, whole.stable, ratios, values))):
        sums._put(raw, number)
    return "1" + base64.b85encode(zlib.compress(bytes(raw), 9)).decode()


def test_sums_of_the_release_before_are_read_and_know_nothing_by_bucket():
    kept = tried(40, 3, one_fails_by_nature).settled
    nobody = (0,) * 100
    ratios = tuple(one._replace(of_canary=nobody, of_stable=nobody) for one in kept.whole.ratios)
    values = tuple(one._replace(canary=nobody) for one in kept.whole.values)
    without = kept._replace(whole=kept.whole._replace(ratios=ratios, values=values))
    assert decode(as_before(kept)) == without
    assert decode(encode(kept)) == kept != without
