"""A session past its declared length is summarised, paid for, and goes on with its newest messages."""

import pytest

from penstock.api.restrictions import Restrictions
from penstock.money.prices import Tokens
from penstock.task import OutcomeReason, TaskStatus, Usage
from penstock_runtime.agent import condensing, history, loop, session
from penstock_runtime.agent.models import scripted
from penstock_runtime.agent.models.model import Failure, ModelFailed
from penstock_runtime.agent.step import Run
from penstock_runtime.agent.transcript import Transcript
from tests.unit.runtime.fakes import Notebook

BEFORE = 20  # turns of a question and an answer
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "s"}


def turn(number, length=400):
    said = [THOUGHT, {"type": "text", "text": f"answer {number}"}]
    asked = {"role": "user", "content": f"question {number} " + "x" * length}
    return asked, {"role": "assistant", "content": said}


def session_of(turns=BEFORE, length=400, tokens=0):
    messages = [message for number in range(turns) for message in turn(number, length)]
    return Run(Transcript.start(messages, "And now?", tokens), Usage())


def asked_of(made):
    """What the scripted model was asked, behind its layers."""
    model = made.model
    while hasattr(model, "_model"):
        model = model._model
    return [list(request.messages) for request in model.requests]


async def ran(agent, run, replies, keeper=None, **limits):
    keeper = keeper or Notebook()
    bounds = {"contextTokens": 1000, **limits}
    made = agent([*replies], **bounds)
    return await loop.run_task(made, run, keeper), keeper, asked_of(made)


SUMMARY = scripted.text("They asked a lot.", tokens=Tokens(3000, 40))
ANSWER = scripted.text("Now.", tokens=Tokens(900, 10))


async def test_past_the_limit_what_is_old_is_a_summary_and_ten_messages_stay_as_they_are(agent):
    before = session_of()
    ended, _, (first, second) = await ran(agent, before, [SUMMARY, ANSWER])
    assert ended.outcome.output == "Now."
    history_sent = list(before.transcript.messages[:-1])
    assert first[:-1] == history_sent, "as it is: from the vendor's cache, with what was thought"
    assert "summarise" in first[-1]["content"]
    asked, said, *kept = second
    assert (asked["role"], said["content"][0]["text"]) == ("user", "They asked a lot.")
    assert kept[-1] == {"role": "user", "content": "And now?"}
    assert kept[:-1] == list(history.without_thinking(history_sent[-10:]))


async def test_the_summary_is_paid_counted_and_told(agent):
    ended, keeper, _ = await ran(agent, session_of(), [SUMMARY, ANSWER])
    assert ended.usage.model_calls == 2
    assert ended.usage.input_tokens == 3900
    assert ended.usage.cost_micro_usd == 3900 + 50 * 5
    (told,) = [data for kind, data in keeper.events if kind == "condensed"]
    assert (told["messages"], told["summaryTokens"]) == (BEFORE * 2 - 10, 40)
    assert told["historyTokens"] > 1000


@pytest.mark.parametrize(
    ("run", "limits"),
    [
        (session_of(), {"contextTokens": None}),
        (session_of(), {"contextTokens": 50_000}),
        (session_of(), {"modelCalls": 1}),
        (session_of(turns=5, length=4000), {}),  # ten messages, however long
        (Run(Transcript.start((), "x" * 9000), Usage()), {}),  # nothing was before
    ],
    ids=["absent", "short enough", "one call", "nothing but the newest", "no session"],
)
async def test_otherwise_nothing_is_summarised(agent, run, limits):
    ended, keeper, (only,) = await ran(agent, run, [ANSWER], **limits)
    assert ended.outcome.status is TaskStatus.SUCCEEDED
    assert only == list(run.transcript.messages)
    assert "condensed" not in [kind for kind, _ in keeper.events]


async def test_the_models_own_count_comes_before_an_estimate(agent):
    known = session_of(length=1, tokens=1001)
    _, _, asked = await ran(agent, known, [SUMMARY, ANSWER])
    assert len(asked) == 2
    few = session_of(tokens=900)
    _, _, asked = await ran(agent, few, [ANSWER])
    assert len(asked) == 1


async def test_what_comes_after_keeps_the_summary_in_the_session(agent):
    ended, *_ = await ran(agent, session_of(), [SUMMARY, ANSWER])
    kept = history.History.decode(session.history_after(ended)).messages
    assert kept[1]["content"][0]["text"] == "They asked a lot."
    assert len(kept) == 2 + 10 + 2


async def test_where_the_task_fails_its_session_keeps_what_was_paid_for(agent):
    failure = ModelFailed(Failure.REFUSED, "400")
    ended, *_ = await ran(agent, session_of(), [SUMMARY, failure])
    assert ended.outcome.reason is OutcomeReason.MODEL_ERROR
    kept = history.History.decode(session.history_after(ended)).messages
    assert len(kept) == 2 + 10


@pytest.mark.parametrize(
    "reply",
    [
        ModelFailed(Failure.REFUSED, "400"),
        scripted.text(" "),
        scripted.tool_use(("c", "look_up", {"order": "A1"})),
    ],
    ids=["failed", "blank", "a call"],
)
async def test_where_nobody_summarises_the_task_goes_on_with_all_of_it(agent, reply):
    before = session_of()
    ended, _, (_, second) = await ran(agent, before, [reply, ANSWER])
    assert ended.outcome.output == "Now."
    assert second == list(before.transcript.messages)


async def test_a_summary_that_cannot_be_paid_is_not_asked_for(agent):
    before = session_of(turns=20, length=4000)
    ended, _, asked = await ran(agent, before, [ANSWER], inputTokens=2000)
    assert not asked
    assert ended.outcome.reason is OutcomeReason.LIMIT_INPUT_TOKENS


async def test_a_restriction_that_denies_the_model_leaves_history_whole(agent):
    class Braked(Notebook):
        restrictions = Restrictions(deny_models=["another"])

    ended, _, asked = await ran(agent, session_of(), [SUMMARY, ANSWER], Braked())
    assert len(asked) == 2
    assert ended.outcome.status is TaskStatus.SUCCEEDED


def test_a_turn_with_its_tool_results_is_not_parted():
    calls = [{"type": "tool_use", "id": "c", "name": "t", "input": {}}]
    result = [{"type": "tool_result", "tool_use_id": "c", "content": "x" * 5000}]
    long = [
        {"role": "user", "content": "do it"},
        *[
            message
            for _ in range(6)
            for message in (
                {"role": "assistant", "content": calls},
                {"role": "user", "content": result},
            )
        ],
        {"role": "assistant", "content": [{"type": "text", "text": "done"}]},
    ]
    only = Run(Transcript.start(long, "next"), Usage())
    assert condensing._kept_from(only.transcript) == 0
    both = Run(Transcript.start([*turn(1), *long], "next"), Usage())
    assert condensing._kept_from(both.transcript) == 2
