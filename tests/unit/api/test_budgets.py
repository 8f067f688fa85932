"""What an Agent's budgets are to the ledger, and how people read them."""

import pytest

from penstock.api import budgets
from penstock.api.budgets import Budgets
from penstock.money.ledger import Budget, Limit, Mode, OnExceeded, Scope, Unit, Window


def declared(**fields):
    return Budgets.model_validate(fields)


@pytest.mark.parametrize(
    ("field", "window"),
    [("hourly", Window.HOUR), ("daily", Window.DAY), ("monthly", Window.MONTH)],
)
@pytest.mark.parametrize(
    ("place", "scope"), [(None, Scope.AGENT), ("perUser", Scope.USER), ("perTenant", Scope.TENANT)]
)
def test_each_field_is_a_limit_of_its_scope_and_window(field, window, place, scope):
    block = {"tokens": {field: 500}, "costUSD": {field: "0.25"}}
    found = budgets.budget_of(declared(**(block if place is None else {place: block})))
    assert set(found.limits) == {
        Limit(scope, window, Unit.TOKENS, 500),
        Limit(scope, window, Unit.MICRO_USD, 250_000),
    }
    prefix = "budgets." + (f"{place}." if place else "")
    assert {budgets.field_of(limit) for limit in found.limits} == {
        f"{prefix}tokens.{field}",
        f"{prefix}costUSD.{field}",
    }


@pytest.mark.parametrize("mode", Mode)
def test_the_mode_is_that_of_the_budget(mode):
    found = budgets.budget_of(declared(mode=mode.value, costUSD={"daily": "1"}))
    assert found == Budget((Limit(Scope.AGENT, Window.DAY, Unit.MICRO_USD, 1_000_000),), mode)


@pytest.mark.parametrize("tokens", [1, 1000])
@pytest.mark.parametrize("then", OnExceeded)
def test_the_floor_of_a_reply_and_what_follows_go_with_the_budget(tokens, then):
    fields = {"minReplyTokens": tokens, "onExceeded": then.value, "costUSD": {"daily": "1"}}
    found = budgets.budget_of(declared(**fields))
    assert (found.min_reply_tokens, found.on_exceeded) == (tokens, then)


def test_a_budget_of_the_version_before_is_the_same():
    found = budgets.budget_of(declared(costUSD={"daily": "1"}))
    assert (found.min_reply_tokens, found.on_exceeded) == (256, OnExceeded.REJECT)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"minReplyTokens": 9, "onExceeded": "Escalate"},
        {"mode": "Report"},
        {"costUSD": {}},
        {"perUser": {"requestsPerMinute": 5}},
    ],
)
def test_where_nothing_is_bounded_there_is_no_budget(fields):
    assert budgets.budget_of(declared(**fields)) is None
    assert budgets.budget_of(None) is None


def test_amounts_are_shown_in_their_unit():
    money = Limit(Scope.USER, Window.DAY, Unit.MICRO_USD, 1_500_000)
    assert budgets.shown(money, money.most) == "1.500000 USD"
    assert budgets.shown(Limit(Scope.AGENT, Window.DAY, Unit.TOKENS, 7), 7) == "7 tokens"
