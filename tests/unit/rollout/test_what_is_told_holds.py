"""What a person reads holds: whose reason it is, when something ends, what follows, and that it can be done."""

from penstock.api.sample import Sample
from penstock.api.strategy import Step, Strategy
from tests.unit.rollout.beside import COMPARED, beside
from tests.unit.rollout.world import (
    APPROVED_AT_20,
    BAD,
    C2,
    GOOD,
    NONE,
    STEPS,
    C,
    canary_world,
    world_at,
)


def test_a_rejection_is_told_with_the_reason_and_the_tasks_of_its_own_verdict():
    slow = GOOD._replace(latency_ms=4_000_000, latency_squares=160_000_000_000)
    world = world_at(20).measure(canary=slow).after(1).decide()
    world.measure().apply(C2).pods(C2).after(1).decide()
    world.measure(canary=BAD).after(1).decide()
    *before, last = world.status.verdicts
    sampled = last.model_copy(update={"samples": (Sample(task="of-c2", reason="Timeout"),)})
    world.change(status=world.status.model_copy(update={"verdicts": (*before, sampled)}))
    assert (last.revision, last.reason) == (C2, "ErrorRateRegression")
    world.measure().apply(C).after(1).decide()
    assert world.condition("RolledBack") == ("True", "LatencyRegression")
    assert "of-c2" not in world.message("RolledBack")


def test_what_ends_on_another_day_is_told_with_its_date():
    long = (Step(percent=5, hold_seconds=172_800, min_tasks=20),)
    assert " until 2026-11-23 10:0" in canary_world(steps=long).message("Ready")
    assert " until 10:0" in canary_world().message("Ready")


def test_where_approval_is_asked_for_no_raise_is_announced():
    world = world_at(20, steps=APPROVED_AT_20).measure(canary=NONE).after(61).decide()
    assert "and leaving it needs approval" in world.message("Ready")
    unlikely = beside(minutes=1, ours=5, theirs=200, errors=0.1, stable_errors=0.02)
    world = world_at(20, steps=APPROVED_AT_20, analysis=COMPARED).measure(compared=unlikely)
    world.after(61).decide()
    assert " UTC on a person may approve it without proof." in world.message("Ready")


def test_a_person_s_share_of_all_is_not_said_to_be_stable_at_once_where_proof_is_asked():
    strategy = Strategy(steps=STEPS, final_hold_seconds=0)
    world = canary_world(analysis=COMPARED).edit(strategy=strategy).set(100).after(1)
    world.measure(compared=beside(minutes=1, ours=1, theirs=30)).decide()
    said = "it becomes stable as soon as its limits are proven to be kept"
    assert said in world.message("ManualSetpoint")


def test_who_is_promoted_blindly_is_told_that_its_tasks_could_not_be_read():
    strategy = Strategy(steps=STEPS, final_hold_seconds=0)
    world = world_at(50).edit(strategy=strategy).blind().ask("promote").after(1).decide()
    [verdict] = world.verdicts
    assert verdict.message.endswith("and what its tasks say, which cannot be read")


def test_promote_full_acts_on_a_canary_that_is_off_for_its_queue_and_has_a_pod():
    world = world_at(20).change(queue_age_seconds={C: 50.0}).decide()
    world.after(31).change(queue_age_seconds={C: 81.0}).decide()
    assert (world.percent, world.waits) == (0, "CandidateUnavailable")
    world.ask("promote-full").after(1).decide()
    assert world.status.stable_revision == C
