"""Trace context: a well-formed one goes on, any other begins anew."""

from __future__ import annotations

import re

import pytest

from penstock_runtime.gateway import traces

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize("sent", [f"00-{TRACE}-{SPAN}-00", f"cc-{TRACE}-{SPAN}-00-more"])
def test_a_trace_goes_on_under_a_new_span_with_the_flags_of_the_caller(sent):
    trace = traces.trace_of(sent)
    assert trace.trace_id == TRACE
    assert trace.span_id != SPAN
    assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-00", trace.parent)


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "",
        TRACE,
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
    ],
)
def test_without_a_usable_trace_a_new_one_begins(sent):
    one, other = traces.trace_of(sent), traces.trace_of(sent)
    assert re.fullmatch(r"[0-9a-f]{32}", one.trace_id)
    assert one.trace_id != other.trace_id
    assert TRACE not in one.parent.lower()
