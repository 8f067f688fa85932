"""The formulae of the comparison, in numbers that another implementation of them has given."""

from __future__ import annotations

import math
import random
import statistics

import pytest

from penstock.analysis.comparison import evalues, ranks, spread

EVENTS = (3, 0, 1, 7, 0, 2, 0, 0, 5, 1)
TASKS = (30, 20, 25, 40, 10, 30, 15, 20, 60, 10)


def exposure(events, share):
    return [events * math.log1p(share * excess) for excess in evalues.EXCESS]


@pytest.mark.parametrize(
    ("ours", "events", "share", "variance", "evidence"),
    [
        (6, 12, 0.05, 0.0, 3540.769647),
        (6, 12, 0.05, 0.2, 685.74017),
        (20, 100, 0.2, 0.05, 0.030917),
        (40, 60, 0.5, 0.02, 5.489393),
        (0, 10, 0.05, 0.1, 0.324213),
    ],
)
def test_whose_events_they_were(ours, events, share, variance, evidence):
    null = evalues.innate(variance)
    seen = evalues.of_labels(ours, exposure(events, share), null)
    assert seen == pytest.approx(evidence, rel=1e-4)


@pytest.mark.parametrize(
    ("events", "tasks", "limit", "others", "evidence"),
    [
        (12, 100, 0.05, evalues.ABOVE, 14.974939437295378),
        (2, 100, 0.05, evalues.ABOVE, 0.16148289613390773),
        (2, 200, 0.08, evalues.BELOW, 11515.080599870269),
        (10, 200, 0.08, evalues.BELOW, 1.6602307957992182),
    ],
)
def test_on_which_side_of_a_limit_a_rate_is(events, tasks, limit, others, evidence):
    assert evalues.of_limit(events, tasks, limit, others) == pytest.approx(evidence, rel=1e-9)


@pytest.mark.parametrize(
    ("score", "variance", "tilt", "evidence"),
    [
        (9.0, 4.0, 0.0, 8240.765185090135),
        (9.0, 4.0, 0.05, 1669.8836949737686),
        (-3.0, 4.0, 0.05, 0.015101504024186458),
        (25.0, 30.0, 0.01, 464.63955059020026),
    ],
)
def test_whose_values_rank_higher(score, variance, tilt, evidence):
    assert evalues.of_ranks(score, variance, tilt) == pytest.approx(evidence, rel=1e-9)


def test_bets_tails_and_confidence_sequences():
    assert evalues.of_bets([0.1, 0.5, -1.0, 2.0]) == pytest.approx(2.627706932219467)
    assert evalues.tail(8, 50, 0.05) == pytest.approx(0.015975761962995428)
    assert evalues.tail(1, 50, 0.05) == 1.0
    assert evalues.half_width(0.01, 77.0, 0.05) == pytest.approx(0.028955979014592157)


def test_how_unlike_users_are():
    seen = spread.of_rates(EVENTS, TASKS)
    assert seen.value == pytest.approx(0.16802040784387362)
    assert seen.information == pytest.approx(9.810816518370558)
    assert spread.upper(seen, spread.OF_RATES) == pytest.approx(0.45439371700727876)
    assert spread.concentration(TASKS) == pytest.approx(0.1309171597633136)


@pytest.mark.parametrize("largest", [3, 40, 1_000_000])
def test_how_unlike_users_are_is_what_is_summed_bucket_by_bucket(largest):
    chance = random.Random(largest)
    for _ in range(200):
        tasks = [chance.randrange(largest) if chance.random() < 0.7 else 0 for _ in range(100)]
        events = [min(n, chance.randrange(1 + n // 3 + 1)) for n in tasks]
        seen, value, information = spread.of_rates(events, tasks), *summed(events, tasks)
        assert seen.value == pytest.approx(value, rel=1e-9, abs=1e-9)
        assert seen.information == pytest.approx(information, rel=1e-9)


def summed(events, tasks):
    """The estimate of the docstring, term by term, and 1 / its variance."""
    rate, total = sum(events) / sum(tasks), sum(tasks)
    expected = [n * rate for n in tasks]
    chance = [e * (1 - n / total) for e, n in zip(expected, tasks, strict=True)]
    squares = sum(e * e for e in expected)
    parts = zip(events, expected, chance, strict=True)
    value = sum((k - e) ** 2 - u for k, e, u in parts) / squares
    noise = sum(2 * u * u + u for u in chance) / squares**2
    noise += 10 * max(value, 0.0) ** 2 * sum(e**4 for e in expected) / squares**2
    return value, 1 / noise


def test_few_users_widen_and_never_narrow():
    few = spread.of_rates(EVENTS[:4], TASKS[:4])
    many = spread.of_rates(EVENTS[:4] * 20, TASKS[:4] * 20)
    assert few.information < many.information / 10
    assert spread.upper(few, spread.OF_RATES) > spread.upper(many, spread.OF_RATES)


def test_ranks_of_a_cohort():
    seen = ranks.score({3: 2, 5: 1}, {2: 4, 3: 3, 6: 1}, 1)
    assert seen.total == pytest.approx(-0.09090909090909094)
    assert seen.variance == pytest.approx(0.1631855747558227)
    assert seen.square == pytest.approx(0.0679939894815928)
    by_bucket, chance = ranks.residuals({(1, 2): 4, (2, 3): 3, (1, 6): 1}, seen)
    assert sum(by_bucket.values()) == pytest.approx(0.0)
    assert chance == pytest.approx(8 * 0.0679939894815928 * (1 - (25 + 9) / 64))


def test_ranks_where_the_canary_has_no_task_are_those_of_stable_alone():
    seen = ranks.score({}, {2: 2, 4: 2}, 1)
    assert (seen.total, seen.variance, seen.rank) == (0.0, 0.0, {2: -0.25, 4: 0.25})
    assert ranks.residuals({(1, 2): 2, (2, 4): 2}, seen) == ({1: -0.5, 2: 0.5}, 0.125)
    assert ranks.residuals({(7, 3): 1}, ranks.score({}, {3: 1}, 0)) == ({7: 0.0}, 0.0)


@pytest.mark.parametrize(("percent", "bins"), [(0, 0), (1, 1), (10, 1), (11, 2), (21, 2), (100, 8)])
def test_a_tolerance_is_rounded_up_to_bins(percent, bins):
    assert ranks.bins_for(percent) == bins


@pytest.mark.parametrize("share", [0.05, 0.5])
@pytest.mark.parametrize("variance", [0.0, 0.1])
def test_where_nothing_is_wrong_evidence_is_one_at_most_on_average(share, variance):
    """Of 60 events, each the canary's with the chance of its share: the mean of E over 4,000 runs."""
    chance, null, at = random.Random(7), evalues.innate(variance), exposure(60, share)
    known = {}
    runs = [sum(chance.random() < share for _ in range(60)) for _ in range(4000)]
    for ours in set(runs):
        known[ours] = evalues.of_labels(ours, at, null)
    mean = statistics.fmean(known[ours] for ours in runs)
    assert mean < 1.1


def test_it_hardly_ever_passes_its_bound_however_often_one_looks():
    """1,000 runs of up to 150 events at a share of 20 %, looked at after each: at most 1 in 50 ever passes 50."""
    chance, null, passed = random.Random(11), evalues.innate(0.0), 0
    one = exposure(1, 0.2)
    for _ in range(1000):
        ours = 0
        for events in range(1, 151):
            ours += chance.random() < 0.2
            if ours * 2 > events and evalues.of_labels(ours, [events * a for a in one], null) >= 50:
                passed += 1
                break
    assert passed <= 20
