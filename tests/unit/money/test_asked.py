"""Which models a revision asks: written and read again, and told of a book's price."""

from __future__ import annotations

import json

import pytest

from penstock.money import asked, prices
from penstock.money.asked import AskedModel, ModelPrice, PriceSource
from penstock.money.pool import PerMinute
from penstock.money.prices import Day
from penstock.task import Usage

ONE = AskedModel(
    "Anthropic",
    "https://a.test",
    "m",
    ("primary", "tier easy"),
    "ab",
    PerMinute(5, None, 0),
    ModelPrice("3", "0.3", "15", PriceSource.INSTALLATION, "", "2026-11-01"),
)


def test_what_was_written_is_read_again():
    bare = AskedModel("Anthropic", "https://a.test", "n", (), "")
    assert asked.read(asked.written([ONE, bare])) == (ONE, bare)


@pytest.mark.parametrize(
    "change",
    [
        {"model": None}, {"uses": 5}, {"uses": [5]}, {"per_minute": [1]}, {"per_minute": ["x", 1, 1]},
        {"per_minute": [1e999, 1, 1]}, {"per_minute": [-1, 1, 1]}, {"per_minute": [10**400, 1, 1]},
        {"mark": 5}, {"mark": "}:x"}, {"price": {"input": "1"}}, {"price": 5}, {"address": "x" * 2000}, {"account": {}},
        {"price": {"input": "1", "cached_input": "1", "output": "1", "source": "?", "release": "", "since": ""}},
    ],
)  # fmt: skip
def test_what_is_no_model_is_passed_over_and_the_others_stay(change):
    (said,) = json.loads(asked.written([ONE]))
    assert asked.read(json.dumps([said | change, said])) == (ONE,)


@pytest.mark.parametrize(
    "written", ["[" * 100_000, "1" * 5000, "[1e999]", "null", '[{"uses": {}}]']
)
def test_what_is_no_list_of_models_is_none(written):
    assert asked.read(written) == ()


def test_of_a_list_without_end_the_first_are_read():
    """Each is several reads of Redis for whoever looks."""
    (said,) = json.loads(asked.written([ONE]))
    many = [said | {"model": f"m{number}", "uses": ["primary"] * 1000} for number in range(1000)]
    found = asked.read(json.dumps(many))
    assert len(found) == 64
    assert max(len(one.uses) for one in found) == 64


def test_what_a_worker_of_the_version_before_has_told_is_read():
    (said,) = json.loads(asked.written([ONE]))
    del said["mark"]
    assert asked.read(json.dumps([said])) == (ONE,)


def test_the_day_from_which_a_rate_holds_is_that_of_the_rate_in_force():
    table = prices.read_table(
        json.dumps({
            "m": {"prices": [
                {"inputPerMTok": "1", "outputPerMTok": "2"},
                {"from": "2026-11-10", "inputPerMTok": "3", "outputPerMTok": "4"},
            ]}
        })
    )  # fmt: skip
    price = table.entry("m").price
    assert price.since(Day(2026, 11, 9)) is None
    assert price.since(Day(2026, 11, 30)) == Day(2026, 11, 10)


def test_costs_by_model_are_added_by_name():
    both = Usage(models=(("a", 1), ("b", 2))) + Usage(models=(("b", 3), ("c", 4)))
    assert both.models == (("a", 1), ("b", 5), ("c", 4))
