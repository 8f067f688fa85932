"""Schemas of tools are compiled safely, or refused in words."""

import pytest

from penstock import errors
from penstock.api.agent import Tool
from penstock_runtime.agent import toolbox
from penstock_runtime.agent.transcript import ToolUse


def with_schema(schema):
    return Tool.model_validate(
        {"name": "t", "inputSchema": schema, "http": {"url": "http://127.0.0.1:9/"}}
    )


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({}, '"type": "object"'),
        ({"type": "string"}, '"type": "object"'),
        ({"type": "object", "properties": 3}, "not of type"),
        ({"type": "object", "properties": {"a": {"type": "strin"}}}, "strin"),
        ({"type": "object", "properties": {"a": {"pattern": "("}}}, "regex"),
        ({"type": "object", "properties": {"a": {"pattern": "(?<=x)y"}}}, "regex"),
        ({"type": "object", "properties": {"a": {"pattern": "((a{100}){100}){100}"}}}, "regex"),
        ({"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/s"}}}, "127.0.0.1"),
        ({"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}}, "file:"),
        ({"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}}, "nowhere"),
        ({"type": "object", "$schema": "http://example.org/mine"}, "example.org"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_with_the_tools_name(schema, words):
    with pytest.raises(errors.InvalidResource, match=r"tool t: inputSchema") as refused:
        toolbox.build([with_schema(schema)])
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_pattern_that_would_back_track_for_ever_answers_at_once():
    tools = toolbox.build(
        [with_schema({"type": "object", "properties": {"a": {"pattern": "^(a+)+$"}}})]
    )
    call = ToolUse("c1", "t", {"a": "a" * 50_000 + "!"}, 1)
    assert "a: " in tools.problem(call)


def test_tools_are_offered_in_the_order_they_are_declared():
    tools = toolbox.build(
        [
            with_schema({"type": "object"}).model_copy(update={"name": name})
            for name in ("z", "a", "m")
        ]
    )
    assert [tool["name"] for tool in tools.declared()] == ["z", "a", "m"]
