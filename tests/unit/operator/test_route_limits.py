"""What admission and the comparison are told of a revision's limits."""

from dataclasses import replace

import pytest

from penstock import revision
from penstock.rollout.situation import Pods
from penstock.traffic import Messages, RequestRates, RevisionLimits, Route, Split
from penstock_operator.reconcile import manifests
from penstock_operator.reconcile.plan import plan_agent
from penstock_store import codec
from tests.unit.operator import worlds
from tests.unit.operator.worlds import INSTALLATION, world


def routed(**limits):
    """The limits in the route of an Agent that serves its only revision."""
    agent = worlds.agent()
    agent["spec"]["template"]["limits"] = limits
    cut = revision.cut("support", agent["spec"]["template"], {}, INSTALLATION.runtime_image)
    made = world(agent, records=(manifests.record(agent, cut, 1),))
    ready = {cut.name: Pods(1, 1)}
    plan = plan_agent(replace(made, pods=ready))
    assert plan.route is not None
    return plan.route.revisions[cut.hash].limits


@pytest.mark.parametrize("value", [7, 50_000])
@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("inputChars", "input_chars"),
        ("queueSeconds", "queue_seconds"),
        ("wallSeconds", "wall_seconds"),
    ],
)
def test_the_route_carries_the_limit_that_the_template_declares(field, told, value):
    assert getattr(routed(**{field: value}), told) == value


def test_without_declared_limits_the_route_carries_the_defaults():
    assert routed() == RevisionLimits(input_chars=20_000, queue_seconds=600, wall_seconds=120)


def test_the_route_carries_what_end_users_read():
    agent = worlds.agent()
    agent["spec"]["template"]["messages"] = {"escalated": "E", "unavailable": "U", "blocked": "B"}
    cut = revision.cut("support", agent["spec"]["template"], {}, INSTALLATION.runtime_image)
    made = world(agent, records=(manifests.record(agent, cut, 1),))
    plan = plan_agent(replace(made, pods={cut.name: Pods(1, 1)}))
    assert plan.route.revisions[cut.hash].messages == Messages("E", "U", "B")


def rates(**budgets):
    """The rates in the route of an Agent with these budgets."""
    agent = worlds.agent(**({"budgets": budgets} if budgets else {}))
    cut = revision.cut("support", agent["spec"]["template"], {}, INSTALLATION.runtime_image)
    made = world(agent, records=(manifests.record(agent, cut, 1),))
    return plan_agent(replace(made, pods={cut.name: Pods(1, 1)})).route.rates


@pytest.mark.parametrize("number", [20, 600])
def test_the_route_carries_the_rates_of_users_and_tenants(number):
    assert rates(perUser={"requestsPerMinute": number}) == RequestRates(user=number)
    assert rates(perTenant={"requestsPerMinute": number}) == RequestRates(tenant=number)


def test_a_budget_that_only_reports_refuses_nothing():
    both = {"perUser": {"requestsPerMinute": 2}, "perTenant": {"requestsPerMinute": 3}}
    assert rates(**both, mode="Report") == RequestRates(2, 3, enforced=False)
    assert rates(**both, mode="Enforce") == rates(**both) == RequestRates(2, 3)


def test_without_budgets_there_is_no_rate_and_the_record_is_that_of_the_version_before():
    assert not rates()
    assert not rates(mode="Report")
    assert codec.route_record(Route("u", 1, 1, Split("s")))[-3:] == ("", "", "")
