"""How long a canary may wait where it stands, what stops that clock, and what follows when it is over."""

from __future__ import annotations

import pytest

from penstock.analysis.metrics import Tally
from penstock.api.rollout import Setpoint
from penstock.api.strategy import OnDeadline
from penstock.rollout.capacity import Capacity
from tests.unit.rollout.beside import COMPARED, beside
from tests.unit.rollout.world import (
    APPROVED_AT_20,
    GOOD,
    NONE,
    SUSPECT,
    C,
    S,
    canary_world,
    stable_world,
    world_at,
)

HOLD, ROLLBACK, PROMOTE = OnDeadline.HOLD, OnDeadline.ROLLBACK, OnDeadline.PROMOTE
LIMIT = 1000
#: Stable has had too few tasks for the step, which is all that is missing.
FEW_OF_STABLE = {"canary": GOOD, "stable": Tally(tasks=7, timed=7, latency_ms=7000)}
UNPROVEN = beside(minutes=1, ours=1, theirs=30)
#: Both a little over their limit, stable hardly less.
UNCLEAR = {"canary": GOOD._replace(errors=10), "stable": GOOD._replace(errors=16)}


def declare(world, then=None, limit=LIMIT):
    strategy = world.situation.spec.strategy
    more = {"progress_deadline_seconds": limit, "on_deadline": then}
    return world.edit(strategy=strategy.model_copy(update=more))


def waiting(then=None, limit=LIMIT, world=None, **measured):
    """A canary whose hold is over, and which waits from now on."""
    world = declare(world or canary_world(), then, limit).decide()
    return world.measure(**(measured or FEW_OF_STABLE)).step_over()


def proven_late(then, **fields):
    """Enough tasks of both, and the comparison proves nothing: a wait that only time would end."""
    analysis = COMPARED.model_copy(update={"on_no_evidence": "Hold"})
    world = declare(canary_world(analysis=analysis, **fields), then).decide()
    return world.measure(compared=UNPROVEN).step_over()


# ---------------------------------------------------------------------------------- the clock


@pytest.mark.parametrize(
    ("limit", "waits"), [(1000, "DeadlineExceeded"), (1002, "AwaitingEvidence")]
)
def test_a_canary_may_wait_for_as_long_as_is_declared(limit, waits):
    assert waiting(limit=limit).after(1001).decide().waits == waits


def test_where_no_deadline_is_declared_there_is_no_clock():
    world = canary_world().measure(**FEW_OF_STABLE).step_over().after(10**7).decide()
    assert world.waits == "AwaitingEvidence"
    assert world.status.delay is None


def test_who_only_says_what_follows_has_twelve_hours():
    world = waiting(ROLLBACK, limit=None).after(43199).decide()
    assert world.percent == 5
    assert world.after(1).decide().percent == 0


def test_the_hold_of_a_step_is_no_delay():
    world = declare(canary_world(), ROLLBACK, limit=10).decide().after(50).decide()
    assert (world.percent, world.waits) == (5, "Holding")
    assert world.status.delay is None


def test_each_step_begins_the_clock_anew():
    world = waiting(ROLLBACK).after(900).decide().measure().decide()
    assert (world.percent, world.status.delay) == (20, None)
    world = world.measure(**FEW_OF_STABLE).step_over().after(900).decide()
    assert world.percent == 20
    assert world.after(101).decide().percent == 0


def paused(world):
    return world.edit(paused=True), lambda: world.edit(paused=False)


def under_the_kill_switch(world):
    return world.change(agent_suspended=True), lambda: world.change(agent_suspended=False)


def unseen(world):
    return world.blind(), lambda: world.measure(**FEW_OF_STABLE)


def suspended(world):
    """Stable fails as well for a while."""
    outage = Tally(tasks=60, errors=40)
    world.measure(canary=outage, stable=outage)
    return world, lambda: world.measure(**FEW_OF_STABLE)


def under_a_ceiling(world):
    world.set(5, "another")
    return world, lambda: world.set(None)


@pytest.mark.parametrize(
    "stop", [paused, under_the_kill_switch, unseen, suspended, under_a_ceiling]
)
def test_what_is_not_its_own_slowness_stops_the_clock(stop):
    world = waiting(ROLLBACK).after(900).decide()
    world, go_on = stop(world)
    world.decide().after(5000).decide()
    assert not world.verdicts
    go_on()
    world.after(1).decide()
    world.after(61).decide()  # a canary that came back has a fresh hold
    assert world.waits == "AwaitingEvidence"
    assert world.after(30).decide().percent == 5
    assert world.after(75).decide().verdicts[-1].reason == "DeadlineExceeded"


def test_an_approval_that_is_awaited_is_a_persons_time():
    world = declare(world_at(20, steps=APPROVED_AT_20), ROLLBACK).decide().step_over()
    assert world.waits == "HoldForApproval"
    assert world.after(10**6).decide().percent == 20


def test_a_setpoint_stops_the_clock_and_begins_it_anew():
    world = waiting(ROLLBACK).after(900).decide().set(30).decide()
    assert world.after(5000).decide().percent == 30
    world.edit(traffic=Setpoint()).decide().step_over()
    assert world.after(990).decide().percent == 30
    assert world.after(11).decide().percent == 0


def test_pods_that_do_not_come_are_the_start_deadlines_matter():
    world = declare(stable_world(), ROLLBACK).apply(C).pods(C, ready=0).decide()
    assert world.after(10**6).decide().waits == "CandidateNotReady"
    assert not world.verdicts


def test_an_edited_deadline_counts_at_once():
    world = waiting(ROLLBACK).after(900).decide()
    assert declare(world, ROLLBACK, 890).decide().percent == 0


def test_a_rollout_of_the_version_before_begins_to_count_when_it_is_seen():
    """Its status has no clock: what it has waited before is not held against it."""
    world = canary_world().measure(**FEW_OF_STABLE).step_over().after(5000).decide()
    declare(world, ROLLBACK).decide()
    assert world.after(999).decide().percent == 5
    assert world.after(2).decide().percent == 0


def test_another_canary_has_a_clock_of_its_own():
    world = waiting(ROLLBACK).after(900).decide().apply("support-30aa11bc").pods("support-30aa11bc")
    world.decide().after(1).decide().step_over()
    assert world.after(900).decide().percent == 5
    assert "RolledBack" not in world.reasons()


# ------------------------------------------------------------------------------ what follows


def test_hold_tells_people_and_goes_on_when_what_is_missing_comes():
    world = waiting(HOLD).after(1001).decide()
    assert "DeadlineExceeded" in world.reasons()
    assert world.condition("Progressing") == ("False", "DeadlineExceeded")
    assert world.condition("Stalled")[0] == "False"
    said = world.message("Progressing")
    assert f"{C} has waited at 5 % for 1000 s (strategy.progressDeadlineSeconds)" in said
    assert "stable has 7 (7 in this step)" in said
    assert "promote/" in said
    assert "abort/" in said
    assert world.after(5).decide().reasons() == []
    assert world.measure().after(1).decide().percent == 20
    assert world.condition("Progressing")[0] == "True"


def test_rollback_rejects_it_with_what_was_missing():
    world = waiting(ROLLBACK).after(1001).decide()
    verdict = world.verdicts[-1]
    assert (verdict.result, verdict.reason, verdict.revision) == ("Rejected", "DeadlineExceeded", C)
    assert (
        "evidence is missing: 100 tasks of it and 7 of stable; error rate 1.0 %" in verdict.message
    )
    assert "kubectl" not in verdict.message
    assert (world.percent, world.source, world.status.delay) == (0, "Rollback", None)


def test_a_retry_has_the_whole_time_again():
    world = waiting(ROLLBACK).after(1001).decide().ask("retry").decide().after(1).decide()
    assert world.step_over().after(999).decide().percent == 5


def test_promote_passes_over_the_steps_and_keeps_the_final_hold():
    world = proven_late(PROMOTE)
    assert world.waits == "AwaitingEvidence"
    world.after(1001).decide()
    assert (world.percent, world.status.stage, world.source) == (95, "FinalHold", "Automatic")
    assert "waited for strategy.progressDeadlineSeconds" in world.told[-1].message
    assert not world.verdicts
    world.step_over().after(1001).decide()
    verdict = world.verdicts[-1]
    assert (verdict.result, verdict.reason) == ("Promoted", "DeadlineExceeded")
    assert world.status.stable_revision == C


def test_without_a_final_hold_it_is_stable_at_once():
    world = proven_late(PROMOTE, final_hold=0).after(1001).decide()
    assert world.status.stable_revision == C


AGAINST = {
    "unclear": (lambda: waiting(PROMOTE, **UNCLEAR), "something speaks against it"),
    "suspect": (
        lambda: waiting(PROMOTE, canary=SUSPECT, stable=GOOD),
        "something speaks against it",
    ),
    "too few": (lambda: waiting(PROMOTE), "too few tasks of both sides have ended"),
    "approval": (
        lambda: proven_late(PROMOTE, steps=APPROVED_AT_20),
        "a step that is left wants an approval",
    ),
    "ceiling": (
        lambda: proven_late(PROMOTE).set(90, "another").decide(),
        "a left-over setpoint is a ceiling",
    ),
    "workers": (
        lambda: waiting(PROMOTE, world=canary_world().change(capacity=Capacity(19, 100, 1000)),
                        canary=GOOD, stable=GOOD),
        "its ready pods have no room for the larger share",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", AGAINST)
def test_time_does_not_promote_what_something_speaks_against(case):
    build, why = AGAINST[case]
    world = build()
    percent = world.percent
    world.after(10**5).decide()
    assert (world.percent, world.waits, world.status.stable_revision) == (
        percent, "DeadlineExceeded", S,
    )  # fmt: skip
    assert f"Not promoted: {why}" in world.message("Progressing")


def test_time_promotes_nothing_that_nobody_sees():
    world = proven_late(PROMOTE).after(990).decide().blind().after(10**6).decide()
    assert (world.percent, world.waits) == (5, "MeasurementMissing")


def test_time_promotes_nothing_without_a_task_in_this_place():
    world = waiting(PROMOTE, world=world_at(95), canary=NONE, stable=GOOD).after(10**5).decide()
    assert (world.waits, world.status.stable_revision) == ("DeadlineExceeded", S)
