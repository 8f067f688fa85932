"""What a person reads at the end of a task that reached a limit: the number that applied, and the field it stands in."""

from __future__ import annotations

import pytest

from penstock.api.agent import AgentTemplate
from penstock.task import Usage
from penstock_runtime.agent import endings, step
from penstock_runtime.agent.models import scripted
from penstock_runtime.agent.step import AskModel, End, Run
from penstock_runtime.agent.transcript import Transcript
from tests.unit.runtime.conftest import TOOLS

#: Limit → (a declared value, its default, what was used up to either).
LIMITS = {
    "modelCalls": (3, 10, lambda limit: Usage(model_calls=limit)),
    "inputTokens": (70, 40_000, lambda limit: Usage(input_tokens=limit + 1)),
    "outputTokens": (70, 8_000, lambda limit: Usage(output_tokens=limit + 1)),
    "costUSD": ("0.02", "0.50", lambda limit: Usage(cost_micro_usd=int(float(limit) * 1e6) + 1)),
    "wallSeconds": (7, 120, lambda limit: Usage(wall_ms=limit * 1000)),
    "toolCalls": (2, 5, lambda limit: Usage(tool_calls=limit)),
}


def declared(limits=(), **model) -> AgentTemplate:
    return AgentTemplate.model_validate({
        "instructions": "Help.",
        "model": {"name": "claude-sonnet-5-5", **model},
        "tools": TOOLS,
        "limits": dict(limits),
    })  # fmt: skip


def message(next_step) -> str:
    assert isinstance(next_step, End), next_step
    return next_step.outcome.message


@pytest.mark.parametrize("by_default", [False, True], ids=["declared", "default"])
@pytest.mark.parametrize("field", LIMITS)
def test_a_limit_that_ends_a_task_is_told_by_its_field_and_its_number(
    tools, run, field, by_default
):
    own, default, used = LIMITS[field]
    limit = default if by_default else own
    template = declared({} if by_default else {field: own})
    run = run.used(used(limit))
    if field == "toolCalls":
        run = run.replied(scripted.tool_use(("c1", "look_up", {"order": "A1"})))
    said = message(step.next_step(template, tools, run))
    assert f"limits.{field} is {limit}, this task used " in said
    assert said.count("limits.") == 1, "no other limit is named"


@pytest.mark.parametrize(("limits", "number"), [({"identicalActions": 2}, 2), ({}, 3)])
def test_a_loop_is_told_by_the_number_of_identical_calls_that_applied(tools, run, limits, number):
    template = declared(limits)
    for turn in range(number):
        run = run.replied(scripted.tool_use((f"c{turn}", "look_up", {"order": "A1"})))
        following = step.next_step(template, tools, run)
        if not isinstance(following, End):
            run = Run(run.transcript.with_result(following.call, "lost", is_error=False), run.usage)
    assert f"limits.identicalActions is {number}, " in message(following)


FROM_MODEL = "(model.maxTokens)"


@pytest.mark.parametrize(
    ("limits", "model", "used", "number", "source"),
    [
        ({}, {}, 0, 2048, FROM_MODEL),
        ({}, {"maxTokens": 500}, 0, 500, FROM_MODEL),
        ({"outputTokens": 500}, {"maxTokens": 500}, 0, 500, FROM_MODEL),
        ({"outputTokens": 300}, {}, 0, 300, "(what was left of limits.outputTokens, 300)"),
        ({"outputTokens": 900}, {}, 800, 100, "(what was left of limits.outputTokens, 900)"),
        ({}, {"maxTokens": 500}, 7_900, 100, "(what was left of limits.outputTokens, 8000)"),
    ],
)
def test_a_cut_reply_is_told_by_what_was_asked_for_and_where_that_stands(
    tools, run, limits, model, used, number, source
):
    template = declared(limits, **model)
    run = run.used(Usage(output_tokens=used))
    asked = step.next_step(template, tools, run)
    assert isinstance(asked, AskModel)
    cut = Run(
        run.replied(scripted.text("so far", "max_tokens")).transcript,
        run.usage,
        max_tokens=asked.max_tokens,
    )
    said = message(step.next_step(template, tools, cut))
    assert f" at the {number} tokens it was asked for {source}" in said


def test_a_reply_of_which_nothing_else_is_known_is_told_by_the_declared_number(tools, run):
    cut = run.replied(scripted.text("so far", "max_tokens"))  # a task of the version before
    said = message(step.next_step(declared(maxTokens=500), tools, cut))
    assert f" at the 500 tokens it was asked for {FROM_MODEL}" in said


@pytest.mark.parametrize(("limits", "number"), [({"inputTokens": 20}, 20), ({}, 40_000)])
def test_a_session_that_has_become_too_long_is_told_by_the_limit(tools, limits, number):
    before = ({"role": "user", "content": "a" * 800_000}, {"role": "assistant", "content": "b"})
    run = Run(Transcript.start(before, "And now?"), Usage())
    said = message(step.next_step(declared(limits), tools, run))
    assert f"limits.inputTokens is {number}; " in said


def test_a_task_that_nobody_took_is_told_by_the_limit():
    assert "limits.queueSeconds is 45, " in endings.expired(45).message
