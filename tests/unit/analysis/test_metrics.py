"""One list of metrics, and sums that are the same in memory, in status and in a test."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.analysis.metrics import (
    LATENCY,
    METRICS,
    Sums,
    Tally,
    as_total,
    for_status,
    of_end,
    of_status,
    total_of,
    yardstick,
)
from penstock.api.analysis import ArmCounts, Guardrails, Yardstick
from penstock.rollout import findings
from penstock.task import Counting

COUNTS = st.integers(0, 10**9)
TALLIES = st.builds(Tally, *[COUNTS for _ in Tally._fields])
ENDS = st.builds(of_end, st.sampled_from(Counting), st.integers(0, 60_000), st.integers(0, 10**6))


def test_a_tally_has_the_columns_of_status():
    assert set(Tally._fields) == set(Yardstick.model_fields)
    squares = {name for name in Tally._fields if name.endswith("_squares")}
    assert set(Tally._fields) - set(ArmCounts.model_fields) == squares


@given(TALLIES)
def test_what_status_keeps_comes_back_as_it_was(tally):
    kept = Yardstick.model_validate_json(yardstick(tally).model_dump_json(by_alias=True))
    assert of_status(kept) == tally
    kept = ArmCounts.model_validate_json(for_status(tally).model_dump_json(by_alias=True))
    assert of_status(kept) == as_total(tally)


@given(st.lists(ENDS), st.lists(ENDS))
def test_two_halves_add_up_to_the_whole(first, second):
    whole = total_of([*first, *second])
    assert total_of(first) + total_of(second) == whole
    assert whole - total_of(first) == total_of(second)
    for metric in METRICS:
        halves = (metric.sums(total_of(half)) for half in (first, second))
        assert Sums(*map(sum, zip(*halves, strict=True))) == metric.sums(whole)


@given(st.lists(ENDS.map(lambda end: end._replace(tasks=1)), min_size=1))
def test_the_sums_of_a_metric_are_those_of_its_values(ends):
    for metric in METRICS:
        values = [metric.sums(end).total for end in ends if metric.sums(end).n]
        squares = sum(value * value for value in values)
        assert metric.sums(total_of(ends)) == (len(values), sum(values), squares)


def test_values_that_are_all_alike_have_no_spread_however_large_they_are():
    assert LATENCY.sums(total_of([of_end(Counting.GOOD, 86_399_999)] * 999)).variance == 0.0


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_has_a_limit_and_words(metric):
    assert metric.declared(Guardrails()) > 0
    assert findings.WORDS[metric].title


def test_every_limit_and_every_reason_belongs_to_one_metric():
    defaults = Guardrails()
    numbers = {name: value for name, value in defaults if isinstance(value, int)}
    declared = {name for name in numbers if name not in ("window_seconds", "min_tasks")}
    read = []
    for metric in METRICS:
        changed = [defaults.model_copy(update={name: 99}) for name in sorted(declared)]
        read.append([metric.declared(limits) == 99 for limits in changed])
    assert [sum(column) for column in zip(*read, strict=True)] == [1] * len(declared)
    assert len({words.reason for words in findings.WORDS.values()}) == len(METRICS)
