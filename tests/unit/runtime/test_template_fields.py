"""Fields of a template that decide what a task does next: two values, two courses."""

import pytest

from penstock.api.agent import AgentTemplate
from penstock.api.tool import Tool
from penstock.task import OutcomeReason, Usage
from penstock_runtime.agent import step
from penstock_runtime.agent.models import scripted
from penstock_runtime.agent.step import AskModel, CallTool, End, Park, Run
from penstock_runtime.agent.tools import toolbox
from tests.unit.runtime.conftest import TOOLS, tool

A1 = {"order": "A1"}


def with_model(**model):
    declared = {"instructions": "Help.", "model": {"name": "claude-sonnet-5-5", **model}}
    return AgentTemplate.model_validate(declared)


@pytest.mark.parametrize("most", [200, 3000])
def test_a_reply_is_asked_for_with_the_declared_number_of_tokens(tools, run, most):
    asked = step.next_step(with_model(maxTokens=most), tools, run)
    assert isinstance(asked, AskModel)
    assert asked.max_tokens == most


def calls_until_the_end(template, tools, run):
    """How often the same call is made before the task is ended, and the reason of that."""
    for number in range(20):
        run = run.replied(scripted.tool_use((f"c{number}", "look_up", A1)))
        following = step.next_step(template, tools, run)
        if isinstance(following, End):
            return number, following.outcome.reason
        run = Run(run.transcript.with_result(following.call, "lost", is_error=False), run.usage)
    raise AssertionError("it went on for ever")


@pytest.mark.parametrize(("limit", "made"), [(1, 0), (2, 1), (5, 4)])
def test_a_loop_is_stopped_after_as_many_identical_calls_as_declared(
    template, tools, run, limit, made
):
    declared = template(identicalActions=limit, toolCalls=15)
    assert calls_until_the_end(declared, tools, run) == (
        made,
        OutcomeReason.LIMIT_IDENTICAL_ACTIONS,
    )


@pytest.mark.parametrize(
    ("field", "low", "high", "used"),
    [
        ("modelCalls", 2, 3, Usage(model_calls=2)),
        ("inputTokens", 100, 500, Usage(input_tokens=101)),  # the call has room, too
        ("outputTokens", 100, 5000, Usage(output_tokens=101)),
        ("costUSD", "0.01", "0.02", Usage(cost_micro_usd=10_001)),
        ("wallSeconds", 3, 4, Usage(wall_ms=3000)),
    ],
)
def test_the_same_usage_ends_a_task_under_the_lower_limit_and_not_under_the_higher(
    template, tools, run, field, low, high, used
):
    spent = run.used(used)
    assert isinstance(step.next_step(template(**{field: low}), tools, spent), End)
    assert isinstance(step.next_step(template(**{field: high}), tools, spent), AskModel)


def test_the_tool_calls_of_a_task_are_counted_against_their_own_limit(template, tools, run):
    spent = run.used(Usage(tool_calls=3)).replied(scripted.tool_use(("c1", "look_up", A1)))
    assert isinstance(step.next_step(template(toolCalls=3), tools, spent), End)
    assert isinstance(step.next_step(template(toolCalls=4), tools, spent), CallTool)


@pytest.mark.parametrize(
    ("effect", "approval", "asks_a_person"),
    [
        ("ReadOnly", None, False),
        ("Idempotent", None, False),
        ("Irreversible", None, True),
        ("Irreversible", "None", False),
        ("ReadOnly", "Always", True),
    ],
)
def test_effect_and_approval_decide_who_is_asked(template, run, effect, approval, asks_a_person):
    more = {"approval": {"mode": approval}} if approval else {}
    declared = [tool("act", effect, **more)]
    asked = run.replied(scripted.tool_use(("c1", "act", A1)))
    known = toolbox.build([Tool.model_validate(item) for item in declared])
    following = step.next_step(template(tools=declared), known, asked)
    assert isinstance(following, Park if asks_a_person else CallTool)


@pytest.mark.parametrize(
    ("more", "because"),
    [
        ({}, "its effect is Irreversible, as is that of a tool which declares none"),
        ({"approval": {"mode": "Always"}}, "its approval.mode is Always"),
    ],
)
def test_a_call_that_a_person_must_approve_says_why_and_what_to_declare(
    template, run, more, because
):
    declared = [{**tool("act"), **more}]
    del declared[0]["effect"]
    asked = run.replied(scripted.tool_use(("c1", "act", A1)))
    known = toolbox.build([Tool.model_validate(item) for item in declared])
    why = step.next_step(template(tools=declared), known, asked).ask.why
    assert why.startswith(because)
    assert ("declare effect: ReadOnly" in why) == (not more)


def test_a_task_that_goes_in_circles_says_which_call_it_repeats(template, tools, run):
    asked = run.replied(scripted.tool_use(("c1", "look_up", A1)))
    ended = step.next_step(template(identicalActions=1), tools, asked)
    assert ended.outcome.message.endswith('identical calls, of tool look_up with {"order": "A1"}')


@pytest.mark.parametrize("words", ["Finds an order.", "Finds a parcel."])
def test_the_model_is_offered_each_tool_as_it_is_declared(words):
    schema = {"type": "object", "properties": {words.split()[-1]: {"type": "string"}}}
    declared = TOOLS[0] | {"description": words, "inputSchema": schema}
    (offered,) = toolbox.build([Tool.model_validate(declared)]).declared()
    assert offered["name"] == "look_up"
    assert offered["description"] == words
    assert offered["input_schema"] == schema
