"""What an Agent says of its spend: in columns, in conditions, in Events that come once, and in metrics."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.api import condition
from penstock.api.reasons import ConditionType
from penstock.money import spend
from penstock.money.ledger import Amount, Limit, Scope, Spending, Spent, Unit, Window
from penstock.names import AgentKey
from penstock_operator import metrics
from penstock_operator.reconcile import shown, statuses
from penstock_operator.reconcile.plan import plan_agent
from penstock_store import codec
from tests.unit.operator import worlds
from tests.unit.operator.test_plan import V1, V2, serving
from tests.unit.operator.worlds import cut, record, world

USD = 1_000_000
NOW_MS = 1_795_000_000_000
ENDS = {Window.HOUR: NOW_MS + 600_000, Window.DAY: NOW_MS + 7_200_000, Window.MONTH: NOW_MS + 10**9}
BUDGETS = {"costUSD": {"daily": "40"}}


def window(which, spent=0, most=None, *, tokens=0, most_tokens=None, scope=Scope.AGENT, ends=None):
    limits = [(Unit.TOKENS, most_tokens), (Unit.MICRO_USD, most)]
    return Spent(
        scope,
        which,
        Amount(tokens, spent),
        Amount(),
        ends or ENDS[which],
        tuple(Limit(scope, which, unit, value) for unit, value in limits if value),
    )


def spends(*windows, cost_today=None, budgets=BUDGETS, refusals=None, marks=None, suspended=False):
    """The world of an Agent that serves, of whose budget so much is spent."""
    agent = worlds.agent(V1, **({"budgets": budgets} if budgets else {}), suspended=suspended)
    made = world(
        agent,
        records=(record(V1, 1, promoted=1),),
        projected_for=(V1,),
        ready_for=(V1,),
        status=serving(V1),
        route_version=3,
    )
    spending = Spending(NOW_MS, windows, refusals or {}, marks or {}) if windows else None
    costs = {cut(text).hash: cost for text, cost in (cost_today or {}).items()}
    look = replace(made.look, now_ms=NOW_MS, spending=spending, cost_today=costs)
    return replace(made, look=look)


def day(dollars, of=40, **more):
    return window(Window.DAY, int(dollars * USD), of * USD, **more)


def after(made, later):
    """The later world, in which a pass over the first has written its status and its route."""
    if later.look is None:
        return replace(later, status=plan_agent(made).agent_status)
    route = codec.route_record(plan_agent(later).route)
    look = replace(later.look, route_record=route)
    return replace(later, status=plan_agent(made).agent_status, look=look)


def status_of(made):
    return plan_agent(made).agent_status


def told(made):
    return [(one.reason, one.message) for one in plan_agent(made).transitions]


def found(made, kind):
    return condition.find(status_of(made).conditions, kind)


# ---------------------------------------------------------------------------------- columns


@pytest.mark.parametrize(
    ("micro_usd", "text"),
    [(0, "0.00"), (1, "<0.01"), (9_999, "<0.01"), (10_000, "0.01"), (1_844_999, "1.84"), (1_845_000, "1.85")],
)  # fmt: skip
def test_cents_are_what_a_column_shows(micro_usd, text):
    assert spend.dollars(micro_usd) == text


def test_without_a_budget_today_is_what_ended_tasks_have_cost_by_revision():
    status = status_of(spends(budgets=None, cost_today={V1: 1_200_000, V2: 640_000}))
    assert (status.summary.cost_today, status.summary.budget) == ("1.84", "")
    assert [(one.name, one.cost_today) for one in status.revisions] == [(cut(V1).name, "1.20")]


@pytest.mark.parametrize(("ledger", "ended", "shown_as"), [(3, 2, "3.00"), (1, 2, "2.00")])
def test_with_a_budget_the_ledger_says_it_unless_the_budget_is_younger_than_the_day(
    ledger, ended, shown_as
):
    made = spends(day(ledger), cost_today={V1: ended * USD})
    assert status_of(made).summary.cost_today == shown_as


def test_the_fullest_window_is_shown_whatever_its_unit():
    windows = (window(Window.HOUR, USD, 5 * USD, tokens=79, most_tokens=100), day(31.2))
    assert status_of(spends(*windows)).summary.budget == "79% of hourly"
    assert status_of(spends(day(31.2))).summary.budget == "78% of daily"
    of_users = window(Window.DAY, USD, USD, scope=Scope.USER)
    assert status_of(spends(of_users)).summary.budget == ""


def test_while_redis_is_away_all_is_as_it_was():
    made = spends(day(35), cost_today={V1: 35 * USD})
    before, later = status_of(made), status_of(after(made, replace(made, look=None)))
    assert later.summary == before.summary.model_copy(update={"queued": later.summary.queued})
    assert later.budget_windows == before.budget_windows
    assert later.revisions[0].cost_today == "35.00"


def test_numbers_alone_are_no_news_and_a_mark_is():
    begun = spends(day(21), cost_today={V1: 21 * USD})
    more = spends(day(31), cost_today={V1: 31 * USD})
    marked = spends(day(32), cost_today={V1: 31 * USD})
    assert statuses.comparable(status_of(begun)) == statuses.comparable(
        status_of(after(begun, more))
    )
    assert status_of(begun) != status_of(after(begun, more))
    assert statuses.comparable(status_of(begun)) != statuses.comparable(
        status_of(after(begun, marked))
    )


def test_an_agent_that_spends_nothing_writes_nothing():
    made = spends(budgets=None)
    assert not plan_agent(after(made, made)).differs


# ------------------------------------------------------------------------------------ marks


def test_each_mark_is_told_once_in_its_window_whoever_looks_again():
    seen, last = [], spends(day(1))
    for dollars in (19.9, 20, 20, 33, 33, 38.1, 39.9):
        following = after(last, spends(day(dollars)))
        seen += [(dollars, reason) for reason, _ in told(following)]
        last = following
    assert seen == [(20, "BudgetLow"), (33, "BudgetLow"), (38.1, "BudgetLow")]
    assert (
        "95 % of the daily budget (40 USD) is spent"
        in found(last, ConditionType.BUDGET_LOW).message
    )


def test_several_marks_at_once_are_told_as_the_highest():
    ((reason, message),) = told(after(spends(day(1)), spends(day(36))))
    assert reason == "BudgetLow"
    assert message == (
        "80 % of the daily budget (40 USD) is spent; it is reset at 2026-11-18T13:06:40Z"
    )


def test_the_next_window_and_another_limit_begin_anew():
    low = spends(day(36))
    following = spends(window(Window.DAY, 21 * USD, 40 * USD, ends=ENDS[Window.DAY] + 86_400_000))
    assert [reason for reason, _ in told(after(low, following))] == ["BudgetLow"]
    fresh = spends(window(Window.DAY, USD, 40 * USD, ends=ENDS[Window.DAY] + 86_400_000))
    assert told(after(low, fresh)) == []
    assert found(after(low, fresh), ConditionType.BUDGET_LOW) is None
    lifted = after(low, spends(day(36, of=80)))
    assert told(lifted) == []
    assert found(lifted, ConditionType.BUDGET_LOW) is None
    assert [reason for reason, _ in told(after(lifted, spends(day(40, of=80))))] == ["BudgetLow"]


def test_the_condition_goes_by_the_window_of_which_most_was_told():
    hour = window(Window.HOUR, 5 * USD, 6 * USD)
    made = spends(hour, day(39))
    low = found(made, ConditionType.BUDGET_LOW)
    assert (low.status, low.reason) == ("True", "NearlySpent")
    assert low.message.startswith("80 % of the hourly budget (6 USD) is spent; ")
    assert found(spends(day(1)), ConditionType.BUDGET_LOW) is None


def test_a_budget_that_is_taken_away_takes_its_words_along():
    made = after(spends(day(39)), spends(budgets=None))
    assert (status_of(made).budget_windows, found(made, ConditionType.BUDGET_LOW)) == ([], None)


# -------------------------------------------------------------------------------- spent whole


def test_a_budget_spent_whole_is_said_with_its_reset_and_waits_for_nobody_s_mend():
    made = spends(day(40.5))
    ready, stalled = (found(made, kind) for kind in (ConditionType.READY, ConditionType.STALLED))
    assert (ready.status, ready.reason) == ("False", "BudgetSpent")
    assert (stalled.status, stalled.reason) == ("False", "BudgetSpent")
    assert ready.message.startswith(
        "all of the 40 USD of budgets.costUSD.daily is spent: nothing is admitted until 2026-11-18T13:06:40Z"
    )
    assert found(made, ConditionType.BUDGET_LOW).reason == "Spent"
    assert [reason for reason, _ in told(after(spends(day(39)), made))] == ["BudgetSpent"]
    assert told(after(made, made)) == []


def test_what_is_too_little_for_a_call_is_as_good_as_spent_and_admits():
    short = Limit(Scope.AGENT, Window.DAY, Unit.MICRO_USD, 40 * USD)
    made = spends(replace(day(39.5), short=(short,)))
    ready = found(made, ConditionType.READY)
    assert (ready.status, ready.reason) == ("True", "BudgetSpent")
    assert ready.message.startswith(
        "too little is left of the 40 USD of budgets.costUSD.daily for a call: tasks end as LimitExceeded until"
    )
    assert [reason for reason, _ in told(after(spends(day(39)), made))] == ["BudgetSpent"]
    lifted = spends(replace(day(39.5, of=44), short=(short,)))
    assert found(lifted, ConditionType.READY).reason == "Serving"
    large_call = spends(replace(day(1), short=(short,)))
    assert found(large_call, ConditionType.READY).reason == "Serving"


def test_the_one_that_is_reset_last_is_named():
    made = spends(window(Window.HOUR, 5 * USD, 5 * USD), day(40))
    assert "budgets.costUSD.daily" in found(made, ConditionType.READY).message
    assert plan_agent(after(made, made)).look_again_seconds == 60


def test_it_is_looked_at_again_when_the_window_ends_and_not_before():
    hour = spends(window(Window.HOUR, 5 * USD, 5 * USD, ends=NOW_MS + 20_000))
    assert plan_agent(after(hour, hour)).look_again_seconds == pytest.approx(20.1)
    made = spends(day(40))
    assert plan_agent(after(made, made)).holds_seconds == pytest.approx(7200)


def test_where_the_cheapest_tier_goes_on_it_is_said_until_nothing_is_left():
    short = Limit(Scope.AGENT, Window.DAY, Unit.MICRO_USD, 40 * USD)
    degrades = {**BUDGETS, "onExceeded": "Degrade"}
    left = found(spends(replace(day(39), short=(short,)), budgets=degrades), ConditionType.READY)
    assert left.status == "True"
    assert "tasks go on with the cheapest tier" in left.message
    nothing = found(spends(day(40), budgets=degrades), ConditionType.READY)
    assert nothing.status == "False"
    assert "nothing is admitted" in nothing.message


def test_where_a_person_is_asked_instead_tasks_are_admitted():
    made = spends(day(41), budgets={**BUDGETS, "onExceeded": "Escalate"})
    ready = found(made, ConditionType.READY)
    assert (ready.status, ready.reason) == ("True", "BudgetSpent")
    assert "tasks go to a person until 2026-11-18T13:06:40Z" in ready.message
    assert found(made, ConditionType.STALLED).status == "False"


def test_what_only_reports_admits_and_a_brake_comes_first():
    reports = spends(day(41), budgets={**BUDGETS, "mode": "Report"})
    assert found(reports, ConditionType.READY).reason == "Serving"
    assert found(reports, ConditionType.BUDGET_LOW).reason == "Spent"
    braked = spends(day(41), suspended=True)
    assert found(braked, ConditionType.READY).reason == "Suspended"


# ------------------------------------------------------------------------------------ metrics


def test_metrics_name_agent_revision_and_limit_and_no_user():
    refusals = {(Scope.USER, Window.DAY, Unit.MICRO_USD): 7}
    of_user = window(Window.DAY, USD, USD, scope=Scope.USER)
    marks = {(Scope.TENANT, Window.DAY, 80): 2}
    made = spends(
        day(31), of_user, cost_today={V1: 2_500_000, V2: 1}, refusals=refusals, marks=marks
    )
    seen = shown.of_agent(AgentKey("acme", "support"), made, plan_agent(made))
    place = ("acme", "support")
    money = {
        metrics.COST_TODAY,
        metrics.BUDGET_SPENT,
        metrics.BUDGET_MARKS,
        metrics.BUDGET_REFUSALS,
    }
    assert {series: value for series, value in seen.items() if series[0] in money} == {
        (metrics.COST_TODAY, (*place, cut(V1).name)): 2.5,
        (metrics.BUDGET_SPENT, (*place, "day", "micro_usd", "Enforce")): 77.0,
        (metrics.BUDGET_MARKS, (*place, "tenant", "day", "80")): 2.0,
        (metrics.BUDGET_REFUSALS, (*place, "user", "day", "micro_usd")): 7.0,
    }
