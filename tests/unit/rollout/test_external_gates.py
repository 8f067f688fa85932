"""Gates outside of Penstock: they hold, they condemn nobody, and a person's word does not wait for them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from penstock.analysis.gates import Answer, Said, Unresolved
from penstock.api.analysis import Analysis, Guardrails
from penstock.api.external import ExternalGate
from tests.unit.rollout.test_deadlines import PROMOTE, ROLLBACK, declare, proven_late
from tests.unit.rollout.world import (
    APPROVED_AT_20,
    NONE,
    C,
    canary_world,
    stable_world,
    world_at,
)


def gated(*gates, **fields):
    declared = gates or (gate(**fields),)
    return Analysis(guardrails=Guardrails(), external=declared)


def gate(name="csat", **fields):
    return ExternalGate(name=name, address="main", query="q", **{"min": "4", **fields})


def says(world, value=None, problem="no answer within 5 s", name="csat", ago=0):
    """The source answers with a number, or cannot; that moment, or some seconds ago."""
    said = Said(Decimal(value)) if value is not None else Said(problem=problem)
    at = world.situation.now - timedelta(seconds=ago)
    return world.change(external={**world.situation.external, name: Answer(said, at)})


def unresolved(world, why=Unresolved.UNKNOWN):
    said = Said(problem="this installation knows no Prometheus main. Have it added.")
    return world.change(external={"csat": Answer(said, unresolved=why)})


def at_the_end_of_a_hold(**fields):
    return canary_world(analysis=gated(**fields)).after(61)


def test_within_its_bounds_a_canary_goes_on():
    assert says(at_the_end_of_a_hold(), "4.5").decide().percent == 20


@pytest.mark.parametrize(
    ("low", "high", "value", "percent"),
    [
        ("4", None, "3.9", 5),
        ("3", None, "3.9", 20),
        (None, "3", "3.9", 5),
        (None, "4", "3.9", 20),
        ("3", "3.5", "3.9", 5),
    ],
)
def test_its_bounds_decide(low, high, value, percent):
    world = at_the_end_of_a_hold(min=low, max=high)
    assert says(world, value).decide().percent == percent


def test_outside_of_them_it_holds_says_so_and_condemns_nobody():
    world = says(at_the_end_of_a_hold(), "3.8").decide()
    assert (world.percent, world.waits, world.reasons()) == (5, "ExternalGate", ["ExternalGate"])
    assert "the gate csat is 3.8, it wants at least 4, since 10:01:02 UTC" in world.message("Ready")
    assert "promote" in world.message("Ready")
    for _ in range(3):
        world = says(world.after(500), "0").decide()
        assert (world.percent, world.waits, world.reasons()) == (5, "ExternalGate", [])
    assert world.status.verdicts == ()
    assert world.condition("Stalled") == ("False", "NotStalled")


@pytest.mark.parametrize("problem", ["the query yields no series", "no answer within 5 s"])
def test_a_missing_number_holds_and_says_which_source_and_since_when(problem):
    world = says(at_the_end_of_a_hold(), problem=problem).decide()
    assert (world.percent, world.waits, world.reasons()) == (
        5,
        "ExternalMissing",
        ["ExternalMissing"],
    )
    for _ in range(3):
        world = says(world.after(600), problem=problem).decide()
        assert (world.percent, world.waits) == (5, "ExternalMissing")
    told = world.message("Ready")
    assert "the gate csat has no number since 10:01:02 UTC" in told
    assert f"{problem} (Prometheus main)" in told
    assert world.status.verdicts == ()
    assert says(world.after(1), "5").decide().percent == 20


def test_what_was_not_asked_yet_holds_without_a_word_in_status():
    world = at_the_end_of_a_hold().decide()
    assert (world.percent, world.waits) == (5, "Holding")
    assert "is being asked for" in world.message("Ready")
    assert world.status.analysis.external == ()


def test_after_a_restart_what_let_pass_before_must_be_asked_again():
    world = says(canary_world(analysis=gated()), "4.5").decide()
    assert world.status.analysis.external[0].verdict == "Passing"
    world = world.change(external={}).after(61).decide()
    assert (world.percent, world.waits) == (5, "Holding")
    assert says(world, "4.5").decide().percent == 20


@pytest.mark.parametrize(("seconds", "percent"), [(0, 20), (50, 5)])
def test_it_must_keep_its_bounds_for_as_long_as_declared(seconds, percent):
    world = says(canary_world(analysis=gated(for_seconds=seconds)), "3").decide()
    world = says(world.after(30), "4.5").decide()  # the step has lasted for 31 s
    assert says(world.after(31), "4.5").decide().percent == percent


def test_a_break_of_its_bounds_begins_the_time_anew():
    world = says(canary_world(analysis=gated(for_seconds=60)), "4.5").decide()
    world = says(world.after(50), "3").decide()
    world = says(world.after(5), "4.5").decide()
    world = says(world.after(59), "4.5").decide()
    assert (world.percent, world.waits) == (5, "Holding")
    assert "it must be so for 60 s of this step, until 10:01:56 UTC" in world.message("Ready")
    assert says(world.after(1), "4.5").decide().percent == 20


def test_what_was_before_the_step_proves_nothing_of_it():
    world = says(canary_world(analysis=gated(for_seconds=90)), "4.5").decide()
    world = says(world.after(90), "4.5").decide()
    assert world.percent == 20
    world = says(world.after(61), "4.5").decide()
    assert (world.percent, world.waits) == (20, "Holding")
    assert says(world.after(29), "4.5").decide().percent == 50


def test_the_first_step_is_entered_before_any_number_can_be_there():
    world = says(stable_world(analysis=gated()).apply(C).pods(C)).decide()
    assert world.percent == 5


def test_it_holds_the_promotion_too():
    world = says(world_at(95), "3").edit(analysis=gated()).after(120)
    world = says(world, "3").decide()
    assert (world.percent, world.waits) == (95, "ExternalGate")
    assert says(world, "4").decide().waits == "NoCandidate"


def test_a_step_that_no_task_reached_is_not_left_past_it_either():
    world = at_the_end_of_a_hold().measure(canary=NONE).after(600)
    assert says(world).decide().percent == 5
    assert says(world, "4").decide().percent == 20


@pytest.mark.parametrize("known", [says, unresolved, lambda world: world])
def test_it_does_not_delay_a_persons_setpoint_or_promote(known):
    world = known(canary_world(analysis=gated()).decide()).set(50).decide()
    assert (world.percent, world.source) == (50, "Setpoint")
    world = known(at_the_end_of_a_hold()).ask("promote").decide()
    assert world.percent == 20
    world = known(at_the_end_of_a_hold()).ask("promote-full").decide()
    assert world.waits == "NoCandidate"


def test_people_are_asked_for_approval_behind_open_gates():
    world = says(world_at(20, steps=APPROVED_AT_20), "3").edit(analysis=gated()).after(61)
    assert says(world, "3").decide().waits == "ExternalGate"
    assert says(world, "4").decide().waits == "HoldForApproval"


@pytest.mark.parametrize("then", [PROMOTE, ROLLBACK])
@pytest.mark.parametrize("value", ["3", None])
def test_no_deadline_passes_a_closed_gate_and_none_condemns_for_it(then, value):
    world = proven_late(PROMOTE)
    both = world.situation.spec.analysis.model_copy(update={"external": gated().external})
    world = says(world.edit(analysis=both), value)
    says(world.after(10**5), value).decide()
    assert (world.percent, world.waits) == (5, "DeadlineExceeded")
    assert "Not promoted: a gate outside of Penstock is closed" in world.message("Progressing")
    world = declare(says(canary_world(analysis=gated()), value), then).after(61).decide()
    says(world.after(10**5), value).decide()
    assert (world.percent, world.status.verdicts) == (5, ())
    assert world.waits in ("ExternalGate", "ExternalMissing")


def test_of_several_the_one_without_a_number_is_told_first():
    several = gated(gate("csat"), gate("refunds", min=None, max="10"), gate("nps", min="1"))
    world = canary_world(analysis=several).after(61)
    says(says(says(world, "3"), "11", name="refunds"), name="nps").decide()
    assert "the gate nps has no number" in world.message("Ready")
    assert [r.verdict for r in world.status.analysis.external] == ["Outside", "Outside", "Missing"]
    says(world, "2", name="nps").decide()
    assert "the gate csat is 3" in world.message("Ready")


@pytest.mark.parametrize("why", list(Unresolved))
def test_one_that_cannot_be_asked_is_for_a_person_to_mend(why):
    world = unresolved(canary_world(analysis=gated()), why).decide()
    assert world.condition("ReferencesResolved") == ("False", why.value)
    assert world.condition("Stalled") == ("True", why.value)
    told = world.message("Stalled")
    assert (
        told == "analysis.external csat: this installation knows no Prometheus main. Have it added."
    )
    assert unresolved(world.after(61), why).decide().waits == "ExternalMissing"


def test_while_nothing_is_tried_that_is_told_and_nothing_is_stalled():
    world = unresolved(stable_world(analysis=gated())).decide()
    assert world.condition("ReferencesResolved") == ("False", "SourceUnknown")
    assert world.condition("Stalled") == ("False", "NotStalled")
    assert world.condition("Ready") == ("True", "Stable")


def test_without_gates_there_is_no_such_condition():
    assert canary_world().condition("ReferencesResolved") is None
    world = says(canary_world(analysis=gated()), "4").decide()
    assert world.condition("ReferencesResolved") == ("True", "Found")
    assert world.edit(analysis=Analysis()).decide().condition("ReferencesResolved") is None


def test_a_number_that_runs_is_written_once_a_minute_and_a_word_at_once():
    world = says(canary_world(analysis=gated()), "4.5").decide()
    written = world.status
    for second in (1, 2, 40):
        world = says(world.after(second), f"4.{second + 50}").decide()
        assert world.status == written
    world = says(world.after(1), "3").decide()
    assert world.status.analysis.external[0].verdict == "Outside"


def test_words_of_a_source_that_are_others_each_time_are_no_news():
    world = says(at_the_end_of_a_hold(), problem="timed out in 5.0001 s").decide()
    written = world.status
    world = says(world.after(5), problem="timed out in 5.0002 s").decide()
    assert world.status == written
