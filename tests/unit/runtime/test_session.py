"""A session never keeps its own tasks from running."""

from dataclasses import replace

import pytest

from penstock.money import bound, prices
from penstock.money.prices import Overhead
from penstock.task import OutcomeReason, TaskStatus, Usage
from penstock_runtime.agent import endings, loop, session, step
from penstock_runtime.agent.history import History
from penstock_runtime.agent.models import pricing, scripted
from penstock_runtime.agent.models.estimates import estimated_tokens
from penstock_runtime.agent.models.model import PromptSize
from penstock_runtime.agent.purses import Asked
from penstock_runtime.agent.step import AskModel, Count, End, Run
from penstock_runtime.agent.transcript import Transcript
from tests.unit.runtime.fakes import Notebook


def turns(count, words=400):
    use = {"type": "tool_use", "id": "c", "name": "look_up", "input": {}}
    told = {"type": "tool_result", "tool_use_id": "c", "content": "x" * words}
    for number in range(count):
        yield {"role": "user", "content": f"{number} " + "q" * words}
        yield {"role": "assistant", "content": [use]}
        yield {"role": "user", "content": [told]}
        yield {"role": "assistant", "content": [{"type": "text", "text": "a" * words}]}


def begun(history, tokens=0, **more):
    return Run(Transcript.start(history, "next", tokens), Usage(), **more)


def following(limits, tools, run):
    """The next step once the vendor has counted what would be sent, in about its own way."""
    found = step.next_step(limits, tools, run)
    if isinstance(found, Count):
        size = run.prompt_tokens + estimated_tokens(found.transcript.messages)
        counted = Asked(len(found.transcript.messages), size)
        found = step.next_step(limits, tools, replace(run, counted=counted))
    return found


@pytest.mark.parametrize("budget", [0, 100, 320, 650, 10**6])
def test_what_is_kept_are_whole_turns_the_newest_first(budget):
    history = tuple(turns(5))
    kept = session.shortened(history, budget)
    assert estimated_tokens(kept) <= budget
    assert len(kept) % 4 == 0
    assert history[len(history) - len(kept) :] == kept
    assert (len(kept) == len(history)) == (budget == 10**6)


def test_a_history_that_no_longer_fits_is_told_before_the_model_is_asked(template, tools):
    run = begun(tuple(turns(10)))
    ended = step.next_step(template(inputTokens=1000), tools, run)
    assert isinstance(ended, End)
    outcome = ended.outcome
    assert (outcome.status, outcome.reason) == (
        TaskStatus.LIMIT_EXCEEDED,
        OutcomeReason.LIMIT_INPUT_TOKENS,
    )
    assert outcome.left_out
    assert "1000" in outcome.message


def test_after_it_was_told_the_next_message_finds_room(template, tools):
    limits = template(inputTokens=1000)
    run = begun(tuple(turns(10)), prompt_tokens=50)
    run = run.ended(step.next_step(limits, tools, run).outcome)
    settled = session.settled(run, limits.limits)
    assert "oldest turns were cut" in settled.outcome.message
    saved = session.history_after(settled)
    again = begun(History.decode(saved).messages, History.decode(saved).tokens, prompt_tokens=50)
    assert len(again.transcript.messages) > 1
    assert isinstance(following(limits, tools, again), AskModel)


def test_what_the_model_counted_is_believed_before_any_estimate(template, tools):
    short, long = tuple(turns(1, words=4)), tuple(turns(10))
    assert isinstance(step.next_step(template(inputTokens=500), tools, begun(short, 600)), End)
    seen = begun(long, 100)
    counted = Asked(len(seen.transcript.messages), 100)
    seen = replace(seen, counted=counted)
    assert isinstance(step.next_step(template(inputTokens=500), tools, seen), AskModel)


def test_a_task_without_a_session_and_a_later_step_are_not_judged_so(template, tools):
    limits = template(inputTokens=1)
    later = begun(tuple(turns(10))).used(Usage(model_calls=1))
    for run in (begun(()), later):
        ended = following(limits, tools, run)
        assert isinstance(ended, End)
        assert not ended.outcome.left_out
        assert "its next model call may use up to" in ended.outcome.message


def test_a_limit_that_a_later_step_reached_because_of_the_history_shortens_it_too(template):
    run = begun(tuple(turns(10))).used(Usage(model_calls=2, input_tokens=9000))
    run = run.ended(endings.context_full())
    settled = session.settled(run, template(inputTokens=8000).limits)
    assert 0 < len(settled.shortened_history) < 40


@pytest.mark.parametrize(
    ("usage", "outcome"),
    [
        (Usage(model_calls=2, input_tokens=90_000), endings.context_full()),  # its own doing
        (Usage(model_calls=2, input_tokens=3000), endings.refused("")),
        (Usage(model_calls=2, input_tokens=3000), endings.cancelled()),
    ],
)
def test_any_other_end_leaves_the_history_as_it_was(template, usage, outcome):
    run = begun(tuple(turns(10))).used(usage).ended(outcome)
    settled = session.settled(run, template().limits)
    assert settled.shortened_history is None
    assert session.history_after(settled) is None


def test_a_session_keeps_at_most_so_many_bytes_and_says_so(template):
    history = tuple(turns(12, words=200_000))
    run = begun(history)
    run = Run(run.transcript.with_reply(scripted.text("bye")), Usage(model_calls=1))
    settled = session.settled(run.ended(endings.succeeded("bye")), template().limits)
    saved = session.history_after(settled)
    assert len(saved) <= session.MAX_HISTORY_BYTES
    kept = History.decode(saved).messages
    assert kept[-1]["content"][0]["text"] == "bye"
    assert str(session.MAX_HISTORY_BYTES) in settled.outcome.message
    assert settled.outcome.status == TaskStatus.SUCCEEDED


def test_what_is_kept_of_a_history_thinks_no_more(template):
    signed = {"type": "thinking", "thinking": "hm", "signature": "over all before"}
    history = [
        {**each, "content": [signed, *each["content"]]} if each["role"] == "assistant" else each
        for each in turns(5)
    ]
    assert "signature" in str(session.shortened(history, 10**6))
    kept = session.shortened(history, 700)
    assert kept
    assert "signature" not in str(kept)


async def test_a_history_that_fits_but_for_what_bills_have_raised_is_not_cut(agent, run):
    """The raise is this worker's, and one bill's: the history is everybody's."""
    history = tuple(turns(3))
    size = bound.bytes_of(Transcript.start(history, "next").messages)
    kept = {}
    for raised in (0, 5000):
        priced = pricing.Fixed(prices.flat("1", "5"), Overhead(0, 0, 0))
        priced.raise_overhead(bound.Excess(raised, 0))
        room = size + (400 if raised else -400)
        made = replace(agent([], inputTokens=room), prices=priced, prompt=PromptSize(100, 0, "m"))
        begun = replace(run, transcript=Transcript.start(history, "next"))
        ended = await loop.run_task(made, begun, Notebook())
        assert ended.outcome.reason is OutcomeReason.LIMIT_INPUT_TOKENS
        kept[raised] = ended.shortened_history
    assert kept[0] is not None
    assert kept[5000] is None
