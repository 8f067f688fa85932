"""While a canary works on copies the route says so, the ledger has its cap, and older workers are told of."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from penstock import protocol
from penstock.api.rollout import AgentRolloutStatus, Share, Stage
from penstock.api.tool import Tool
from penstock.money.ledger import Limit, Scope, Unit, Window
from penstock.protocol import Spoken
from penstock.shadow import Trial
from penstock_operator.reconcile import budgets, runtimes
from penstock_operator.reconcile.plan import plan_agent
from tests.unit.operator import worlds
from tests.unit.operator.test_plan import governed, serving
from tests.unit.operator.test_rest import BLANK
from tests.unit.operator.worlds import cut, record, world

V1, V2 = "Be kind.", "Be kinder."
DECLARED = {"percent": 20, "spendCapUSD": "2.5", "minTasks": 10}


def in_shadow(declared=DECLARED, percent=0, stage=Stage.SHADOW, seen=None, **more):
    """V2 waits for copies of what V1 does."""
    status = AgentRolloutStatus(
        stable_revision=cut(V1).name,
        canary_revision=cut(V2).name,
        attempt=1,
        salt="5a17",
        share=Share(percent=percent),
        route_version=7,
        stage=stage,
        canary_since="2026-11-21T09:50:00Z",
    )
    made = governed(status)
    made["spec"]["strategy"] = {"shadow": declared} if declared else {}
    found = world(
        worlds.agent(V2, **more),
        records=(record(V1, 1, promoted=1), record(V2, 2)),
        projected_for=(V1, V2),
        ready_for=(V1, V2),
        route_version=7,
        rollouts=(made,),
        status=serving(V1),
    )
    route = plan_agent(found).route
    in_force = worlds.codec.route_record(route)
    return replace(found, look=replace(found.look, route_record=in_force, trial=seen))


@pytest.mark.parametrize("percent", [20, 100])
def test_a_route_carries_the_stage_as_it_is_declared(percent):
    plan = plan_agent(in_shadow({**DECLARED, "percent": percent}))
    said = json.loads(plan.route.shadow)
    assert said == {"canary": cut(V2).hash, "percent": percent, "changing": []}
    assert plan.route.split.percent == 0
    assert plan.route.split.canary == cut(V2).hash


def declared_tool(name, effect="ReadOnly", **more):
    said = {"name": name, "inputSchema": {"type": "object"}, "effect": effect, **more}
    return Tool.model_validate({**said, "http": {"url": f"http://tools/{name}"}})


def test_what_either_side_keeps_from_copies_is_named_so_that_workers_of_before_do_not_call_it():
    made = in_shadow()
    stable = [
        declared_tool("search", shadow="Disabled"),
        declared_tool("refund", "Irreversible", shadow="Disabled"),
        declared_tool("look_up", shadow="Auto"),
        declared_tool("weather"),
    ]
    of_canary = [declared_tool("weather", shadow="Disabled"), declared_tool("search")]
    said = json.loads(budgets.shadow(made, plan_agent(made).course, stable, of_canary))
    assert said["changing"] == ["refund", "search", "weather"], "all that no copy calls"
    assert said["kept"] == ["search", "weather"], "and of these what changes nothing"


def test_the_ledger_has_the_cap_whether_the_agent_has_a_budget_or_not():
    cap = Limit(Scope.SHADOW, Window.TOTAL, Unit.MICRO_USD, 2_500_000)
    assert plan_agent(in_shadow()).budget.limits == (cap,)
    both = plan_agent(in_shadow(budgets={"costUSD": {"daily": "1"}})).budget.limits
    assert both[-1:] == (cap,)
    assert len(both) == 2


@pytest.mark.parametrize(
    "made", [in_shadow(declared=None), in_shadow(stage=Stage.STEPS), in_shadow(percent=5)]
)
def test_without_the_stage_the_route_is_that_of_before(made):
    plan = plan_agent(made)
    assert plan.route.shadow == ""
    assert plan.budget is None


def test_what_copies_have_shown_leads_to_the_first_step_and_ends_the_copies():
    shown = Trial(begun_ms=0, drawn=10, judged=10, agreed=10)
    made = replace(in_shadow({**DECLARED, "holdSeconds": 0}, seen=shown), observation=BLANK)
    plan = plan_agent(made)
    assert (plan.route.split.percent, plan.route.shadow, plan.budget) == (5, "", None)
    other = replace(made, look=replace(made.look, route_record=("", "", "", "", "ffff0000")))
    assert plan_agent(other).route.split.percent == 0, "it is another canary of which Redis tells"


def test_an_agent_that_cannot_be_read_keeps_the_stage_in_force():
    made = in_shadow()
    unread = replace(made, spec=None, problem=("Invalid", "it cannot be read"))
    route = plan_agent(unread).route
    assert route is None or route.shadow == made.look.shadow


@pytest.mark.parametrize("text", [V1, V2])
def test_older_workers_of_either_side_are_told_of(text):
    made = in_shadow()

    def says(number):
        look = replace(made.look, spoken={cut(text).hash: Spoken(number, made.look.now_ms)})
        return runtimes.complaint(replace(made, look=look), cut(text))

    assert says(protocol.SPOKEN) == ""
    assert "do not keep spec.strategy.shadow, which the AgentRollout declares" in says(4)
    assert runtimes.complaint(replace(made, rollouts=()), cut(text)) == ""
