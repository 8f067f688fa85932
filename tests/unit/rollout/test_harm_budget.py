"""What a canary may do to the world: where it is stopped, what is told, and what lets it go on."""

from __future__ import annotations

import json
import re

import pytest

from penstock.api.analysis import Analysis
from penstock.api.tool import Tool
from penstock.effects import HarmDone
from penstock.rollout import harm_budget
from tests.unit.rollout.beside import COMPARED, beside
from tests.unit.rollout.test_record import told
from tests.unit.rollout.world import BAD, C2, C, world_at

HARM = {
    "maxFailedTasks": 50,
    "maxIrreversibleCalls": 20,
    "maxAmount": {"tool": "refund", "sum": "500.5"},
}
FAILED = HarmDone(failed=51)
CALLS = HarmDone(calls=20, calls_most=20)
AMOUNT = HarmDone(micro=480_000_000, micro_most=500_500_000)


def bounded(world, **harm):
    """The world under other limits; without any, under none."""
    wanted = Analysis.model_validate({"harm": harm} if harm else {})
    analysis = world.situation.spec.analysis.model_copy(update={"harm": wanted.harm})
    return world.edit(analysis=analysis)


def has_done(world, done, revision=C):
    return world.change(harm={revision: done})


def stopped(done=CALLS, percent=20, **harm):
    """A canary that has done so much at a share."""
    world = bounded(world_at(percent), **(harm or HARM)).after(1).decide()
    return has_done(world, done).after(1).decide()


@pytest.mark.parametrize(
    ("done", "why", "command"),
    [
        (
            FAILED,
            "51 of its tasks have failed, of the 50 that analysis.harm.maxFailedTasks leaves it",
            '"harm":{"maxFailedTasks":100}',
        ),
        (
            CALLS,
            "it has made 20 irreversible calls of the 20 that analysis.harm.maxIrreversibleCalls leaves it, and its next one has no room",
            '"harm":{"maxIrreversibleCalls":40}',
        ),
        (
            AMOUNT,
            "its calls of refund are worth 480 of the 500.5 that analysis.harm.maxAmount leaves it, and the next one has no room",
            '"harm":{"maxAmount":{"tool":"refund","sum":"1001"}}',
        ),
    ],
)
def test_a_canary_that_has_done_its_harm_is_stopped_and_not_rejected(done, why, command):
    world = stopped(done)
    assert (world.percent, world.source, world.waits) == (0, "Suspended", "HarmBudgetReached")
    assert (world.reasons(), world.verdicts) == (["Stopped"], [])
    assert world.told[0].message == f"{C} was stopped at 20 %: {why}."
    told = world.message("Stopped")
    assert told.startswith(world.told[0].message)
    assert command in told
    assert f"promote/{C}/" in told
    assert world.condition("Stopped") == ("True", "HarmBudgetReached")
    assert world.condition("Stalled") == ("False", "NotStalled")


@pytest.mark.parametrize("blind", [False, True], ids=["it is measured", "nothing is measured"])
def test_what_it_has_done_is_in_the_record_of_the_decision_that_stops_it(blind):
    world = bounded(world_at(20), **HARM).after(1).decide()
    world = world.blind() if blind else world
    has_done(world, AMOUNT).after(1).decide()
    last = told(world)[-1]
    assert (last["rule"], last["move"]) == ("harm.spend_cap", "Suspend")
    assert last["says"]["reason"] == "Stopped"
    (used,) = [one for one in last["measured"]["checks"] if one["name"] == "maxAmount"]
    assert (used["candidate"], used["limit"]) == ("480", "500.5")
    assert last["parameters"]["analysis"]["harm"]["maxAmount"]["sum"] == "500.5"


def test_within_its_limits_it_goes_on_and_status_shows_what_is_used():
    world = bounded(world_at(20), **HARM).after(1).decide()
    has_done(world, HarmDone(49, 20, 480_000_000)).measure().after(1).decide()
    assert world.percent == 20
    shown = {check.name: check for check in world.status.analysis.checks}
    assert [(shown[name].candidate, shown[name].limit, shown[name].verdict) for name in HARM] == [
        ("49", "50", "Passing"),
        ("20", "20", "Breached"),
        ("480", "500.5", "Passing"),
    ]


def test_a_raised_limit_brings_it_back_and_one_that_is_not_higher_does_not():
    world = stopped()
    for most in (20, 19):
        assert (
            bounded(world, **{**HARM, "maxIrreversibleCalls": most}).after(1).decide().percent == 0
        )
    bounded(world, **{**HARM, "maxIrreversibleCalls": 21}).after(1).decide()
    assert (world.percent, world.waits, world.reasons()) == (20, "Holding", ["Resumed"])
    assert bounded(stopped()).after(1).decide().percent == 20, "without any as well"


def test_promote_lets_it_go_on_uncounted_for_the_rest_of_its_attempt():
    world = stopped().ask("promote").after(1).decide()
    assert (world.percent, world.waits) == (20, "Holding")
    assert world.status.last_request.message == (
        f"{C} comes back to 20 % by request, and what it does is not counted for the rest of its attempt"
    )
    assert has_done(world, FAILED).after(1).decide().percent == 20
    assert harm_budget.limits(world.situation.spec.analysis, world.status) == {}


def test_harm_that_is_proven_outranks_a_stop_and_above_half_of_the_users_nothing_stops():
    world = bounded(world_at(20), **HARM).after(1).decide()
    assert has_done(world, CALLS).measure(BAD).after(1).decide().waits == "RolledBack"
    world = bounded(world_at(95), **HARM).after(1).decide()
    assert has_done(world, CALLS).after(1).decide().percent == 95


def test_nothing_stops_where_nothing_is_declared_and_for_what_another_has_done():
    world = has_done(world_at(20), CALLS).after(1).decide()
    assert (world.percent, world.condition("Stopped")) == (20, None)
    world = bounded(world_at(20), **HARM).after(1).decide()
    assert has_done(world, CALLS, C2).after(1).decide().percent == 20
    assert world.condition("Stopped") == ("False", "NotStopped")


def test_stays_stopped_whatever_redis_still_knows():
    world = stopped().change(harm={}).after(1).decide()
    assert (world.percent, world.waits) == (0, "HarmBudgetReached")


def test_a_route_carries_the_limits_with_the_tools_that_count():
    tools = [
        Tool.model_validate({"name": name, "inputSchema": {}, "effect": effect, "http": {"url": "http://x"}})
        for name, effect in (("refund", "Irreversible"), ("look", "ReadOnly"), ("note", "Idempotent"))
    ]  # fmt: skip
    world = bounded(world_at(20), **HARM)
    said = harm_budget.written(world.situation.spec.analysis, world.status, tools)
    assert json.loads(said) == {
        "failed": 50, "calls": 20, "once": {"refund": 1}, "micro": 500_500_000, "tool": "refund",
    }  # fmt: skip
    assert harm_budget.written(bounded(world).situation.spec.analysis, world.status, tools) == ""


def test_who_may_do_more_may_spend_no_more_and_the_other_way_round():
    world = stopped().ask("promote").after(1).decide()
    let = world.status.suspension
    assert (world.percent, let.unbounded, let.harm_unbounded) == (20, False, True)
    spends = let.model_copy(update={"unbounded": True, "harm_unbounded": False})
    status = world.status.model_copy(update={"suspension": spends})
    assert harm_budget.limits(world.situation.spec.analysis, world.status) == {}
    assert len(harm_budget.limits(world.situation.spec.analysis, status)) == len(HARM)


@pytest.mark.parametrize(
    ("most", "failed", "said"),
    [
        (3, 11, '"maxFailedTasks":22}'),
        (600_000, 600_010, '"maxFailedTasks":1000000}'),
        (1_000_000, 1_000_000, "No larger limit can be declared."),
    ],
)
def test_the_limit_that_is_offered_has_room_and_can_be_declared(most, failed, said):
    world = stopped(HarmDone(failed=failed), maxFailedTasks=most)
    assert said in world.message("Stopped")
    offered = re.search(r'"maxFailedTasks":(\d+)', world.message("Stopped"))
    if offered:
        world = bounded(world, maxFailedTasks=int(offered[1])).after(1).decide()
        assert world.percent == 20


def test_an_amount_that_is_offered_can_be_declared():
    world = stopped(
        HarmDone(micro=600_000_000_000_000, micro_most=600_000_000_000_000),
        maxAmount={"tool": "refund", "sum": "600000000"},
    )
    assert '"sum":"999999999.999999"' in world.message("Stopped")


def test_tasks_that_were_open_at_a_stop_still_prove_that_it_is_worse():
    analysis = COMPARED.model_copy(update={"harm": Analysis.model_validate({"harm": HARM}).harm})
    world = has_done(world_at(20, analysis=analysis), CALLS).after(1).decide()
    assert world.waits == "HarmBudgetReached"
    worse = beside(minutes=30, ours=50, theirs=500, errors=0.5)
    world.measure(canary=BAD, compared=worse).after(30).decide()
    assert world.waits == "RolledBack"
    assert "1000000:1 worse than stable" in world.verdicts[-1].message
