"""A first revision that climbs with nobody beside it: a bad one never has everybody, a good one gets there."""

from __future__ import annotations

import pytest

from penstock.api.analysis import Analysis, Guardrails, OnStable
from penstock.traffic import Arm
from tests.simulation.rollout.alone import BAD, GOOD, climb, declared
from tests.simulation.rollout.traffic import hanging

SEEDS = range(2)
#: Tasks a second of all users, and for how many seconds a bad one is played.
RATES = ((0.3, 4500), (1.0, 1200), (10.0, 300))
ACTS = declared(analysis=Analysis(guardrails=Guardrails(on_stable=OnStable.ROLLBACK)))


@pytest.mark.parametrize(("rate", "_seconds"), RATES)
def test_a_good_one_gets_to_everybody_by_its_steps(rate, _seconds):
    for seed in SEEDS:
        played = climb(seed, rate, GOOD, 6 * 3600)
        assert played.verdict is not None
        assert played.verdict.result == "Promoted"
        assert [share for _, share, source in played.shares if source == "Automatic"] == [
            5,
            20,
            50,
            95,
        ]
        assert played.refused > played.given[Arm.CANARY] * (rate < 1), (
            "others were refused meanwhile"
        )


@pytest.mark.parametrize(("rate", "seconds"), RATES)
def test_one_with_a_third_of_its_tasks_failing_never_has_everybody(rate, seconds):
    for seed in SEEDS:
        held = climb(seed, rate, BAD, seconds)
        assert held.given[Arm.CANARY], "it served"
        assert held.verdict is None
        assert held.status.stable_revision is None
        assert held.status.waiting in ("AnalysisUnclear", "AwaitingEvidence")
        rejected = climb(seed, rate, BAD, seconds, spec=ACTS)
        assert rejected.verdict is not None
        assert rejected.verdict.reason == "ErrorRateRegression"
        assert rejected.shares[-1][1] == 0


def test_one_that_hangs_is_held_before_any_of_its_tasks_has_ended():
    played = climb(1, 10.0, hanging, 150)
    assert played.shares[-1][1] == 5
    assert played.status.analysis.canary.tasks == 0


def test_without_a_task_it_stays_where_it_is():
    played = climb(1, 0.0, GOOD, 1200)
    assert played.shares[-1][1] == 5
    assert played.status.waiting == "AwaitingEvidence"
