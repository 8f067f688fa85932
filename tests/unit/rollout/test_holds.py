"""A decision says for how long nothing but news changes it, so that nobody need look meanwhile."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from penstock.rollout.engine import decide
from tests.unit.rollout import corpus
from tests.unit.rollout.test_taken_off import ALONE, dead, outage
from tests.unit.rollout.world import (
    APPROVED_AT_20,
    GOOD,
    NONE,
    C,
    canary_world,
    stable_world,
    world_at,
)


def without_tasks(situation):
    """The same, when all that was measured is out of the window; the sums of the step stay."""
    observed = situation.observation
    if observed is None:
        return situation
    return replace(situation, observation=replace(observed, window=(), older=(), ended=()))


def later(situation, seconds):
    """Nothing but time has passed."""
    now, observed = situation.now + timedelta(seconds=seconds), situation.observation
    if observed is not None:
        observed = replace(observed, now_ms=observed.now_ms + int(seconds * 1000))
    return replace(situation, now=now, observation=observed)


def settled(situation):
    """The decision that a pass finds which has nothing to write."""
    situation = without_tasks(situation)
    for _ in range(3):
        decision = decide(situation)
        if decision.status.wire() == situation.status.wire():
            break
        situation = replace(situation, status=decision.status)
    return situation, decision


def test_no_decision_changes_by_time_alone_before_it_says():
    reasons = Counter()
    for situation in corpus.situations():
        seen, decision = settled(situation)
        if decision.holds_seconds:
            reasons[decision.status.waiting] += 1
            again = decide(later(seen, decision.holds_seconds - 0.002))
            assert again.status.wire() == decision.status.wire(), decision.status.waiting
            assert again.happenings == ()
            assert again.verdicts == ()
    assert set(reasons) == {
        "Holding", "AwaitingEvidence", "HoldForApproval", "Paused", "HeldBySetpoint", "CeilingReached",
        "AnalysisUnclear", "ExternalGate", "ExternalMissing", "DeadlineExceeded",
    }, reasons  # fmt: skip


def on_trial():
    """Back at a share at which it can be compared, after it was taken off for want of a rival."""
    world = canary_world().measure(canary=ALONE, stable=NONE).after(1).decide()
    world.measure(canary=NONE, stable=GOOD).after(20).decide()
    assert (world.percent, world.status.suspension.uncompared) == (5, 1)
    return world


def holds(world):
    return decide(world.seen()).holds_seconds


def test_a_hold_is_no_longer_than_the_step_says():
    world = canary_world()
    assert holds(world) == 10
    assert holds(world.after(56)) == pytest.approx(3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: world_at(20, steps=APPROVED_AT_20).step_over(),
        lambda: canary_world().edit(paused=True).decide(),
        lambda: canary_world().set(20).decide(),
    ],
    ids=["approval", "pause", "setpoint"],
)
def test_what_a_person_ends_is_looked_at_seldom(make):
    assert holds(make()) == 10


@pytest.mark.parametrize(
    "make",
    [
        stable_world,
        lambda: stable_world().apply(C).decide(),
        lambda: dead(world_at(20), 30),
        lambda: outage(world_at(20)),
        lambda: canary_world().blind().decide(),
        lambda: canary_world().change(agent_suspended=True).decide(),
        lambda: canary_world().set(20).decide().blind().decide(),
        on_trial,
    ],
    ids=[
        "no canary",
        "pods",
        "taken off",
        "an incident",
        "nothing measured",
        "kill switch",
        "a setpoint, and nothing measured",
        "on trial",
    ],
)
def test_what_goes_by_the_clock_or_by_pods_holds_for_no_time(make):
    assert holds(make()) == 0
