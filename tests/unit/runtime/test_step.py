"""What a task does next, decided from data alone."""

from dataclasses import replace

import pytest

from penstock.api.tool import Tool
from penstock.escalation import Decision, Verdict
from penstock.money.prices import Tokens
from penstock.task import OutcomeReason, TaskStatus, Usage
from penstock_runtime.agent import step
from penstock_runtime.agent.models import scripted
from penstock_runtime.agent.models.model import Reply
from penstock_runtime.agent.step import Answer, AskModel, CallTool, End, Park
from penstock_runtime.agent.tools import toolbox
from tests.unit.runtime.conftest import TOOLS, tool

A1 = {"order": "A1"}


def outcome(next_step):
    assert isinstance(next_step, End), next_step
    return next_step.outcome


def asks(run, *calls):
    return run.replied(scripted.tool_use(*calls))


def test_a_new_task_asks_the_model(template, tools, run):
    assert step.next_step(template(), tools, run) == AskModel(run.transcript, 1000)


def test_a_reply_may_be_as_long_as_the_output_limit_leaves(template, tools, run):
    run = run.used(Usage(output_tokens=7800))
    assert step.next_step(template(outputTokens=8000), tools, run).max_tokens == 200


@pytest.mark.parametrize(
    ("limit", "used", "reason"),
    [
        ({"modelCalls": 2}, Usage(model_calls=2), OutcomeReason.LIMIT_MODEL_CALLS),
        ({"inputTokens": 100}, Usage(input_tokens=101), OutcomeReason.LIMIT_INPUT_TOKENS),
        ({"outputTokens": 100}, Usage(output_tokens=101), OutcomeReason.LIMIT_OUTPUT_TOKENS),
        ({"costUSD": "0.01"}, Usage(cost_micro_usd=10_001), OutcomeReason.LIMIT_COST),
        ({"wallSeconds": 3}, Usage(wall_ms=3000), OutcomeReason.LIMIT_WALL_SECONDS),
    ],
)
def test_every_limit_ends_the_task_before_the_next_model_call(
    template, tools, run, limit, used, reason
):
    ended = outcome(step.next_step(template(**limit), tools, run.used(used)))
    assert (ended.status, ended.reason) == (TaskStatus.LIMIT_EXCEEDED, reason)


@pytest.mark.parametrize("stop_reason", ["end_turn", "stop_sequence"])
def test_an_answer_ends_the_task_well(template, tools, run, stop_reason):
    ended = outcome(
        step.next_step(template(), tools, run.replied(scripted.text("Hi", stop_reason)))
    )
    assert (ended.status, ended.output) == (TaskStatus.SUCCEEDED, "Hi")


def test_an_answer_that_passed_the_cost_limit_is_no_success(template, tools, run):
    run = run.used(Usage(cost_micro_usd=600_000)).replied(scripted.text("Hi"))
    assert outcome(step.next_step(template(), tools, run)).reason == OutcomeReason.LIMIT_COST


@pytest.mark.parametrize(
    ("stop_reason", "status", "reason"),
    [
        ("max_tokens", TaskStatus.LIMIT_EXCEEDED, OutcomeReason.LIMIT_OUTPUT_TOKENS),
        (
            "model_context_window_exceeded",
            TaskStatus.LIMIT_EXCEEDED,
            OutcomeReason.LIMIT_INPUT_TOKENS,
        ),
        ("refusal", TaskStatus.ESCALATED, OutcomeReason.REFUSAL),
        ("brand_new", TaskStatus.FAILED, OutcomeReason.MODEL_ERROR),
        ("tool_use", TaskStatus.FAILED, OutcomeReason.MODEL_ERROR),
    ],
)
def test_every_other_stop_reason_has_its_outcome(template, tools, run, stop_reason, status, reason):
    ended = outcome(step.next_step(template(), tools, run.replied(scripted.text("x", stop_reason))))
    assert (ended.status, ended.reason) == (status, reason)


def test_a_refusal_says_its_category(template, tools, run):
    reply = Reply((), "refusal", Tokens(1, 1), "cyber")
    assert "cyber" in outcome(step.next_step(template(), tools, run.replied(reply))).message


def test_a_paused_turn_is_sent_back_unchanged_and_its_text_is_part_of_the_answer(
    template, tools, run
):
    paused = run.replied(scripted.text("First, ", "pause_turn"))
    again = step.next_step(template(), tools, paused)
    assert isinstance(again, AskModel)
    assert again.transcript.messages == paused.transcript.messages
    done = run.replied(scripted.text("First, ", "pause_turn")).replied(scripted.text("second."))
    assert outcome(step.next_step(template(), tools, done)).output == "First, second."


def test_an_empty_answer_is_asked_for_once_more_and_then_fails(template, tools, run):
    once = run.replied(scripted.text(""))
    assert isinstance(step.next_step(template(), tools, once), AskModel)
    twice = once.replied(scripted.text(" "))
    assert outcome(step.next_step(template(), tools, twice)).reason == OutcomeReason.MODEL_ERROR


def test_tools_run_only_on_tool_use(template, tools, run):
    asked = scripted.tool_use(("c1", "look_up", A1))
    cut = run.replied(Reply(asked.content, "max_tokens", asked.tokens))
    assert isinstance(step.next_step(template(), tools, cut), End)
    ended = run.replied(Reply(asked.content, "end_turn", asked.tokens)).replied(
        Reply(asked.content, "end_turn", asked.tokens)
    )
    assert outcome(step.next_step(template(), tools, ended)).status == TaskStatus.FAILED


def test_calls_that_change_something_are_made_one_by_one_in_the_models_order(template, tools, run):
    run = asks(run, ("c1", "cancel", A1), ("c2", "cancel", {"order": "B2"}))
    first = step.next_step(template(), tools, run)
    assert isinstance(first, CallTool)
    assert first.call.id == "c1"


def number(order):
    return {"order": f"A{order}"}


UNFIT = {"order": "lower"}


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        ("rr", "12"),
        ("rrr", "123"),
        ("rcr", "1"),  # the second may be meant to see what the call before it changed
        ("rrcr", "12"),
        ("crr", "1"),
        ("ir", "1"),
        ("rwr", "13"),  # what is answered with an error parts nobody
        ("rwcr", "1"),
    ],
)
def test_calls_that_change_nothing_are_made_at_once_up_to_one_that_does(template, run, asked, made):
    names = {"r": "look_up", "w": "look_up", "c": "cancel", "i": "mark"}
    declared = template(tools=[*TOOLS, tool("mark", effect="Idempotent")])
    calls = (
        (f"c{at}", names[kind], UNFIT if kind == "w" else number(at))
        for at, kind in enumerate(asked, 1)
    )
    found = step.next_step(declared, toolbox.build(declared.tools), asks(run, *calls))
    together = (found.call,) if isinstance(found, CallTool) else found.calls
    assert isinstance(found, CallTool) == (len(made) == 1)
    assert "".join(str(call.position) for call in together) == made


def test_what_is_wrong_with_a_first_call_is_told_before_any_is_made(template, tools, run):
    run = asks(run, ("c1", "look_up", UNFIT), ("c2", "look_up", A1), ("c3", "look_up", number(3)))
    assert isinstance(step.next_step(template(), tools, run), Answer)


def test_so_many_calls_are_made_at_once_and_no_more(template, tools, run):
    most = step.CALLS_AT_ONCE
    calls = ((f"c{at}", "look_up", number(at)) for at in range(most + 2))
    found = step.next_step(template(toolCalls=40), tools, asks(run, *calls))
    assert [call.position for call in found.calls] == list(range(1, most + 1))


def test_a_later_call_that_ends_the_task_keeps_those_that_change_nothing_from_being_made(
    template, tools, run
):
    run = asks(run, ("c1", "look_up", A1), ("c2", "look_up", number(2)), ("c3", "look_up", A1))
    ended = outcome(step.next_step(template(identicalActions=2), tools, run))
    assert ended.reason == OutcomeReason.LIMIT_IDENTICAL_ACTIONS


def test_what_comes_before_a_call_that_waits_for_a_person_is_made_first(template, tools, run):
    run = asks(run, ("c1", "look_up", A1), ("c2", "look_up", number(2)), ("c3", "refund", A1))
    found = step.next_step(template(), tools, run)
    assert [call.position for call in found.calls] == [1, 2]
    for call in found.calls:
        answered = run.transcript.with_result(call, "seen", is_error=False)
        run = step.Run(answered, run.usage)
    assert isinstance(step.next_step(template(), tools, run), Park)


def test_the_model_is_told_what_does_not_fit_the_schema(template, tools, run):
    found = step.next_step(template(), tools, asks(run, ("c1", "look_up", {"order": "lower"})))
    assert isinstance(found, Answer)
    assert "order" in found.problem
    assert "pattern" in found.problem or "match" in found.problem


def test_the_model_is_told_that_a_tool_does_not_exist(template, tools, run):
    found = step.next_step(template(), tools, asks(run, ("c1", "lookup", A1)))
    assert isinstance(found, Answer)
    assert "look_up" in found.problem


def test_a_call_that_needs_a_person_puts_the_task_down_with_what_is_wanted(template, tools, run):
    found = step.next_step(template(), tools, asks(run, ("c1", "refund", A1)))
    assert isinstance(found, Park)
    assert (found.call.name, found.call.input) == ("refund", A1)


def decided(tools, run, verdict, **more):
    """The run once somebody has decided on the first call of its last reply."""
    call = run.transcript.calls[0]
    said = {"digest": tools.digest(call), "by": ("ann",)} | more
    return replace(run, decision=Decision("e", call.place, verdict, **said))


def test_an_approved_call_is_made_with_the_models_arguments_or_with_those_of_the_person(
    template, tools, run
):
    run = asks(run, ("c1", "refund", A1))
    made = step.next_step(template(), tools, decided(tools, run, Verdict.APPROVE))
    assert (made.call.input, made.note) == (A1, "")
    changed = decided(tools, run, Verdict.APPROVE, arguments={"order": "B2"})
    made = step.next_step(template(), tools, changed)
    assert made.call.input == {"order": "B2"}
    assert '{"order": "B2"}' in made.note


LARGE = [
    {"argument": "amount", "above": "100", "approvers": ["finance"]},
    {"argument": "amount", "above": "1000", "approvers": ["directors"], "minApprovals": 2},
]


def test_arguments_that_a_person_changes_take_the_word_of_whoever_the_rules_name_for_them(
    template, run
):
    """One person who may approve 150 does not pay out 5000 by changing the amount."""
    approval = {"mode": "When", "rules": LARGE}
    declared = tool("refund", "Irreversible", inputSchema={"type": "object"}, approval=approval)
    tools = toolbox.build([Tool.model_validate(declared)])
    run = asks(run, ("c1", "refund", {"amount": 150}))
    finance = {"approvers": (("finance",),)}
    smaller = decided(tools, run, Verdict.APPROVE, arguments={"amount": 120}, **finance)
    assert step.next_step(template(), tools, smaller).call.input == {"amount": 120}
    larger = decided(tools, run, Verdict.APPROVE, arguments={"amount": 5000}, **finance)
    asked = step.next_step(template(), tools, larger)
    assert isinstance(asked, Park)
    assert (asked.proposed, asked.call.input) == ({"amount": 5000}, {"amount": 150})
    assert (asked.ask.approvers, asked.ask.min_approvals) == ((("finance",), ("directors",)), 2)
    assert "ann put these arguments" in asked.ask.why
    both = decided(
        tools, run, Verdict.APPROVE, arguments={"amount": 5000},
        by=("ann", "dan"), approvers=asked.ask.approvers,
    )  # fmt: skip
    assert step.next_step(template(), tools, both).call.input == {"amount": 5000}


def test_an_approval_of_another_call_is_none(template, tools, run):
    run = asks(run, ("c1", "refund", A1))
    other = decided(tools, run, Verdict.APPROVE, digest="of another schema")
    assert isinstance(step.next_step(template(), tools, other), Park)
    later = asks(
        step.Run(
            run.transcript.with_result(run.transcript.calls[0], "done", is_error=False), run.usage
        ),
        ("c2", "refund", A1),
    )
    before = decided(tools, run, Verdict.APPROVE).decision
    found = step.next_step(template(), tools, replace(later, decision=before))
    assert isinstance(found, Park)


def test_a_denial_holds_whatever_became_of_the_tool_and_the_model_hears_why(template, tools, run):
    run = asks(run, ("c1", "refund", A1))
    denied = decided(tools, run, Verdict.DENY, digest="of another schema", note="too much")
    told = step.next_step(template(), tools, denied)
    assert (told.is_error, "too much" in told.text) == (True, True)
    nobody = decided(tools, run, Verdict.DENY, by=())
    assert "nobody decided in time" in step.next_step(template(), tools, nobody).text


def test_an_answer_is_what_the_model_reads_instead_of_a_result(template, tools, run):
    run = asks(run, ("c1", "refund", A1))
    told = step.next_step(template(), tools, decided(tools, run, Verdict.ANSWER, answer="42"))
    assert (told.text, told.is_error) == ("42", False)


def test_no_call_of_a_turn_is_made_when_a_later_one_ends_the_task(template, tools, run):
    run = asks(run, ("c1", "cancel", A1), ("c2", "look_up", A1), ("c3", "look_up", A1))
    ended = outcome(step.next_step(template(identicalActions=2), tools, run))
    assert ended.reason == OutcomeReason.LIMIT_IDENTICAL_ACTIONS


def test_a_turn_that_asks_for_more_calls_than_are_left_makes_none(template, tools, run):
    run = asks(run.used(Usage(tool_calls=4)), ("c1", "look_up", A1), ("c2", "cancel", A1))
    ended = outcome(step.next_step(template(toolCalls=5), tools, run))
    assert ended.reason == OutcomeReason.LIMIT_TOOL_CALLS


def test_the_same_call_for_the_third_time_is_a_loop(template, tools, run):
    for number in (1, 2):
        run = asks(run, (f"c{number}", "look_up", A1))
        call = step.next_step(template(), tools, run).call
        run = step.Run(run.transcript.with_result(call, "lost", is_error=False), run.usage)
    ended = outcome(step.next_step(template(), tools, asks(run, ("c3", "look_up", A1))))
    assert ended.reason == OutcomeReason.LIMIT_IDENTICAL_ACTIONS


def test_an_irreversible_call_that_was_begun_is_never_made_again(template, tools, run):
    run = asks(run, ("c1", "cancel", A1))
    call = step.next_step(template(), tools, run).call
    resumed = step.Run(run.transcript.with_intent(call), run.usage)
    ended = outcome(step.next_step(template(), tools, resumed))
    assert (ended.status, ended.reason) == (TaskStatus.ESCALATED, OutcomeReason.TOOL_ERROR)
