"""Taken off for a while, and for good: unavailable pods, shared incidents, verdicts."""

from __future__ import annotations

import pytest

from penstock.analysis.metrics import Tally
from penstock.api.agent_status import Rejection
from penstock.rollout.capacity import Capacity
from penstock.rollout.words import verdicts
from tests.unit.rollout.world import (
    APPROVED_AT_20,
    BAD,
    C2,
    GOOD,
    STEPS,
    C,
    S,
    canary_world,
    promotion,
    rejection,
    stable_world,
    world_at,
)

SLOW = Tally(tasks=60, timed=60, latency_ms=900_000, latency_squares=14_000_000_000)
ESCALATING = Tally(
    tasks=60, escalations=24, timed=60, latency_ms=60_000, latency_squares=80_000_000
)


def dead(world, seconds):
    """The canary's pods have been dead for so long."""
    return world.pods(C, ready=0, message="OOMKilled").decide().after(seconds).decide()


# ------------------------------------------------------------------------------ unavailable


def test_dead_pods_at_20_percent_take_the_canary_off_after_30_seconds():
    world = dead(world_at(20), 29)
    assert (world.percent, world.waits) == (20, "CandidateNotReady")
    assert world.look_again <= 1.0
    world.after(1).decide()
    assert (world.percent, world.source) == (0, "Suspended")
    assert world.condition("Suspended") == ("True", "CandidateUnavailable")
    assert "OOMKilled" in world.message("Suspended")
    assert world.reasons() == ["Suspended"]
    assert world.condition("RolledBack")[0] == "False"


def test_it_comes_back_to_its_share_with_the_same_salt_and_a_fresh_hold():
    world = world_at(20)
    salt = world.status.salt
    dead(world, 30).after(100).pods(C).decide()
    assert (world.percent, world.source, world.status.salt) == (20, "Automatic", salt)
    assert world.status.step == "2/3"
    assert world.condition("Suspended") == ("False", "Resumed")
    assert world.reasons() == ["Resumed"]
    assert world.after(59).decide().percent == 20
    assert world.after(1).decide().percent == 50


def test_the_second_time_it_is_rejected():
    world = dead(world_at(20), 30).pods(C).decide()
    dead(world, 30)
    assert (world.percent, world.waits) == (0, "RolledBack")
    verdict = world.verdicts[-1]
    assert (verdict.reason, verdict.percent) == ("CandidateUnavailable", 20)
    assert "second time" in verdict.message
    assert "OOMKilled" in verdict.message


def test_retry_begins_a_new_count():
    world = dead(dead(world_at(20), 30).pods(C).decide(), 30)
    world.pods(C).ask("retry").decide()
    assert world.status.unavailable_count == 0
    assert dead(world, 30).source == "Suspended"


def test_a_pod_that_is_ready_in_between_starts_the_clock_anew():
    world = dead(world_at(20), 20).pods(C).decide()
    assert dead(world, 29).percent == 20


def test_pods_scaled_to_nothing_on_purpose_are_not_dead():
    world = world_at(20).pods(C, ready=0, wanted=0).decide().after(600).decide()
    assert (world.percent, world.source) == (50, "Automatic")


def test_while_stable_has_no_ready_pod_either_nobody_is_taken_off():
    world = world_at(20).pods(S, ready=0)
    assert dead(world, 3600).percent == 20, "a dependency of both is away"
    world.pods(S).decide().after(29).decide()
    assert world.percent == 20, "the clock begins when stable is back"
    assert world.after(1).decide().source == "Suspended"


def aging(world, *ages):
    """The canary's oldest task is so old, in passes ten seconds apart."""
    for age in ages:
        world.after(10).change(queue_age_seconds={C: age, S: 2.0}).decide()
    return world


def test_a_queue_that_ages_while_stables_does_not_takes_it_off_once_that_has_lasted():
    world = aging(world_at(20), 31.0, 41.0, 51.0)
    assert world.percent == 20
    aging(world, 61.0)
    assert (world.percent, world.source) == (0, "Suspended")
    assert "waited 61 s" in world.message("Suspended")


def test_a_queue_whose_age_falls_is_being_worked_off():
    assert aging(world_at(20), 90.0, 80.0, 70.0, 60.0, 50.0, 40.0).percent == 20


def test_a_queue_that_ages_never_condemns_while_pods_are_ready_and_waits_longer_each_time():
    world, away = world_at(20), []
    for _ in range(4):
        aging(world, 31.0, 41.0, 51.0, 61.0)
        assert (world.source, world.verdicts) == ("Suspended", [])
        world.change(queue_age_seconds={})
        gone = 0
        while world.decide().source == "Suspended":
            world.after(10)
            gone += 10
        away.append(gone)
    assert away == [30, 60, 120, 240]


def test_after_a_quiet_hour_it_is_not_the_second_time():
    world = dead(world_at(20), 30).pods(C).decide()
    world.edit(paused=True).decide().after(3601).decide()
    assert (world.percent, world.status.unavailable_count) == (20, 0)
    assert dead(world, 30).source == "Suspended"


def test_the_age_of_what_the_kill_switch_held_up_says_nothing():
    world = world_at(20).change(agent_suspended=True).decide().after(900).decide()
    aging(world.change(agent_suspended=False), 910.0, 10.0, 20.0)
    assert world.percent == 20


# --------------------------------------------------------------------------------- capacity


def room(world, ready, demand=100, most=1000):
    """Tasks at a time: what ready pods can take, and what all users ask for."""
    return world.change(capacity=Capacity(ready, demand, most))


def test_a_raise_waits_until_the_workers_can_take_the_larger_share():
    world = room(world_at(5), ready=19).step_over()
    assert (world.percent, world.waits) == (5, "AwaitingCapacity")
    assert "20 % needs room for 20 tasks at a time" in world.message("Ready")
    assert room(world, ready=20).decide().percent == 20


def test_a_raise_asks_for_no_more_than_may_be_had():
    assert room(world_at(5), ready=10, most=10).step_over().percent == 20


def test_a_setpoint_goes_at_once_and_age_says_nothing_until_there_is_room():
    world = room(world_at(5), ready=10).set(60).decide()
    assert world.percent == 60
    aging(world, 31.0, 41.0, 51.0, 61.0, 71.0)
    assert world.percent == 60
    aging(room(world, ready=100), 81.0, 91.0, 101.0, 111.0)
    assert world.source == "Suspended"


def test_after_a_suspension_it_comes_back_when_there_is_room_for_its_share():
    world = room(dead(world_at(20), 30).pods(C).after(60), ready=10).decide()
    assert (world.percent, world.waits) == (0, "CandidateUnavailable")
    assert room(world, ready=20).decide().percent == 20


def test_under_a_setpoint_one_ready_pod_is_enough_to_come_back():
    world = room(dead(world_at(5).set(60).decide(), 30).after(60), ready=0).decide()
    assert (world.percent, world.waits) == (0, "CandidateUnavailable")
    assert room(world.pods(C), ready=10).decide().percent == 60
    aging(world, 31.0, 41.0, 51.0, 61.0, 71.0)
    assert (world.percent, world.source) == (60, "Setpoint"), "its queue says nothing yet"


# --------------------------------------------------------------------------- nothing to compare

ALONE = Tally(tasks=300, errors=40, timed=300, latency_ms=300_000, latency_squares=330_000_000)
FAILING = Tally(tasks=12, errors=2, timed=12, latency_ms=12_000, latency_squares=13_000_000)
FEW = Tally(tasks=12, errors=0, timed=12, latency_ms=12_000, latency_squares=13_000_000)


def test_over_a_limit_in_the_final_hold_users_go_to_stable_and_nobody_is_blamed():
    world = world_at(95).measure(canary=ALONE, stable=FEW).after(1).decide()
    assert (world.percent, world.source, world.verdicts) == (0, "Suspended", [])
    assert world.condition("Suspended") == ("True", "NotComparable")
    assert "too few tasks to compare" in world.message("Suspended")


def test_it_comes_back_to_where_it_can_be_compared_once_stable_has_proved_well():
    world = world_at(95).measure(canary=ALONE, stable=FEW).after(1).decide()
    world.after(20).decide()
    assert world.waits == "NotComparable", "twelve tasks of stable prove nothing"
    world.measure(canary=Tally(), stable=BAD).after(20).decide()
    assert world.waits == "NotComparable", "stable fails as well"
    world.measure(canary=Tally(), stable=GOOD).after(20).decide()
    assert (world.percent, world.source, world.status.stage) == (50, "Automatic", "Steps")
    world.measure().step_over()
    assert world.percent == 95
    assert world.status.suspension.uncompared == 0


def test_it_is_condemned_where_it_stays_bad_beside_a_stable_that_is_well():
    world = world_at(95).measure(canary=ALONE, stable=FEW).after(1).decide()
    world.measure(canary=Tally(), stable=GOOD).after(20).decide()
    world.measure(canary=BAD, stable=GOOD).after(20).decide()
    assert world.verdicts[-1].message.startswith("rolled back at 50 %: error rate 40.0 %")


def test_without_any_rival_it_is_condemned_the_second_time():
    world = canary_world().measure(canary=ALONE, stable=Tally()).after(1).decide()
    assert world.source == "Suspended"
    world.measure(canary=Tally(), stable=GOOD).after(20).decide()
    assert world.percent == 5
    world.measure(canary=ALONE, stable=Tally()).after(65).decide()
    assert (world.percent, world.waits) == (5, "AwaitingEvidence"), "it is on trial"
    world.after(540).decide()
    assert world.verdicts[-1].reason == "ErrorRateRegression"
    assert "stable was well while it had all users" in world.verdicts[-1].message


def test_outages_in_a_row_condemn_nobody_whose_rival_fails_as_well():
    world = canary_world()
    for _ in range(3):
        world.measure(canary=ALONE, stable=FAILING).after(601).decide()
        assert (world.source, world.verdicts) == ("Suspended", [])
        world.measure(canary=Tally(), stable=GOOD).after(20).decide()
        assert world.percent == 5
    world.measure(canary=ALONE, stable=FAILING).after(601).decide()
    assert world.verdicts[-1].result == "Rejected", "for ever it is not tried"


def test_an_approval_is_not_spent_on_the_share_at_which_it_is_compared_again():
    world = world_at(5, steps=APPROVED_AT_20).set(95).decide().ask("promote").decide()
    assert world.status.step_approved
    world.measure(canary=ALONE, stable=FEW).after(1).decide()
    world.measure(canary=Tally(), stable=GOOD).after(20).decide()
    assert (world.percent, world.status.step_approved) == (50, False)


def test_an_approval_outlives_pods_that_were_away_for_a_while():
    world = world_at(20, steps=APPROVED_AT_20).set(20).decide().ask("promote").decide()
    dead(world, 30)
    assert world.source == "Suspended"
    assert world.pods(C).after(1).decide().percent == 20
    assert world.status.step_approved


def test_under_a_setpoint_of_100_it_is_compared_at_50_before_the_setpoint_is_in_force_again():
    world = world_at(5).set(100).decide().measure(canary=ALONE, stable=Tally())
    world.after(1).decide()
    assert world.source == "Suspended"
    world.measure(canary=FEW, stable=GOOD).after(20).decide()
    assert (world.percent, world.waits) == (50, "AwaitingEvidence")
    assert world.measure().after(20).decide().percent == 100
    world.measure(canary=ALONE, stable=Tally()).after(20).decide()
    assert (world.source, world.verdicts) == ("Suspended", []), "another outage, another trial"


@pytest.mark.parametrize("ages", [{C: 30.0}, {C: 45.0, S: 10.0}, {C: 400.0, S: 60.0}])
def test_a_queue_that_ages_like_stables_is_not_the_canaries_fault(ages):
    assert world_at(20).change(queue_age_seconds=ages).decide().percent == 20


def test_at_share_0_dead_pods_only_delay():
    world = stable_world().apply(C).pods(C, ready=0, message="ErrImagePull").decide()
    world.after(3600).decide()
    assert (world.percent, world.waits) == (0, "CandidateNotReady")
    assert world.condition("Ready") == ("False", "CandidateNotReady")
    assert world.condition("Reconciling")[0] == "True"
    assert "ErrImagePull" in world.message("Ready")


# -------------------------------------------------------------------------- shared incident


def outage(world):
    both = Tally(tasks=60, errors=40)
    return world.measure(canary=both, stable=both).decide()


def test_an_outage_on_both_sides_sends_users_to_stable_and_blames_nobody():
    world = outage(world_at(20))
    assert (world.percent, world.source) == (0, "Suspended")
    assert world.condition("Suspended") == ("True", "SharedIncident")
    assert world.condition("Stalled")[0] == "False"
    assert world.verdicts == []
    assert outage(world.after(500)).percent == 0


def test_it_comes_back_by_itself_when_stable_is_well_again_and_is_promoted():
    world = outage(world_at(20)).after(200).measure().decide()
    assert (world.percent, world.source) == (20, "Automatic")
    assert world.waits == "Holding"
    for percent in (50, 95, 0):
        assert world.step_over().percent == percent
    assert world.status.stable_revision == C


def test_what_was_measured_before_it_came_back_condemns_nobody():
    world = outage(world_at(20)).after(200).measure().decide()
    now_ms = int(world.situation.now.timestamp() * 1000)
    seen = world.measure(canary=BAD).observation()
    old = seen.window[0].__class__(now_ms // 5000 - 20, 2, seen.window[0].arms)
    world.observation = lambda: seen.__class__(**{**seen.__dict__, "window": (old,)})
    assert world.decide().percent == 20


def test_under_a_setpoint_it_comes_back_to_the_setpoint():
    world = outage(canary_world().set(30).decide())
    assert world.condition("ManualSetpoint")[0] == "Unknown"
    world.measure().decide()
    assert (world.percent, world.source) == (30, "Setpoint")


def test_a_setpoint_changed_meanwhile_is_what_it_comes_back_to():
    world = outage(world_at(50)).set(10).decide()
    assert world.percent == 0
    assert world.measure().decide().percent == 10


def test_steps_edited_meanwhile_do_not_move_it():
    world = outage(world_at(20)).steps(*STEPS[::2]).decide().measure().decide()
    assert (world.percent, world.source) == (20, "Automatic")
    assert world.step_over().percent == 50


def test_while_paused_it_does_not_come_back_by_itself():
    world = outage(world_at(20)).edit(paused=True).measure().decide()
    assert (world.percent, world.waits) == (0, "Paused")
    assert world.edit(paused=False).decide().percent == 20


def test_without_a_measurement_it_stays_off():
    world = outage(world_at(20)).blind().after(600).decide()
    assert (world.percent, world.waits) == (0, "SharedIncident")


def test_abort_works_during_an_incident():
    world = outage(world_at(20)).ask("abort").decide()
    assert world.verdicts[-1].reason == "Aborted"


# --------------------------------------------------------------------------------- verdicts


@pytest.mark.parametrize(
    ("canary", "reason", "check", "words"),
    [
        (BAD, "ErrorRateRegression", "errorRate", "error rate 40.0 % on the canary (40/100)"),
        (SLOW, "LatencyRegression", "latencyMean", "mean latency 15.0 s on the canary"),
        (ESCALATING, "EscalationRateRegression", "escalationRate", "escalation rate 40.0 %"),
    ],
)
def test_a_rollback_says_which_check_fired_and_its_numbers(canary, reason, check, words):
    world = world_at(20).measure(canary=canary).decide()
    verdict = world.verdicts[-1]
    assert (verdict.result, verdict.reason, verdict.check) == ("Rejected", reason, check)
    assert (verdict.revision, verdict.attempt, verdict.percent) == (C, 1, 20)
    assert (verdict.tasks, verdict.users) == (42, 17)
    assert verdict.message.startswith(f"rolled back at 20 %: {words}")
    assert "on stable" in verdict.message
    assert world.status.verdicts[-1] == verdict
    assert world.condition("RolledBack") == ("True", reason)
    assert world.condition("Stalled")[0] == "True"
    assert world.condition("Ready") == ("False", "RolledBack")


def test_the_retry_command_in_the_message_is_complete():
    world = world_at(20).change(namespace="acme", name="support-rollout").measure(BAD).decide()
    assert (
        "kubectl annotate agentrollout support-rollout -n acme --overwrite "
        f'penstock.dev/request="retry/{C}/$(date +%s)"'
    ) in world.message("Ready")


def test_a_rejected_attempt_stays_rejected_and_the_next_one_counts_up():
    world = world_at(20).measure(canary=BAD).decide()
    salt = world.status.salt
    world.measure().ask("retry").decide()
    assert (world.status.attempt, world.status.salt) == (2, salt)
    assert world.status.analysis.since_version == world.status.route_version
    world.measure(canary=BAD).decide()
    assert [v.attempt for v in world.status.verdicts] == [1, 2]
    assert world.situation.records[C].rejected_attempt == 2


def test_the_record_alone_rejects_what_a_crash_left_half_done():
    """The status was lost, or written by an operator that noted verdicts first and died."""
    verdict = world_at(50).measure(canary=BAD).decide().status.verdicts[-1]
    world = world_at(50).after(7).record(C, verdict=verdict).decide()
    assert (world.percent, world.source, world.waits) == (0, "Rollback", "RolledBack")
    assert world.status.verdicts[-1:] == (verdict,)
    assert verdict.check == "errorRate"
    assert (verdict.percent, verdict.tasks) == (50, 42)
    assert world.decide().status.verdicts == world.status.verdicts


def test_a_rejection_of_which_no_words_are_left_says_so():
    world = world_at(50).record(C, verdict=rejection(C, message="")).decide()
    assert world.status.verdicts[-1].message == verdicts.REJECTED_BEFORE


def test_the_record_alone_promotes_what_a_crash_left_half_done():
    world = world_at(95).record(C, promoted_sequence=2, verdict=promotion(C)).decide()
    assert (world.status.stable_revision, world.status.canary_revision) == (C, None)
    assert world.status.verdicts[-1:] == (promotion(C),)
    assert world.condition("Promoted")[0] == "True"


def test_a_reason_that_only_a_newer_version_knows_still_rejects():
    remembered = Rejection(revision=C, reason="ReasonOfTomorrow", message="too rude").verdict
    world = world_at(20).record(C, verdict=remembered).decide()
    assert (world.percent, world.source) == (0, "Rollback")
    assert world.status.verdicts[-1].message == "too rude"


def test_superseding_keeps_stable_and_draws_a_new_salt():
    world = world_at(50)
    salt, since = world.status.salt, world.status.analysis.since_version
    world.apply(C2).pods(C2).decide()
    assert world.status.stable_revision == S
    assert world.status.salt != salt
    assert world.status.analysis.since_version > since
    assert (world.verdicts[-1].revision, world.verdicts[-1].result) == (C, "Superseded")


def test_a_new_canary_does_not_pay_for_the_one_before():
    world = world_at(50).measure(canary=BAD).apply(C2).pods(C2).decide()
    assert world.status.verdicts[-1].result == "Superseded"
    assert (world.status.canary_revision, world.percent) == (C2, 5)
    assert world.status.analysis.canary.tasks == 0


def test_nor_does_another_attempt_for_the_last_one():
    world = world_at(50).measure(canary=BAD).decide().ask("retry").decide()
    assert (world.percent, world.status.attempt) == (5, 2)


def test_a_rejected_canary_is_not_superseded_as_well():
    world = world_at(20).measure(canary=BAD).decide().measure().apply(C2).decide()
    assert [v.result for v in world.status.verdicts] == ["Rejected"]
    assert world.status.attempt == 1


def test_at_most_ten_verdicts_are_kept_oldest_first():
    world = world_at(20)
    for nonce in range(12):
        world.measure(canary=BAD).decide().measure().ask("retry", nonce=nonce).decide()
    attempts = [v.attempt for v in world.status.verdicts]
    assert attempts == list(range(3, 13))


def test_a_return_to_a_good_revision_walks_the_steps_like_any_other():
    world = world_at(95).step_over()
    assert world.status.stable_revision == C
    world.pods(S).apply(S).decide()
    assert (world.status.canary_revision, world.percent) == (S, 5)


def test_a_return_to_what_was_promoted_in_its_second_attempt_is_no_return_to_the_rejected():
    world = world_at(20).measure(canary=BAD).decide().measure().ask("retry").decide()
    world.ask("promote-full", nonce="2").decide()
    world.pods(C2).apply(C2).decide().ask("promote-full", C2).decide()
    world.apply(C).decide()
    assert (world.status.canary_revision, world.status.attempt, world.percent) == (C, 2, 5)
    world.measure(canary=BAD).after(1).decide()
    assert world.waits == "RolledBack"
    world.apply(C2).decide().measure().apply(C).decide()
    assert (world.percent, world.waits) == (0, "RolledBack")


def test_a_step_that_nobody_could_reach_says_so():
    world = canary_world().measure(canary=Tally()).after(181).decide()
    assert world.percent == 20
    assert world.condition("NoEligibleUsers")[0] == "True"
    world.measure(canary=GOOD).step_over()
    assert world.percent == 50
    assert world.condition("NoEligibleUsers") is None


def test_the_step_clock_stands_still_while_nothing_can_be_seen():
    world = world_at(20).blind().after(10).decide().after(600).decide()
    assert world.percent == 20
    world.measure().decide()
    assert world.percent == 20, "ten blind minutes are no hold"
    assert world.after(55).decide().percent == 50


def test_the_final_hold_does_not_pass_under_the_kill_switch():
    world = world_at(95).change(agent_suspended=True).after(1).decide().after(600).decide()
    world.change(agent_suspended=False).decide()
    assert world.status.stage.value == "FinalHold"
    assert world.after(61).decide().status.stage.value == "Done"
