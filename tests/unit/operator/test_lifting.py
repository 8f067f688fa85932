"""A lift of a budget is handled once, told with who and how much, and ends with its window."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock import names
from penstock.api import condition
from penstock.api.reasons import ConditionType
from penstock.money.ledger import Lift, Scope, Unit, Window
from penstock_operator.reconcile.plan import plan_agent
from penstock_operator.reconcile.stock import take_stock
from tests.unit.operator import worlds
from tests.unit.operator.test_plan import trying_v2
from tests.unit.operator.test_spending import USD, after, day, spends

MIDNIGHT_MS = 1_795_219_200_000
BUDGETS = {"costUSD": {"daily": "40"}, "perUser": {"tokens": {"hourly": 1000}}}


def asks(value, *, by="", made=None, **more):
    """An Agent of whose 40 USD 39 are spent, on which this stands."""
    made = made or spends(day(39), budgets=BUDGETS)
    notes = {names.ANNOTATION_REQUEST: value, names.ANNOTATION_REQUESTED_BY: by}
    metadata = {**made.agent["metadata"], "annotations": notes}
    seen = made.status.model_copy(update={"observed_generation": 2})
    return replace(made, agent={**made.agent, "metadata": metadata}, **{"status": seen, **more})


def answer(made):
    return plan_agent(made).agent_status.last_request


def test_a_lift_is_in_force_until_its_window_ends_and_the_ledger_is_told():
    made = asks("budget-lift/agent/daily/4.5/1", by="alice")
    plan = plan_agent(made)
    assert plan.news
    (kept,) = plan.agent_status.lifts
    assert (kept.of, kept.amount, kept.by) == ("agent/daily", "4.5 USD", "alice")
    assert (kept.begins_at, kept.ends_at) == ("2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z")
    (lift,) = plan.budget.lifts
    begins, at = MIDNIGHT_MS, MIDNIGHT_MS + 36_000_000
    assert lift == Lift(
        Scope.AGENT, Window.DAY, Unit.MICRO_USD, 4_500_000, begins, by="alice", at_ms=at
    )
    assert plan.route.budget_mark != plan_agent(spends(day(39), budgets=BUDGETS)).route.budget_mark


def test_who_how_much_and_until_when_is_an_event_and_the_answer():
    made = asks("budget-lift/agent/daily/4.5/1", by="alice")
    words = "budget agent/daily: 4.5 USD more until 2026-11-22T00:00:00Z, by alice"
    seen = [(one.reason, one.message) for one in plan_agent(made).transitions]
    assert ("BudgetLifted", words) in seen
    assert (answer(made).result, answer(made).message) == ("Accepted", words)


def test_it_is_handled_once_by_whoever_looks_again():
    made = asks("budget-lift/agent/daily/4.5/1")
    again = after(made, made)
    assert plan_agent(again).agent_status.lifts == plan_agent(made).agent_status.lifts
    assert not plan_agent(again).news
    assert "BudgetLifted" not in [one.reason for one in plan_agent(again).transitions]
    lost = replace(again, look=replace(again.look, route_record=()))
    assert plan_agent(lost).budget == plan_agent(made).budget


def test_another_one_adds_to_it_and_the_same_one_does_not():
    first = asks("budget-lift/agent/daily/4.5/1")
    second = asks("budget-lift/agent/daily/1/2", status=plan_agent(first).agent_status)
    assert [lift.more for lift in plan_agent(second).budget.lifts] == [4_500_000, USD]
    third = asks("budget-lift/agent/daily/4.5/1", status=plan_agent(second).agent_status)
    assert answer(third).result == "Repeated"
    assert len(plan_agent(third).agent_status.lifts) == 2


def test_with_its_window_it_is_over():
    made = asks("budget-lift/agent/daily/4.5/1")
    tomorrow = replace(after(made, made), now=worlds.later(86_400))
    assert plan_agent(tomorrow).agent_status.lifts == []
    assert plan_agent(tomorrow).budget == plan_agent(spends(day(39), budgets=BUDGETS)).budget


REFUSED = {
    "budget-lift/agent/day/4/1": "a lift is budget-lift/SCOPE/WINDOW/AMOUNT/NONCE",
    "budget-lift/agent/hourly/4/1": "no limit agent/hourly in USD; it has: agent/daily 40 USD, user/hourly 1000 tokens",
    "budget-lift/user/hourly/4/1": "no limit user/hourly in USD",
    "budget-lift/agent/daily/4tokens/1": "no limit agent/daily in tokens",
}


@pytest.mark.parametrize("value", REFUSED)
def test_what_cannot_be_lifted_is_refused_with_what_can(value):
    made = asks(value)
    assert answer(made).result == "Refused"
    assert REFUSED[value] in answer(made).message
    assert plan_agent(made).agent_status.lifts == []
    ready = condition.find(plan_agent(made).agent_status.conditions, ConditionType.READY)
    assert ready.message.startswith(f"Request {value} was refused")


def test_a_lift_of_a_former_life_is_refused():
    made = asks("budget-lift/agent/daily/4/1")
    restored = replace(made, status=made.status.model_copy(update={"observed_generation": 0}))
    assert "before the status was" in answer(restored).message


@pytest.mark.parametrize("unknown", ["look", "spec"])
def test_who_may_only_create_an_agent_lifts_nothing_though_its_first_pass_could_not_answer(unknown):
    made = asks("budget-lift/agent/daily/4/1")
    new = replace(made, status=made.status.model_copy(update={"observed_generation": 0}))
    first = plan_agent(replace(new, **{unknown: None})).agent_status
    assert first.last_request.result == "Refused"
    assert plan_agent(replace(made, status=first)).agent_status.lifts == []


def test_while_redis_is_away_it_waits():
    made = asks("budget-lift/agent/daily/4/1")
    assert answer(replace(made, look=None)) is None


def test_there_are_only_so_many():
    made = asks("budget-lift/agent/daily/1/0")
    for nonce in range(1, 20):
        made = asks(f"budget-lift/agent/daily/1/{nonce}", status=plan_agent(made).agent_status)
    assert len(plan_agent(made).agent_status.lifts) == 16
    assert "change spec.budgets" in answer(made).message


def test_beside_an_agentrollout_it_is_asked_of_the_agent_all_the_same():
    made = trying_v2()
    agent = {**made.agent, "spec": {**made.agent["spec"], "budgets": BUDGETS}}
    limited = replace(made, agent=agent, spec=type(made.spec).model_validate(agent["spec"]))
    plan = plan_agent(asks("budget-lift/user/hourly/50tokens/1", made=limited))
    assert plan.governed
    assert [item.of for item in plan.agent_status.lifts] == ["user/hourly"]


def test_the_command_that_is_told_when_all_is_spent_asks_for_a_lift_that_is_taken():
    made = spends(day(41), budgets=BUDGETS)
    ready = condition.find(plan_agent(made).agent_status.conditions, ConditionType.READY)
    command = ready.message.partition("More until then: ")[2]
    assert command.startswith("kubectl annotate agent support -n acme --overwrite ")
    value = command.partition('request="')[2].partition('"')[0].replace("$(date +%s)", "1")
    assert answer(asks(value)).result == "Accepted"


def test_an_undo_is_no_lift():
    made = asks("undo/1.0/1")
    assert take_stock(made)
    assert "is no revision on record" in answer(made).message
