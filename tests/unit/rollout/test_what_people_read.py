"""What stands in the columns and in the wide message, and that it is true."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.analysis.evidence import Observation
from penstock.analysis.failures import Failure
from penstock.analysis.metrics import ERROR_RATE, Tally
from penstock.api.analysis import Analysis
from penstock.api.comparison import Comparison
from penstock.api.rollout import AgentRolloutStatus, Setpoint
from penstock.rollout.capacity import Capacity
from penstock.rollout.situation import Pods, RevisionRecord
from penstock.task import OutcomeReason
from tests.unit.rollout.world import (
    APPROVED_AT_20,
    BAD,
    C2,
    GOOD,
    SUSPECT,
    C,
    S,
    canary_world,
    stable_world,
    world_at,
)

FEW = Tally(tasks=3, timed=3, latency_ms=3000, latency_squares=3_100_000)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda w: w.after(1), "Holding"),
        (lambda w: w.edit(paused=True), "Paused"),
        (lambda w: w.set(20), "HeldBySetpoint"),
        (lambda w: w.after(61).measure(SUSPECT), "AwaitingEvidence"),
        (lambda w: w.blind(), "MeasurementMissing"),
    ],
)
def test_while_a_canary_is_tried_the_status_column_says_what_is_awaited(change, reason):
    assert change(world_at(20)).decide().condition("Ready") == ("True", reason)


def test_an_approval_is_asked_for_when_hold_and_evidence_are_in_and_not_before():
    world = world_at(20, steps=APPROVED_AT_20)
    assert world.waits == "Holding"
    assert "Then leaving it needs approval." in world.message("Ready")
    world.measure(GOOD, BAD).after(61)
    assert world.measure(SUSPECT).decide().waits == "AwaitingEvidence"
    world.measure().decide()
    assert world.condition("Ready") == ("True", "HoldForApproval")
    assert "error rate 1.0 % (1/100), stable 1.0 % (1/100)" in world.message("Ready")
    assert world.ask("promote").decide().percent == 50


def test_a_step_that_nobody_could_reach_still_waits_for_its_approval():
    world = world_at(20, steps=APPROVED_AT_20)
    nobody = world.measure(canary=Tally()).observation()
    world.observation = lambda: Observation(**{**nobody.__dict__, "exposed": {}})
    world.after(200).decide()
    assert (world.percent, world.waits) == (20, "HoldForApproval")
    message = world.message("Ready")
    assert "no task has reached the canary in this step" in message
    assert "evidence are in" not in message


def test_who_promotes_early_reads_what_was_left_out():
    world = world_at(20).measure(FEW, FEW).after(10).decide().ask("promote").decide()
    assert world.percent == 50
    answer = world.status.last_request.message
    assert "left out: 50 s of the hold and tasks (the canary has 3, stable 3 of 20)" in answer
    late = world_at(20).after(61).ask("promote").decide()
    assert "left out" not in late.status.last_request.message


def test_of_a_failing_canary_abort_is_offered_first_and_how_many_tasks_are_missing():
    message = world_at(20).after(61).measure(SUSPECT).decide().message("Ready")
    assert "more tasks like these condemn it" in message
    assert message.index(f"abort/{C}/") < message.index(f"promote/{C}/")


def test_a_refused_request_stands_in_the_message_until_another_one_is_sent():
    world = world_at(20).ask("retry").decide().after(5).decide()
    assert world.message("Ready").startswith(f"Request retry/{C}/1 was refused: ")
    world.change(request="").decide()
    assert "refused" not in world.message("Ready")


def test_a_refusal_of_before_a_canary_comes_after_what_is_said_of_it():
    world = world_at(20).ask("retry").decide().after(5).decide()
    world.apply(C2).record(C2).pods(C2).after(5).decide()
    assert world.status.canary_revision == C2
    assert world.message("Ready").endswith(
        f" Request retry/{C}/1 was refused before that; status.lastRequest says why."
    )
    world.ask("retry", C2).decide()
    assert world.message("Ready").startswith(f"Request retry/{C2}/")


def test_so_does_one_of_before_the_template_went_back():
    world = world_at(20).ask("retry").decide().after(5).decide()
    world.apply(S).after(5).decide()
    assert not world.status.canary_revision
    assert world.message("Ready").index("was refused before that; ") > 0
    assert not world.message("Ready").startswith("Request")


def test_a_request_may_name_the_version_unless_two_revisions_have_it():
    assert world_at(20).ask("abort", "2.0").decide().waits == "RolledBack"
    world = world_at(20).record("support-0000000f", version="2.0").ask("abort", "2.0").decide()
    assert world.percent == 20
    assert "have the version 2.0: name one" in world.message("Ready")


def test_redis_away_is_said_by_its_name_and_not_as_pods_that_are_not_ready():
    world = world_at(20).blind().pods(C, ready=0).change(store_error="connection refused").decide()
    assert world.condition("Ready") == ("False", "StoreUnavailable")
    assert world.waits == "StoreUnavailable"
    assert "connection refused" in world.message("Ready")
    assert world.condition("Stalled")[0] == "False"


@pytest.mark.parametrize("make", [stable_world, canary_world])
def test_under_the_kill_switch_it_is_not_ready(make):
    world = make().change(agent_suspended=True).decide()
    assert world.condition("Ready") == ("False", "AgentSuspended")
    assert world.change(agent_suspended=False).decide().condition("Ready")[0] == "True"


def test_promoted_is_unknown_from_the_first_pass_that_sees_another_template():
    world = stable_world()
    assert world.condition("Promoted")[0] == "True"
    assert world.change(uncut="Settling").decide().condition("Promoted") == ("Unknown", "Settling")
    assert world.change(uncut="").decide().condition("Promoted")[0] == "True"


def test_a_canary_whose_pods_never_come_is_stalled_after_the_deadline_and_goes_on_by_itself():
    world = stable_world().apply(C).pods(C, ready=0, message="ImagePullBackOff").decide()
    assert world.after(599).decide().condition("Stalled")[0] == "False"
    world.after(1).decide()
    assert world.condition("Stalled") == ("True", "StartDeadlineExceeded")
    assert "ImagePullBackOff" in world.message("Stalled")
    assert world.condition("RolledBack")[0] == "False"
    assert world.pods(C).decide().percent == 5
    assert world.condition("Stalled")[0] == "False"


def test_a_canary_that_was_taken_off_and_gets_no_pod_is_stalled_as_well():
    world = world_at(20).pods(C, ready=0, message="exceeded quota").decide().after(30).decide()
    assert world.waits == "CandidateUnavailable"
    assert world.after(599).decide().condition("Stalled")[0] == "False"
    world.after(1).decide()
    assert world.condition("Stalled") == ("True", "StartDeadlineExceeded")
    assert "exceeded quota" in world.message("Stalled")
    assert world.pods(C).decide().condition("Stalled")[0] == "False"


@pytest.mark.parametrize("hold", [{"paused": True}, {"traffic": Setpoint(canary_percent=0)}])
def test_pods_that_are_away_for_a_moment_exceed_no_deadline_however_long_it_was_held_at_0(hold):
    world = stable_world().edit(**hold).apply(C).pods(C).decide().after(4000).decide()
    world.pods(C, ready=0).after(1).decide()
    assert world.condition("Stalled")[0] == "False"
    world.after(601).decide()
    assert world.condition("Stalled") == ("True", "StartDeadlineExceeded")


@pytest.mark.parametrize("waits", ["paused", "setpoint", "approval"])
def test_what_waits_for_a_decision_alone_is_not_stalled(waits):
    world = world_at(20, steps=APPROVED_AT_20).after(61)
    match waits:
        case "paused":
            world.edit(paused=True)
        case "setpoint":
            world.set(20)
    assert world.decide().condition("Stalled")[0] == "False"


def failing(world, *reasons):
    """The same world, in which tasks of the canary failed for these reasons."""
    seen = world.observation()
    failed = tuple(
        Failure(f"t{i}", ERROR_RATE, seen.now_ms, seen.now_ms, reason)
        for i, reason in enumerate(reasons)
    )
    world.observation = lambda: replace(seen, failed=failed)
    return world


def test_a_rejection_shows_what_failed_in_words_of_ours():
    world = failing(world_at(20).measure(BAD), OutcomeReason.TIMEOUT, OutcomeReason.INTERNAL)
    world.decide()
    first, second = world.verdicts[-1].samples
    assert (first.task, first.reason) == ("t0", "Timeout")
    assert first.message == "The model's API did not answer in time."
    assert (second.task, second.reason) == ("t1", "Internal")


def test_the_event_and_the_condition_of_a_rejection_name_its_tasks():
    world = failing(world_at(20).measure(BAD), OutcomeReason.TIMEOUT, None)
    world.decide()
    (event,) = [told.message for told in world.told if told.reason == "RolledBack"]
    assert event.endswith("For example: t0 (Timeout), t1.")
    assert event.index("Retry: ") < event.index("For example"), "the remedy is not what is cut"
    assert world.message("RolledBack").endswith("For example: t0 (Timeout), t1.")
    assert "For example" not in world.message("Ready"), "a line of a table"


def test_only_a_rejection_has_samples():
    world = failing(world_at(20), OutcomeReason.TIMEOUT)
    world.apply("c-00000000").decide()
    assert world.verdicts
    assert not any(verdict.samples for verdict in world.verdicts)


def cancelling(ours, theirs):
    """A step that is over, in which callers cancelled so many of a hundred and some tasks of each arm."""
    world = world_at(20)
    world.measure(
        GOOD._replace(left_out=ours, cancelled=ours),
        GOOD._replace(left_out=theirs, cancelled=theirs),
    )
    return world.after(61).decide()


def test_a_canary_whose_tasks_callers_take_back_is_held_for_a_person():
    world = cancelling(60, 2)
    assert (world.percent, world.waits) == (20, "AnalysisUnclear")
    told = world.message("Progressing")
    assert "callers cancelled 60 of 160 tasks of the canary in this step and 2 of 102" in told
    assert 'request="abort/' in told
    assert 'request="promote/' in told
    assert world.after(3600).decide().percent == 20
    assert world.ask("promote").decide().percent == 50


@pytest.mark.parametrize(("ours", "theirs"), [(0, 0), (60, 60), (2, 60), (4, 0)])
def test_callers_who_cancel_on_both_sides_or_little_hold_nothing(ours, theirs):
    assert cancelling(ours, theirs).percent == 50


def test_what_was_left_out_otherwise_holds_nothing():
    world = world_at(20).measure(GOOD._replace(left_out=60), GOOD)
    assert world.after(61).decide().percent == 50


def test_who_waits_for_evidence_reads_how_many_tasks_count_for_nobody():
    world = world_at(20).measure(GOOD._replace(tasks=1, errors=0, left_out=12), GOOD)
    assert "the canary has 1 (1 in this step), and 12 that count for nobody" in world.after(
        61
    ).decide().message("Progressing")


REFUSED = "its pods are refused: failed quota: tight"


def refused(world, revision, ready=0):
    """The same world, in which a person must mend what keeps this revision's pods away."""
    return world.change(
        pods={**world.situation.pods, revision: Pods(ready, 1, REFUSED, needs_person=True)}
    )


def first_revision():
    fresh = {"stable": "", "status": AgentRolloutStatus(), "records": {S: RevisionRecord(S)}}
    return refused(stable_world().change(**fresh), S)


def taken_off():
    return refused(world_at(20), C).decide().after(61).decide().after(3600)


def back_to_s():
    world = world_at(95).step_over()
    assert world.status.stable_revision == C
    return refused(world.ask("undo", S), S)


def short_of_workers():
    return refused(world_at(20).change(capacity=Capacity(21, 100, 1000)), C, ready=1).after(61)


@pytest.mark.parametrize(
    ("waits", "made"),
    [
        ("CandidateNotReady", lambda: refused(stable_world().apply(C), C)),
        ("CandidateUnavailable", taken_off),
        ("FirstRevisionNotReady", first_revision),
        ("Undoing", back_to_s),
        ("StoreUnavailable", lambda: refused(stable_world().apply(C), C).change(store_error="no")),
        ("AwaitingCapacity", short_of_workers),
    ],
)
def test_pods_that_only_a_person_brings_are_told_at_once(waits, made):
    world = made().decide()
    assert world.waits == waits
    assert world.condition("Stalled") == ("True", "PodsFailing")
    assert REFUSED in world.message("Stalled")
    world.pods(S).pods(C).change(capacity=None, store_error="").decide()
    assert world.condition("Stalled")[1] != "PodsFailing"


def test_pods_that_nobody_waits_for_stall_nothing():
    assert refused(world_at(20), C, ready=1).decide().condition("Stalled")[0] == "False"


@pytest.mark.parametrize(
    ("analysis", "wants"),
    [
        (Analysis(), "a task of it and no broken limit."),
        (Analysis(comparison=Comparison()), "and its limits proven to be kept."),
    ],
)
def test_of_all_users_by_hand_it_is_said_what_makes_it_stable_and_no_step(analysis, wants):
    world = canary_world(analysis=analysis).set(100).decide()
    told = [one.message for one in world.told if one.reason == "PercentSetManually"]
    for said in (*told, world.message("ManualSetpoint")):
        assert "No step is left: it becomes stable after the final hold of 60 s" in said
        assert wants in said
        assert f"promote/{C}/" in said
        assert '"canaryPercent":0' in said
        assert "Go on with the steps" not in said
    assert "gets all new work by spec.traffic.canaryPercent" in world.message("ManualSetpoint")
    below = canary_world(analysis=analysis).set(50).decide()
    assert "Go on with the steps" in below.message("ManualSetpoint")
