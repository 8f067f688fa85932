"""Checkpoints and histories that other versions wrote are read, and ours are read by theirs."""

import json

import pytest

from penstock.money.prices import Tokens
from penstock_runtime.agent.history import History
from penstock_runtime.agent.models import scripted
from penstock_runtime.agent.models.model import Reply
from penstock_runtime.agent.transcript import Transcript


def old_reader(saved):
    """What a worker that knows calls by the model's ids makes of a checkpoint."""
    document = json.loads(saved.decode("utf-8", "surrogatepass"))
    assert document.get("format") == 1
    asked = [
        block["id"]
        for block in (document["messages"][-1]["content"] if document["stopReason"] else ())
        if block["type"] == "tool_use"
    ]
    pending = [known for known in asked if known not in document["results"]]
    begun = frozenset(document["begun"])
    return tuple(document["messages"]), document["begin"], pending, begun


def old_writer(messages, *, begin=0, stop_reason="", results=(), begun=()):
    """A checkpoint as such a worker writes it."""
    return json.dumps(
        {
            "format": 1,
            "messages": messages,
            "begin": begin,
            "stopReason": stop_reason,
            "detail": "",
            "results": dict(results),
            "begun": sorted(begun),
        }
    ).encode()


def result(identifier, text):
    return {"type": "tool_result", "tool_use_id": identifier, "content": text}


def use(identifier, name="refund", **given):
    return {"type": "tool_use", "id": identifier, "name": name, "input": given}


def user(text):
    return {"role": "user", "content": text}


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks)}


ASKED = [user("hi"), assistant(use("a"), use("b"), use("c"))]


def test_a_checkpoint_of_the_version_before_goes_on_where_it_stood():
    saved = old_writer(ASKED, stop_reason="tool_use", results={"a": result("a", "1")}, begun=["b"])
    read = Transcript.decode(saved)
    assert [call.id for call in read.pending] == ["b", "c"]
    assert read.begun == {(1, 2)}
    assert read.intents == ("refund",)


def test_what_an_earlier_version_answered_is_no_intent_though_it_kept_it():
    saved = old_writer(
        ASKED, stop_reason="tool_use", results={"b": result("b", "1")}, begun=["b", "gone"]
    )
    assert Transcript.decode(saved).begun == set()


def test_a_call_that_an_earlier_version_may_have_made_keeps_its_idempotency_key():
    read = Transcript.decode(old_writer(ASKED, stop_reason="tool_use"))
    assert read.calls[1].idempotency_key("t") == "t.1.b"
    later = read
    for call in read.calls:
        later = later.with_result(call, "x", is_error=False)
    later = later.with_reply(scripted.tool_use(("d", "refund", {})))
    assert later.calls[0].idempotency_key("t") == "t.2.1"
    assert Transcript.decode(later.encode()).calls[0].idempotency_key("t") == "t.2.1"


def test_the_version_before_reads_our_checkpoint():
    asked = Transcript.start((), "hi").with_reply(
        scripted.tool_use(("a", "refund", {}), ("b", "refund", {}), ("c", "refund", {}))
    )
    first, second, _ = asked.calls
    half = asked.with_intent(first).with_result(first, "1", is_error=False)
    assert half.begun == set()
    saved = half.with_intent(second).encode()
    messages, begin, pending, begun = old_reader(saved)
    assert (begin, pending, begun) == (0, ["b", "c"], {"b"})
    again = Transcript.decode(old_writer(messages, stop_reason="tool_use", begun=begun))
    assert again.begun == {(1, 2)}


@pytest.mark.parametrize(
    "ids", [("a", "a"), ("call_1", "call_1"), ("", "a"), (None, 7), ("é", "a b")]
)
def test_calls_with_odd_ids_are_apart_for_both_versions(ids):
    before = Transcript.start((), "hi").with_reply(scripted.tool_use(("call_1", "refund", {})))
    before = before.with_result(before.calls[0], "0", is_error=False)
    asked = before.with_reply(scripted.tool_use(*((each, "refund", {}) for each in ids)))
    half = asked.with_intent(asked.calls[0]).with_result(asked.calls[1], "2", is_error=False)
    _, _, pending, begun = old_reader(half.encode())
    assert pending == sorted(begun)
    read = Transcript.decode(half.encode())
    assert [call.position for call in read.pending] == [1]
    assert read.begun == {(2, 1)}


def test_ids_that_repeat_in_an_earlier_versions_checkpoint_keep_their_results_in_place():
    messages = [
        user("hi"),
        assistant(use("x", n=1)),
        {"role": "user", "content": [result("x", "one")]},
        assistant(use("x", n=2)),
    ]
    read = Transcript.decode(old_writer(messages, stop_reason="tool_use"))
    done = read.with_result(read.calls[0], "two", is_error=False)
    pairs = [
        (block["id"], answer["tool_use_id"], answer["content"])
        for asked, told in zip(done.messages[1::2], done.messages[2::2], strict=True)
        for block, answer in zip(asked["content"], told["content"], strict=True)
    ]
    assert [one == other for one, other, _ in pairs] == [True, True]
    assert len({one for one, _, _ in pairs}) == 2
    assert [words for *_, words in pairs] == ["one", "two"]


def test_what_was_counted_survives_and_the_version_before_passes_over_it():
    said = Transcript.start((), "hi").with_reply(
        Reply(({"type": "text", "text": "hello there"},), "end_turn", Tokens(100, 7))
    )
    saved = History(said.messages, said.tokens).encode()
    assert History.decode(saved).tokens == 100 + min(7, said.tokens - 100)
    assert History.decode(saved).messages == said.messages
    plain = json.dumps({"format": 1, "messages": list(said.messages)}).encode()
    assert History.decode(plain).tokens == 0
    assert Transcript.decode(said.encode()).tokens == said.tokens


def test_identical_calls_are_counted_on_after_a_hand_over():
    run = Transcript.start((), "hi")
    for number in range(3):
        run = run.with_reply(scripted.tool_use((f"c{number}", "look_up", {"b": 1, "a": 2})))
        assert Transcript.decode(run.encode()).times_asked(run.calls[0]) == number + 1
        run = run.with_result(run.calls[0], "x", is_error=False)
