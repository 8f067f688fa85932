"""The exact tail against the sum of its terms."""

from __future__ import annotations

import math

import pytest

from penstock.analysis import binomial


def summed(events, trials, rate):
    return math.fsum(
        math.comb(trials, k) * rate**k * (1 - rate) ** (trials - k)
        for k in range(events, trials + 1)
    )


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2, 0.5, 0.95])
@pytest.mark.parametrize("trials", [1, 3, 8, 20, 60, 300])
def test_the_tail_is_the_sum_of_its_terms(trials, rate):
    for events in range(0, trials + 1, max(1, trials // 15)):
        expected = summed(events, trials, rate)
        assert binomial.tail(events, trials, rate) == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_nothing_is_certain_and_more_than_all_is_impossible():
    assert binomial.tail(0, 10, 0.05) == 1.0
    assert binomial.tail(11, 10, 0.05) == 0.0
    assert binomial.tail(1, 10, 0.0) == 0.0
    assert binomial.tail(10, 10, 1.0) == 1.0


def test_a_million_trials_still_converge():
    # The median of a binomial with a whole mean is its mean.
    assert 0.5 < binomial.tail(50_000, 1_000_000, 0.05) < 0.502


def test_the_tail_falls_with_events_and_rises_with_the_rate():
    falling = [binomial.tail(k, 300, 0.05) for k in range(301)]
    assert falling == sorted(falling, reverse=True)
    rising = [binomial.tail(30, 300, p / 100) for p in range(101)]
    assert rising == sorted(rising)
