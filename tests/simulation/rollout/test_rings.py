"""Chosen users go first, under seeded traffic: what a ring sees condemns by limits alone and is compared with nobody."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from penstock.api.rings import Ring
from penstock.rollout.verify import Outcome
from penstock.traffic import BUCKETS, Arm
from tests.simulation.rollout.traffic import Traffic, during, steady
from tests.simulation.rollout.verified import drawn
from tests.unit.rollout.beside import COMPARED
from tests.unit.rollout.world import spec

USERS = 400
GOOD, BAD = steady(escalations=0.05), steady(errors=0.3)
#: So many tasks a second, and how long a bad one is played.
RATES = ((1.0, 1800), (10.0, 300))
STAFF = Ring(
    name="staff", users=tuple(f"user-{n}" for n in range(40)), hold_seconds=120, min_tasks=20
)


@dataclass
class Ringed(Traffic):
    """A rollout with rings; ``of_rings``: the weather of their users' tasks on the canary."""

    of_rings: object = None
    chosen: list = field(default_factory=list)
    entered: dict = field(default_factory=dict)

    def _session(self, at_ms, arm, slot):
        if slot >= BUCKETS:
            self.chosen.append(at_ms)
            mine, self.weather[Arm.CANARY] = (
                self.weather[Arm.CANARY],
                self.of_rings or self.weather[arm],
            )
            super()._session(at_ms, arm, slot)
            self.weather[Arm.CANARY] = mine
            return
        super()._session(at_ms, arm, slot)

    def _decide(self, observation):
        super()._decide(observation)
        self.entered.setdefault(self.status.stage.value, self.seconds)


def declared(analysis=None):
    made = spec(analysis=analysis)
    strategy = made.strategy.model_copy(update={"rings": (STAFF,)})
    return made.model_copy(update={"strategy": strategy})


def play(seed, rate, seconds, canary, stable=GOOD, analysis=COMPARED, **fields):
    return Ringed(
        seed=seed,
        spec=declared(analysis),
        weather={Arm.STABLE: stable, Arm.CANARY: canary},
        tasks_per_second=rate,
        users=USERS,
        pass_seconds=5 if rate < 3 else 2,
        **fields,
    ).run(seconds)


@pytest.mark.parametrize("analysis", [None, COMPARED], ids=["limits", "compared"])
@pytest.mark.parametrize(("rate", "seconds"), RATES)
def test_a_bad_canary_is_rejected_in_its_ring_and_nobody_who_is_drawn_sees_it(
    rate, seconds, analysis
):
    for seed in range(3):
        run = play(seed, rate, seconds, BAD, analysis=analysis)
        assert run.chosen, "it served"
        assert run.verdict is not None
        assert run.verdict.reason == "ErrorRateRegression"
        assert run.verdict.message.startswith("rolled back at ring staff: ")
        assert {share for _, share, _ in run.shares} == {0}


def test_a_good_canary_goes_by_its_ring_and_the_steps_to_everybody():
    run = play(1, 10, 3600, GOOD)
    assert run.verdict.reason == "AllStepsPassed"
    steps = [share for _, share, source in run.shares if source == "Automatic"]
    assert steps == [0, 5, 20, 50, 95]
    assert run.entered["Steps"] >= 120


def test_tasks_of_a_ring_never_enter_the_sums_of_those_who_are_drawn():
    run = play(1, 10, 400, GOOD)
    assert run.status.stage == "Steps"
    drawn_tasks = run.given[Arm.CANARY] - len(run.chosen)
    assert len(run.chosen) > 100
    assert 0 < run.status.analysis.canary.tasks <= drawn_tasks


def test_what_hurts_users_of_rings_alone_is_seen_after_their_stage_too():
    late = during(200, 10_000, BAD, GOOD)
    for seed in range(2):
        run = play(seed, 10, 1200, GOOD, of_rings=late)
        assert run.entered["Steps"] < 200, "the ring had passed"
        assert run.verdict is not None
        assert run.verdict.reason == "ErrorRateRegression"
        assert "users of rings on the canary" in run.verdict.message


def test_an_outage_that_both_share_takes_the_ring_off_and_condemns_nobody():
    storm = during(60, 120, steady(errors=0.6), GOOD)
    run = play(1, 10, 600, storm, stable=storm)
    assert "Suspended" in run.told
    assert (run.verdict, run.status.stage) == (None, "Steps")


def test_an_operator_that_restarts_at_every_pass_decides_the_same_in_a_ring():
    class Restarting(Ringed):
        def _pass(self):
            self.status = type(self.status).model_validate(self.status.wire())
            super()._pass()

    made = {"seed": 3, "spec": declared(COMPARED), "tasks_per_second": 10, "users": USERS}
    plain, again = (
        kind(**made, weather={Arm.STABLE: GOOD, Arm.CANARY: GOOD}).run(300)
        for kind in (Ringed, Restarting)
    )
    assert plain.shares == again.shares
    assert plain.status.analysis.canary == again.status.analysis.canary


def test_each_decision_of_a_rollout_with_rings_follows_from_its_rows():
    rollout = drawn(4).play()
    said = [one for name in rollout.texts for one in rollout.verified(name)]
    assert any(one.rule == "ring_checks.rings_first" for one in said)
    assert not [one for one in said if one.outcome in (Outcome.DIFFERS, Outcome.MISSING)]
    assert [one for one in said if one.outcome is Outcome.EQUAL and "ring" in one.rule]
