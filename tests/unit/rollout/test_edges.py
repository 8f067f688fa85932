"""Legal values and moments at which a decision once failed, was lost, or said what was not so."""

from __future__ import annotations

import pytest

from penstock.analysis.comparison import evalues
from penstock.api.analysis import Analysis, Guardrails, OnStable
from penstock.api.comparison import Comparison
from penstock.api.rollout import AgentRolloutStatus, Source, Stage
from penstock.api.strategy import FirstRevision, Step, Strategy
from penstock.money.ledger import Limit, Scope, Stop, Unit, Window
from penstock.rollout import evidence_since
from penstock.rollout.situation import RevisionRecord, Situation
from tests.unit.rollout.beside import COMPARED, beside
from tests.unit.rollout.world import (
    BAD,
    GOOD,
    NONE,
    START,
    C,
    S,
    World,
    canary_world,
    spec,
    world_at,
)

SLOW = GOOD._replace(latency_ms=2_000_000, latency_squares=41_000_000_000)

# ----------------------------------------------------------------------------- limits near 100 %


@pytest.mark.parametrize("percent", [97, 98, 99, 100])
@pytest.mark.parametrize("limit", ["error_rate_percent", "escalation_rate_percent"])
def test_a_limit_that_nothing_is_above_condemns_nobody_and_stops_nothing(limit, percent):
    analysis = Analysis(guardrails=Guardrails(**{limit: percent}), comparison=Comparison())
    world = canary_world(analysis=analysis).step_over()
    assert world.percent == 20
    assert world.ask("abort").decide().percent == 0


@pytest.mark.parametrize("limit", [0.97, 0.98, 0.99, 1.0])
@pytest.mark.parametrize("events", [0, 250, 500])
def test_above_such_a_limit_there_is_no_evidence(limit, events):
    assert evalues.of_limit(events, 500, limit, evalues.ABOVE) == pytest.approx(1.0)


# --------------------------------------------------------- a first revision that is to climb no more


def climbing(**fields):
    """C is the first revision, at 20 %, and nobody else serves."""
    declared = spec(**fields)
    strategy = declared.strategy.model_copy(update={"first_revision": FirstRevision.STEPS})
    situation = Situation(
        now=START,
        spec=declared.model_copy(update={"strategy": strategy}),
        generation=1,
        status=AgentRolloutStatus(),
        epoch=0,
        stable="",
        latest=C,
        records={C: RevisionRecord(C, version="2.0")},
        fresh_salt="salt1",
    )
    world = World(situation).pods(C).measure(GOOD, NONE).decide()
    return world.after(1).decide()


def serves(world):
    """The field is taken out again."""
    strategy = world.situation.spec.strategy.model_copy(
        update={"first_revision": FirstRevision.SERVE}
    )
    return world.edit(strategy=strategy).after(1).decide()


def retried(world):
    world.ask("abort", nonce="1").decide()
    return world.change(fresh_salt="salt2").ask("retry", nonce="2").after(1).decide()


@pytest.mark.parametrize("again", [False, True])
def test_one_that_climbs_serves_everybody_also_in_a_second_attempt(again):
    world = climbing()
    world = serves((retried(world) if again else world).step_over())
    assert (world.status.stable_revision, world.percent) == (C, 0)


def test_without_a_pod_it_is_watched_and_taken_back_as_before():
    world = climbing(analysis=Analysis(guardrails=Guardrails(on_stable=OnStable.ROLLBACK)))
    world = serves(world.step_over().pods(C, ready=0))
    assert (world.percent, world.status.stable_revision) == (20, None)
    assert world.measure(BAD, NONE).after(1).decide().percent == 0
    assert world.waits == "RolledBack"


def test_one_that_was_rejected_is_tried_again_when_a_person_asks():
    world = climbing()
    world.ask("abort", nonce="1").decide()
    assert serves(world).waits == "RolledBack"
    world.change(fresh_salt="salt2").ask("retry", nonce="2").after(1).decide()
    assert world.status.last_request.result == "Accepted"
    assert world.after(1).decide().status.stable_revision == C


# -------------------------------------------------------------------------------- what people say


def test_a_limit_that_does_not_fit_excuses_no_outage_by_another_one():
    world = world_at(20).measure(SLOW, SLOW).after(1).decide()
    for _ in range(14):
        world.after(60).decide()
    assert world.status.suspension.misfit == "latencyMean"
    raised = Guardrails(latency_mean_seconds=40)
    world.edit(analysis=Analysis(guardrails=raised)).after(5).decide()
    assert world.percent == 50
    world.measure(BAD, BAD).after(5).decide()
    assert (world.percent, world.waits) == (0, "SharedIncident")


@pytest.mark.parametrize(
    ("canary", "stable", "why"), [(BAD, BAD, "SharedIncident"), (BAD, NONE, "NotComparable")]
)
def test_a_repair_that_cannot_wait_is_promoted_while_it_is_off(canary, stable, why):
    world = world_at(20).measure(canary, stable).after(1).decide()
    assert (world.percent, world.waits) == (0, why)
    world.ask("promote-full").after(1).decide()
    assert (world.status.stable_revision, world.verdicts[-1].reason) == (C, "Requested")


def test_under_a_left_over_setpoint_a_stopped_canary_goes_on_when_a_person_says_so():
    world = world_at(50, analysis=Analysis(canary_spend_cap_usd="1")).set(60, S).decide()
    limit = Limit(Scope.CANARY, Window.TOTAL, Unit.MICRO_USD, 1_000_000)
    world.change(stops={C: (Stop(limit, 1_000_000),)}).after(1).decide()
    assert world.percent == 0
    world.ask("promote").decide()
    assert (world.percent, world.status.last_request.result) == (50, "Accepted")


# ------------------------------------------------------------------------------------- one pass


def test_a_return_begins_evidence_anew_also_where_a_pass_lies_between():
    """At 0 %, and no setpoint any more, it had to wait for a pod."""
    world = world_at(50, analysis=COMPARED)
    compared = world.status.analysis.comparison
    assert world.status.analysis.canary.tasks
    off = world.status.share.model_copy(update={"percent": 0, "source": Source.NONE})
    before = world.status.model_copy(update={"share": off, "route_version": 8})
    share = off.model_copy(update={"percent": 5, "source": Source.AUTOMATIC})
    after = before.model_copy(update={"share": share, "route_version": 9})
    found = evidence_since.begun(before, after, Strategy())
    assert (found.since[-1], found.restarts) == (9, compared.restarts + 1)
    untried = before.model_copy(update={"stage": Stage.RINGS})
    assert evidence_since.begun(untried, after, Strategy()).since == compared.since


def test_where_a_comparison_begins_it_is_said_at_once_what_is_missing():
    """World sees to it that a second pass would say and do nothing else."""
    world = world_at(20).edit(analysis=COMPARED)
    world.compared = beside(minutes=1, ours=0, theirs=0)
    assert world.after(61).decide().percent == 20
    assert "nothing is compared" not in world.message("Progressing")
    said = "at 50 % too few tasks tell yet how many failed tasks it would add"
    assert said in world.message("Progressing")


def test_a_sentence_with_numbers_is_about_the_step_in_which_it_stands():
    steps = tuple(Step(percent=p, hold_seconds=0, min_tasks=500) for p in (5, 20, 50))
    world = canary_world(steps=steps).after(70).decide()
    assert world.message("Progressing").startswith("Held at 5 %")
    world.ask("promote").after(0.7).decide()
    assert world.message("Progressing").startswith("Held at 20 %")
