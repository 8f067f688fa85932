"""Money in a decision: what tasks cost in the mean condemns a canary, with its numbers."""

from __future__ import annotations

from penstock.analysis.metrics import Tally
from penstock.api.analysis import Guardrails
from tests.unit.rollout.world import GOOD, NONE, C, canary_world, stable_world, world_at

CENT = 10_000  # micro-USD


def costing(cents: int, tasks: Tally = GOOD) -> Tally:
    """Tasks that cost about so much each."""
    cost = cents * CENT
    squares = tasks.tasks * cost * cost * 101 // 100
    return tasks._replace(
        costed=tasks.tasks, cost_micro_usd=tasks.tasks * cost, cost_squares=squares
    )


def guarded(world, **fields):
    """The world under further guardrails."""
    analysis = world.situation.spec.analysis
    limits = Guardrails.model_validate(fields)
    return world.edit(analysis=analysis.model_copy(update={"guardrails": limits}))


def shown(world):
    """What the last analysis says of costs."""
    return next((check for check in world.status.analysis.checks if check.name == "costMean"), None)


def test_a_canary_that_costs_more_than_twice_what_is_expected_is_rolled_back_with_its_numbers():
    world = world_at(20).change(expected_micro_usd=20 * CENT)
    world.measure(costing(50), costing(18)).after(1).decide()
    assert (world.percent, world.source, world.waits) == (0, "Rollback", "RolledBack")
    (verdict,) = world.verdicts
    assert (verdict.reason, verdict.check, verdict.percent) == ("CostRegression", "costMean", 20)
    assert verdict.message == (
        "rolled back at 20 %: mean cost 0.500000 USD on the canary (n=100) and 0.180000 USD on stable "
        "(n=100) in the last 300 s, limit 0.400000 USD (200 % of 0.200000)"
    )
    assert world.condition("RolledBack") == ("True", "CostRegression")


def test_within_the_limit_the_numbers_are_shown_and_it_goes_on():
    world = canary_world().change(expected_micro_usd=20 * CENT)
    world.measure(costing(30), costing(18)).step_over()
    assert world.percent == 20
    check = shown(world)
    assert (check.verdict, check.candidate) == ("Passing", "0.300000 USD (n=100)")
    assert check.limit == "0.400000 USD (200 % of 0.200000)"


def test_where_no_cost_is_declared_no_check_is_shown_and_nobody_is_condemned():
    world = canary_world().measure(costing(5000), costing(1)).step_over()
    assert world.percent == 20
    assert shown(world) is None


def test_a_percentage_alone_is_of_what_stables_tasks_cost_and_says_when_that_is_not_known():
    world = guarded(world_at(20), costPercentOfBudget=150)
    few = costing(10, GOOD._replace(tasks=7, timed=7))
    world.measure(costing(20), few).after(61).decide()
    assert (shown(world).verdict, shown(world).limit) == (
        "NoData",
        "150 % of stable's, unknown so far",
    )
    world.measure(costing(20), costing(10)).after(61).decide()
    (verdict,) = world.verdicts
    assert verdict.reason == "CostRegression"
    assert "limit 0.150000 USD (150 % of stable's 0.100000)" in verdict.message


def test_dear_tasks_of_both_are_a_shared_incident():
    world = world_at(20).change(expected_micro_usd=20 * CENT)
    world.measure(costing(50), costing(50)).after(1).decide()
    assert (world.percent, world.waits, world.verdicts) == (0, "SharedIncident", [])
    world.measure(NONE, costing(18)).after(30).decide()
    assert world.percent == 20


def test_stable_alone_is_reported_and_no_measure_of_itself():
    world = stable_world().change(expected_micro_usd=20 * CENT)
    world.measure(NONE, costing(50)).after(61).decide()
    assert world.condition("AnalysisPassing") == ("False", "StableBreaching")
    assert "costMean: limit 0.400000 USD" in world.message("AnalysisPassing")
    alone = guarded(stable_world(), costPercentOfBudget=150)
    assert shown(alone.measure(NONE, costing(50)).after(61).decide()) is None


def test_a_dearer_budget_pardons_nobody_who_was_rejected():
    world = world_at(20).change(expected_micro_usd=20 * CENT)
    world.measure(costing(50), costing(18)).after(1).decide()
    world.change(expected_micro_usd=90 * CENT).measure(NONE, costing(18)).after(61).decide()
    assert (world.percent, world.waits) == (0, "RolledBack")
    world.ask("retry", C).after(1).decide()
    assert world.percent == 5
