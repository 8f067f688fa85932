"""What a model wrote is sent back only as far as readers take it."""

import json

import pytest

from penstock.money.prices import Tokens
from penstock_runtime.agent.history import History
from penstock_runtime.agent.models import echo, scripted
from penstock_runtime.agent.models.model import Reply
from penstock_runtime.agent.transcript import Transcript

TEXT = {"type": "text", "text": "fine"}
CALL = {"type": "tool_use", "id": "c1", "name": "look_up", "input": {"a": 1}}
SIGNED = {"type": "thinking", "thinking": "", "signature": "sig"}
DEEP = json.loads('{"a":' * 90 + "1" + "}" * 90)


def kept(*blocks, stop_reason="end_turn"):
    said = Transcript.start((), "hi").with_reply(Reply(blocks, stop_reason, Tokens(1, 1)))
    return said.messages[-1]["content"]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "text", "text": ""},
        {"type": "text", "text": " \n\t"},
        {"type": "text"},
        {"type": "text", "text": None},
        {"type": "thinking", "thinking": ""},
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "thinking", "thinking": "\ud800", "signature": "sig"},
        {"type": "redacted_thinking", "data": ""},
        {"type": "surprise", "payload": 1},
        {"type": 7},
        {},
        "text",
        None,
    ],
    ids=repr,
)
def test_a_block_that_readers_refuse_is_left_out(block):
    assert kept(block, TEXT) == [TEXT]
    assert kept(TEXT, block) == [TEXT]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "text", "text": "b ", "caller": {"kind": "new"}},
        SIGNED,
        {"type": "redacted_thinking", "data": "xyz"},
        CALL,
        {"type": "server_tool_use", "id": "s", "name": "n", "input": {}},
        {"type": "brand_new_tool_result", "tool_use_id": "s"},
    ],
    ids=lambda block: block["type"],
)
def test_a_block_that_readers_take_is_kept_as_it_came(block):
    assert kept(block, TEXT) == [block, TEXT]


def test_a_turn_does_not_end_with_thinking():
    assert kept(SIGNED, TEXT, SIGNED, {"type": "text", "text": ""}) == [SIGNED, TEXT]


@pytest.mark.parametrize(
    "odd",
    [
        {"name": "look up!"},
        {"name": ""},
        {"name": "x" * 65},
        {"name": None},
        {"input": [1]},
        {"input": "text"},
        {"input": None},
        {"input": {"a": float("inf")}},
        {"input": DEEP},
    ],
    ids=lambda odd: repr(odd)[:30],
)
def test_a_call_that_cannot_be_read_goes_back_as_one_that_calls_no_tool(odd):
    (block,) = kept({**CALL, **odd}, stop_reason="tool_use")
    assert (block["name"], block["input"]) == (echo.UNREADABLE_CALL, {})
    json.dumps(block, allow_nan=False).encode()


def test_texts_hold_nothing_that_utf_8_cannot_say():
    whole = kept({"type": "text", "text": "a\ud83d\x00b"}, {**CALL, "input": {"\ud800": ["\x00"]}})
    assert whole[0]["text"] == "a\ufffd\ufffdb"
    assert whole[1]["input"] == {"\ufffd": ["\ufffd"]}
    start = Transcript.start((), "\ud800\x00")
    assert start.messages[0]["content"] == "\ufffd\ufffd"


@pytest.mark.parametrize("text", ["", " ", "\x00\ud800"])
def test_a_tools_empty_output_is_said_in_words(text):
    asked = Transcript.start((), "hi").with_reply(scripted.tool_use(("c", "t", {})))
    told = asked.with_result(asked.calls[0], text, is_error=False).messages[-1]["content"][0]
    assert told["content"].strip()
    told["content"].encode()


def test_a_session_that_an_earlier_version_spoiled_heals():
    spoiled = [
        {"role": "user", "content": ""},
        {"role": "assistant", "content": []},
        {"role": "user", "content": "and?"},
        {"role": "assistant", "content": [{**CALL, "input": [1]}, {"type": "text", "text": ""}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": ""}]},
        {"role": "assistant", "content": [TEXT, {"type": "text", "text": "\ud800"}]},
    ]
    saved = json.dumps({"format": 1, "messages": spoiled}).encode()
    healed = Transcript.start(History.decode(saved).messages, "go on").messages
    assert [message["role"] for message in healed] == ["user", "assistant"] * 3 + ["user"]
    for message in healed:
        blocks = message["content"]
        assert blocks
        assert isinstance(blocks, str) or all(
            block.get("text", block.get("content", "x")).strip() for block in blocks
        )
    json.dumps(healed, ensure_ascii=False, allow_nan=False).encode()


def test_a_paused_turn_is_sent_without_white_space_at_its_end_and_answered_with_it():
    paused = Transcript.start((), "hi").with_reply(scripted.text("First, ", "pause_turn"))
    assert echo.ready(paused.messages)[-1]["content"] == [{"type": "text", "text": "First,"}]
    assert paused.with_turn_paused().with_reply(scripted.text("second.")).answer == "First, second."


def test_a_paused_turn_without_words_is_filled_when_it_is_sent():
    paused = Transcript.start((), "hi").with_reply(Reply((), "pause_turn", Tokens(1, 1)))
    assert echo.ready(paused.messages)[-1]["content"][0]["text"] == echo.NO_TEXT
    assert paused.answer == ""


def test_thinking_goes_with_what_it_was_signed_over():
    thought = {"role": "assistant", "content": [SIGNED, TEXT]}
    asked = {"role": "user", "content": "hi"}
    sound = (asked, thought, asked, thought)
    assert echo.messages(sound) == sound
    odd = {"role": "assistant", "content": [TEXT, {"type": "text", "text": ""}]}
    healed = echo.messages((asked, thought, asked, odd, asked, thought))
    assert healed[1] == thought
    assert healed[5] == {"role": "assistant", "content": [TEXT]}


def test_a_turn_that_was_gone_on_from_is_sent_alike_ever_after():
    paused = Transcript.start((), "hi").with_reply(scripted.text("First, ", "pause_turn"))
    first = echo.ready(paused.messages)
    later = paused.with_turn_paused().with_reply(scripted.text("second. "))
    asked = (*later.messages, {"role": "user", "content": "and?"})
    assert echo.ready(asked)[: len(first)] == first
    assert echo.ready(asked)[2]["content"][0]["text"] == "second. "
