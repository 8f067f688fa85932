"""Where a claimed task goes on, and what is left of it for the session."""

import pytest

from penstock.money.prices import Tokens
from penstock.names import AgentKey
from penstock.task import Outcome, OutcomeReason, Priority, Task, TaskStatus, Usage
from penstock_runtime.agent import endings
from penstock_runtime.agent.history import History
from penstock_runtime.agent.models import scripted
from penstock_runtime.agent.models.model import NOBODY, Identity, Reply
from penstock_runtime.agent.transcript import Transcript
from penstock_runtime.worker import claims
from penstock_store.records import Claim

THINKING = {"type": "thinking", "thinking": "hm", "signature": "sig"}
SPOKEN = (THINKING, {"type": "text", "text": "hi"})
HISTORY = History(
    ({"role": "user", "content": "hello"}, {"role": "assistant", "content": SPOKEN})
).encode()
USED = Usage(model_calls=3, wall_ms=4000)


def claim(session="s", **more):
    agent = AgentKey("shop", "support")
    task = Task(
        "id", agent, "new", TaskStatus.RUNNING, "next", "t", "u", session, "", Priority.NORMAL,
        {}, 1, "0" * 32, 1, usage=USED,
    )  # fmt: skip
    return Claim("c", agent, "new", task, "Normal", "1-1", **more)


def thinks(run):
    return "thinking" in run.transcript.encode().decode()


def test_a_new_task_begins_with_its_input():
    run = claims.beginning(claim())
    assert run.transcript.messages == ({"role": "user", "content": "next"},)
    assert run.usage == USED


@pytest.mark.parametrize(("writer", "kept"), [("new", True), ("old", False)])
def test_only_its_own_revisions_thinking_is_kept_of_a_session(writer, kept):
    run = claims.beginning(claim(history=HISTORY, history_revision=writer))
    assert thinks(run) == kept
    assert [message["role"] for message in run.transcript.messages] == ["user", "assistant", "user"]


@pytest.mark.parametrize(("writer", "kept"), [("new", True), ("old", False)])
def test_only_its_own_revisions_thinking_is_kept_of_a_checkpoint(writer, kept):
    saved = Transcript.start((), "next").with_reply(Reply(SPOKEN, "pause_turn", Tokens()))
    run = claims.beginning(claim(checkpoint=saved.encode(), checkpoint_revision=writer))
    assert thinks(run) == kept
    assert run.transcript.stop_reason == "pause_turn"


def test_a_call_that_may_have_been_made_is_known_again_behind_a_turn_of_thinking_alone():
    """A turn that is left out would number the calls after it anew."""
    paused = Transcript.start((), "next").with_reply(Reply((THINKING,), "pause_turn", Tokens()))
    asked = paused.with_turn_paused().with_reply(scripted.tool_use(("c1", "refund", {})))
    saved = asked.with_intent(asked.calls[0]).encode()
    run = claims.beginning(claim(checkpoint=saved, checkpoint_revision="old"))
    assert run.transcript.intents == ("refund",)
    assert run.transcript.calls[0].idempotency_key("t") == asked.calls[0].idempotency_key("t")


ONE, OTHER = Identity("claude", "one"), Identity("claude", "other")


def said(by, *blocks):
    return Reply(blocks or SPOKEN, "pause_turn", Tokens(), by=by)


def test_a_checkpoint_and_a_session_say_who_has_thought_in_them():
    spoken = Transcript.start((), "next").with_reply(said(ONE))
    run = claims.beginning(claim(checkpoint=spoken.encode(), checkpoint_revision="new"))
    assert run.transcript.said_by == ONE
    done = run.replied(Reply(SPOKEN, "end_turn", Tokens(), by=ONE)).ended(endings.succeeded("hi"))
    kept = claims.session_history(claim(), done)
    later = claims.beginning(claim(history=kept, history_revision="new"))
    assert later.transcript.said_by == ONE


def test_what_an_earlier_version_kept_goes_by_its_revision_alone():
    run = claims.beginning(claim(history=HISTORY, history_revision="new"))
    assert run.transcript.said_by == NOBODY
    assert thinks(run)


@pytest.mark.parametrize(("by", "kept"), [(ONE, 2), (NOBODY, 2), (OTHER, 1)])
def test_only_the_thinking_of_who_answers_now_goes_on(by, kept):
    """Another one was asked without it, and thinks after a conversation that has none."""
    spoken = Transcript.start((), "next").with_reply(said(ONE)).with_turn_paused()
    after = spoken.with_reply(said(by))
    thoughts = [block for each in after.messages[1:] for block in each["content"]]
    assert thoughts.count(THINKING) == kept
    assert len(after.messages) == 3
    assert after.said_by == (ONE if by == NOBODY else by)


def ended(outcome, run):
    return run.replied(scripted.text("done")).ended(outcome)


def test_a_success_is_what_the_session_remembers(run):
    kept = claims.session_history(claim(), ended(endings.succeeded("done"), run))
    assert [message["role"] for message in History.decode(kept).messages] == ["user", "assistant"]


@pytest.mark.parametrize(
    ("session", "outcome"),
    [
        ("", endings.succeeded("done")),
        ("s", endings.refused("")),
        ("s", Outcome(TaskStatus.FAILED, OutcomeReason.MODEL_ERROR)),
    ],
)
def test_anything_else_leaves_no_trace_in_a_session(run, session, outcome):
    assert claims.session_history(claim(session), ended(outcome, run)) is None
