"""Rings in rough weather: declared late, grown past their bounds, suspended, and larger than all other traffic."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock import rings
from penstock.analysis.evidence import TICK_MS, Observation, Stratum
from penstock.analysis.metrics import Tally
from penstock.rollout import capacity, ringing
from penstock.rollout.capacity import Capacity
from penstock.traffic import Arm
from tests.unit.rollout.test_does_not_come_back import gap_now
from tests.unit.rollout.test_rings import FRIENDS, STAFF, declare, given, in_ring, picks
from tests.unit.rollout.world import C2, GOOD, NONE, C, stable_world


def test_a_hold_that_ends_on_another_day_says_the_date():
    said = in_ring({**STAFF, "holdSeconds": 86400}).message("Ready")
    assert "until 2026-11-22 10:00:00 UTC" in said


def test_another_ring_begins_without_the_uncompared_suspensions_of_the_one_before():
    world = in_ring().after(61)
    kept = world.status.suspension.model_copy(update={"uncompared": 1})
    world.change(status=world.status.model_copy(update={"suspension": kept})).decide()
    assert (given(world), world.status.suspension.uncompared) == (["staff", "friends"], 0)


def test_a_ring_that_is_edited_or_comes_back_keeps_its_uncompared_suspensions():
    world = in_ring().after(5)
    kept = world.status.suspension.model_copy(update={"uncompared": 1})
    world.change(status=world.status.model_copy(update={"suspension": kept}))
    declare(world, {**STAFF, "users": ["u1", "u2", "u3"]}, FRIENDS).decide()
    world.set(0).decide().set(None).decide()
    assert (given(world), world.status.suspension.uncompared) == (["staff"], 1)


def test_names_are_hashed_once_however_often_a_rollout_is_looked_at(monkeypatch):
    hashed, member = [], rings.member
    monkeypatch.setattr(rings, "member", lambda *of: hashed.append(of) or member(*of))
    world = in_ring({**STAFF, "users": ["once-1", "once-2"]}, FRIENDS)
    first = len(hashed)
    for _ in range(3):
        world.after(5).decide()
    assert 0 < first == len(hashed)


def test_where_rows_are_lost_the_ring_begins_anew_and_stays_a_ring():
    world = gap_now(in_ring().after(50))
    assert (world.reasons(), world.waits) == (["RowsLost"], "RowsLost")
    assert "stays at ring staff: this ring begins anew" in world.told[0].message
    assert "so the ring begins anew" in world.message("Ready")
    assert (world.status.stage, world.status.step_started_at) == ("Rings", None)
    assert world.status.rings[-1].at == "2026-11-21T10:00:50Z"
    assert world.status.analysis.step_from.startswith(f"{int(world.situation.now.timestamp())}")
    del world.observation
    world.after(30).decide()
    assert (given(world), world.waits) == (["staff"], "Holding"), "its hold is not over yet"
    assert given(world.after(31).decide()) == ["staff", "friends"]


def began_without_rings():
    """C is the canary since a moment, and no pod of it is ready yet."""
    return stable_world().apply(C).decide()


def test_rings_that_follow_their_template_are_opened_before_the_steps():
    world = began_without_rings()
    assert world.status.stage == "Steps"
    declare(world).decide()
    assert (world.status.stage, world.status.step, world.reasons()) == ("Rings", "ring 0/2", [])
    world.pods(C).decide()
    assert (given(world), world.percent) == (["staff"], 0)


def test_rings_count_under_a_setpoint_of_0_that_gave_it_to_nobody():
    world = began_without_rings().pods(C).set(0, C).decide()
    declare(world).set(None).decide()
    assert (given(world), world.percent) == (["staff"], 0)


@pytest.mark.parametrize(
    "exposed",
    [
        lambda: began_without_rings().pods(C).decide(),
        lambda: began_without_rings().pods(C).set(20, C).decide().set(0, C).decide(),
        lambda: began_without_rings().pods(C).set(20, C).decide().set(0, C).decide().set(None),
    ],
    ids=["in a step", "and taken off", "and free again"],
)
def test_rings_declared_once_users_had_it_count_from_the_next_canary_and_that_is_said_once(exposed):
    world = declare(exposed()).decide()
    assert (world.status.stage, given(world)) == ("Steps", [])
    (told,) = [one for one in world.told if one.reason == "RingNotGiven"]
    assert "Rings staff, friends count from the next canary" in told.message
    assert "RingNotGiven" not in world.after(5).decide().reasons()
    world.set(None).decide().apply(C2).pods(C2).decide()
    assert given(world) == ["staff"]


def test_who_comes_into_a_ring_after_the_stage_is_told_to_come_too_late():
    world = in_ring(STAFF).after(61).decide()
    declare(world, {**STAFF, "users": ["u1"]}).decide()
    assert world.reasons() == [], "who leaves keeps it"
    declare(world, {**STAFF, "users": ["u1", "u3"]}).decide()
    assert world.reasons() == ["RingNotGiven"]
    assert "Ring staff counts from the next canary" in world.told[0].message


def told_of_rings(world):
    return [one.message for one in world.told if one.reason == "RingNotGiven"]


def test_who_comes_too_late_is_told_again_only_when_it_is_somebody_else():
    late = {**STAFF, "users": ["u1", "u3"]}
    world = declare(in_ring(STAFF).after(61).decide(), late).decide()
    assert len(told_of_rings(world)) == 1
    assert told_of_rings(declare(world.after(5), {**late, "holdSeconds": 90}).decide()) == []
    assert told_of_rings(declare(world.after(5), {**late, "users": ["u1", "u4"]}).decide()) != []
    assert told_of_rings(declare(world.after(5), STAFF).decide()) == []


def test_who_comes_past_the_bound_is_told_again_only_when_it_is_somebody_else():
    world = grown_twice().decide()
    assert len(told_of_rings(world)) == 1
    users = [f"c{user}" for user in range(500)]
    same = {**STAFF, "users": users, "holdSeconds": 90}
    assert told_of_rings(declare(world.after(5), same, FRIENDS).decide()) == []
    more = {**STAFF, "users": [*users[1:], "d"]}
    assert told_of_rings(declare(world.after(5), more, FRIENDS).decide()) != []


def test_a_ring_that_is_off_is_told_to_come_back_to_its_ring():
    outage = Tally(tasks=60, errors=40)
    for stable in (outage, NONE):
        world = in_ring().measure(outage, stable).after(5).decide()
        assert world.source == "Suspended"
        said = world.message("Ready")
        assert "ring staff" in said.split("comes back")[1], said
        assert " %" not in said.split("comes back")[1], said


def staffed(world):
    return capacity.percent_to_staff(world.status, world.situation.spec, world.situation.now)


def queue_of(world, age=40.0):
    return world.change(queue_age_seconds={C: age}).decide()


@pytest.mark.parametrize(
    ("canary", "stable", "percent"), [(GOOD, GOOD, 50), (NONE, GOOD, 5), (NONE, NONE, 5)]
)
def test_a_ring_comes_back_to_workers_for_what_its_users_made_and_for_the_first_step(
    canary, stable, percent
):
    world = queue_of(queue_of(in_ring().measure(canary, stable).after(5)).after(31))
    assert (world.source, staffed(world)) == ("Suspended", percent)
    world.measure(NONE, GOOD).change(queue_age_seconds={}).after(120)
    world.change(capacity=Capacity(percent - 1, 100, 100)).decide()
    assert (world.waits, staffed(world)) == ("CandidateUnavailable", percent)
    world.change(capacity=Capacity(percent, 100, 100)).after(1).decide()
    assert (given(world), world.status.chosen != ()) == (["staff"], True)


def test_a_third_incident_of_both_holds_the_ring_and_takes_it_off_no_more():
    outage, world = Tally(tasks=60, errors=40), in_ring()
    for _ in range(2):
        world.measure(outage, outage).after(5).decide()
        assert world.source == "Suspended"
        world.measure(NONE, GOOD).after(600).decide()
        assert world.source == "Automatic"
    world.measure(outage, outage).after(5).decide()
    assert (given(world), world.waits) == (["staff"], "Holding")
    world.after(61).decide()
    assert (given(world), world.waits) == (["staff"], "LimitDoesNotFit")


def beside(world, tasks):
    """So many tasks of users of rings beside those who are drawn."""
    measured = type(world).observation

    def observation():
        seen = measured(world)
        stable = seen.in_window(Arm.STABLE)
        arms = {Arm.CANARY: Tally(tasks=tasks), Arm.STABLE: stable}
        return replace(
            seen, chosen=Observation(seen.now_ms, (Stratum(seen.now_ms // TICK_MS, 0, arms),))
        )

    world.observation = observation
    return world


def test_a_ring_that_is_most_of_the_traffic_is_named_while_it_is_alone():
    long = {**STAFF, "holdSeconds": 600}
    world = in_ring(long).measure(GOOD, GOOD).after(60).decide()
    assert world.condition("ShareNotAchieved") is None
    world = in_ring(long).measure(GOOD, GOOD._replace(tasks=20, timed=20)).after(60).decide()
    assert world.condition("ShareNotAchieved") == ("True", "FarFromShare")
    said = world.message("ShareNotAchieved")
    assert "Users of ring staff make most of the traffic: 100 of 120 tasks" in said
    assert "Their tasks do not count in the percentage" in said
    assert world.reasons() == ["ShareNotAchieved"]
    world.measure(GOOD, GOOD).after(60).decide()
    assert world.condition("ShareNotAchieved") is None


@pytest.mark.parametrize(("drawn", "tells"), [(NONE, True), (GOOD, False)])
def test_after_the_stage_it_is_told_where_no_task_is_left_to_be_drawn(drawn, tells):
    world = in_ring(STAFF).after(61).decide()
    beside(world.measure(drawn, drawn), 90).after(60).decide()
    assert (world.percent, world.condition("ShareNotAchieved") is not None) == (
        20 - 15 * tells,
        tells,
    )
    if tells:
        assert "Users of ring staff make most of the traffic: 90 of 90" in world.message(
            "ShareNotAchieved"
        )
        said = world.message("Ready")
        assert "since the percentage began" in said
        assert "90 tasks came from users of rings, who do not count." in said


def test_few_tasks_of_rings_ring_nothing():
    world = in_ring(STAFF).after(61).decide()
    beside(world.measure(NONE, NONE), 9).after(60).decide()
    assert world.condition("ShareNotAchieved") is None


def grown_twice():
    """The first ring was edited until 998 names of it were left, and then 500 others came."""
    world = in_ring()
    for batch in ("a", "b"):
        users = [f"{batch}{user}" for user in range(498)]
        declare(world, {**STAFF, "users": users}, FRIENDS).decide()
    return declare(world, {**STAFF, "users": [f"c{user}" for user in range(500)]}, FRIENDS)


def test_of_those_who_come_past_the_bound_as_many_are_given_it_as_fit_and_the_others_are_told_of():
    world = grown_twice().decide()
    (ring,) = world.status.rings
    assert len(ring.members) == 1000 * rings.DIGITS
    assert sum(picks(world, f"c{user}") == C for user in range(500)) == 2
    assert {picks(world, user) for user in ("u1", "a0", "b497")} == {C}
    assert world.reasons() == ["PercentChanged", "RingNotGiven"]
    said = "498 of those who came into ring staff are not given the canary: 1000 names"
    assert world.told[-1].message.startswith(said)
    assert said in world.message("Ready")
    assert world.after(5).decide().reasons() == []


def test_names_are_digested_only_where_the_rings_or_who_has_the_canary_are_others(monkeypatch):
    """550 names of eight rings take milliseconds, at each look of each rollout."""
    asked, refused = [], ringing.refused
    monkeypatch.setattr(ringing, "refused", lambda facts: asked.append(1) or refused(facts))
    world = grown_twice().decide()
    assert asked
    asked.clear()
    for _ in range(3):
        world.after(5).decide()
    assert asked == []
    kept = world.status.rings_refused
    declare(world, STAFF, FRIENDS).decide()
    assert asked
    assert world.status.rings_refused != kept


def test_with_the_bound_of_rings_reached_a_person_is_asked_before_everybody_comes():
    world = in_ring({**STAFF, "name": "r0"})
    for number in range(1, 17):
        declare(world, {**STAFF, "name": f"r{number}"}).decide()
    assert (len(given(world)), world.percent, world.waits) == (16, 0, "HoldForApproval")
    assert world.reasons() == ["HoldForApproval"]
    said = world.message("Ready")
    assert "16 rings were given" in said
    assert "ring r16 was not" in said
    assert world.after(600).decide().percent == 0
    world.ask("promote").decide()
    assert (world.percent, world.status.stage) == (5, "Steps")
