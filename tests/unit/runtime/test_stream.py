"""Events of a stream become one exact message."""

import pytest

from penstock.money.prices import Tokens
from penstock_runtime.agent.models.stream import Assembly

START = {
    "type": "message_start",
    "message": {"usage": {"input_tokens": 7, "cache_read_input_tokens": 3, "output_tokens": 1}},
}
STOP = {"type": "message_stop"}


def block(index, start, *deltas):
    yield {"type": "content_block_start", "index": index, "content_block": start}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def ending(stop_reason="end_turn", **usage):
    return {"type": "message_delta", "delta": {"stop_reason": stop_reason}, "usage": usage or None}


def assembled(*events):
    assembly = Assembly(asked_tokens=50)
    for event in events:
        assembly.add(event)
    return assembly


def test_blocks_keep_what_nobody_knows():
    odd = {"type": "text", "text": "", "caller": {"kind": "new"}}
    got = assembled(
        START,
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "a"},
            {"type": "signature_delta", "signature": "sig"},
        ),
        *block(1, odd, {"type": "text_delta", "text": "b"}, {"type": "novel_delta", "x": 1}),
        *block(2, {"type": "surprise", "payload": [1.50]}),
        {"type": "ping"},
        {"type": "novelty"},
        ending(output_tokens=9),
        STOP,
    )
    assert got.complete
    assert got.reply().content == (
        {"type": "thinking", "thinking": "a", "signature": "sig"},
        {"type": "text", "text": "b", "caller": {"kind": "new"}},
        {"type": "surprise", "payload": [1.50]},
    )
    assert got.reply().tokens == Tokens(10, 9, cache_read=3)


def test_tool_input_is_put_together_from_its_parts():
    parts = ["", '{"a": [1', ", 2]}"]
    deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
    tool_use = {"type": "tool_use", "id": "c1", "name": "t", "input": {}}
    got = assembled(START, *block(0, tool_use, *deltas), ending("tool_use"), STOP)
    assert got.reply().content[0]["input"] == {"a": [1, 2]}


def test_half_an_input_is_kept_from_tools():
    half = {"type": "input_json_delta", "partial_json": '{"a": [1, 2'}
    tool_use = {"type": "tool_use", "id": "c1", "name": "t", "input": {}}
    cut = assembled(START, *block(0, tool_use, half), ending("max_tokens"), STOP)
    assert cut.reply().content[0]["input"] == {}
    asked = assembled(START, *block(0, tool_use, half), ending("tool_use"), STOP)
    with pytest.raises(ValueError, match="not JSON"):
        asked.reply()


@pytest.mark.parametrize(
    "events",
    [
        (),
        (START,),
        (START, ending()),
        (START, STOP),
        (ending(), STOP),
        (START, {"type": "message_delta", "delta": {"stop_reason": None}}, STOP),
    ],
)
def test_a_stream_without_all_of_its_ends_is_incomplete(events):
    assert not assembled(*events).complete


def test_a_cut_stream_is_charged_for_what_was_seen():
    got = assembled(START, *block(0, {"type": "text", "text": "x" * 400}))
    assert got.tokens.input == 10
    assert got.tokens.output > 100


def test_a_reply_without_usage_is_charged_by_its_length():
    got = assembled(
        {"type": "message_start", "message": {}},
        *block(0, {"type": "text", "text": "x" * 400}),
        ending(),
        STOP,
    )
    assert got.reply().tokens.input == 50
    assert got.reply().tokens.output > 100


def test_nothing_is_charged_before_a_reply_began():
    assert assembled().tokens == Tokens()


@pytest.mark.parametrize(
    ("split", "parts"),
    [
        (None, (20, 0)),
        ({"ephemeral_5m_input_tokens": 15, "ephemeral_1h_input_tokens": 5}, (15, 5)),
        ({"ephemeral_1h_input_tokens": 50}, (0, 20)),
        ({"ephemeral_1h_input_tokens": "many"}, (20, 0)),
        ("odd", (20, 0)),
    ],
)
def test_what_is_written_into_a_cache_is_told_apart_by_how_long_it_stays(split, parts):
    usage = {"input_tokens": 1, "cache_creation_input_tokens": 20, "cache_creation": split}
    start = {"type": "message_start", "message": {"usage": usage}}
    tokens = assembled(start, ending(output_tokens=2), STOP).tokens
    assert (tokens.cache_write, tokens.cache_write_long) == parts
    assert (tokens.input, tokens.fresh) == (21, 1)
