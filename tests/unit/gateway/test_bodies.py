"""How deep a body is, and how long it takes to find out."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_runtime.gateway import bodies


def depth(value):
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


VALUES = st.recursive(
    st.none() | st.text('[]{}"\\a', max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text('[]{}"\\', max_size=3), inner, max_size=3)
    ),
    max_leaves=30,
)


@given(VALUES, st.integers(0, 6))
def test_the_depth_of_json_is_that_of_its_arrays_and_objects(value, levels):
    text = json.dumps(value).encode()
    assert bodies.is_deeper_than(text, levels) == (depth(value) > levels)


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 1_000_000,
        b"[]" * 500_000,
        b"[" * 40 + rb"\"" * 500_000,
        b'{"a":' * 100_000,
        b'["' * 300_000,
    ],
    ids=["opened", "flat", "quotes", "objects", "strings"],
)
def test_no_text_takes_more_than_linear_time(text):
    """Twenty times the time that a plain text of the length takes is far from quadratic."""

    def seconds(content):
        started = time.perf_counter()
        bodies.is_deeper_than(content, 32)
        return time.perf_counter() - started

    plain = b'{"a":"' + b"x" * len(text) + b'"},' + b"[]" * 40
    assert min(seconds(text) for _ in range(3)) < 100 * min(seconds(plain) for _ in range(3)) + 0.1
