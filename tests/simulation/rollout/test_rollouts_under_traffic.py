"""Whole rollouts under seeded traffic, through rows, fold and decision: who is rolled back.

The published bounds are measured over more seeds; these are enough to see that a rule broke.
"""

from __future__ import annotations

import pytest

from penstock.traffic import Arm, bucket
from tests.simulation.rollout.traffic import (
    Traffic,
    during,
    hanging,
    play,
    steady,
    with_latency_limit,
)
from tests.unit.rollout.world import STEPS, spec

SPEC = spec()
LONG_STEPS = tuple(step.model_copy(update={"hold_seconds": 300}) for step in STEPS)
GOOD = steady()
SEEDS = range(6)


def both(weather):
    return dict.fromkeys(Arm, weather)


def against_good(weather):
    return {Arm.STABLE: GOOD, Arm.CANARY: weather}


def results(seconds, seeds=SEEDS, **fields):
    """What became of the canary, per seed; each must have served first."""
    played = [play(seconds, seed=seed, **fields) for seed in seeds]
    assert all(rollout.given[Arm.CANARY] for rollout in played)
    return played


def reasons(played):
    return {p.verdict.reason.value if p.verdict else p.shares[-1] for p in played}


def test_a_version_as_good_as_stable_is_promoted():
    played = results(900, spec=SPEC, weather=both(GOOD))
    assert reasons(played) == {"AllStepsPassed"}
    shares = [share for _, share, source in played[0].shares if source == "Automatic"]
    assert shares == [5, 20, 50, 95]


@pytest.mark.parametrize(
    ("weather", "reason"),
    [
        (steady(errors=0.3), "ErrorRateRegression"),
        (steady(errors=1.0), "ErrorRateRegression"),
        (steady(working=(12.0, 18.0)), "LatencyRegression"),
        (steady(escalations=0.4), "EscalationRateRegression"),
        (hanging, "LatencyRegression"),
    ],
    ids=["a third fails", "all fail", "15 s slow", "escalates", "hangs"],
)
def test_a_bad_version_is_rolled_back_for_what_is_wrong_with_it(weather, reason):
    played = results(900, spec=SPEC, weather=against_good(weather), tasks_per_second=8)
    assert reasons(played) == {reason}
    assert max(share for p in played for _, share, _ in p.shares) <= 50


def test_failures_that_come_later_than_the_window_is_long_are_seen():
    """Half of the canary's tasks fail after 400 s, where 5 minutes are looked at."""
    late = steady(errors=0.5, failing=400.0)
    patient = with_latency_limit(spec(steps=LONG_STEPS), 3600)
    played = results(3600, seeds=range(3), spec=patient, weather=against_good(late))
    assert reasons(played) == {"ErrorRateRegression"}


def test_a_hang_is_seen_before_any_of_its_tasks_has_ended():
    played = results(900, spec=SPEC, weather=against_good(hanging), tasks_per_second=8)
    for rollout in played:
        assert rollout.status.verdicts[-1].check == "latencyMean"
        assert rollout.seconds < 120 + rollout.limits.wall_seconds
        assert rollout.status.analysis.canary.tasks == 0


def test_a_version_that_always_fails_is_rolled_back_where_stable_has_no_user_at_all():
    """Nobody but the canary's users is active: nothing is there to compare with.

    So stable gets these users first; it is well with them, and they go back once.
    """
    played = results(
        900,
        spec=SPEC,
        weather=against_good(steady(errors=1.0)),
        active=lambda salt, user: bucket(salt, user) < 5,
        tasks_per_second=40,
    )
    assert reasons(played) == {"ErrorRateRegression"}
    assert all("Suspended" in p.told and "Resumed" in p.told for p in played)
    assert max(p.given[Arm.STABLE] for p in played) < 80, "only while it is taken off"
    assert {max(share for _, share, _ in p.shares) for p in played} == {5}


def test_where_only_the_canaries_users_are_active_a_good_version_is_never_raised():
    played = results(
        1800,
        seeds=range(2),
        spec=SPEC,
        weather=both(GOOD),
        active=lambda salt, user: bucket(salt, user) < 5,
        tasks_per_second=20,
    )
    assert {p.shares[-1][1] for p in played} == {5}
    assert {p.verdict for p in played} == {None}


def test_fast_failures_and_slow_successes_condemn_nobody():
    """2 % fail after 0.3 s, the others take 30 to 90 s: first come the failures."""
    long_tasks = steady(errors=0.02, failing=0.3, working=(30.0, 90.0))
    patient = with_latency_limit(SPEC, 200)
    played = results(
        900, seeds=range(15), spec=patient, weather=both(long_tasks), tasks_per_second=10
    )
    assert reasons(played) == {"AllStepsPassed"}


def test_old_sessions_of_stable_are_no_yardstick():
    """Turn 20 of an old session is slow and fails often; the canary has first turns only."""
    played = results(
        900,
        spec=SPEC,
        weather=both(GOOD),
        old_per_second=3.0,
        old_weather=steady(errors=0.3, working=(20.0, 40.0)),
    )
    assert reasons(played) == {"AllStepsPassed"}
    assert all("Suspended" not in p.told for p in played)


def test_and_no_excuse():
    played = results(
        900,
        spec=SPEC,
        weather=against_good(steady(errors=0.3)),
        old_per_second=3.0,
        old_weather=steady(errors=0.3),
    )
    assert reasons(played) == {"ErrorRateRegression"}


def test_an_outage_of_the_provider_blames_nobody_and_the_promotion_completes():
    outage = during(100, 160, steady(errors=0.6), GOOD)
    played = results(1800, spec=SPEC, weather=both(outage), tasks_per_second=10)
    assert reasons(played) == {"AllStepsPassed"}
    assert all("Suspended" in p.told and "Resumed" in p.told for p in played)


def test_an_operator_that_restarts_at_every_pass_decides_the_same():
    class Restarting(Traffic):
        def _pass(self):
            super()._pass()
            self.log = getattr(self, "log", [])
            self.fold, self.status = None, type(self.status).model_validate(self.status.wire())

        def _rows(self):
            """The log from where the new fold asks for it."""
            from penstock.analysis.fold import position

            self.kept = getattr(self, "kept", []) + super()._rows()
            after = position(self.fold.read_after(self.now_ms))
            return [row for row in self.kept if position(row.id) > after]

    fields = {"spec": SPEC, "weather": against_good(steady(errors=0.15)), "seed": 3}
    steady_one, restarting = Traffic(**fields).run(400), Restarting(**fields).run(400)
    assert restarting.shares == steady_one.shares
    assert restarting.verdict == steady_one.verdict
    assert steady_one.verdict.result == "Rejected"
