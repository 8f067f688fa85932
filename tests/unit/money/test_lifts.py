"""What a lift asks for, read from the annotation, and the windows of the calendar it may be for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from penstock.money import lifts, spend
from penstock.money.ledger import Limit, Scope, Unit, Window
from penstock.money.lifts import Wanted


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("budget-lift/agent/daily/4/1", Wanted(Scope.AGENT, Window.DAY, Unit.MICRO_USD, 4_000_000)),
        ("budget-lift/user/hourly/0.05USD/x", Wanted(Scope.USER, Window.HOUR, Unit.MICRO_USD, 50_000)),
        ("budget-lift/tenant/monthly/7tokens/a/b", Wanted(Scope.TENANT, Window.MONTH, Unit.TOKENS, 7)),
    ],
)  # fmt: skip
def test_a_lift_names_scope_window_and_amount(value, wanted):
    assert lifts.parse(value) == wanted


@pytest.mark.parametrize(
    "value",
    [
        "budget-lift", "budget-lift/agent/daily/4", "budget-lift/agent/daily/4/", "budget-lift//daily/4/1",
        "budget-lift/canary/daily/4/1", "budget-lift/agent/day/4/1", "budget-lift/agent/daily/0/1",
        "budget-lift/agent/daily/-4/1", "budget-lift/agent/daily/1e9/1", "budget-lift/agent/daily/0tokens/1",
        "budget-lift/agent/daily/4.5tokens/1", "budget-lift/agent/daily/0.0000001/1", "budget-lift/agent/daily/٤/1",
    ],
)  # fmt: skip
def test_another_form_is_none_and_still_a_request_for_a_lift(value):
    assert lifts.is_one(value)
    assert lifts.parse(value) is None


def test_other_requests_are_no_lifts():
    assert not lifts.is_one("budget-lifted/agent/daily/4/1")
    assert lifts.parse("undo/1.0/1") is None


@pytest.mark.parametrize(
    ("window", "begins", "ends"),
    [
        (Window.HOUR, (2028, 2, 29, 23), (2028, 3, 1, 0)),
        (Window.DAY, (2028, 2, 29), (2028, 3, 1)),
        (Window.MONTH, (2028, 2, 1), (2028, 3, 1)),
    ],
)
def test_windows_are_those_of_the_calendar(window, begins, ends):
    at = datetime(2028, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)
    wanted = datetime(*begins, tzinfo=UTC), datetime(*ends, tzinfo=UTC)
    assert lifts.bounds(window, at) == wanted
    with pytest.raises(ValueError, match="no window"):
        lifts.bounds(Window.TOTAL, at)


@pytest.mark.parametrize(
    ("unit", "most", "text"),
    [(Unit.MICRO_USD, 40_000_000, "4"), (Unit.MICRO_USD, 123, "0.000012"), (Unit.TOKENS, 5, "1tokens")],
)  # fmt: skip
def test_what_is_suggested_can_be_asked_for(unit, most, text):
    limit = Limit(Scope.AGENT, Window.DAY, unit, most)
    assert lifts.suggested(limit) == text
    assert lifts.parse(f"budget-lift/{lifts.name(limit)}/{text}/1").is_of(limit)


def test_amounts_in_words_lose_nothing():
    assert [spend.amount(Unit.MICRO_USD, n) for n in (1, 1_500_000, 100_000_000)] == [
        "0.000001 USD",
        "1.5 USD",
        "100 USD",
    ]
