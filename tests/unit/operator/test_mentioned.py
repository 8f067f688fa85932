"""Names that an Agent or its AgentRollout mentions and nothing has: a condition, or no new revision."""

from __future__ import annotations

import pytest

from penstock import revision
from penstock.api import condition
from penstock_operator.reconcile import manifests
from penstock_operator.reconcile.plan import plan_agent
from penstock_operator.reconcile.stock import take_stock
from tests.unit.operator import worlds
from tests.unit.operator.test_never_again import rollout
from tests.unit.operator.worlds import INSTALLATION, world

HARM = {"analysis": {"harm": {"maxAmount": {"tool": "refund", "sum": "500"}}}}


def declared(tools, **spec):
    agent = worlds.agent(**spec)
    agent["spec"]["template"]["tools"] = [
        {
            "name": name,
            "inputSchema": {"type": "object"},
            "http": {"url": "http://orders/refund"},
            **more,
        }
        for name, more in tools.items()
    ]
    return agent


def recorded(agent):
    template = agent["spec"]["template"]
    return manifests.record(
        agent, revision.cut("support", template, {}, INSTALLATION.runtime_image), 1
    )


def unknown(agent, **more):
    status = plan_agent(world(agent, records=(recorded(agent),), **more)).agent_status
    assert status is not None
    return condition.find(status.conditions, "UnknownNames")


def test_a_brake_that_names_nothing_is_told_while_it_stands():
    found = unknown(declared({"refund": {}}, restrictions={"denyTools": ["refnd"]}))
    assert (found.status.value, found.reason) == ("True", "Unmatched")
    assert found.message == (
        "spec.restrictions.denyTools names refnd, and no revision that is served has such a tool "
        "(there is: refund); did you mean refund?"
    )
    assert unknown(declared({"refund": {}}, restrictions={"denyTools": ["refund"]})) is None


def test_of_many_the_first_are_told_and_the_others_counted():
    names = [f"pay_{number}" for number in range(7)]
    found = unknown(declared({"refund": {}}, restrictions={"denyTools": names}))
    assert found.message.count("spec.restrictions.denyTools") == 4
    assert found.message.endswith("; and 3 more")


@pytest.mark.parametrize(
    ("tools", "told"),
    [({"refnd": {}}, "no such tool is declared"), ({"refund": {}}, "has no amountFrom")],
)
def test_a_limit_of_amounts_that_counts_nothing_is_told_of_what_is_cut_already(tools, told):
    found = unknown(declared(tools), rollouts=(rollout(**HARM),))
    assert told in found.message
    assert unknown(declared(tools)) is None


def test_no_revision_is_cut_of_which_the_amounts_can_never_be_counted():
    refused = declared({"refund": {}})
    stock = take_stock(world(refused, rollouts=(rollout(**HARM),)))
    assert stock.problem is not None
    assert stock.problem[0] == "InvalidTool"
    assert "amountFrom" in stock.problem[1]
    for agent, rollouts in (
        (refused, ()),
        (declared({"refund": {"amountFrom": "amount"}}), (rollout(**HARM),)),
        (declared({"refnd": {}}), (rollout(**HARM),)),
    ):
        assert take_stock(world(agent, rollouts=rollouts)).problem is None
