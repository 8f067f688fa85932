"""Money in a decision: what tasks cost in the mean condemns a canary, with its numbers."""

from __future__ import annotations

from penstock.analysis.metrics import Tally
from penstock.api.analysis import Analysis, Guardrails
from penstock.money.ledger import Limit, Scope, Stop, Unit, Window
from penstock.rollout import allowance
from tests.unit.rollout.world import (
    BAD,
    C2,
    GOOD,
    NONE,
    START,
    C,
    canary_world,
    stable_world,
    world_at,
)

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


# ------------------------------------------------------------------------ what it may spend

CAP = Limit(Scope.CANARY, Window.TOTAL, Unit.MICRO_USD, 20 * 100 * CENT)
DAY = Limit(Scope.AGENT, Window.DAY, Unit.MICRO_USD, 100 * 100 * CENT)
MIDNIGHT = int(START.replace(hour=0).timestamp() * 1000) + 86_400_000


def bounded(world, **fields):
    """The world under other limits of the canary; without any, under none."""
    wanted = Analysis.model_validate(fields)
    changed = {
        name: getattr(wanted, name) for name in ("canary_spend_cap_usd", "canary_budget_percent")
    }
    return world.edit(analysis=world.situation.spec.analysis.model_copy(update=changed))


def refused(world, limit=CAP, spent=CAP.most - 3 * CENT, resets_ms=0, revision=C):
    """A call of a revision has found no room."""
    return world.change(stops={revision: (Stop(limit, spent, resets_ms),)})


def stopped(percent=20, cap="20", **fields):
    """A canary that has used up its cap at a share."""
    world = bounded(world_at(percent, **fields), canarySpendCapUSD=cap)
    return refused(world.after(1).decide()).after(1).decide()


def test_a_canary_that_has_used_up_its_cap_is_stopped_and_not_rejected():
    world = stopped()
    assert (world.percent, world.source, world.waits) == (0, "Suspended", "SpendCapReached")
    assert world.reasons() == ["Stopped"]
    assert world.verdicts == []
    assert world.told[0].message == (
        f"{C} was stopped at 20 %: it has spent 19.970000 USD of the 20.000000 USD that "
        "analysis.canarySpendCapUSD leaves it, and its next model call has no room."
    )
    told = world.message("Stopped")
    assert told.startswith(world.told[0].message)
    assert "Stable serves everybody" in told
    assert '{"spec":{"analysis":{"canarySpendCapUSD":"40"}}}' in told
    assert f"promote/{C}/" in told
    conditions = [("Stopped", "True", "SpendCapReached"), ("Suspended", "False", "NotSuspended"), ("Ready", "True", "SpendCapReached"), ("Stalled", "False", "NotStalled"), ("RolledBack", "False", "NotRolledBack")]  # fmt: skip
    assert [(kind, *world.condition(kind)) for kind, *_ in conditions] == conditions


def test_where_nothing_is_declared_there_is_no_such_condition_and_nothing_stops():
    world = refused(world_at(20)).after(1).decide()
    assert (world.percent, world.condition("Stopped")) == (20, None)
    assert bounded(world, canarySpendCapUSD="21").after(1).decide().condition("Stopped") == ("False", "NotStopped")  # fmt: skip


def test_a_raised_cap_brings_it_back_to_its_share_and_one_that_is_not_higher_does_not():
    world = stopped()
    assert bounded(world, canarySpendCapUSD="20").after(1).decide().percent == 0
    assert bounded(world, canarySpendCapUSD="19").after(1).decide().percent == 0
    bounded(world, canarySpendCapUSD="20.000001").after(1).decide()
    assert (world.percent, world.source, world.waits) == (20, "Automatic", "Holding")
    assert world.reasons() == ["Resumed"]
    assert world.step_over().percent == 50, "its evidence is kept, and the steps go on"


def test_without_a_cap_it_comes_back_as_well():
    assert bounded(stopped()).after(1).decide().percent == 20


def test_promote_lets_it_go_on_without_a_cap_for_the_rest_of_its_attempt():
    world = stopped().ask("promote").after(1).decide()
    assert (world.percent, world.waits) == (20, "Holding")
    last = world.status.last_request
    assert (last.result, last.message) == (
        "Accepted",
        f"{C} comes back to 20 % by request, and spends what the Agent's own budgets allow",
    )
    assert refused(world).after(1).decide().percent == 20
    world.measure(BAD).after(1).decide()
    world.measure().ask("retry", nonce="2").after(1).decide()
    assert world.waits == "SpendCapReached", "another attempt is bounded again"


def test_promote_full_makes_a_stopped_canary_stable():
    world = stopped().ask("promote-full").after(1).decide()
    assert (world.status.stable_revision, world.condition("Stopped")) == (C, ("False", "NotStopped"))  # fmt: skip
    assert "promoted from 20 % by request" in world.message("Promoted")


def test_promote_waits_for_pods_as_it_always_does():
    world = stopped().pods(C, ready=0).ask("promote").after(1).decide()
    assert (world.percent, world.waits) == (0, "CandidateNotReady")


def test_harm_outranks_a_stop_and_a_stop_outranks_a_setpoint():
    world = bounded(world_at(20), canarySpendCapUSD="20").after(1).decide()
    refused(world).measure(BAD).after(1).decide()
    assert (world.waits, world.percent) == ("RolledBack", 0)
    held = stopped().set(50).after(1).decide()
    assert (held.waits, held.percent) == ("SpendCapReached", 0)
    assert held.condition("ManualSetpoint") == ("Unknown", "SpendCapReached")
    assert held.ask("abort").after(1).decide().waits == "RolledBack"


def test_stays_stopped_whatever_redis_still_knows():
    world = stopped().change(stops={}).after(1).decide()
    assert world.percent == 0
    world.change(store_error="connection refused").blind().after(1).decide()
    assert world.percent == 0


def test_above_half_of_the_users_no_cap_stops_it():
    world = bounded(world_at(95), canarySpendCapUSD="20").after(1).decide()
    assert refused(world).after(1).decide().percent == 95
    assert allowance.limits(world.situation.spec.analysis, (), world.status) == ()


def test_what_another_revision_has_spent_stops_nobody():
    world = bounded(world_at(20), canarySpendCapUSD="20").after(1).decide()
    assert refused(world, revision=C2).after(1).decide().percent == 20
    stopped_world = stopped().apply(C2).pods(C2).after(1).decide()
    assert (stopped_world.percent, stopped_world.waits) == (5, "Holding")


def test_of_each_window_it_may_use_its_part_or_twice_its_share():
    hour = Limit(Scope.AGENT, Window.HOUR, Unit.TOKENS, 1001)
    user = Limit(Scope.USER, Window.DAY, Unit.MICRO_USD, 5)
    seen = {}
    for percent in (5, 20, 50):
        world = bounded(world_at(percent), canaryBudgetPercent=15).decide()
        found = allowance.limits(world.situation.spec.analysis, (DAY, hour, user), world.status)
        seen[percent] = [(limit.scope, limit.window, limit.unit, limit.most) for limit in found]
    day, hourly = (Scope.CANARY, Window.DAY, Unit.MICRO_USD), (Scope.CANARY, Window.HOUR, Unit.TOKENS)  # fmt: skip
    assert seen == {
        5: [(*day, 15 * 100 * CENT), (*hourly, 150)],
        20: [(*day, 40 * 100 * CENT), (*hourly, 400)],
        50: [],
    }


def test_a_used_up_part_of_a_window_stops_it_until_the_window_ends():
    world = bounded(world_at(20), canaryBudgetPercent=10).change(agent_limits=(DAY,))
    part = Limit(Scope.CANARY, Window.DAY, Unit.MICRO_USD, 40 * 100 * CENT)
    refused(world.decide(), part, part.most - CENT, MIDNIGHT).after(1).decide()
    assert (world.percent, world.waits) == (0, "BudgetShareReached")
    assert "39.990000 USD of the 40.000000 USD that analysis.canaryBudgetPercent leaves it of budgets.costUSD.daily" in world.message("Stopped")  # fmt: skip
    assert "by itself when that window ends, at 2026-11-22 00:00 UTC" in world.message("Stopped")
    assert allowance.limits(world.situation.spec.analysis, (DAY,), world.status) == (part,)
    left = (MIDNIGHT / 1000) - world.situation.now.timestamp()
    assert world.after(left - 1).decide().percent == 0
    assert world.change(stops={}).after(1).decide().percent == 20


def test_a_larger_budget_brings_it_back_and_one_that_cannot_be_read_does_not():
    world = bounded(world_at(20), canaryBudgetPercent=10).change(agent_limits=(DAY,))
    part = Limit(Scope.CANARY, Window.DAY, Unit.MICRO_USD, 40 * 100 * CENT)
    refused(world.decide(), part, part.most, MIDNIGHT).after(1).decide()
    assert world.change(agent_limits=None).after(1).decide().percent == 0
    larger = Limit(Scope.AGENT, Window.DAY, Unit.MICRO_USD, DAY.most + 3)
    assert world.change(agent_limits=(larger,)).after(1).decide().percent == 20
