"""With a comparison declared, windows take users off and evidence condemns: one bound for all of it."""

from __future__ import annotations

import pytest

from penstock.analysis import guardrails
from penstock.analysis.evidence import TICK_MS, Observation, Stratum
from penstock.analysis.guardrails import CheckVerdict
from penstock.api.analysis import Analysis, Guardrails
from penstock.api.comparison import Comparison
from penstock.traffic import Arm
from tests.unit.rollout.beside import COMPARED, alike, beside
from tests.unit.rollout.test_taken_off import ALONE
from tests.unit.rollout.world import BAD, GOOD, Tally, canary_world

WORSE = beside(errors=0.12)
BY_THE_LETTER = Analysis(comparison=Comparison(), guardrails=Guardrails(mode="Literal"))
LEFT_TO_PEOPLE = Analysis(comparison=Comparison(), on_regression="Pause")


def test_a_breach_in_a_window_condemns_nobody_and_holds_what_would_raise():
    world = canary_world(analysis=COMPARED).measure(BAD, GOOD, alike()).decide().step_over()
    assert (world.percent, world.verdicts) == (5, [])
    assert world.waits == "AwaitingEvidence"
    assert "the comparison condemns it once that is proven" in world.message("Progressing")


def test_what_the_comparison_has_proven_is_condemned_by_it():
    world = canary_world(analysis=COMPARED).measure(BAD, GOOD, WORSE).decide()
    assert world.verdicts[-1].check == "errorRateToStable"


@pytest.mark.parametrize("declared", [Analysis(), BY_THE_LETTER, LEFT_TO_PEOPLE])
def test_where_the_comparison_does_not_condemn_a_breach_does(declared):
    world = canary_world(analysis=declared).measure(BAD, GOOD, alike()).decide()
    assert world.verdicts[-1].check == "errorRate"


def alone_twice(compared, canary=ALONE):
    """Over its limit with nobody to compare with, twice; stable was well meanwhile."""
    world = canary_world(analysis=COMPARED)
    for _ in range(2):
        world.measure(canary=canary, stable=Tally(), compared=compared).after(605).decide()
        if not world.verdicts:
            assert world.source == "Suspended"
            world.measure(canary=Tally(), stable=GOOD).after(20).decide()
    return world


def test_on_and_off_again_condemns_only_what_is_proven_to_be_over_its_limit():
    within = alone_twice(beside(ours=50, theirs=0))
    assert within.verdicts == []
    over = alone_twice(beside(ours=50, theirs=0, errors=0.3))
    assert over.verdicts[-1].reason == "ErrorRateRegression"
    assert "stable was well while it had all users" in over.verdicts[-1].message


#: Tasks of a minute each, where ten seconds are the limit.
SLOW = Tally(tasks=30, timed=30, latency_ms=1_800_000, latency_squares=108_200_000_000)


@pytest.mark.parametrize(
    ("ours", "theirs", "reasons"),
    [(5, 5, []), (1, 20, []), (5, 0, ["LatencyRegression"])],
    ids=["beside as many", "few of the canary", "beside nobody"],
)
def test_who_is_slow_on_both_sides_is_no_proof_against_the_canary(ours, theirs, reasons):
    as_slow = beside(20, ours, theirs, 0, 0, seconds=60.0, stable_seconds=60.0)
    world = alone_twice(as_slow, SLOW)
    assert [one.reason for one in world.verdicts] == reasons


# ------------------------------------------------------------------------------- the last minute


def window(*rates, tasks=(30, 30), ticks=60, canary_ticks=60):
    """So many ticks; errors per ten tasks of canary and stable until the last minute, and in it."""
    before, lately = rates
    strata = []
    for tick in range(ticks):
        errors = lately if tick >= ticks - 12 else before
        arms = {
            arm: Tally(tasks=n, errors=n * error // 10, timed=n, latency_ms=n, latency_squares=n)
            for arm, n, error in zip((Arm.CANARY, Arm.STABLE), tasks, errors, strict=True)
            if n and (arm is Arm.STABLE or tick >= ticks - canary_ticks)
        }
        strata.append(Stratum(tick, 1, arms))
    return Observation(now_ms=ticks * TICK_MS, window=tuple(strata))


def errors(observation):
    """What the window says of the error rate, and what it says with its last minute."""
    limits = Guardrails()
    found = guardrails.judge(limits, observation)
    soon = guardrails.sooner(found, limits, observation)
    return found[0].verdict, soon[0].verdict


def test_an_incident_of_both_is_seen_in_the_last_minute():
    seen = window((0, 0), (2, 2), tasks=(5, 100))
    assert errors(seen) == (CheckVerdict.UNCLEAR, CheckVerdict.SHARED)


def test_also_before_the_canarys_few_tasks_say_so():
    seen = window((0, 0), (0, 2), tasks=(2, 100), canary_ticks=3)
    assert errors(seen) == (CheckVerdict.UNCLEAR, CheckVerdict.SHARED)


def test_stable_that_has_been_bad_for_long_is_no_incident_a_canary_may_mend_it():
    seen = window((0, 2), (0, 2), tasks=(2, 100), canary_ticks=3)
    assert errors(seen) == (CheckVerdict.UNCLEAR, CheckVerdict.UNCLEAR)


def test_without_enough_of_stable_the_canary_alone_is_seen_in_the_last_minute():
    seen = window((0, 0), (1, 0), tasks=(30, 1))
    assert errors(seen) == (CheckVerdict.PASSING, CheckVerdict.UNCOMPARED)
