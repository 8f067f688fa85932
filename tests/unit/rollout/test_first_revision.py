"""The first revision climbs by the steps where that is declared: there is no stable to compare it with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.analysis.metrics import Tally
from penstock.api.analysis import Analysis, Guardrails, OnStable
from penstock.api.comparison import Comparison
from penstock.api.rollout import AgentRolloutStatus
from penstock.api.strategy import FirstRevision, OnDeadline
from tests.unit.rollout.beside import beside
from tests.unit.rollout.test_money import bounded, refused
from tests.unit.rollout.world import (
    APPROVED_AT_20,
    BAD,
    C2,
    GOOD,
    NONE,
    SUSPECT,
    C,
    S,
    World,
    promotion,
    spec,
    stable_world,
)

NOBODY = Tally()


def declared(**more):
    """A spec under which the first revision climbs."""
    made = spec(
        **{name: more.pop(name) for name in ("steps", "final_hold", "analysis") if name in more}
    )
    strategy = made.strategy.model_copy(update={"first_revision": FirstRevision.STEPS, **more})
    return made.model_copy(update={"strategy": strategy})


def follows(on_stable, **more):
    return Analysis(guardrails=Guardrails(on_stable=on_stable), **more)


def first(**more) -> World:
    """Nothing was ever served; C is the first revision, and has no pod yet."""
    world = stable_world()
    begun = world.change(
        spec=declared(**more),
        status=AgentRolloutStatus(),
        stable="",
        latest=C,
        pods={},
        records={name: world.situation.records[name] for name in (C, C2)},
    )
    return begun.measure(GOOD, NONE).decide()


def climbing(**more) -> World:
    """C is at its first step, 5 %."""
    return first(**more).pods(C).decide()


def at(percent, **more) -> World:
    world = climbing(**more)
    while world.percent < percent:
        world.step_over()
    assert world.percent == percent
    return world


# -------------------------------------------------------------------------------- the climb


def test_without_the_field_it_serves_everybody_at_once():
    world = first().edit(strategy=spec().strategy).pods(C).decide()
    assert (world.status.stable_revision, world.percent) == (C, 0)


def test_it_climbs_step_by_step_and_serves_everybody_after_the_final_hold():
    world = first()
    assert (world.status.canary_revision, world.percent) == (C, 0)
    assert world.condition("Ready") == ("False", "CandidateNotReady")
    assert world.pods(C).decide().percent == 5
    assert (world.status.split.stable, world.status.split.canary) == ("", C)
    assert not world.status.stable_revision
    seen = []
    while not world.status.stable_revision:
        world.step_over()
        seen.append(world.percent)
    assert seen == [20, 50, 95, 0]
    assert (world.status.stable_revision, world.status.canary_revision) == (C, None)
    assert [verdict.result for verdict in world.verdicts] == ["Promoted"]


def test_people_read_who_is_refused_meanwhile():
    world = climbing()
    assert "everybody else is refused (not-assigned)" in world.message("Ready")
    assert world.condition("Promoted") == ("False", "CandidateNotPromoted")
    assert world.message("Promoted") == "No revision serves everybody yet."
    assert world.status.share.observed_percent is None
    assert first().pods(C).decide().told[0].message.startswith(f"{C} enters step 1/3")


def test_tasks_are_needed_of_it_and_of_nobody_else():
    world = climbing().measure(GOOD._replace(tasks=19, timed=19, errors=0), NONE).step_over()
    assert (world.percent, world.waits) == (5, "AwaitingEvidence")
    assert "needs 20 counted tasks" in world.message("Ready")
    assert "stable" not in world.message("Ready")
    assert world.measure(GOOD, NONE).step_over().percent == 20


def test_no_traffic_proves_nothing_however_long_it_lasts():
    world = climbing().measure(NOBODY, NONE)
    for _ in range(20):
        world.after(600).decide()
    assert (world.percent, world.waits) == (5, "AwaitingEvidence")


@pytest.mark.parametrize("percent", [5, 20, 50])
def test_callers_who_were_refused_are_no_evidence_however_long_they_ask(percent):
    world = at(percent).measure(NOBODY, NONE).after(61).decide()
    assert "only callers have asked" not in world.message("Ready")
    for _ in range(20):
        world.change(turned_away_at=world.situation.now).after(121).decide()
    assert (world.percent, world.waits) == (percent, "AwaitingEvidence")
    assert "only callers have asked who are none of its users" in world.message("Ready")
    assert f"promote/{C}/" in world.message("Ready"), "what does not wait"
    assert world.condition("NoEligibleUsers") is None
    assert world.ask("promote").decide().percent > percent


def test_without_a_measurement_nothing_is_raised():
    world = climbing().blind().step_over()
    assert (world.percent, world.waits) == (5, "MeasurementMissing")


def test_there_is_no_alarm_about_a_share_that_has_no_other_side():
    many = GOOD._replace(tasks=1000, timed=1000)
    world = climbing().edit(paused=True).measure(many, NONE)
    for _ in range(40):
        world.after(61).decide()
    assert world.condition("ShareNotAchieved") is None
    assert world.condition("SampleRatioMismatch") is None


# ---------------------------------------------------------------------------------- limits


@pytest.mark.parametrize("percent", [5, 20, 50, 95])
def test_a_broken_limit_holds_it_where_it_is(percent):
    world = at(percent).measure(BAD, NONE)
    for _ in range(10):
        world.step_over()
    assert (world.percent, world.waits) == (percent, "AnalysisUnclear")
    assert "onStable: Report" in world.message("Ready")
    assert world.condition("AnalysisPassing")[0] == "False"
    assert world.measure(GOOD, NONE).step_over().percent != percent, "it goes on by itself"


def test_a_broken_limit_is_told_once_in_a_step():
    world = climbing().measure(BAD, NONE).step_over()
    assert "AnalysisUnclear" in world.reasons()
    assert world.step_over().reasons() == []


@pytest.mark.parametrize("on_stable", [OnStable.ROLLBACK, OnStable.SUSPEND])
def test_where_something_is_to_follow_it_is_taken_off(on_stable):
    world = climbing(analysis=follows(on_stable)).measure(BAD, NONE).decide()
    assert (world.percent, world.status.stable_revision, world.waits) == (0, None, "RolledBack")
    assert world.verdicts[0].reason == "ErrorRateRegression"
    assert "Nobody is served" in world.message("Ready")
    assert "retry" in world.message("Ready")
    assert world.condition("Stalled")[0] == "True"
    assert world.after(600).decide().percent == 0


def test_what_is_only_suspected_is_held():
    world = climbing().measure(SUSPECT, NONE).step_over()
    assert (world.percent, world.waits) == (5, "AwaitingEvidence")


@pytest.mark.parametrize("on_stable", list(OnStable))
def test_on_numbers_that_lack_rows_nobody_is_condemned_or_raised(on_stable):
    world = climbing(analysis=follows(on_stable)).measure(BAD, NONE).after(61)
    whole = world.observation()
    world.observation = lambda: replace(whole, gap=True, gap_ms=whole.now_ms)
    assert world.decide().percent == 5
    assert not world.verdicts


def test_without_a_comparison_its_own_tasks_prove_the_limits_on_rates_before_most_users():
    """No error among 40 tasks: a version of 8 % does that as well, once in 28."""
    few = GOOD._replace(tasks=40, errors=0, timed=40, latency_ms=40_000)
    world = climbing().measure(few, NONE)
    while world.percent < 50:
        world.step_over()
    world.step_over()
    assert (world.percent, world.waits) == (50, "AwaitingEvidence")
    assert "error rate of 8 % is not ruled out, 0.0 % so far: about" in world.message("Ready")
    many = few._replace(tasks=70, timed=70, latency_ms=70_000)
    assert world.measure(many, NONE).step_over().percent == 95
    world.measure(few, NONE).step_over()
    assert world.status.stable_revision is None, "nor is it given everybody"
    assert world.measure(many, NONE).step_over().status.stable_revision == C


def test_a_limit_that_no_rate_can_break_needs_no_proof():
    limits = Guardrails(error_rate_percent=100, escalation_rate_percent=100)
    few = GOOD._replace(tasks=21, errors=0, timed=21, latency_ms=21_000)
    world = climbing(analysis=Analysis(guardrails=limits)).measure(few, NONE)
    for _ in range(4):
        world.step_over()
    assert world.status.stable_revision == C


COMPARED = follows(OnStable.REPORT, comparison=Comparison())


def test_where_a_comparison_is_declared_it_proves_its_limits_before_most_users():
    world = climbing(analysis=COMPARED).measure(GOOD, NONE, beside(minutes=1, ours=1, theirs=0))
    while world.percent < 50:
        world.step_over()
    world.step_over()
    assert (world.percent, world.waits) == (50, "AwaitingEvidence")
    assert "is not ruled out" in world.message("Ready")
    assert (
        world.measure(GOOD, NONE, beside(minutes=30, ours=40, theirs=0)).step_over().percent == 95
    )


def test_a_deadline_rejects_what_a_limit_holds():
    late = {"progress_deadline_seconds": 1000, "on_deadline": OnDeadline.ROLLBACK}
    world = climbing(**late).measure(BAD, NONE).step_over()
    world.after(1001).decide()
    assert (world.percent, world.waits) == (0, "RolledBack")
    assert "of stable" not in world.verdicts[0].message


def test_a_deadline_promotes_nobody_over_a_limit():
    late = {"progress_deadline_seconds": 1000, "on_deadline": OnDeadline.PROMOTE}
    world = climbing(**late).measure(BAD, NONE).step_over()
    assert world.after(1001).decide().percent == 5


# ------------------------------------------------------------------------------------ pods


def test_without_a_pod_it_keeps_its_share_since_nobody_else_serves():
    world = climbing().pods(C, ready=0, message="OOMKilled").decide()
    for _ in range(5):
        world.after(60).decide()
    assert (world.percent, world.waits) == (5, "CandidateNotReady")
    assert world.look_again >= 1
    assert world.after(600).decide().condition("Stalled") == ("True", "StartDeadlineExceeded")
    assert world.pods(C).decide().percent == 20, "what it has done meets the step"


def test_a_queue_that_ages_holds_the_raise_and_takes_nobody_off():
    world = climbing().change(queue_age_seconds={C: 100.0}).decide()
    world.after(61).change(queue_age_seconds={C: 161.0}).decide()
    assert (world.percent, world.waits) == (5, "AwaitingCapacity")


# ---------------------------------------------------------------------------------- people


def test_a_setpoint_acts_in_both_directions():
    world = climbing().set(50).decide()
    assert (world.percent, world.source) == (50, "Setpoint")
    assert world.set(0).decide().percent == 0
    assert world.set(100).decide().percent == 100
    assert "refused" not in world.message("Ready"), "nobody is by now"
    assert world.step_over().status.stable_revision == C


def test_a_setpoint_that_was_there_before_it_is_a_ceiling():
    world = first().change(status=AgentRolloutStatus()).set(0).pods(C).decide()
    assert (world.percent, world.waits) == (0, "CeilingReached")


def test_pausing_holds_it():
    world = climbing().edit(paused=True).decide().step_over()
    assert (world.percent, world.waits) == (5, "Paused")


def test_approval_is_asked_for_without_numbers_of_stable():
    world = climbing(steps=APPROVED_AT_20).step_over().step_over()
    assert (world.percent, world.waits) == (20, "HoldForApproval")
    assert "stable" not in world.message("Ready")


def test_promote_passes_the_wait_and_promote_full_serves_everybody():
    assert climbing().measure(BAD, NONE).decide().ask("promote").decide().percent == 20
    world = climbing().ask("promote-full").decide()
    assert (world.status.stable_revision, world.verdicts[0].reason) == (C, "Requested")


def test_after_an_abort_nobody_is_served_and_retry_begins_anew():
    world = at(20).ask("abort").decide()
    assert (world.percent, world.status.stable_revision) == (0, None)
    assert world.status.last_request.result == "Accepted"
    assert any("Nobody is served any more" in told.message for told in world.told)
    assert "all callers are refused (not-assigned)" in world.message("Ready")
    world.ask("retry", nonce="2").decide()
    assert (world.status.attempt, world.percent, world.waits) == (2, 5, "Holding")


def test_a_stop_for_what_it_has_spent_leaves_nobody_served_and_says_so():
    world = refused(bounded(at(20), canarySpendCapUSD="20").after(1).decide()).after(1).decide()
    assert (world.percent, world.source, world.waits) == (0, "Suspended", "SpendCapReached")
    assert "All callers are refused (not-assigned)" in world.message("Stopped")
    assert world.ask("promote").decide().percent == 20


def test_undo_has_nowhere_to_go():
    world = climbing().ask("undo").decide()
    assert world.status.last_request.result == "Refused"
    assert "there is no revision to go back to" in world.status.last_request.message
    assert world.percent == 5


def test_a_retry_while_it_climbs_is_refused():
    assert climbing().ask("retry").decide().status.last_request.result == "Refused"


# ---------------------------------------------------------------- another one, edits, losses


def test_a_second_revision_takes_its_place_from_the_start():
    world = at(20)
    salt = world.status.salt
    world.apply(C2).decide()
    assert (world.status.canary_revision, world.percent) == (C2, 0)
    assert world.status.salt != salt
    assert [verdict.result for verdict in world.verdicts] == ["Superseded"]
    assert world.pods(C2).decide().percent == 5


def test_a_second_revision_climbs_after_the_first_was_rejected():
    world = climbing().ask("abort").decide().apply(C2).pods(C2).decide()
    assert (world.status.canary_revision, world.percent) == (C2, 5)


def test_what_is_declared_again_after_another_one_is_tried_anew():
    world = at(20).apply(C2).decide().apply(C).decide()
    assert (world.status.canary_revision, world.percent) == (C, 5)


def test_an_edit_to_serve_gives_it_everybody():
    world = climbing().edit(strategy=spec().strategy).decide()
    assert (world.status.stable_revision, world.status.canary_revision) == (C, None)
    assert (world.percent, world.status.step) == (0, "-")


def test_a_rejected_one_is_served_by_no_edit():
    world = climbing().ask("abort").decide().edit(strategy=spec().strategy).decide()
    assert (world.status.stable_revision, world.percent) == (None, 0)


def test_an_agent_that_serves_is_not_touched_by_the_field():
    world = stable_world().edit(strategy=declared().strategy).decide()
    assert (world.status.stable_revision, world.status.canary_revision) == (S, None)
    world.apply(C).pods(C).decide()
    assert (world.status.stable_revision, world.percent) == (S, 5)


def test_a_lost_status_begins_the_climb_anew_above_the_route_in_force():
    world = at(50)
    version = world.status.route_version
    world.wipe_status().decide()
    assert (world.percent, world.status.stable_revision) == (5, None)
    assert world.status.route_version > version


def test_a_rejection_on_record_holds_without_a_status():
    world = climbing().ask("abort").decide().wipe_status().change(request="").decide()
    assert (world.percent, world.status.stable_revision, world.waits) == (0, None, "RolledBack")


def test_a_promotion_on_record_that_the_status_missed_is_no_supersession():
    world = at(95).record(C, promoted_sequence=1, verdict=promotion(C)).decide()
    assert (world.status.stable_revision, world.status.canary_revision) == (C, None)
    assert world.verdicts == []


def test_a_rejected_one_is_told_and_tried_again_also_where_it_would_not_climb_any_more():
    world = climbing().ask("abort").after(1).decide()
    strategy = world.situation.spec.strategy.model_copy(update={"first_revision": "Serve"})
    world.change(status=AgentRolloutStatus()).edit(strategy=strategy).after(1).decide()
    assert world.waits == "RolledBack"
    assert f"retry/{C}/" in world.message("Ready")
    world.change(status=world.status.model_copy(update={"route_version": 3}))
    world.ask("retry", nonce="2").after(1).decide()
    assert world.status.stable_revision == C
    assert "and serves everybody once a worker is ready" in world.status.last_request.message
