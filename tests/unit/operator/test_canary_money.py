"""What a canary may spend is in the budget that the ledger keeps, and what it has spent is decided on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock import protocol
from penstock.api.agent import AgentSpec
from penstock.money.ledger import Limit, Mode, Scope, Stop, Unit, Window
from penstock.protocol import Spoken
from penstock_operator.reconcile import runtimes
from penstock_operator.reconcile.plan import plan_agent
from penstock_store import codec
from tests.unit.operator import worlds
from tests.unit.operator.test_plan import V1, V2, trying_v2
from tests.unit.operator.worlds import cut

CAP = Limit(Scope.CANARY, Window.TOTAL, Unit.MICRO_USD, 20_000_000)


def trying(budgets=None, stops=(), **analysis):
    """V2 is tried at 20 % under these limits."""
    made = trying_v2()
    (rollout,) = made.rollouts
    parsed = type(rollout.spec.analysis).model_validate(analysis)
    bound = rollout.spec.model_copy(update={"analysis": parsed})
    spec = AgentSpec.model_validate(worlds.agent(V2, **({"budgets": budgets} if budgets else {}))["spec"])  # fmt: skip
    record = ("agent-uid", "0", "7", cut(V1).hash, cut(V2).hash, *made.look.route_record[5:])
    look = replace(made.look, stops=tuple(stops), route_record=record)
    return replace(made, spec=spec, look=look, rollouts=(replace(rollout, spec=bound),))


def canarys(plan):
    limits = plan.budget.limits if plan.budget else ()
    return [limit for limit in limits if limit.scope is Scope.CANARY]


def test_a_cap_is_declared_also_where_the_agent_has_no_budget():
    plan = plan_agent(trying(canarySpendCapUSD="20"))
    assert canarys(plan) == [CAP]
    assert plan.route.budget_mark
    assert plan_agent(trying()).budget is None


def test_it_stands_beside_the_agents_own_budget_and_what_that_says():
    budgets = {"mode": "Report", "costUSD": {"daily": "100"}, "minReplyTokens": 99}
    plan = plan_agent(trying(budgets, canarySpendCapUSD="20", canaryBudgetPercent=10))
    part = Limit(Scope.CANARY, Window.DAY, Unit.MICRO_USD, 40_000_000)
    assert canarys(plan) == [CAP, part]
    assert (plan.budget.mode, plan.budget.min_reply_tokens) == (Mode.REPORT, 99)
    own = plan_agent(trying(budgets))
    assert own.route.budget_mark != plan.route.budget_mark


def test_another_cap_is_declared_with_the_same_version_of_the_route():
    before, after = (plan_agent(trying(canarySpendCapUSD=most)).route for most in ("20", "40"))
    assert before.version == after.version
    assert codec.route_record(before) != codec.route_record(after)


def test_what_redis_tells_of_the_canary_stops_it_and_the_cap_stays_declared():
    plan = plan_agent(trying(stops=[Stop(CAP, 19_990_000)], canarySpendCapUSD="20"))
    assert (plan.route.split.percent, plan.route.split.canary) == (0, cut(V2).hash)
    assert plan.course.decision.status.waiting == "SpendCapReached"
    assert canarys(plan) == [CAP]
    assert plan.route.revisions[cut(V2).hash].standing == "Withdrawn"
    assert plan.verdicts == ()


@pytest.mark.parametrize(("mode", "percent"), [("Enforce", 0), ("Report", 20)])
def test_its_part_of_a_budget_stops_it_only_where_the_budget_is_enforced(mode, percent):
    part = Limit(Scope.CANARY, Window.DAY, Unit.MICRO_USD, 40_000_000)
    budgets = {"mode": mode, "costUSD": {"daily": "100"}}
    made = trying(budgets, stops=[Stop(part, 39_990_000, 2 * 10**12)], canaryBudgetPercent=10)
    assert plan_agent(made).route.split.percent == percent


def test_what_it_tells_of_another_canary_stops_nobody():
    made = trying(stops=[Stop(CAP, 19_990_000)], canarySpendCapUSD="20")
    record = (*made.look.route_record[:4], "0" * 8, *made.look.route_record[5:])
    made = replace(made, look=replace(made.look, route_record=record))
    assert plan_agent(made).route.split.percent == 20


@pytest.mark.parametrize(
    ("analysis", "field"),
    [
        ({"canarySpendCapUSD": "20"}, "spec.analysis.canarySpendCapUSD"),
        ({"canaryBudgetPercent": 10}, "spec.analysis.canaryBudgetPercent"),
    ],
)
def test_an_older_worker_of_the_canary_is_told_and_one_of_stable_is_not(analysis, field):
    made = trying(**analysis)
    said = {cut(text).hash: Spoken(2, made.look.now_ms) for text in (V1, V2)}
    made = replace(made, look=replace(made.look, spoken=said))
    words = runtimes.complaint(made, cut(V2))
    assert f"do not keep {field}, which the AgentRollout declares" in words
    assert not runtimes.complaint(made, cut(V1))
    newer = {cut(V2).hash: Spoken(protocol.SPOKEN, made.look.now_ms)}
    assert not runtimes.complaint(replace(made, look=replace(made.look, spoken=newer)), cut(V2))
