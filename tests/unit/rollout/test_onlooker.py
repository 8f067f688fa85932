"""Why a rollout does not move, derived from what anybody may read: what the operator says."""

from __future__ import annotations

from dataclasses import replace

from penstock.rollout import onlooker
from penstock.rollout.engine import decide
from penstock.rollout.onlooker import Says
from penstock.rollout.policy import POLICY
from tests.unit.rollout import corpus
from tests.unit.rollout.world import APPROVED_AT_20, SUSPECT, S, stable_world, world_at


def explained(world):
    return onlooker.explain(world.situation)


def said(world, *kinds):
    return [(one.check, one.reason) for one in explained(world).answers if one.says in kinds]


def as_anybody_sees(situation):
    """The situation without what Redis and the Agent's other readers tell the operator alone."""
    return replace(
        situation,
        status=decide(situation).status,
        observation=None,
        observation_error="",
        queue_age_seconds={},
        users=0,
        tasks=0,
        store_error="",
        capacity=None,
        stops={},
        agent_limits=(),
    )


def test_after_each_decision_of_the_corpus_the_check_that_holds_is_the_one_that_is_awaited():
    wrong = []
    for situation in corpus.situations():
        if situation.spec.analysis.external and not situation.external:
            continue  # an operator that has just begun asks the gates anew, which ends in a moment
        seen = as_anybody_sees(situation)
        found = onlooker.explain(seen)
        held = [one.reason for one in found.answers if one.says is Says.HOLDS]
        if found.outdated or held != [seen.status.waiting]:
            wrong.append((seen.status.waiting, found))
    assert wrong == []


def test_what_holds_next_and_what_comes_then_are_told_in_the_order_of_the_policy():
    paused = world_at(20, steps=APPROVED_AT_20).edit(paused=True).decide()
    assert said(paused, Says.HOLDS, Says.HOLDS_NEXT, Says.MOVES) == [
        ("paused", "Paused"),
        ("hold not over", "Holding"),
        ("approval missing", "HoldForApproval"),
        ("advance", "Advance 50 %"),
    ]
    names = [entry.check.__name__.replace("_", " ") for entry in POLICY]
    asked = [one.check for one in explained(paused).answers]
    assert all(name.endswith(called) for name, called in zip(asked, names, strict=False))


def test_where_nothing_is_tried_nothing_comes_after_what_holds():
    assert explained(stable_world()).answers[-1] == onlooker.Answer(
        "settled", Says.HOLDS, "NoCandidate"
    )


def test_what_is_asked_and_no_operator_has_done_is_told():
    asked = world_at(20).ask("abort")
    assert said(asked, Says.MOVES)[0] == ("abort requested", "Reject")
    assert explained(asked).outdated


def test_a_hold_that_is_over_and_goes_on_all_the_same_is_an_outdated_word():
    assert not explained(world_at(20).after(59)).outdated
    assert explained(world_at(20).after(61)).outdated


def test_the_word_is_the_operators_own():
    world = world_at(20).after(61).measure(SUSPECT).decide()
    assert explained(world).message == world.message("Ready")


def test_undo_can_go_back_to_whom_the_operator_would_take():
    world = world_at(95).step_over()
    assert onlooker.ways_back(world.situation)[:1] == (S,)
    assert world.ask("undo", S).pods(S).decide().status.stable_revision == S
