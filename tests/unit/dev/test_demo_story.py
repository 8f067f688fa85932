"""The demo tells only what it has seen: each thing that does not happen ends it with a sentence."""

from __future__ import annotations

import time

import pytest

from penstock_dev.demo import story
from penstock_dev.demo.stage import DidNotHappen
from tests.unit.dev import demo_world
from tests.unit.dev.demo_world import CANARY, STABLE, answer, seen, verdict


def users_ask(stage, canary_users: range, users: int = 300, *, status="Succeeded") -> None:
    """One request of each user from now on, the given ones served by the canary."""
    for number in range(1, users + 1):
        ours = number in canary_users
        revision = CANARY if ours else STABLE
        stage.ledger.add(
            answer(number, revision, time.monotonic() + 60, status if ours else "Succeeded")
        )


# -------------------------------------------------------------------------------- the share


async def moved_to_35(canary_users: range, before: range = range(0)):
    """The act in which a person moves the share, in a world where these users follow."""
    stage = demo_world.stage_with(seen(percent=20))
    for number in before:
        stage.ledger.add(answer(number, CANARY, time.monotonic()))

    def by_hand() -> None:
        stage.cluster.becomes(seen(percent=35, source="Setpoint"))
        users_ask(stage, canary_users)

    stage.cluster.handlers |= {
        '"canaryPercent":35': by_hand,
        '"canaryPercent":null': lambda: stage.cluster.becomes(seen(percent=35)),
    }
    await story.move(stage)
    return stage


async def test_a_share_that_reaches_users_is_told_with_its_numbers() -> None:
    stage = await moved_to_35(range(1, 106), before=range(1, 50))
    assert "105 of 300 users are answered by 3.0: 35 %." in stage.view.said
    assert "All 49 users who had it at 20 % still have it." in stage.view.said


async def test_what_is_shown_is_the_command_that_was_run() -> None:
    stage = await moved_to_35(range(1, 106))
    assert stage.view.commands == stage.cluster.commands
    assert stage.cluster.commands[0] == (
        "kubectl patch agentrollout support --type merge "
        """-p '{"spec":{"traffic":{"canaryPercent":35}}}'"""
    )


async def test_a_share_that_does_not_reach_users_fails() -> None:
    with pytest.raises(DidNotHappen, match=r"35 % did not reach users: 40 of 300"):
        await moved_to_35(range(1, 41))


async def test_a_user_who_loses_the_canary_as_its_share_rises_fails() -> None:
    with pytest.raises(DidNotHappen, match="did not stay on the canary: user-0001"):
        await moved_to_35(range(2, 107), before=range(1, 50))


# --------------------------------------------------------------------------- a good revision


async def test_a_good_revision_that_is_rolled_back_fails_with_the_reason() -> None:
    stage = demo_world.stage_with(seen(percent=50))
    rejected = seen(verdicts=(verdict(),))
    stage.cluster.becomes(rejected)
    with pytest.raises(DidNotHappen, match="step to 50 % did not happen: rolled back at 5 %"):
        await story.promote(stage)


async def test_an_agent_that_answers_nothing_good_fails_with_what_it_said() -> None:
    stage = demo_world.stage_with(seen(canary=None))

    async def begin_traffic() -> None:
        for number in range(1, 40):
            stage.ledger.add(answer(number, STABLE, 0.0, "Failed"))

    stage.begin_traffic = begin_traffic
    with pytest.raises(DidNotHappen, match="Failed: the model call failed"):
        await story.serve(stage)


async def test_what_takes_too_long_is_told_with_what_was_seen_last() -> None:
    stage = demo_world.stage_with(seen(percent=5))
    with pytest.raises(DidNotHappen) as failure:
        await stage.until("the step to 20 %", 0.01, lambda s: s.percent == 20)
    told = str(failure.value)
    assert told.startswith("the step to 20 % did not happen within 0.01 s")
    assert f"canary {CANARY}; share 5 %" in told
    assert "held until ten" in told


# ---------------------------------------------------------------------------- a bad revision


async def after_v3(outcome) -> demo_world.Listener:
    """The act of the bad revision, in a world where this comes of it."""
    stage = demo_world.stage_with(seen(canary=None))

    def applied() -> None:
        stage.cluster.becomes(seen(percent=5))
        users_ask(stage, range(1, 20), status="Failed")

    stage.cluster.handlers["apply"] = applied
    answered = stage.view.say

    def then(text: str, command: str = "") -> None:
        answered(text, command)
        if "serves 5 %" in text:
            stage.cluster.becomes(outcome)

    stage.view.say = then
    await story.roll_back(stage)
    return stage.view


async def test_the_rollback_is_told_in_one_sentence_with_a_failed_answer() -> None:
    view = await after_v3(seen(verdicts=(verdict(),)))
    assert view.said[-1].endswith(f"{CANARY} was {demo_world.NUMBERS}.")
    assert view.details == [
        "user-0001: Where is my order?",
        "  3.0: Failed: the model call failed",
    ]


async def test_a_bad_revision_that_is_promoted_fails() -> None:
    with pytest.raises(
        DidNotHappen, match=f"rollback .* did not happen: {CANARY} was promoted instead"
    ):
        await after_v3(seen(stable=CANARY, canary=None))


async def test_a_rollback_for_another_reason_than_errors_fails() -> None:
    outcome = seen(verdicts=(verdict(reason="CandidateUnavailable"),))
    with pytest.raises(DidNotHappen, match="the guardrail on errors did not fire"):
        await after_v3(outcome)


async def test_a_rejected_revision_that_serves_a_user_again_fails() -> None:
    stage = demo_world.stage_with(seen(verdicts=(verdict(),)))
    stage.cluster.handlers["apply"] = lambda: users_ask(stage, range(7, 8))
    with pytest.raises(DidNotHappen, match="user-0007 was served by it again"):
        await story.stay_back(stage)


async def test_a_rejected_revision_that_gets_a_share_again_fails() -> None:
    stage = demo_world.stage_with(seen(verdicts=(verdict(),)))
    stage.cluster.handlers["apply"] = lambda: stage.cluster.becomes(seen(percent=5))
    with pytest.raises(DidNotHappen, match="its share is 5 % again"):
        await story.stay_back(stage)


async def test_a_rejected_revision_that_stays_back_is_told_with_its_numbers() -> None:
    stage = demo_world.stage_with(seen(verdicts=(verdict(),)))
    stage.cluster.handlers["apply"] = lambda: users_ask(stage, range(0))
    await story.stay_back(stage)
    assert stage.view.said[-1].startswith("No: 300 tasks later none has reached it")


async def test_the_record_names_revision_check_numbers_tasks_and_users() -> None:
    stage = demo_world.stage_with(seen(verdicts=(verdict(),)), controllerrevision=demo_world.record)
    await story.show_record(stage)
    assert stage.view.details == [
        f"revision  {CANARY} (version 3.0), attempt 1",
        "decision  Rejected: ErrorRateRegression",
        "check     errorRate",
        f"numbers   {demo_world.NUMBERS}",
        "touched   20 tasks of 18 users, at 5 %",
        "at        2026-01-01T10:00:00Z",
    ]


@pytest.mark.parametrize("text", ["", "{}", "not json"])
async def test_a_record_without_its_decision_fails(text: str) -> None:
    stage = demo_world.stage_with(
        seen(verdicts=(verdict(),)), controllerrevision=lambda: text or None
    )
    with pytest.raises(DidNotHappen, match=f"the record of {CANARY} has no decision"):
        await story.show_record(stage)
