"""What nobody asks for is raised on proof, whatever made the step begin anew, or the share be lower than its step's."""

from dataclasses import replace

import pytest

from penstock.api.comparison import OnNoEvidence, OnRegression
from penstock.api.rollout import AgentRolloutStatus, Stage
from penstock.api.strategy import FirstRevision, Step
from penstock.rollout.situation import Pods, RevisionRecord
from tests.unit.rollout.beside import COMPARED, alike, beside
from tests.unit.rollout.test_external_gates import gated, says
from tests.unit.rollout.world import (
    BAD,
    GOOD,
    NONE,
    SUSPECT,
    C,
    World,
    canary_world,
    stable_world,
    world_at,
)

MOST = (Step(percent=80, hold_seconds=60, min_tasks=20),)
PAUSES = COMPARED.model_copy(update={"on_regression": OnRegression.PAUSE})
NEVER = COMPARED.model_copy(update={"on_no_evidence": OnNoEvidence.HOLD})
#: Far worse than stable, in minutes of before this step.
WORSE = beside(minutes=10, ours=25, theirs=500, errors=0.10, stable_errors=0.02)


def alone():
    world = stable_world(steps=MOST)
    spec = world.situation.spec
    climbs = spec.strategy.model_copy(update={"first_revision": FirstRevision.STEPS})
    return World(
        replace(
            world.situation,
            spec=spec.model_copy(update={"strategy": climbs}),
            status=AgentRolloutStatus(),
            stable="",
            latest=C,
            records={C: RevisionRecord(C, version="2.0")},
            pods={C: Pods(1, 1)},
        )
    )


# ------------------------------------------------------------------------------- the first step


def test_of_a_first_step_above_half_half_is_given_until_the_limits_are_proven():
    world = stable_world(steps=MOST, analysis=COMPARED).apply(C).pods(C).decide()
    assert (world.percent, world.status.held_percent) == (50, 50)
    [entered] = [told.message for told in world.told if told.reason == "StepStarted"]
    assert entered.endswith("0 % to 50 %, and goes to 80 % once it is proven to keep its limits.")
    world.measure(compared=beside(minutes=1, ours=20, theirs=20)).after(61).decide()
    assert (world.percent, world.waits) == (50, "AwaitingEvidence")
    world.measure(compared=alike()).after(5).decide()
    assert world.percent == 80


def test_without_a_comparison_the_first_step_is_given_as_it_is_declared():
    assert canary_world(steps=MOST).percent == 80


def test_half_at_most_is_given_of_a_first_revision_too():
    assert alone().after(1).decide().percent == 50


def test_a_person_gives_the_first_step_in_full():
    world = stable_world(steps=MOST, analysis=COMPARED).apply(C).record(C).pods(C, ready=0).decide()
    world.ask("promote").pods(C).after(1).decide()
    assert world.percent == 80


def test_a_ceiling_below_half_goes_to_half_first():
    world = stable_world(steps=MOST, analysis=COMPARED).set(30).decide()
    world.apply(C).record(C).pods(C).after(1).decide()
    assert (world.percent, world.waits) == (30, "CeilingReached")
    world.set(None).measure(compared=beside(minutes=1, ours=1, theirs=30)).after(1).decide()
    assert world.percent == 50


def test_a_canary_that_is_given_back_to_the_steps_has_its_evidence_still():
    world = world_at(50, analysis=PAUSES).measure(compared=WORSE).after(70).decide()
    assert world.waits == "AnalysisUnclear"
    world.set(0).after(1).decide()
    world.set(None).after(60).decide()
    assert (world.percent, world.waits) == (0, "AnalysisUnclear")
    world.ask("promote").after(1).decide()
    assert world.percent == 5, "a person's word"


# ---------------------------------------------------------------- nobody had it in this step


@pytest.mark.parametrize("errors", [0.06, 0.10])
def test_time_raises_no_canary_against_which_the_evidence_speaks(errors):
    known = beside(minutes=10, ours=25, theirs=500, errors=errors, stable_errors=0.02)
    world = world_at(20, analysis=PAUSES).measure(canary=NONE, compared=known)
    *before, last = world.situation.spec.strategy.steps
    world.steps(*before, last.model_copy(update={"hold_seconds": 600})).after(1).decide()
    world.after(600).decide()
    assert world.percent == 20
    assert "worse than stable's" in world.message("Ready")
    world.measure(canary=NONE, compared=alike()).after(5).decide()
    assert world.percent == 50


def test_never_without_proof_is_so_where_nobody_had_it_too():
    world = canary_world(analysis=NEVER).measure(canary=NONE).after(600).decide()
    assert (world.percent, world.waits) == (5, "AwaitingEvidence")
    assert "onNoEvidence is Hold: nothing is raised without proof" in world.message("Ready")
    assert "Promote without: " in world.message("Ready")
    assert canary_world(analysis=COMPARED).measure(canary=NONE).after(600).decide().percent == 20


# ------------------------------------------------------------------- when a ceiling goes


def under_a_ceiling(analysis=COMPARED):
    world = stable_world(analysis=analysis).set(30).decide().apply(C).record(C).pods(C)
    for _ in range(3):
        world.after(61).decide()
    assert (world.percent, world.waits) == (30, "CeilingReached")
    return world


@pytest.mark.parametrize(
    ("measured", "waits"),
    [
        ({"canary": SUSPECT}, "AwaitingEvidence"),
        ({"canary": GOOD, "compared": WORSE}, "AnalysisUnclear"),
    ],
)
def test_what_speaks_against_a_canary_holds_its_catching_up(measured, waits):
    world = under_a_ceiling(PAUSES).measure(**measured).after(1).decide()
    world.set(None).after(1).decide()
    assert (world.percent, world.waits) == (30, waits)
    world.measure(compared=alike()).after(1).decide()
    assert world.percent == 50


def test_so_does_a_closed_gate():
    world = under_a_ceiling().edit(analysis=gated())
    says(world, 1.0).set(None).after(1).decide()
    assert (world.percent, world.waits) == (30, "ExternalGate")


# --------------------------------------------------------------------------- the final hold


def test_a_final_hold_that_is_edited_away_promotes_nobody_without_a_task():
    world = world_at(50).measure(canary=NONE).after(600).decide()
    assert world.status.stage is Stage.FINAL_HOLD
    strategy = world.situation.spec.strategy.model_copy(update={"final_hold_seconds": 0})
    world.edit(strategy=strategy).after(1).decide()
    assert (world.status.stage, world.waits) == (Stage.FINAL_HOLD, "AwaitingEvidence")
    world.measure().after(1).decide()
    assert world.status.stable_revision == C


def test_a_person_s_share_of_everybody_needs_no_tasks_of_a_step_that_was_left():
    world = canary_world().measure(canary=NONE).after(600).decide()
    assert world.status.unreached_percent == 5
    world.set(100).after(1).decide()
    assert world.status.unreached_percent is None
    world.measure(canary=GOOD._replace(tasks=1, errors=0, timed=1)).after(700).decide()
    assert world.status.stable_revision == C
    [verdict] = world.status.verdicts[-1:]
    assert verdict.reason == "Requested"
    assert "promoted from 100 %, the share that a person has set, after the final hold; " in (
        verdict.message
    )


def test_a_last_step_left_by_request_claims_no_hold():
    steps = (Step(percent=5, hold_seconds=3600, min_tasks=200),)
    world = canary_world(steps=steps)
    strategy = world.situation.spec.strategy.model_copy(update={"final_hold_seconds": 0})
    world.edit(strategy=strategy).ask("promote").after(1).decide()
    [verdict] = world.status.verdicts[-1:]
    assert verdict.reason == "Requested"
    assert verdict.message.startswith("promoted from 5 % by request; left out: 35")


def test_bad_is_bad_however_it_was_raised():
    assert canary_world(steps=MOST).measure(canary=BAD).after(5).decide().waits == "RolledBack"
