"""How an object is written for a reader that takes it for YAML, and how texts are cut for it."""

import json
import re

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.rollout.situation import Happening
from penstock_operator.cluster import wire
from penstock_operator.cluster.wire import cut_bytes, patch
from penstock_operator.reconcile import events
from tests.unit.operator import worlds

THOROUGH = settings(max_examples=200)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
#: What the API server's YAML reader takes as it stands.
READABLE = re.compile(
    "[\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]*"
)


@THOROUGH
@given(st.dictionaries(TEXT, TEXT | st.lists(TEXT) | st.none() | st.booleans() | st.integers()))
def test_what_is_written_is_json_and_holds_the_same(document):
    assert json.loads(patch(document)) == document


@THOROUGH
@given(TEXT)
def test_no_character_is_written_that_a_reader_of_yaml_refuses_or_folds(text):
    written = patch({"k": text}).decode()
    assert READABLE.fullmatch(written)
    assert not re.search("\\\\ud[89a-f]|[\x85\u2028\u2029]", written), "no half and no line break"


def test_a_character_beyond_the_first_plane_is_written_as_it_is():
    assert patch({"k": "🚢𝕏𠮷"}) == '{"k":"🚢𝕏𠮷"}'.encode()


def test_half_a_character_is_written_as_the_mark_of_what_cannot_be_read():
    assert patch({"k\ud83d": "a\udea2b"}) == '{"k�":"a�b"}'.encode()


def test_a_long_key_is_marked_as_one():
    key = "k" * 1025
    assert yaml.safe_load(patch({"a": 1, key: {"b": [1, {key: None}]}})) == {
        "a": 1,
        key: {"b": [1, {key: None}]},
    }


@THOROUGH
@given(st.text(), st.integers(3, 40))
def test_a_text_is_cut_between_two_characters_by_the_bytes_that_it_has(text, longest):
    short = cut_bytes(text, longest)
    assert len(short.encode()) <= longest
    assert short == re.sub("[\ud800-\udfff]", "\ufffd", text) or short.endswith("…")


def test_the_note_of_an_event_is_cut_by_its_bytes():
    about = {**worlds.agent(), "kind": "Agent"}
    long = Happening("RolledBack", "🚢" * 1000)
    note = events.event(about, long, now=worlds.NOW, suffix="1")["note"]
    assert 1000 < len(note.encode()) <= 1024
    assert note.startswith("🚢" * 250)
    whole = Happening("RolledBack", "x" * 1024)
    assert events.event(about, whole, now=worlds.NOW, suffix="1")["note"] == whole.message


def test_the_name_of_an_event_is_a_name_wherever_the_objects_own_is_cut():
    about = worlds.agent()
    about["metadata"]["name"] = "a" * 198 + ".-" + "b" * 20
    name = events.event(about, Happening("R", "m"), now=worlds.NOW, suffix="f00")["metadata"][
        "name"
    ]
    assert name == "a" * 198 + ".f00"


# ----------------------------------------------------------------------- how answers are read


def nested(levels, inside="1"):
    """JSON of so many levels, with brackets in its texts that mean nothing."""
    return '{"}]\\"{[":[' * (levels // 2) + inside + "]}" * (levels // 2)


def depth(value):
    """Levels of lists and objects."""
    parts = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth, parts), default=0) if isinstance(value, dict | list) else 0


@THOROUGH
@given(
    st.recursive(
        TEXT | st.none() | st.integers(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    )
)
def test_an_answer_of_ordinary_depth_is_read_as_it_is(document):
    raw = json.dumps(document, ensure_ascii=False).encode()
    assert wire.shallow(raw) == raw
    assert wire.parsed(raw) == document


def test_an_answer_of_any_depth_is_read_without_its_deepest_parts():
    for levels in (300, 1500, 20_000):
        raw = f'{{"a": {nested(levels)}, "b": "]}}", "c": {nested(4)}}}'.encode()
        read = wire.parsed(raw)
        assert depth(read) == wire.LEVELS
        assert (read["b"], read["c"]) == ("]}", json.loads(nested(4)))
