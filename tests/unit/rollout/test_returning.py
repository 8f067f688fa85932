"""A return to a revision that was good before, where a window for it is declared."""

from __future__ import annotations

import pytest

from penstock.api.rollout import Setpoint
from tests.unit.rollout.world import BAD, C2, C, S, canary_world, stable_world


def declare(world, window):
    strategy = world.situation.spec.strategy
    return world.edit(strategy=strategy.model_copy(update={"rollback_window_revisions": window}))


def promoted(world, revision, nonce):
    """A revision has climbed to all users."""
    world.apply(revision).pods(revision).decide().ask("promote-full", revision, nonce)
    return world.decide()


def after_three():
    """S, C and C2 have served, in this order; C2 serves now."""
    return promoted(promoted(stable_world(), C, "a"), C2, "b").after(5)


def goes_back(world, revision, window):
    return declare(world, window).apply(revision).pods(revision, ready=0).decide()


@pytest.mark.parametrize(
    ("window", "revision", "stable"),
    [(None, C, C2), (1, C, C), (1, S, C2), (2, S, S)],
)
def test_a_return_within_the_window_skips_the_steps(window, revision, stable):
    world = goes_back(after_three(), revision, window).pods(revision).decide()
    assert world.status.stable_revision == stable
    assert world.percent == (0 if stable == revision else 5)


def test_it_waits_for_a_pod_and_asks_for_as_many_as_serve():
    world = goes_back(after_three(), C, 3)
    assert (world.waits, world.goal, world.percent) == ("CandidateNotReady", C, 0)
    world.pods(C).decide()
    assert (world.goal, world.promoted) == ("", C)
    verdict = world.verdicts[-1]
    assert (verdict.result, verdict.reason) == ("Promoted", "Returned")
    assert f"{C} has served everybody before {C2}" in verdict.message


def test_a_new_revision_climbs():
    world = declare(stable_world(), 3).apply(C).pods(C).decide()
    assert (world.percent, world.goal) == (5, "")


def test_a_rejected_revision_is_no_good_one_however_it_is_applied():
    world = declare(canary_world(), 3).measure(BAD).decide()
    assert world.apply(S).decide().apply(C).measure().decide().percent == 0
    assert world.condition("RolledBack")[0] == "True"


def test_an_undone_revision_that_is_retried_climbs():
    world = promoted(stable_world(), C, "a").pods(S).ask("undo", S, "b").decide()
    world = declare(world, 3).ask("retry", C, "c").decide()
    assert (world.percent, world.status.stable_revision) == (5, S)


def test_who_was_left_by_a_return_climbs_again():
    """To apply by mistake what was just left must not give it everybody."""
    world = goes_back(after_three(), C, 3).pods(C).decide().apply(C2).decide()
    assert (world.percent, world.status.stable_revision) == (5, C)


def test_paused_it_waits_and_a_ceiling_makes_it_climb():
    world = declare(after_three(), 3).edit(paused=True).apply(C).pods(C).decide()
    assert (world.percent, world.waits, world.status.stable_revision) == (0, "Paused", C2)
    assert world.edit(paused=False).decide().status.stable_revision == C
    capped = declare(after_three(), 3).set(30, "another").decide().apply(C).pods(C).decide()
    assert (capped.percent, capped.status.stable_revision) == (5, C2)


def test_a_setpoint_for_it_comes_first_and_then_it_climbs():
    world = declare(after_three(), 3).set(10, C).decide().apply(C).pods(C).decide()
    assert (world.percent, world.goal, world.status.stable_revision) == (10, "", C2)
    world.edit(traffic=Setpoint()).decide()
    assert (world.percent, world.status.stable_revision) == (10, C2)


def test_nothing_is_returned_to_blindly():
    world = declare(after_three(), 3).apply(C).pods(C).blind().decide()
    assert (world.waits, world.status.stable_revision) == ("MeasurementMissing", C2)


def test_an_operator_that_dies_after_the_verdict_promotes_once():
    world = declare(after_three(), 3).apply(C).pods(C)
    before = world.status
    world.decide()
    said = len(world.verdicts)
    world.change(status=before).decide()
    assert world.status.stable_revision == C
    assert world.status.share.percent == 0
    assert len(world.verdicts) <= said + 1
