"""What people and programs read: conditions, events, versions, when to look again."""

from __future__ import annotations

import pytest

from penstock.analysis.metrics import Tally
from tests.unit.rollout.world import (
    APPROVED_AT_20,
    BAD,
    C2,
    GOOD,
    C,
    Pods,
    S,
    canary_world,
    rejection,
    spec,
    stable_world,
    world_at,
)


def first_world():
    """Nothing was ever served."""
    world = stable_world()
    return world.change(
        status=type(world.status)(), stable="", latest=C, records={}, pods={}
    ).decide()


# --------------------------------------------------------------------------- first revision


def test_the_first_revision_serves_once_its_pods_are_ready():
    world = first_world()
    assert world.condition("Ready") == ("False", "FirstRevisionNotReady")
    assert world.condition("Reconciling")[0] == "True"
    world.change(pods={C: Pods(ready=1, wanted=1)}).decide()
    assert (world.status.stable_revision, world.status.canary_revision) == (C, None)
    assert (world.percent, world.verdicts, world.status.step) == (0, [], "-")
    assert world.condition("Ready") == ("True", "Stable")
    assert world.condition("Promoted")[0] == "True"


def test_the_pods_own_words_reach_the_condition():
    world = first_world().pods(C, ready=0, message="CrashLoopBackOff: no such key").decide()
    assert "no such key" in world.message("Ready")


def test_an_agent_without_a_revision_says_so():
    world = first_world().change(latest="").decide()
    assert world.condition("Ready") == ("False", "NoRevision")


def test_a_rejected_revision_never_becomes_the_first():
    world = first_world().record(C, verdict=rejection(C)).pods(C).decide()
    assert not world.status.stable_revision
    assert world.condition("Stalled")[0] == "True"


def test_a_lost_agent_status_finds_stable_on_the_records():
    world = first_world().record(S, promoted_sequence=3).pods(C).decide()
    assert (world.status.stable_revision, world.status.canary_revision) == (S, C)


def test_a_breach_of_stable_alone_is_reported_and_moves_nothing():
    world = stable_world().measure(canary=Tally(), stable=BAD).decide()
    assert world.condition("AnalysisPassing") == ("False", "StableBreaching")
    assert world.reasons() == ["AnalysisFailed"]
    assert world.condition("Ready") == ("True", "Stable")
    assert world.after(60).decide().reasons() == []


# ------------------------------------------------------------------------------- conditions


def test_a_healthy_hold_is_ready_not_reconciling_and_progressing():
    world = canary_world()
    assert world.condition("Ready") == ("True", "Holding")
    assert world.condition("Reconciling")[0] == "False"
    assert world.condition("Stalled")[0] == "False"
    assert world.condition("Progressing") == ("True", "Holding")
    assert world.condition("AnalysisPassing") == ("True", "Passing")


def test_every_condition_carries_the_generation():
    world = canary_world().edit(paused=True).decide()
    generation = world.situation.generation
    assert {c.observed_generation for c in world.status.conditions} == {generation}
    assert world.status.observed_generation == generation


SETPOINTS = {
    "none": (canary_world, ("False", "NoSetpoint")),
    "no canary": (lambda: stable_world().set(20).decide(), ("False", "NoCandidate")),
    "in force": (lambda: canary_world().set(20).decide(), ("True", "InForce")),
    "dead pods": (
        lambda: canary_world().pods(C, ready=0).set(20).decide(),
        ("Unknown", "CandidateNotReady"),
    ),
    "first seen with its canary": (
        lambda: stable_world().apply(C).pods(C).set(20).decide(),
        ("False", "Ceiling"),
    ),
    "aborted": (
        lambda: canary_world().set(20).decide().ask("abort").decide(),
        ("False", "CandidateRejected"),
    ),
}


@pytest.mark.parametrize("what", SETPOINTS)
def test_the_manual_setpoint_tells_whether_it_acts(what):
    build, expected = SETPOINTS[what]
    assert build().condition("ManualSetpoint") == expected


def test_a_person_finds_the_command_that_goes_on_with_the_steps():
    world = canary_world().change(namespace="acme").set(20).decide()
    command = (
        "kubectl patch agentrollout support -n acme --type merge "
        '-p \'{"spec":{"traffic":{"canaryPercent":null}}}\''
    )
    assert command in world.message("Progressing")
    assert command in world.told[0].message


def test_the_canaries_messages_say_what_is_missing():
    world = canary_world().measure(stable=Tally(tasks=7)).step_over()
    assert world.waits == "AwaitingEvidence"
    assert "needs 20 counted tasks" in world.message("Progressing")
    assert "stable has 7 (7 in this step)" in world.message("Progressing")


def test_a_missing_measurement_says_which_and_does_not_pass():
    world = canary_world().blind().change(observation_error="Redis does not answer").decide()
    assert world.condition("AnalysisPassing") == ("Unknown", "MeasurementMissing")
    assert "Redis does not answer" in world.message("AnalysisPassing")


def test_holding_for_approval_prints_both_commands():
    world = world_at(20, steps=APPROVED_AT_20).step_over()
    told = world.told[-1]
    assert told.reason == "HoldForApproval"
    assert f"promote/{C}/" in told.message
    assert f"abort/{C}/" in told.message


def test_a_setpoint_past_an_unapproved_step_counts_as_approval():
    world = world_at(20, steps=APPROVED_AT_20).step_over().set(50).decide()
    assert world.reasons() == ["PercentSetManually", "ApprovedBySetpoint"]
    assert "leaving 20 %" in world.told[1].message


def test_an_approval_noted_under_a_setpoint_is_still_there_when_it_goes():
    world = world_at(20, steps=APPROVED_AT_20).set(20).decide().ask("promote").decide()
    world.set(None).decide().step_over()
    assert world.percent == 50


# --------------------------------------------------------------------------------- requests


@pytest.mark.parametrize(
    ("request_value", "words"),
    [
        ("promote", "is not <verb>/<revision>/<nonce>"),
        (f"promote/{C}", "is not <verb>/<revision>/<nonce>"),
        (f"delete/{C}/1", "is not <verb>/<revision>/<nonce>"),
        (f"promote/{C2}/1", f"the canary is {C}, not {C2}"),
        (f"promote/{S}/1", f"{S} is stable already"),
        (f"retry/{C}/1", "was not rejected"),
    ],
)
def test_a_request_that_cannot_be_meant_is_refused_with_a_sentence(request_value, words):
    world = canary_world().change(request=request_value).decide()
    assert world.status.last_request.result == "Refused"
    assert words in world.status.last_request.message
    assert world.reasons() == ["RequestRefused"]
    assert world.percent == 5
    assert world.after(1).decide().reasons() == []


def test_a_request_may_name_the_hash():
    assert canary_world().ask("promote", C[-8:]).decide().percent == 20


def test_an_accepted_request_is_answered():
    world = canary_world().ask("promote").decide()
    last = world.status.last_request
    assert (last.value, last.result) == (f"promote/{C}/1", "Accepted")
    assert "5 % to 20 %" in last.message


def test_another_nonce_asks_again():
    assert canary_world().ask("promote").decide().ask("promote", nonce="2").decide().percent == 50


def test_a_request_that_has_to_wait_says_so_and_is_done_later():
    world = stable_world().apply(C).decide().ask("promote-full").decide()
    assert world.status.last_request.result == "Waiting"
    world.pods(C).decide()
    assert world.status.last_request.result == "Accepted"
    assert world.status.stable_revision == C


def test_promote_under_a_ceiling_is_refused_and_names_both_ways_out():
    world = stable_world().set(5).decide().apply(C).pods(C).decide().ask("promote").decide()
    assert world.status.last_request.result == "Refused"
    assert f'"canaryRevision":"{C}"' in world.status.last_request.message
    assert '"canaryPercent":null' in world.status.last_request.message


def test_promote_passes_pause_and_a_missing_measurement():
    assert canary_world().edit(paused=True).blind().ask("promote").decide().percent == 20


def test_a_very_long_request_is_refused_once():
    world = canary_world().change(request="x" * 5000).decide()
    assert world.status.last_request.result == "Refused"
    assert world.after(5).decide().reasons() == []


# ----------------------------------------------------------------------- versions and salts


def test_the_route_version_grows_by_one_with_each_change_of_traffic():
    world = canary_world()
    version = world.status.route_version
    assert world.after(1).decide().status.route_version == version
    assert world.set(5).decide().status.route_version == version
    assert world.set(30).decide().status.route_version == version + 1
    assert world.change(agent_suspended=True).decide().status.route_version == version + 2
    assert world.change(agent_suspended=False).decide().status.route_version == version + 3


def test_a_fresh_status_begins_above_what_was_ever_in_force():
    world = stable_world().wipe_status().change(route_version_floor=40).decide()
    assert world.status.route_version == 41


def test_the_epoch_is_taken_and_never_falls():
    world = stable_world().change(epoch=7).decide().change(epoch=3).decide()
    assert world.status.epoch == 7


def test_a_change_of_the_unit_waits_for_the_next_canary():
    world = canary_world()
    world.change(spec=spec(unit="Session")).decide()
    assert world.status.unit == "User"
    assert world.apply(C2).pods(C2).decide().status.unit == "Session"


# ------------------------------------------------------------------------- numbers in status


def test_numbers_are_written_at_most_once_a_minute():
    world = canary_world()
    written = world.status.analysis
    more = Tally(tasks=150, errors=1, timed=150, latency_ms=150_000, latency_squares=160_000_000)
    assert world.measure(canary=more).after(30).decide().status.analysis == written
    world.set(5).after(31).decide()
    assert world.status.analysis.canary.tasks == 150
    assert world.status.analysis.counted_at == "2026-11-21T10:01:02Z"


def test_numbers_are_written_when_a_check_changes_its_word():
    world = canary_world().measure(canary=Tally(tasks=10), stable=BAD).after(5).decide()
    words = {check.name: check.verdict for check in world.status.analysis.checks}
    assert words["errorRate"] == "Unclear"
    assert world.condition("AnalysisPassing") == ("False", "ErrorRateUnclear")
    assert world.status.analysis.counted_at == "2026-11-21T10:00:06Z"


def test_a_rollback_keeps_the_numbers_that_caused_it():
    world = world_at(20).measure(canary=BAD).after(5).decide()
    assert world.status.analysis.canary.errors == 40
    checks = {check.name: check for check in world.status.analysis.checks}
    assert checks["errorRate"].verdict == "Breached"
    assert checks["errorRate"].candidate == "40.0 % (40/100)"
    kept = world.status.analysis
    assert world.measure().after(600).decide().status.analysis == kept


def test_promotion_judges_the_new_stable_by_its_own_tasks_only():
    """In its last pass the window still holds the old stable, which may have been failing."""
    world = world_at(95).measure(canary=GOOD, stable=BAD).after(61).decide()
    assert world.status.stable_revision == C
    assert world.condition("AnalysisPassing")[0] == "True"
    assert "AnalysisFailed" not in world.reasons()


def test_the_measured_share_is_reported():
    world = canary_world().measure(Tally(tasks=10), Tally(tasks=190)).after(60).decide()
    assert world.status.share.observed_percent == 5


def test_a_new_step_counts_from_zero():
    world = canary_world().step_over()
    analysis = world.status.analysis
    assert analysis.canary.tasks == 100
    assert analysis.step_canary.tasks == 0
    assert analysis.step_from.startswith(str(int(world.situation.now.timestamp())))


# ------------------------------------------------------------------------------- look again


LOOKS = {
    "nothing to try": (stable_world, 60),
    "pods to wait for": (lambda: stable_world().apply(C).decide(), 5),
    "traffic on the canary": (canary_world, 1),
    "a hold that ends": (lambda: canary_world().after(58.5).decide(), 0.5),
    "rejected": (lambda: canary_world().measure(canary=BAD).decide(), 60),
    "first pods to wait for": (first_world, 5),
}


@pytest.mark.parametrize("what", LOOKS)
def test_it_looks_again_when_something_can_change(what):
    build, seconds = LOOKS[what]
    assert build().look_again == pytest.approx(seconds)


def test_a_zero_final_hold_promotes_from_the_last_step():
    world = world_at(50, final_hold=0).step_over()
    assert world.status.stable_revision == C


def test_a_zero_final_hold_promotes_a_setpoint_of_100_at_once():
    world = canary_world(final_hold=0).set(100).decide()
    assert world.status.stable_revision == C


def test_without_a_holdback_the_final_hold_is_at_100():
    assert world_at(50, holdback=0).step_over().percent == 100


def test_promotion_says_how_it_came_about():
    world = world_at(95).step_over()
    verdict = world.verdicts[-1]
    assert (verdict.result, verdict.reason, verdict.percent) == ("Promoted", "AllStepsPassed", 95)
    assert "errorRate 1.0 % (1/100)" in verdict.message
    assert world.condition("Promoted") == ("True", "AllStepsPassed")
    asked = canary_world().ask("promote-full").decide()
    assert asked.verdicts[-1].reason == "Requested"


def test_good_is_good():
    """The world's usual weather passes every check: what the other tests rest on."""
    assert GOOD.tasks == 100
    assert canary_world().condition("AnalysisPassing") == ("True", "Passing")
