"""Schemas of tools are compiled safely, or refused in words."""

import asyncio

import pytest

from penstock import errors
from penstock.api.tool import Tool
from penstock_runtime.agent.tools import checking, toolbox
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


def unfolding(levels):
    """A schema of a kilobyte that stands for two to the power of its levels."""
    twice = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(levels)}
    last = {f"d{levels}": {"type": "object", "properties": {"a": {"type": "string"}}}}
    return {"type": "object", "$ref": "#/$defs/d0", "$defs": twice | last}


async def test_a_schema_that_takes_for_ever_holds_up_nobody_and_calls_nothing(monkeypatch):
    monkeypatch.setattr(checking, "DEADLINE_SECONDS", 1.0)
    tools = toolbox.build([with_schema(unfolding(24))])
    assert tools.heavy == {"t"}
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    (problem,) = await tools.problems([ToolUse("c1", "t", {"a": 5}, 1)])
    ticking.cancel()
    assert "could not be checked" in problem
    assert ticks > 3


async def test_a_large_schema_that_was_stored_before_is_still_checked():
    tools = toolbox.build([with_schema(unfolding(14))])
    calls = [ToolUse("c1", "t", {"a": "x"}, 1), ToolUse("c2", "u", {}, 1, 2)]
    fits, unknown = await tools.problems(calls)
    assert fits == ""
    assert "there is no tool" in unknown


def test_what_is_wrong_with_an_input_is_told_in_few_words():
    schema = {"type": "object", "additionalProperties": {"type": "string"}}
    tools = toolbox.build([with_schema(schema)])
    call = ToolUse("c1", "t", {str(n) * 1000: [n] * 1000 for n in range(50)}, 1)
    assert len(tools.problem(call)) < 4000
