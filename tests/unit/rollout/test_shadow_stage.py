"""Before its first step a canary works on copies: what ends that, what holds it, and that it rejects nobody."""

from __future__ import annotations

import pytest

from penstock.api.strategy import OnDeadline, Strategy
from penstock.money.ledger import Limit, Scope, Unit, Window
from penstock.rollout import shadow_stage
from penstock.shadow import Trial
from tests.unit.rollout.world import START, C, S, stable_world

DECLARED = {
    "percent": 20, "spendCapUSD": "5", "holdSeconds": 600, "minTasks": 50, "minAgreementPercent": 90,
}  # fmt: skip


def declare(world, **shadow):
    wanted = Strategy.model_validate({"shadow": {**DECLARED, **shadow}})
    strategy = world.situation.spec.strategy.model_copy(update={"shadow": wanted.shadow})
    return world.edit(strategy=strategy)


def tried(seen=None, **shadow):
    """C is the canary, its pods are ready, and copies have shown so much of it."""
    world = declare(stable_world(), **shadow).apply(C).pods(C).decide()
    return shows(world.after(60), **seen).decide() if seen is not None else world


def shows(world, judged=50, agreed=50, ago=700, **more):
    begun = int(world.situation.now.timestamp() * 1000) - ago * 1000
    return world.change(
        trials={C: Trial(begun, judged, judged, agreed, micro_usd=1_230_000, **more)}
    )


def test_without_the_stage_a_canary_begins_with_its_first_step():
    world = stable_world().apply(C).pods(C).decide()
    assert (world.percent, world.status.stage) == (5, "Steps")


def test_a_canary_waits_for_copies_and_no_user_sees_it():
    world = tried()
    assert (world.percent, world.status.stage, world.status.step) == (0, "Shadow", "shadow")
    assert world.waits == "AwaitingEvidence"
    said = world.message("Ready")
    assert f"works on copies of 20 % of the tasks of {S}" in said
    assert "0 of 0 copies agree" in said
    assert f"promote/{C}/" in said


def test_enough_copies_that_agree_for_long_enough_lead_to_the_first_step():
    world = tried({})
    assert (world.percent, world.status.stage, world.status.step) == (5, "Steps", "1/3")


@pytest.mark.parametrize(
    ("seen", "shadow", "waits"),
    [
        ({"judged": 49, "agreed": 49}, {}, "AwaitingEvidence"),
        ({"judged": 49, "agreed": 49}, {"minTasks": 49}, None),
        ({"agreed": 44}, {}, "AnalysisUnclear"),
        ({"agreed": 45}, {}, None),
        ({"agreed": 44}, {"minAgreementPercent": 88}, None),
        ({"ago": 500}, {}, "Holding"),
        ({"ago": 500}, {"holdSeconds": 499}, None),
    ],
)
def test_each_number_that_is_declared_holds_the_first_step_or_does_not(seen, shadow, waits):
    world = tried(seen, **shadow)
    assert world.percent == (0 if waits else 5)
    if waits:
        assert world.waits == waits
        assert world.status.stage == "Shadow"


def test_a_hold_ends_by_itself():
    world = tried({"ago": 500})
    assert world.look_again <= 100
    assert world.after(101).decide().percent == 5


def test_too_little_agreement_holds_with_numbers_and_commands_and_rejects_nobody():
    world = tried({"agreed": 30})
    said = world.message("Ready")
    assert (
        "30 of 50 copies agree (same end, same intended calls), for 1.230000 USD. That is 60 %"
        in said
    )
    assert "minAgreementPercent is 90. That alone rejects nobody" in said
    assert f"promote/{C}/" in said
    assert f"abort/{C}/" in said
    for _ in range(3):
        world.after(86_400).decide()
    assert (world.percent, world.verdicts) == (0, [])
    assert shows(world, 400, 370).decide().percent == 5, "more copies may settle it"


@pytest.mark.parametrize("then", OnDeadline)
def test_no_deadline_rejects_or_promotes_who_works_on_copies(then):
    world = tried({"agreed": 30})
    strategy = world.situation.spec.strategy.model_copy(
        update={"progress_deadline_seconds": 60, "on_deadline": then}
    )
    world = world.edit(strategy=strategy).decide()
    for _ in range(3):
        world.after(600).decide()
    assert (world.percent, world.waits, world.status.delay) == (0, "AnalysisUnclear", None)


def test_where_the_cap_is_spent_it_says_what_to_raise():
    world = tried({"judged": 12, "agreed": 12, "capped": 3})
    said = world.message("Ready")
    assert "3 more were not made: strategy.shadow.spendCapUSD, 5, leaves no room" in said


def test_where_the_places_for_copies_are_taken_it_says_so_before_the_first_word_of_one():
    begun = int(START.timestamp() * 1000)
    world = tried().after(60).change(trials={C: Trial(begun, drawn=32, full=7)}).decide()
    said = world.message("Ready")
    assert "0 of 0 copies agree" in said
    assert (
        "7 were not made: 32 others waited or ran, which is the most. A worker of the canary runs four"
        in said
    )


def test_conversations_that_are_too_large_are_told():
    begun = int(START.timestamp() * 1000)
    world = tried().after(60).change(trials={C: Trial(begun, too_large=7)}).decide()
    assert "7 were not made: their conversations are too large" in world.message("Ready")


@pytest.mark.parametrize("verb", ["promote", "promote-full"])
def test_a_person_passes_the_stage(verb):
    world = tried({"agreed": 30}).ask(verb).decide()
    assert (world.percent, world.status.stage) == (
        (5, "Steps") if verb == "promote" else (0, "Done")
    )


def test_a_setpoint_above_0_ends_the_stage_and_one_of_0_does_not():
    world = tried().set(0).decide()
    assert (world.percent, world.status.stage) == (0, "Shadow")
    assert world.set(None).decide().status.stage == "Shadow"
    assert world.set(10).decide().status.stage == "Steps"
    assert world.percent == 10
    assert world.set(0).decide().status.stage == "Steps", "it does not come back"


def test_an_abort_ends_it():
    world = tried().ask("abort").decide()
    assert (world.percent, world.waits, world.status.stage) == (0, "RolledBack", "Done")


def test_a_stage_that_is_taken_back_holds_nobody_and_one_that_is_declared_late_stops_nobody():
    world = tried()
    plain = world.situation.spec.strategy.model_copy(update={"shadow": None})
    assert world.edit(strategy=plain).decide().percent == 5
    assert declare(world).decide().percent == 5
    assert world.status.stage == "Steps"


def test_each_new_canary_is_tried_anew():
    world = tried({}).after(1).decide().apply(S).decide()
    assert world.apply(C).pods(C, 0).change(trials={}).decide().status.stage == "Shadow"


def test_while_redis_has_lost_what_copies_showed_it_waits():
    world = tried({"judged": 49, "agreed": 49}).change(trials={}).after(60).decide()
    assert (world.percent, world.waits) == (0, "AwaitingEvidence")


def test_what_copies_may_spend_is_bounded_in_the_stage_alone():
    world = tried(spendCapUSD="0.5")
    strategy = world.situation.spec.strategy
    cap = Limit(Scope.SHADOW, Window.TOTAL, Unit.MICRO_USD, 500_000)
    assert shadow_stage.cap(strategy, world.status) == (cap,)
    ended = shows(world).decide()
    assert shadow_stage.cap(strategy, ended.status) == ()


@pytest.mark.parametrize("field", ["percent", "minTasks"])
def test_a_number_below_1_is_no_stage(field):
    with pytest.raises(ValueError, match=field):
        Strategy.model_validate({"shadow": {**DECLARED, field: 0}})


def test_the_cap_must_be_declared():
    with pytest.raises(ValueError, match="spendCapUSD"):
        Strategy.model_validate({"shadow": {}})
