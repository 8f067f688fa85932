"""The ledger is told of a budget before the route that says so, and only where another one is in force."""

from dataclasses import replace

import pytest

from penstock import restrictions, revision
from penstock.api.budgets import field_of
from penstock.rollout.situation import Pods
from penstock_operator.reconcile import manifests
from penstock_operator.reconcile.plan import plan_agent
from penstock_store import codec
from tests.unit.operator import worlds
from tests.unit.operator.worlds import INSTALLATION, world


def serving(budgets=None):
    """The world of an Agent with these budgets whose only revision serves."""
    agent = worlds.agent(**({"budgets": budgets} if budgets else {}))
    cut = revision.cut("support", agent["spec"]["template"], {}, INSTALLATION.runtime_image)
    made = world(agent, records=(manifests.record(agent, cut, 1),))
    return replace(made, pods={cut.name: Pods(1, 1)})


def after(made):
    """The world once its plan's route is in force."""
    record = codec.route_record(plan_agent(made).route)
    return replace(made, look=replace(made.look, route_record=record))


@pytest.mark.parametrize("window", ["hourly", "daily", "monthly"])
@pytest.mark.parametrize("place", ["", "perUser", "perTenant"])
@pytest.mark.parametrize(("unit", "value"), [("tokens", 500), ("costUSD", "0.25")])
def test_the_ledger_is_told_each_limit_that_is_declared(window, place, unit, value):
    block = {unit: {window: value}}
    plan = plan_agent(serving({place: block} if place else block))
    (limit,) = plan.budget.limits
    prefix = f"budgets.{place}." if place else "budgets."
    assert field_of(limit) == f"{prefix}{unit}.{window}"
    assert limit.most == (500 if unit == "tokens" else 250_000)


def test_a_budget_is_declared_until_the_route_says_so_and_again_when_it_changes():
    first = serving({"costUSD": {"daily": "1"}})
    plan = plan_agent(first)
    assert plan.route.budget_mark != plan.budget_in_force == ""
    settled = plan_agent(after(first))
    assert settled.route.budget_mark == settled.budget_in_force != ""
    other = replace(serving({"costUSD": {"daily": "2"}}), look=after(first).look)
    changed = plan_agent(other)
    assert changed.route.budget_mark != changed.budget_in_force
    gone = plan_agent(replace(serving(), look=after(first).look))
    assert (gone.budget, gone.route.budget_mark) == (None, "")
    assert gone.budget_in_force != ""


def test_an_agent_that_cannot_be_read_keeps_the_budget_in_force():
    made = after(serving({"costUSD": {"daily": "1"}}))
    unread = replace(made, spec=None, problem=("Invalid", "it cannot be read"))
    plan = plan_agent(unread)
    assert plan.route is None or plan.route.budget_mark == plan.budget_in_force


def conditions(agent, made):
    plan = plan_agent(replace(made, agent=agent, spec=worlds.world(agent).spec))
    return {one.type: one for one in plan.agent_status.conditions}, plan


@pytest.mark.parametrize("then", ["Reject", "Degrade", "Escalate"])
@pytest.mark.parametrize("tiers", [[], [{"name": "easy", "model": "claude-haiku-5-5"}]])
def test_who_degrades_without_tiers_is_not_accepted_and_goes_on_serving(then, tiers):
    agent = worlds.agent(budgets={"costUSD": {"daily": "1"}, "onExceeded": then})
    if tiers:
        agent["spec"]["template"]["tiers"] = tiers
    cut = revision.cut("support", agent["spec"]["template"], {}, INSTALLATION.runtime_image)
    made = world(agent, records=(manifests.record(agent, cut, 1),))
    told, plan = conditions(agent, replace(made, pods={cut.name: Pods(1, 1)}))
    refused = then == "Degrade" and not tiers
    assert (told["Accepted"].status.value == "False") is refused
    if refused:
        assert "declare a cheaper model there, or set onExceeded" in told["Accepted"].message
        assert told["Stalled"].status.value == "True"
    assert plan.route.split.stable == cut.hash


def restricted(**fields):
    agent = worlds.agent(**({"restrictions": fields} if fields else {}))
    cut = revision.cut("support", agent["spec"]["template"], {}, INSTALLATION.runtime_image)
    made = world(agent, records=(manifests.record(agent, cut, 1),))
    return replace(made, pods={cut.name: Pods(1, 1)})


def test_restrictions_go_out_with_the_route_and_change_no_revision():
    free, denied = plan_agent(restricted()), plan_agent(restricted(denyTools=["refund"]))
    assert free.route.restrictions == ""
    _, read = restrictions.read(denied.route.restrictions)
    assert read.deny_tools == ["refund"]
    assert denied.route.split.stable == free.route.split.stable


def test_a_brake_that_is_on_is_told_with_the_command_that_takes_it_back():
    def word(**fields):
        told = plan_agent(restricted(**fields)).agent_status.conditions
        return next((one for one in told if one.type == "Restricted"), None)

    assert word() is None
    assert word(denyTools=[]) is None
    said = word(denyTools=["refund", "cancel"], maxCostUSDPerTask="0.05")
    assert (said.status.value, said.reason) == ("True", "OnCall")
    assert said.message.endswith(": denyTools refund, cancel; maxCostUSDPerTask 0.05")
    assert (
        """patch agent support --type merge -p '{"spec":{"restrictions":null}}'""" in said.message
    )


def test_an_agent_that_cannot_be_read_stays_restricted():
    made = after(restricted(denyTools=["refund"]))
    plan = plan_agent(replace(made, spec=None, problem=("Invalid", "it cannot be read")))
    assert plan.route is None or plan.route.restrictions == made.look.restrictions != ""


def test_without_a_budget_nothing_is_declared():
    plan = plan_agent(serving())
    assert plan.route.budget_mark == plan.budget_in_force == ""
