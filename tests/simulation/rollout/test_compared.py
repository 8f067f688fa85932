"""Whole rollouts with a comparison declared, through rows, fold and decision.

The published figures are those of `make bench-rollout`; these seeds are enough to see that something broke.
"""

from __future__ import annotations

from penstock.analysis.fold import position
from penstock.traffic import Arm
from tests.simulation.rollout.traffic import Traffic, play, steady
from tests.unit.rollout.beside import COMPARED
from tests.unit.rollout.world import spec

SPEC = spec(analysis=COMPARED)
GOOD = steady(escalations=0.05)


def played(weather, seeds=range(2), seconds=2400, stable=GOOD, **fields):
    """What became of the canary, per seed; each must have served first."""
    arms = {Arm.STABLE: stable, Arm.CANARY: weather}
    runs = [
        play(seconds, seed=seed, spec=SPEC, weather=dict(arms), tasks_per_second=10, **fields)
        for seed in seeds
    ]
    assert all(run.given[Arm.CANARY] for run in runs)
    return runs


def test_a_version_as_good_as_stable_is_promoted():
    assert {run.verdict.reason for run in played(GOOD)} == {"AllStepsPassed"}


def test_a_version_within_the_limits_is_caught_where_it_is_far_worse_than_stable():
    runs = played(steady(errors=0.04), stable=steady(errors=0.004))
    assert {run.verdict.reason for run in runs} == {"ErrorRateRegression"}
    assert {run.verdict.check for run in runs} == {"errorRateToStable"}
    assert {max(share for _, share, _ in run.shares) for run in runs} <= {5, 20, 50}


def test_a_version_that_is_slower_is_caught_long_before_the_limit_of_ten_seconds():
    runs = played(steady(working=(1.0, 4.0)))
    assert {run.verdict.reason for run in runs} == {"LatencyRegression"}


def test_a_version_at_the_size_of_a_limit_never_gets_most_users():
    """Stable fails as often, so nobody is to blame; the longest wait of the last step is 180 s."""
    bad = steady(errors=0.08)
    runs = played(bad, stable=bad, seeds=range(1), seconds=900, pass_seconds=5.0)
    assert {run.verdict for run in runs} == {None}
    assert max(share for run in runs for _, share, _ in run.shares) <= 50


def test_an_operator_that_restarts_at_every_pass_decides_the_same():
    class Restarting(Traffic):
        def _pass(self):
            super()._pass()
            self.fold, self.status = None, type(self.status).model_validate(self.status.wire())

        def _rows(self):
            """The log from where the new fold asks for it."""
            self.kept = getattr(self, "kept", []) + super()._rows()
            after = position(self.fold.read_after(self.now_ms))
            return [row for row in self.kept if position(row.id) > after]

    arms = {Arm.STABLE: GOOD, Arm.CANARY: steady(errors=0.12)}
    fields = {"spec": SPEC, "seed": 3, "tasks_per_second": 4}
    steady_one = Traffic(weather=dict(arms), **fields).run(900)
    restarting = Restarting(weather=dict(arms), **fields).run(900)
    assert restarting.shares == steady_one.shares
    assert restarting.verdict == steady_one.verdict
    assert steady_one.verdict.check == "errorRateToStable"
