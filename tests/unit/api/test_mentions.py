"""Names that nothing has: refused where they can never be right, else told with what there is."""

from __future__ import annotations

import pytest

from penstock.api import mentions, validation
from penstock.api.agent import AgentTemplate
from penstock.api.harm import Harm
from penstock.api.restrictions import Restrictions
from penstock.api.validation import Reason

MODEL = {"name": "claude-sonnet-5-5"}
ORDER = {"type": "object", "properties": {"id": {"type": "string"}}}
SCHEMA = {"type": "object", "properties": {"amount": {"type": "number"}, "order": ORDER}}


def tool(name="refund", **more):
    return {
        "name": name,
        "inputSchema": SCHEMA,
        "http": {"url": "http://orders/refund"},
        **more,
    }


def template(*tools, **more):
    declared = {"instructions": "Answer.", "model": MODEL, "tools": list(tools), **more}
    return AgentTemplate.model_validate(declared)


def told(*tools, **more):
    return [*mentions.of_template(template(*tools, **more))]


def asks(argument):
    return tool(
        approval={"mode": "When", "rules": [{"argument": argument, "above": "5"}]}, amountFrom=None
    )


def test_a_compensation_by_a_tool_that_is_not_there_is_refused_with_what_there_is():
    declared = {
        "model": MODEL,
        "instructions": "Answer.",
        "tools": [tool(compensate={"tool": "undo_refnd"}), tool("undo_refund")],
    }
    found = validation.template_problem(declared)
    assert found is not None
    assert found.reason is Reason.INVALID_TOOL
    assert found.message == (
        'tool "refund": compensate.tool is undo_refnd, and spec.template declares no such tool '
        "(there is: refund, undo_refund); did you mean undo_refund?"
    )
    declared["tools"][0]["compensate"]["tool"] = "undo_refund"
    assert validation.template_problem(declared) is None


@pytest.mark.parametrize("pattern", ["refnd", "pay_.*", "refund_.*"])
def test_a_rule_that_is_about_no_tool_is_told(pattern):
    rules = [{"name": "money", "toolPattern": pattern}]
    (said,) = told(tool(), oversight={"rules": rules})
    assert said.startswith(
        f"spec.template.oversight.rules[0].toolPattern {pattern} fits no tool, so that rule money asks nobody"
    )
    assert "(there is: refund)" in said


@pytest.mark.parametrize("pattern", ["refund|pay", "re.*", None, "(?i)REFUND"])
def test_a_rule_that_is_about_a_tool_or_may_be_is_not(pattern):
    rule = {"name": "money", "toolPattern": pattern, "contains": ["Email"]}
    assert told(tool(), oversight={"rules": [rule]}) == []


@pytest.mark.parametrize("argument", ["amuont", "order.idd"])
def test_an_argument_that_the_schema_does_not_list_is_told(argument):
    (said,) = told(asks(argument))
    assert said.startswith(f'tool "refund": approval.rules[0].argument is {argument}, and ')
    assert "did you mean" in said


@pytest.mark.parametrize("argument", ["amount", "order", "order.id"])
def test_an_argument_that_it_lists_is_not(argument):
    assert told(asks(argument)) == []
    assert told(tool(amountFrom=argument)) == []


@pytest.mark.parametrize(
    "schema", [{"type": "object"}, SCHEMA | {"allOf": [{}]}, SCHEMA | {"patternProperties": {}}]
)
def test_where_there_may_be_other_arguments_nothing_is_told(schema):
    assert told(asks("amuont") | {"inputSchema": schema}) == []


def test_the_amount_and_the_arguments_of_a_compensation_are_looked_at():
    undo = {"tool": "undo", "arguments": {"ordr": "arguments.ordr", "amount": "result.amuont"}}
    said = told(tool(amountFrom="amuont", compensate=undo), tool("undo"))
    assert [line.partition(", and")[0] for line in said] == [
        'tool "refund": amountFrom is amuont',
        'tool "refund": compensate.arguments ordr comes from what is ordr',
        'tool "refund": compensate.arguments is ordr',
    ]


def test_a_brake_that_names_what_nobody_has_is_told_for_each_list():
    by = Restrictions.model_validate(
        {
            "denyTools": ["refnd", "refund"],
            "requireApproval": ["escalate"],
            "denyModels": ["claude-sonnet-5-5", "claude-sonet-5-5"],
        }
    )
    served = template(tool())
    said = [*mentions.of_restrictions(by, [served])]
    assert [line.partition(", and")[0] for line in said] == [
        "spec.restrictions.denyTools names refnd",
        "spec.restrictions.requireApproval names escalate",
        "spec.restrictions.denyModels names claude-sonet-5-5",
    ]
    assert "did you mean refund?" in said[0]
    other = template(tool("refnd"), oversight={"handover": True})
    said = [*mentions.of_restrictions(by, [served, other])]
    assert len(said) == 1, "of any revision that is served, and the model's own way to ask"
    assert [*mentions.of_restrictions(by, [])] == []


def test_a_limit_of_amounts_wants_a_tool_that_says_them():
    harm = Harm.model_validate({"maxAmount": {"tool": "refund", "sum": "500"}})
    assert mentions.of_harm(harm, template(tool(amountFrom="amount"))) == ""
    assert mentions.of_harm(Harm(), template(tool())) == ""
    assert "has no amountFrom" in mentions.of_harm(harm, template(tool()))
    assert "did you mean refunds?" in mentions.of_harm(harm, template(tool("refunds")))
    assert mentions.unpriced(harm, template(tool("refunds"))) == ""
