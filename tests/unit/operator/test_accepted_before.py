"""A check that came with a later version refuses what is cut from then on, and nothing that serves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock import inputs, names, revision
from penstock.api import validation
from penstock.rollout.situation import Pods
from penstock_operator.reconcile import manifests
from penstock_operator.reconcile.plan import plan_agent
from penstock_operator.reconcile.stock import take_stock
from tests.unit.operator import worlds
from tests.unit.operator.worlds import INSTALLATION, world


def tool(**schema):
    return {
        "name": "refund",
        "inputSchema": {"type": "object"} | schema,
        "http": {"url": "http://orders/refund"},
    }


DOUBLED = {f"n{i}": {"allOf": [{"$ref": f"#/$defs/n{i + 1}"}] * 2} for i in range(25)}

#: Templates that the version before accepted and cut.
REFUSED_SINCE = {
    "a choice at the top": {"tools": [tool(anyOf=[{"required": ["id"]}])]},
    "a property with a space": {"tools": [tool(properties={"order id": {}})]},
    "a schema that doubles": {
        "tools": [
            tool(properties={"a": {"$ref": "#/$defs/n0"}}, **{"$defs": {**DOUBLED, "n25": {}}})
        ]
    },
    "a user in baseURL": {"model": {"name": "claude-sonnet-5-5", "baseURL": "http://u@model/"}},
    "no price behind baseURL": {"model": {"name": "team-x", "baseURL": "http://models.corp"}},
    "a blank prompt": {"instructions": " "},
    "a call that nothing undoes": {"tools": [tool() | {"compensate": {"tool": "undo_refnd"}}]},
}


def seen(template, records):
    """The world as it is gathered, with the Agent's template changed in these parts."""
    agent = worlds.agent()
    agent["spec"]["template"] |= template
    spec, problem = inputs.read_spec(agent, {})
    return world(agent, records=records, spec=spec, problem=problem)


def recorded(template):
    agent = worlds.agent()
    agent["spec"]["template"] |= template
    cut = revision.cut("support", agent["spec"]["template"], {}, INSTALLATION.runtime_image)
    return cut, manifests.record(agent, cut, 1)


@pytest.mark.parametrize("name", REFUSED_SINCE)
def test_a_revision_that_was_cut_before_the_check_goes_on_serving_and_says_what_comes(name):
    cut, record = recorded(REFUSED_SINCE[name])
    now = seen(REFUSED_SINCE[name], (record,))
    assert now.problem is not None
    assert take_stock(now).latest == cut.name
    now = replace(now, pods={cut.name: Pods(1, 1)})
    plan = plan_agent(worlds.later_pass(now))
    assert plan.route is not None
    assert plan.route.split.stable == names.hash_of(cut.name)
    assert plan.agent_status is not None
    words = {item.type: item for item in plan.agent_status.conditions}
    assert words["Accepted"].status == "True"
    assert words["Accepted"].reason == "AcceptedBefore"
    assert now.problem[1] in words["Accepted"].message
    assert words["Stalled"].status == "False"
    assert words["Ready"].status == "True"


@pytest.mark.parametrize("name", REFUSED_SINCE)
def test_the_same_template_is_refused_where_no_revision_has_it(name):
    now = seen(REFUSED_SINCE[name], ())
    assert take_stock(now).problem == now.problem is not None


@pytest.mark.parametrize("name", REFUSED_SINCE)
def test_a_change_of_a_template_that_is_refused_now_is_refused_and_the_old_one_serves(name):
    cut, record = recorded(REFUSED_SINCE[name])
    changed = seen({**REFUSED_SINCE[name], "version": "2"}, (record,))
    stock = take_stock(changed)
    assert stock.problem == changed.problem
    assert stock.latest == cut.name


def test_a_template_of_any_depth_is_compared_with_what_was_cut_before():
    deep = {}
    for _ in range(10_000):
        deep = {"not": deep}
    _, record = recorded(REFUSED_SINCE["a choice at the top"])
    now = seen({"tools": [tool(**deep)]}, (record,))
    assert now.problem is not None
    assert now.problem[0] == validation.Reason.INVALID_TOOL
    assert take_stock(now).problem == now.problem
