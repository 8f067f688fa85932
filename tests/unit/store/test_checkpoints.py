"""A conversation is saved whole, then by what is new, and comes back byte for byte."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock_store import checkpoints

LARGE = 20_000


class Hash:
    """What Redis holds of a task, as ``checkpoint.lua`` writes it."""

    def __init__(self):
        self.fields: dict[str, bytes] = {}
        self.saved: checkpoints.Saved | None = None
        self.written = 0

    def save(self, state: bytes, *, intents: bool = False):
        writing = checkpoints.next_writing(self.saved, state, intents=intents)
        if writing.piece == 0:
            self.fields = {"checkpoint": writing.content, "whole": writing.saved.whole.encode()}
        else:
            self.fields |= {
                f"piece{writing.piece}": writing.content,
                "pieces": str(writing.piece).encode(),
            }
        self.saved = writing.saved
        self.written += len(writing.content)
        return writing.piece

    def read(self):
        return checkpoints.read(self.fields)


def conversation(turns: int, size: int = 500) -> bytes:
    messages = [{"role": "user", "content": f"{turn} " + "x" * size} for turn in range(turns)]
    return json.dumps({"format": 1, "messages": messages, "begin": 0, "begun": []}).encode()


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, 40_000), st.binary(max_size=60_000), st.booleans()), max_size=20
    )
)
def test_whatever_is_saved_comes_back(steps):
    stored, state = Hash(), b""
    for kept, added, intents in steps:
        state = state[:kept] + added
        stored.save(state, intents=intents)
        assert stored.read() == state


def test_what_is_written_grows_with_the_conversation_and_not_with_its_square():
    stored = Hash()
    for turns in range(1, 401):
        stored.save(conversation(turns))
        assert stored.read() == conversation(turns)
    assert stored.written < 6 * len(conversation(400))


def test_a_short_one_and_one_with_an_open_call_are_whole_for_workers_that_know_no_pieces():
    stored = Hash()
    assert [stored.save(conversation(turns, 10)) for turns in range(1, 5)] == [0, 0, 0, 0]
    stored.save(conversation(60))
    assert stored.save(conversation(61)) == 1
    assert stored.save(conversation(62), intents=True) == 0
    assert stored.fields["checkpoint"] == conversation(62)
    assert stored.save(conversation(63)) == 0, "the result of the call must be in it too"
    assert stored.save(conversation(64)) == 1


def test_pieces_of_another_whole_text_are_passed_over():
    stored = Hash()
    stored.save(conversation(60))
    stored.save(conversation(61))
    stored.fields["checkpoint"] = conversation(70)  # by a worker that knows no pieces
    assert stored.read() == conversation(70)


def test_nothing_saved_is_nothing():
    assert checkpoints.read({}) is None
    assert checkpoints.read({"checkpoint": b"{}"}) == b"{}"


@given(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=200))
def test_the_common_prefix_is_as_long_as_it_can_be(common, one, other):
    left, right = common + one, common + other
    length = checkpoints.common_prefix(left, right)
    assert left[:length] == right[:length]
    assert length == min(len(left), len(right)) or left[length] != right[length]
