"""The `#fake` line of a system prompt."""

from __future__ import annotations

import pytest

from penstock_dev.model import script


def test_a_prompt_without_the_line_has_the_empty_script():
    assert script.parse("You help.\nSay #fake things.") == script.Script()


def test_the_line_may_stand_anywhere_and_be_indented():
    parsed = script.parse('You help.\n  #fake {"text": "hi", "latencyMs": 5}\nBe kind.')
    assert (parsed.text, parsed.latency_ms) == ("hi", 5)


def test_a_loop_tool_is_a_name_or_a_name_with_an_input():
    for line in ('{"loopTool": "look"}', '{"loopTool": {"name": "look", "input": {}}}'):
        parsed = script.parse(f"#fake {line}")
        assert parsed.loop_tool == script.ToolCall(name="look", input={})


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[]", "the value"),
        ('{"nope": 1}', "nope"),
        ('{"error_percent": 1}', "error_percent"),
        ('{"errorPercent": 101}', "errorPercent"),
        ('{"errorPercent": "30"}', "errorPercent"),
        ('{"errorPercent": NaN}', "errorPercent"),
        ('{"errorStatus": 200}', "errorStatus"),
        ('{"latencyMs": -1}', "latencyMs"),
        ('{"toolCalls": [{"input": {}}]}', "toolCalls.0.name"),
        ('{"toolCalls": "look"}', "toolCalls"),
        ('{"loopTool": ""}', "loopTool"),
        ('{"refusalCategory": "rude"}', "refusalCategory"),
        ('{"stopReason": "refusal"}', "stopReason"),
        ('{}\n#fake {"text": "a"}', "2 #fake lines"),
    ],
)
def test_a_line_that_cannot_be_meant_is_refused_by_the_name_of_the_key(line, named):
    with pytest.raises(script.ScriptError) as caught:
        script.parse(f"You help.\n#fake {line}")
    assert named in str(caught.value)
