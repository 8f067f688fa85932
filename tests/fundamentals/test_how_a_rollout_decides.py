"""The main job of Penstock, as a story: read this first.

A good revision climbs by itself; a bad one is rolled back with the reason in one sentence, and
stays rolled back; people move the share with one field.
"""

from __future__ import annotations

from tests.unit.rollout.world import BAD, C2, GOOD, C, S, canary_world, stable_world, world_at


def test_a_good_revision_climbs_step_by_step_and_becomes_stable():
    world = stable_world().apply(C).pods(C).decide()
    seen = [world.percent]
    while world.status.canary_revision:
        world.measure(canary=GOOD, stable=GOOD).after(61).decide()
        seen.append(world.percent)
    assert seen == [5, 20, 50, 95, 0]
    assert world.status.stable_revision == C


def test_a_bad_revision_is_rolled_back_with_the_reason_in_one_sentence():
    world = world_at(20).measure(canary=BAD, stable=GOOD).decide()
    assert world.percent == 0
    assert world.status.stable_revision == S
    assert world.status.verdicts[-1].message == (
        "rolled back at 20 %: error rate 40.0 % on the canary (40/100) and 1.0 % on stable "
        "(1/100) in the last 300 s, limit 5 %"
    )


def test_it_stays_rolled_back_whatever_is_lost_or_applied_again():
    world = world_at(20).measure(canary=BAD, stable=GOOD).decide().measure()
    world.wipe_status().decide().set(100).decide().after(86_400).decide()
    assert world.percent == 0
    world.ask("retry").decide()
    assert world.percent == 100, "the setpoint was waiting for a person to revive it"


def test_a_person_moves_the_share_and_gives_it_back_to_the_steps():
    world = canary_world().set(20).decide()
    assert (world.percent, world.source) == (20, "Setpoint")
    world.set(None).decide()
    assert (world.percent, world.source) == (20, "Automatic")
    assert world.after(61).decide().percent == 50


def test_a_forgotten_setpoint_never_ships_the_next_revision():
    world = canary_world().set(100).decide().apply(C2).pods(C2).decide()
    assert world.status.canary_revision == C2
    assert world.percent == 5
