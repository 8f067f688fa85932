"""What a canary that was taken off has done: never invented, kept in status, told once."""

from __future__ import annotations

from dataclasses import replace

from penstock.api.rollout import AgentRolloutStatus
from penstock.effects import Sums
from penstock.rollout.words import aftermath as words
from tests.unit.rollout.test_harm_budget import CALLS, stopped
from tests.unit.rollout.world import BAD, C, world_at

DONE = Sums(12, 3, 9, {"refund": 1_350_000_000})
SAID = "Of 3 calls nobody knows whether they were made; 12 calls changed something, for 9 users, refund 1350"


def rejected(world=None):
    return (world or world_at(20)).measure(BAD).decide()


def left(world, done, after=1):
    return world.change(effects={} if done is None else {C: done}).after(after).decide()


def test_a_rollback_says_what_was_done_unknown_calls_first():
    world = rejected(world_at(20).change(effects={C: DONE}))
    assert world.reasons() == ["RolledBack", "EffectsLeft"]
    assert world.told[-1].message.startswith(f"{C}: {SAID} (as of ")
    assert f"penstock effects support --revision {C}" in world.told[-1].message
    assert words.sums(world.status.effects) == DONE


def test_what_is_not_known_is_not_zero_and_is_told_when_it_is_known():
    world = rejected()
    assert world.reasons() == ["RolledBack"]
    assert "not known yet" in words.words(world.status.effects)
    assert words.document(world.status.effects) == {"revision": C, "known": False}
    for _ in range(3):
        world = left(world, None, after=300)
        assert (world.reasons(), world.status.effects.at) == ([], None)
    world = left(world, DONE)
    assert (world.reasons(), world.look_again) == (["EffectsLeft"], 5)
    assert left(world, DONE, after=61).look_again == 60, "calls under way have ended"


def test_it_is_told_once_also_by_an_operator_that_knows_the_status_alone():
    world = left(rejected(), DONE)
    more = Sums(14, 1, 9, {"refund": 1_550_000_000})
    for known in (DONE, more, None, more):
        again = AgentRolloutStatus.model_validate(world.status.wire())
        world = left(world.change(status=again), known)
        assert world.reasons() == []
    assert words.sums(world.status.effects) == more


def test_what_is_the_same_is_written_once():
    world = left(rejected(), DONE)
    written = world.status.effects
    assert left(world, DONE, after=40).status.effects == written


def test_what_redis_has_lost_is_not_taken_back():
    world = left(left(rejected(), DONE), Sums())
    assert words.sums(world.status.effects) == DONE


def test_a_canary_that_has_done_nothing_is_no_news():
    world = left(rejected(), Sums())
    assert world.reasons() == []
    assert world.status.effects.at is not None
    assert words.document(world.status.effects)["done"] == 0


def test_a_stopped_canary_says_it_too_and_one_that_goes_on_says_nothing():
    world = left(stopped(CALLS), DONE)
    assert world.reasons() == ["EffectsLeft"]
    assert world.waits == "HarmBudgetReached"
    assert world_at(20).change(effects={C: DONE}).after(1).decide().status.effects is None


def test_another_attempt_begins_without():
    world = left(rejected(), DONE).ask("retry").after(1).decide()
    assert world.status.effects is None
    again = world.ask("abort", nonce="2").after(1).decide()
    assert again.reasons() == ["RolledBack", "EffectsLeft"]


def test_what_was_undone_since_is_said_with_what_is_open_and_told_in_no_event():
    world = left(rejected(), DONE)
    since = replace(DONE, undone=5, undo_refused=1, undo_asked=2)
    world = left(world, since)
    assert world.reasons() == []
    assert words.sums(world.status.effects) == since
    assert f"{SAID}; of these 5 undone, 1 not undone, 2 asked for, 7 open" in words.words(
        world.status.effects
    )
    told = words.document(world.status.effects)
    assert (told["undone"], told["undoRefused"], told["undoAsked"]) == (5, 1, 2)
    everything = replace(Sums(3, 0, 1), undone=3)
    assert everything.words() == "3 calls changed something, for 1 user; of these 3 undone"
