"""What is sent back can be read by a strict reader, whatever it is made of."""

from __future__ import annotations

import json

import pytest

from penstock_runtime.gateway import plain


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Grüße 🚢 𝕏", "Grüße 🚢 𝕏"),
        ("half \ud83d", "half �"),
        ("\udea2 the other", "� the other"),
        ("\ud83d\udea2", "🚢"),
        (
            "a\x00b\x1b[31m\x85\u2028\u2029\ufeff\uffff",
            "a\x00b\x1b[31m\x85\u2028\u2029\ufeff\uffff",
        ),
    ],
)
def test_any_text_comes_back_as_json_in_utf_8_and_in_one_line(text, read):
    sent = plain.encoded({text: [text, {"deep": (text,)}]})
    assert json.loads(sent) == {read: [read, {"deep": [read]}]}
    assert len(sent.decode().splitlines()) == 1
    assert b"\\ud" not in sent.lower()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_lacks_is_null(number):
    assert plain.encoded({"a": number, "b": 1.5}) == b'{"a":null,"b":1.5}'


def test_what_is_shown_of_a_long_text_has_an_end_and_no_line_in_it():
    shown = plain.one_line("a\r\nb\u2028c\x85" + "d" * 70_000, 20)
    assert len(shown) == 20
    assert shown.splitlines() == [shown]
    assert shown.endswith("…")
    assert plain.one_line("short", 20) == "short"


def test_what_is_nested_without_end_is_cut():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    read = json.loads(plain.encoded({"deep": deep, "other": 1}))
    assert read["other"] == 1
    levels = 0
    while read is not None:
        read, levels = (read["deep"] if levels == 0 else read[0]), levels + 1
    assert levels <= plain.MAX_DEPTH + 1
    while deep:
        deep = deep.pop()  # one level at a time: all at once would be too deep for Python, too
