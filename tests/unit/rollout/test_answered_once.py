"""Each value of the request annotation is answered once, also when others came between."""

from __future__ import annotations

import pytest

from penstock.api.rollout import AgentRolloutStatus
from penstock.rollout import requests
from tests.unit.rollout.world import C2, C, S, stable_world, world_at


def answer(world):
    last = world.status.last_request
    return last.value, last.result


def restarted(world):
    """Another operator reads the status as the API server gives it."""
    return world.change(status=AgentRolloutStatus.model_validate(world.status.wire()))


def retried_after_abort():
    """A is an abort that was retried; the canary is at its first step again."""
    world = world_at(20).ask("abort", nonce="A").decide().ask("retry", nonce="B").decide()
    world = world.after(1).decide()
    assert world.percent == 5
    return world


def test_a_value_that_comes_back_after_another_one_does_not_act_again():
    world = restarted(retried_after_abort()).ask("abort", nonce="A").decide()
    assert world.percent == 5, "the abort acted twice"
    assert answer(world) == (f"abort/{C}/A", "Repeated")
    assert "with another last part" in world.status.last_request.message
    assert world.reasons() == []
    assert not world.message("Ready").startswith("Request")


def test_back_and_forth_as_often_as_one_likes():
    world = retried_after_abort()
    for _ in range(3):
        for verb, nonce in (("abort", "A"), ("retry", "B")):
            world = restarted(world).ask(verb, nonce=nonce).decide()
            assert (world.percent, answer(world)[1]) == (5, "Repeated")
    assert world.ask("abort", nonce="C").decide().percent == 0


def test_a_refused_value_stays_answered_when_it_could_be_done_by_now():
    world = stable_world().ask("promote", C, nonce="A").decide()
    assert answer(world)[1] == "Refused"
    world = world.ask("promote", C2, nonce="B").decide().apply(C).pods(C).decide()
    assert world.ask("promote", C, nonce="A").after(1).decide().percent == 5
    assert answer(world)[1] == "Repeated"


def test_what_only_waited_was_not_answered_and_may_be_asked_again():
    world = world_at(95).step_over().pods(S, ready=0, wanted=0)
    world = world.ask("undo", S, nonce="A").decide().ask("retry", S, nonce="B").decide()
    assert answer(world)[1] == "Refused"
    world = world.ask("undo", S, nonce="A").decide()
    assert answer(world)[1] == "Waiting"
    world = world.pods(S).decide()
    assert (world.status.stable_revision, answer(world)[1]) == (S, "Accepted")


def test_the_answer_of_a_version_that_kept_only_the_last_one_counts():
    world = world_at(20).ask("abort", nonce="A").decide()
    old = world.status.model_copy(update={"answered_requests": ()})
    world = world.change(status=old).ask("retry", nonce="B").decide().after(1).decide()
    assert world.ask("abort", nonce="A").decide().percent == 5


def test_the_memory_is_bounded():
    world = retried_after_abort()
    for number in range(2 * requests.REMEMBERED):
        world = world.ask("promote", "nobody", nonce=str(number)).decide()
    assert len(world.status.answered_requests) == requests.REMEMBERED


@pytest.mark.parametrize("others", [requests.REMEMBERED - 1, requests.REMEMBERED])
def test_the_bound_is_so_many_others(others):
    kept = requests.remember((), "abort/c/A")
    for number in range(others):
        kept = requests.remember(kept, f"abort/c/{number}")
    assert requests.is_answered("abort/c/A", kept) is (others < requests.REMEMBERED)


def test_a_value_that_is_sent_again_and_again_is_never_forgotten():
    kept = requests.remember((), "abort/c/A")
    for number in range(3 * requests.REMEMBERED):
        kept = requests.remember(kept, f"abort/c/{number}", "abort/c/A")
    assert requests.is_answered("abort/c/A", kept)
