"""Who serves by default is one rule, and a decision says by itself whom it has promoted."""

from __future__ import annotations

import pytest

from penstock.rollout.situation import RevisionRecord, who_is_stable
from tests.unit.rollout.test_reporting import first_world
from tests.unit.rollout.world import BAD, C, S, rejection, stable_world, world_at


@pytest.mark.parametrize(
    ("begun", "promoted"),
    [
        (lambda: first_world().pods(C), C),
        (lambda: world_at(95).after(61), C),
        (lambda: world_at(20).ask("promote-full", C), C),
        (lambda: world_at(95).step_over().pods(S).ask("undo", S), S),
    ],
    ids=["the first one", "after all steps", "by request", "undone"],
)
def test_a_decision_says_who_serves_from_now_on_and_the_next_one_says_nobody(begun, promoted):
    world = begun().decide()
    assert (world.promoted, world.status.stable_revision) == (promoted, promoted)
    assert world.decide().promoted == ""


def test_nobody_is_promoted_by_a_rollback_nor_by_a_status_that_was_lost():
    assert world_at(20).measure(BAD).decide().promoted == ""
    assert stable_world().wipe_status().decide().promoted == ""


@pytest.mark.parametrize(
    ("said", "stable"), [("support-said", "support-said"), ("", "support-later")]
)
def test_who_is_said_to_serve_does_and_else_who_was_promoted_last(said, stable):
    records = [
        RevisionRecord("support-later", promoted_sequence=2),
        RevisionRecord("support-first", promoted_sequence=1),
        RevisionRecord(
            "support-rejected", promoted_sequence=3, verdict=rejection("support-rejected")
        ),
        RevisionRecord("support-new"),
    ]
    assert who_is_stable(said, records) == stable
    assert who_is_stable("", records[2:]) == ""
