"""A conversation keeps every byte, and knows what is still to be answered."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.money.prices import Tokens
from penstock_runtime.agent.history import History
from penstock_runtime.agent.models import scripted
from penstock_runtime.agent.models.model import Reply
from penstock_runtime.agent.transcript import Transcript

THINKING = {"type": "thinking", "thinking": "hm", "signature": "EqRk+/=="}
short_text = st.text(max_size=10)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | short_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(short_text, inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=50)
@given(st.lists(st.dictionaries(short_text, json_values, max_size=3), max_size=3), short_text)
def test_a_saved_conversation_comes_back_byte_for_byte(blocks, text):
    reply = Reply(tuple({**block, "type": "unknown"} for block in blocks), "tool_use", Tokens())
    before = Transcript.start((), text).with_reply(reply)
    after = Transcript.decode(before.encode())
    assert after.encode() == before.encode()
    assert json.dumps(after.messages) == json.dumps(before.messages)


def test_the_last_result_makes_one_message_with_all_answers_in_the_models_order():
    asked = Transcript.start((), "x").with_reply(
        scripted.tool_use(("c1", "a", {}), ("c2", "b", {}), ("c3", "a", {}))
    )
    first, second, third = asked.calls
    answered = asked.with_result(third, "3", is_error=False).with_result(first, "1", is_error=True)
    assert [call.id for call in answered.pending] == ["c2"]
    full = answered.with_result(second, "2", is_error=False)
    assert full.stop_reason == ""
    assert full.messages[-1] == {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "c1", "content": "1", "is_error": True},
            {"type": "tool_result", "tool_use_id": "c2", "content": "2"},
            {"type": "tool_result", "tool_use_id": "c3", "content": "3"},
        ],
    }


def test_stored_results_of_a_half_answered_turn_survive_a_hand_over():
    asked = Transcript.start((), "x").with_reply(
        scripted.tool_use(("c1", "a", {}), ("c2", "b", {}))
    )
    saved = asked.with_result(asked.calls[0], "1", is_error=False).encode()
    assert [call.id for call in Transcript.decode(saved).pending] == ["c2"]


def test_two_calls_with_one_id_are_two_calls_with_a_result_each():
    asked = Transcript.start((), "x").with_reply(
        scripted.tool_use(("c1", "a", {}), ("c1", "a", {}))
    )
    first, second = asked.calls
    half = asked.with_result(first, "1", is_error=False)
    assert [call.position for call in half.pending] == [2]
    assert half.stop_reason == "tool_use"
    whole = half.with_result(second, "2", is_error=False)
    assert [block["content"] for block in whole.messages[-1]["content"]] == ["1", "2"]
    ids = [block["id"] for block in whole.messages[-2]["content"]]
    assert [block["tool_use_id"] for block in whole.messages[-1]["content"]] == ids
    assert len(set(ids)) == 2


def test_another_revision_gets_the_conversation_without_thinking():
    history = (
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": [THINKING]},
        {"role": "assistant", "content": [THINKING, {"type": "text", "text": "hi"}]},
    )
    own = Reply((THINKING, {"type": "text", "text": "now"}), "pause_turn", Tokens())
    moved = Transcript.start(history, "next").with_reply(own).without_thinking()
    assert "thinking" not in moved.encode().decode()
    assert moved.messages[moved.begin] == {"role": "user", "content": "next"}
    assert moved.answer == "now"


def test_a_history_comes_back_as_it_was():
    messages = (
        {"role": "user", "content": "é\ud800"},
        {"role": "assistant", "content": [THINKING]},
    )
    saved = History(messages).encode()
    assert History.decode(saved).messages == messages
    assert History.decode(None).messages == ()


def test_an_unknown_format_is_refused():
    with pytest.raises(ValueError, match="format"):
        Transcript.decode(b'{"format": 99, "messages": []}')
