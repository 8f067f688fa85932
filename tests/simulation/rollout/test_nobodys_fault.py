"""Good versions are not condemned for what is not theirs, and bad ones are caught as soon as ever.

With PENSTOCK_SIMULATION=full every cell is played a hundred times (hours); without it a few cells
a few times, which shows that a rule broke. Figures: at most one in a hundred is condemned.
"""

from __future__ import annotations

import os
import statistics

import pytest

from tests.simulation.rollout.crowd import crowd
from tests.simulation.rollout.outages import kill_switch, outage, spec_at
from tests.simulation.rollout.traffic import play, steady, with_latency_limit
from tests.unit.rollout.world import spec

FULL = os.environ.get("PENSTOCK_SIMULATION") == "full"
RUNS = 100 if FULL else 2
MOST_CONDEMNED = 0.01

OUTAGES = [
    (percent, rate, seconds)
    for percent in (5, 20, 50, 95, 100)
    for rate in (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
    for seconds in (60, 300)
]
QUICK_OUTAGES = [(20, 1.0, 60), (50, 1.0, 300), (95, 0.3, 60), (95, 1.0, 60), (100, 1.0, 60)]
CROWDS = [
    (rate, task, startup)
    for rate in (5.0, 10.0, 20.0)
    for task in (10.0, 20.0, 60.0)
    for startup in (20.0, 40.0, 60.0, 90.0)
]
QUICK_CROWDS = [(20.0, 10.0, 60.0), (5.0, 60.0, 60.0)]


def condemned(played):
    return [p.verdict.message for p in played if p.verdict and p.verdict.result == "Rejected"]


@pytest.mark.parametrize(("percent", "rate", "seconds"), OUTAGES if FULL else QUICK_OUTAGES)
def test_an_outage_of_both_arms_condemns_nobody_at_any_share(percent, rate, seconds):
    played = [outage(seed, percent, rate, seconds) for seed in range(RUNS)]
    assert all(p.begun is not None for p in played), "each had its outage"
    assert len(condemned(played)) <= MOST_CONDEMNED * RUNS, condemned(played)
    promoted = [p for p in played if p.verdict and p.verdict.result == "Promoted"]
    assert len(promoted) >= 0.9 * RUNS, "and it comes back by itself"


@pytest.mark.parametrize("percent", (5, 20, 50, 95, 100) if FULL else (95, 100))
def test_the_kill_switch_for_a_quarter_of_an_hour_makes_no_task_late_and_none_slow(percent):
    policy = with_latency_limit(spec_at(percent), 120)
    for rate in (1.0, 3.0) if FULL else (1.0,):
        played = [kill_switch(seed, percent, rate, policy) for seed in range(min(RUNS, 30))]
        assert all(p.begun is not None for p in played)
        assert not condemned(played)
        assert "Suspended" not in {told for p in played for told in p.told}


@pytest.mark.parametrize(("rate", "task", "startup"), CROWDS if FULL else QUICK_CROWDS)
def test_pods_that_come_up_slowly_condemn_nobody(rate, task, startup):
    played = [crowd(seed, rate, task, startup) for seed in range(min(RUNS, 10) if FULL else 1)]
    assert not condemned(played)
    assert {p.verdict.reason for p in played if p.verdict} == {"AllStepsPassed"}


@pytest.mark.parametrize("rate", (0.3, 1.0, 3.0, 10.0) if FULL else (0.3, 1.0))
def test_a_version_of_which_a_third_fails_is_caught_in_about_twenty_tasks(rate):
    weather = {"S": steady(), "C": steady(errors=0.3)}
    runs = RUNS if FULL else 5
    played = [
        play(int(20_000 / min(rate, 1.0)), seed=seed, spec=spec(), weather=weather,
             tasks_per_second=rate, pass_seconds=1.0 if rate > 1 else 3.0)
        for seed in range(runs)
    ]  # fmt: skip
    assert len(condemned(played)) == runs
    assert statistics.median(p.given["C"] for p in played) <= (20 if FULL else 26)
