"""Chosen users go first: how rings open, what holds them, what ends them, and who keeps the canary."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from penstock import rings
from penstock.analysis.evidence import TICK_MS, Stratum
from penstock.analysis.failures import Failure
from penstock.analysis.metrics import ERROR_RATE, Tally
from penstock.api.comparison import Comparison
from penstock.api.decisions import RowsSeen
from penstock.api.rollout import AgentRolloutStatus
from penstock.api.strategy import FirstRevision, OnDeadline, Strategy
from penstock.rollout.capacity import Capacity
from penstock.traffic import Arm
from tests.unit.rollout.test_money import bounded, refused
from tests.unit.rollout.world import (
    BAD,
    C2,
    GOOD,
    NONE,
    STEPS,
    SUSPECT,
    C,
    S,
    World,
    spec,
    stable_world,
)

STAFF = {"name": "staff", "users": ["u1", "u2"], "holdSeconds": 60, "minTasks": 20}
FRIENDS = {"name": "friends", "tenants": ["acme"], "holdSeconds": 60, "minTasks": 20}
FEW = GOOD._replace(tasks=3, errors=0, timed=3)
COMPARED = spec().analysis.model_copy(update={"comparison": Comparison()})


def declare(world, *declared, **more):
    found = Strategy.model_validate({"rings": declared or [STAFF, FRIENDS]}).rings
    update = {"rings": found, **more}
    return world.edit(strategy=world.situation.spec.strategy.model_copy(update=update))


def in_ring(*declared, **more):
    """C is the canary, its pods are ready, and the first ring has it."""
    return declare(stable_world(), *declared, **more).apply(C).pods(C).decide()


def in_steps(drawn, ringed, *, stable=GOOD, failed=(), analysis=COMPARED):
    """C at 5 % after its ring: what those who are drawn see of it, and beside them users of the ring."""
    world = in_ring(STAFF).edit(analysis=analysis).after(61).decide()
    world.measure(drawn, GOOD)

    def observation():
        seen = World.observation(world)
        arms = {Arm.CANARY: ringed, Arm.STABLE: stable}
        arms = {arm: tally for arm, tally in arms.items() if tally.tasks}
        chosen = replace(seen, window=(Stratum(seen.now_ms // TICK_MS, 0, arms),), failed=failed)
        return replace(seen, chosen=chosen if world.status.chosen else None)

    world.observation = observation
    return world.after(1).decide()


def picks(world, user, tenant="other"):
    """Who serves a user whose bucket is out of every share below 100."""
    return world.status.split.pick(user, user, tenant)[0]


def given(world):
    return [ring.name for ring in world.status.rings]


def test_without_rings_a_canary_begins_with_its_first_step():
    world = stable_world().apply(C).pods(C).decide()
    assert (world.percent, world.status.stage, world.status.rings) == (5, "Steps", ())


def test_the_first_ring_has_the_canary_and_nobody_else():
    world = in_ring()
    assert (world.percent, world.status.stage, world.status.step) == (0, "Rings", "ring 1/2")
    assert [picks(world, user) for user in ("u1", "u2", "u3")] == [C, C, S]
    assert picks(world, "u3", "acme") == S
    assert world.waits == "Holding"
    said = world.message("Ready")
    assert "Ring staff has the canary" in said
    assert "until 10:01:00 UTC" in said
    assert f"promote/{C}/" in said


def test_no_name_stands_in_the_status():
    world = in_ring()
    assert "u1" not in json.dumps(world.status.wire()["rings"])
    (ring,) = world.status.rings
    salt = world.status.salt
    assert ring.members == rings.members(salt, ["u2", "u1"], [])
    assert ring.members != rings.members("another", ["u2", "u1"], [])


def test_no_name_stands_in_the_record():
    (entry, *_) = [one for one in in_ring().entries if '"OpenRing"' in one.text]
    told = json.loads(entry.text)
    assert told["rule"] == "ring_checks.rings_first"
    (ring, _) = told["parameters"]["strategy"]["rings"]
    assert (ring["users"], ring["tenants"]) == (2, 0)
    assert rings.member("salt1", rings.Kind.USER, "u1") not in entry.text


def test_rings_open_one_by_one_and_then_come_the_steps():
    world = in_ring().after(61).decide()
    assert (given(world), world.status.step) == (["staff", "friends"], "ring 2/2")
    assert [picks(world, "u1"), picks(world, "u3"), picks(world, "u3", "acme")] == [C, S, C]
    world.after(61).decide()
    assert (world.percent, world.status.stage, world.status.step) == (5, "Steps", "1/3")
    assert world.reasons() == ["StepPassed", "StepStarted"]
    assert [picks(world, "u1"), picks(world, "u3", "acme")] == [C, C], "they keep their side"


@pytest.mark.parametrize(
    ("after", "canary", "waits"),
    [
        (59, GOOD, "Holding"),
        (61, GOOD, None),
        (61, FEW, "AwaitingEvidence"),
        (61, NONE, "AwaitingEvidence"),
    ],
)
def test_each_number_that_is_declared_holds_the_next_ring_or_does_not(after, canary, waits):
    world = in_ring().measure(canary).after(after).decide()
    assert given(world) == (["staff"] if waits else ["staff", "friends"])
    assert not waits or world.waits == waits


def test_what_is_missing_is_said_with_the_command():
    world = in_ring().measure(FEW).after(61).decide()
    said = world.message("Ready")
    assert "Held at ring staff for evidence" in said
    assert "have ended 3 tasks" in said
    assert "its minTasks is 20" in said
    assert f"promote/{C}/" in said


def test_a_ring_that_wants_no_task_goes_by_time_alone():
    world = in_ring({**STAFF, "minTasks": 0}).measure(NONE).after(61).decide()
    assert world.percent == 5


def test_a_bad_canary_is_rejected_in_its_ring_and_says_where():
    world = in_ring().measure(BAD).after(5).decide()
    assert world.verdicts[-1].result == "Rejected"
    assert world.verdicts[-1].message.startswith("rolled back at ring staff: ")
    assert (world.status.rings, picks(world, "u1")) == ((), S)


def test_a_limit_condemns_in_a_ring_where_a_comparison_is_declared_too():
    world = in_ring().edit(analysis=COMPARED).measure(BAD).after(5).decide()
    assert world.verdicts[-1].reason == "ErrorRateRegression"
    assert world.status.analysis.comparison is None or not world.compared


def test_what_is_suspicious_holds_the_ring():
    world = in_ring().measure(SUSPECT).after(61).decide()
    assert (given(world), world.waits) == (["staff"], "AwaitingEvidence")


def test_after_the_rings_evidence_begins_anew():
    world = in_ring(STAFF).edit(analysis=COMPARED).after(61)
    before = world.decide().status.analysis
    assert world.percent == 5
    assert before.since_version == world.status.route_version
    assert before.comparison.since[0] == world.status.route_version
    assert (before.canary.tasks, before.step_canary.tasks) == (0, 0)


def test_the_chain_of_rows_goes_on():
    world = in_ring(STAFF).after(30).decide()
    rows = RowsSeen(since="1-0", count=7, digest="d")
    kept = world.status.analysis.model_copy(update={"rows": rows})
    world.change(status=world.status.model_copy(update={"analysis": kept})).after(31).decide()
    assert (world.percent, world.status.analysis.rows.count) == (5, 7)


@pytest.mark.parametrize("drawn", [GOOD, SUSPECT, BAD])
def test_what_condemns_in_the_steps_for_users_of_rings_does_however_bad_it_is_for_others(drawn):
    world = in_steps(drawn, BAD)
    assert world.verdicts[-1].reason == "ErrorRateRegression"
    assert "users of rings on the canary" in world.verdicts[-1].message


def test_who_is_drawn_is_condemned_by_the_comparison_alone_while_his_ring_is_well():
    world = in_steps(BAD, GOOD)
    assert (world.percent, world.verdicts) == (5, [])


@pytest.mark.parametrize("drawn", [GOOD, BAD])
def test_users_of_rings_whom_nobody_can_be_compared_with_are_taken_off_however_bad_others_are(
    drawn,
):
    world = in_steps(drawn, BAD, stable=NONE)
    assert (world.source, world.condition("Suspended")) == (
        "Suspended",
        ("True", "NotComparable"),
    )


def test_a_rejection_for_users_of_rings_shows_tasks_of_theirs():
    failed = (Failure("of-a-ring", ERROR_RATE, 0, 1),)
    (shown,) = in_steps(GOOD, BAD, failed=failed).verdicts[-1].samples
    assert shown.task == "of-a-ring"


# ---------------------------------------------------------------------------- what people say


def test_promote_passes_a_ring_then_the_next_one_then_comes_the_first_step():
    world = in_ring().ask("promote").decide()
    assert (given(world), world.status.last_request.result) == (["staff", "friends"], "Accepted")
    world.ask("promote", nonce="2").decide()
    assert world.percent == 5
    assert picks(world, "u1") == C


def test_promote_full_gives_it_to_everybody():
    assert in_ring().ask("promote-full").decide().promoted == C


def test_who_promotes_or_aborts_is_told_the_ring_and_no_share():
    world = in_ring().ask("promote-full").decide()
    assert world.verdicts[-1].message == "promoted from ring staff by request"
    assert (world.verdicts[-1].ring, world.verdicts[-1].percent) == ("staff", 0)
    assert in_ring().ask("abort").decide().verdicts[-1].ring == "staff"
    assert in_ring().set(20).decide().ask("abort").decide().verdicts[-1].ring is None


def test_who_promotes_one_that_was_stopped_in_its_ring_is_told_the_ring():
    world = refused(bounded(in_ring(), canarySpendCapUSD="20").decide()).after(1).decide()
    assert (world.source, picks(world, "u1")) == ("Suspended", S)
    world.ask("promote-full").decide()
    assert world.verdicts[-1].message == "promoted from ring staff by request"


def test_a_share_that_is_set_tells_that_rings_have_it_as_well():
    said = in_ring().set(20).decide().message("Ready")
    assert "is held at 20 % by spec.traffic.canaryPercent, and users of rings have it too." in said


def test_abort_takes_it_from_its_ring():
    world = in_ring().ask("abort").decide()
    assert (picks(world, "u1"), world.verdicts[-1].message) == (
        S,
        "rolled back at ring staff: aborted by request",
    )


def test_a_retry_begins_with_the_first_ring_again():
    world = in_ring().after(61).decide().ask("abort").decide().ask("retry", nonce="2").decide()
    assert (given(world), world.status.attempt) == (["staff"], 2)


def test_paused_opens_no_ring_and_takes_none_back():
    world = in_ring().edit(paused=True).after(61).decide()
    assert (given(world), world.waits, picks(world, "u1")) == (["staff"], "Paused", C)
    assert "stays at ring staff" in world.message("Ready")


def test_a_setpoint_above_0_ends_the_stage_and_the_ring_keeps_its_side():
    world = in_ring().set(20).decide()
    assert (world.percent, world.status.stage, given(world)) == (20, "Steps", ["staff"])
    assert picks(world, "u1") == C
    world.set(None).after(61).decide()
    assert (world.status.stage, given(world)) == ("Steps", ["staff"])


def test_a_setpoint_of_0_takes_the_ring_off_and_its_end_gives_it_back_with_a_fresh_hold():
    world = in_ring().after(50).set(0).decide()
    assert (picks(world, "u1"), world.status.stage, world.source) == (S, "Rings", "Setpoint")
    world.set(None).decide()
    assert (picks(world, "u1"), given(world), world.waits) == (C, ["staff"], "Holding")
    assert given(world.after(50).decide()) == ["staff"]
    assert given(world.after(11).decide()) == ["staff", "friends"]


def test_a_left_over_setpoint_of_0_opens_no_ring():
    world = declare(stable_world()).set(0).apply(C).pods(C).decide()
    assert (world.status.rings, world.waits) == ((), "CeilingReached")
    assert given(world.set(None).decide()) == ["staff"]


def test_a_left_over_setpoint_of_0_that_comes_later_takes_it_off():
    world = in_ring().set(0, "another").decide()
    assert (picks(world, "u1"), world.source) == (S, "Ceiling")


def test_a_larger_left_over_setpoint_lets_rings_open():
    world = declare(stable_world()).set(3).apply(C).pods(C).decide()
    assert given(world) == ["staff"]
    world.after(61).decide().after(61).decide()
    assert (world.percent, world.source) == (3, "Ceiling")


def test_undo_of_the_canary_takes_it_off():
    world = in_ring().ask("undo", S).decide()
    assert picks(world, "u1") == S


def test_another_revision_begins_with_the_first_ring_and_another_salt():
    world = in_ring().after(61).decide()
    salt = world.status.salt
    world.apply(C2).pods(C2).decide()
    assert (given(world), picks(world, "u1")) == (["staff"], C2)
    assert world.status.salt != salt
    assert world.verdicts[-1].message.startswith("superseded at ring friends")


def test_a_promotion_leaves_no_ring_behind():
    world = in_ring(STAFF).ask("promote-full").decide()
    assert (world.status.rings, world.status.chosen) == ((), ())


# ---------------------------------------------------------------------------------- weather


def test_no_ring_is_opened_without_a_pod():
    world = declare(stable_world()).apply(C).decide()
    assert (world.status.rings, world.waits) == ((), "CandidateNotReady")
    assert world.status.step == "ring 0/2"


def test_a_canary_whose_pods_die_in_its_ring_gives_it_back_and_twice_is_rejected():
    world = in_ring().pods(C, 0).decide().after(31).decide()
    assert (world.source, picks(world, "u1")) == ("Suspended", S)
    world.pods(C, 1).decide()
    assert (picks(world, "u1"), world.status.stage, given(world)) == (C, "Rings", ["staff"])
    assert "comes back to ring staff" in world.message("Suspended")
    world.pods(C, 0).decide().after(31).decide()
    assert world.verdicts[-1].reason == "CandidateUnavailable"


def test_an_incident_that_stable_shares_takes_it_off_and_it_comes_back_to_its_ring():
    outage = Tally(tasks=60, errors=40)
    world = in_ring().measure(outage, outage).after(5).decide()
    assert (world.source, picks(world, "u1")) == ("Suspended", S)
    world.measure(NONE, GOOD).after(600).decide()
    assert (world.source, picks(world, "u1"), world.status.stage) == ("Automatic", C, "Rings")
    assert world.waits == "Holding", "with a fresh hold"


def test_time_in_which_nothing_is_seen_is_no_hold():
    world = in_ring().blind().decide().after(61).decide()
    assert (given(world), world.waits) == (["staff"], "MeasurementMissing")
    world.measure().decide()
    assert world.waits == "Holding"


def test_a_deadline_promotes_nobody_whom_only_chosen_users_have_tried():
    world = in_ring(progress_deadline_seconds=100, on_deadline=OnDeadline.PROMOTE)
    world.measure(FEW).after(61).decide().after(101).decide()
    assert (given(world), world.percent, world.waits) == (["staff"], 0, "DeadlineExceeded")
    assert "only users who were chosen have tried it" in world.message("Ready")


def test_a_deadline_rejects_where_that_is_declared():
    world = in_ring(progress_deadline_seconds=100, on_deadline=OnDeadline.ROLLBACK)
    world.measure(FEW).after(61).decide().after(101).decide()
    assert world.verdicts[-1].reason == "DeadlineExceeded"


def test_a_queue_that_is_old_opens_no_further_ring():
    world = in_ring().after(50).change(queue_age_seconds={C: 40.0}).decide().after(12).decide()
    assert (given(world), world.waits) == (["staff"], "AwaitingCapacity")


def test_the_first_revision_climbs_by_rings_and_others_are_refused():
    strategy = Strategy(steps=STEPS, first_revision=FirstRevision.STEPS)
    world = World(stable_world().situation).change(
        status=AgentRolloutStatus(), stable="", records={}, pods={}, latest=""
    )
    world = declare(world.edit(strategy=strategy)).apply(C).pods(C).decide()
    assert (world.percent, given(world)) == (0, ["staff"])
    assert [picks(world, "u1"), picks(world, "u3")] == [C, ""]


# ----------------------------------------------------------------------------------- edits


def test_who_comes_into_an_open_ring_is_given_the_canary_and_the_hold_goes_on():
    world = in_ring().after(30)
    declare(world, {**STAFF, "users": ["u1", "u2", "u3"]}, FRIENDS).decide()
    assert (picks(world, "u3"), world.reasons()) == (C, ["PercentChanged"])
    assert given(world.after(31).decide()) == ["staff", "friends"]


def test_who_leaves_a_ring_keeps_the_canary():
    world = in_ring()
    declare(world, {**STAFF, "users": ["u1"]}, {**FRIENDS, "users": ["u2"]}).decide()
    assert (picks(world, "u2"), given(world)) == (C, ["staff"])
    declare(world, FRIENDS).decide()
    assert [picks(world, "u1"), picks(world, "u2")] == [C, C]
    assert given(world) == ["staff", "friends"], "who is not declared any more holds nothing"


def test_a_ring_that_is_added_before_the_present_one_comes_next():
    world = in_ring(STAFF)
    declare(world, {**FRIENDS, "name": "first"}, STAFF).after(61).decide()
    assert (given(world), world.percent) == (["staff", "first"], 0)


def test_an_edit_of_the_steps_leaves_a_ring_as_it_is():
    world = in_ring().after(50).steps(*STEPS[:2]).decide()
    assert (picks(world, "u1"), world.status.stage) == (C, "Rings")
    assert given(world.after(11).decide()) == ["staff", "friends"]


def test_after_the_stage_an_edit_counts_from_the_next_canary():
    world = in_ring(STAFF).after(61).decide()
    declare(world, {**STAFF, "users": ["u1", "u3"]}, FRIENDS).decide()
    assert (given(world), world.status.stage, picks(world, "u3")) == (["staff"], "Steps", S)


def test_who_comes_past_the_bound_is_given_nothing():
    world = in_ring()
    for number in range(3):
        users = [f"{number}-{user}" for user in range(500)]
        declare(world, {**STAFF, "users": users}, FRIENDS).decide()
    (ring,) = world.status.rings
    assert len(ring.members) <= 1000 * rings.DIGITS
    assert picks(world, "u1") == C


def test_a_user_in_two_rings_is_of_the_first():
    world = in_ring(STAFF, {**FRIENDS, "users": ["u1"]}).after(61).decide()
    assert world.status.split.pick("u1", "u1", "acme") == (C, Arm.CANARY, 100)
    assert world.status.split.pick("u9", "u9", "acme") == (C, Arm.CANARY, 101)


def test_the_workers_of_the_first_step_are_not_waited_for_by_a_ring():
    world = (
        declare(stable_world()).apply(C).pods(C).change(capacity=Capacity(0, 1000, 1000)).decide()
    )
    assert given(world) == ["staff"]
