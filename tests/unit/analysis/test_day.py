"""What stable's tasks have cost in the last day: of that the limit on costs is a percentage where none is declared in dollars."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.analysis import fold
from penstock.analysis.day import HOUR_MS, Costs, kept
from penstock.analysis.expected import Expected
from penstock.analysis.metrics import of_end
from penstock.analysis.scope import scope_of
from penstock.api.analysis import Analysis, AnalysisStatus, Guardrails
from penstock.api.costs import StableCosts
from penstock.api.rollout import AgentRef, AgentRolloutSpec, AgentRolloutStatus, Stage
from penstock.outcomes import Row, RowKind
from penstock.rollout.facts import Facts
from penstock.task import Counting
from penstock.traffic import Arm
from tests.unit.analysis.rows import CANARY, STABLE
from tests.unit.rollout.world import GOOD, Tally, world_at

NOON = 500_000 * HOUR_MS
LIMITED = Analysis(guardrails=Guardrails(cost_percent_of_budget=200))


def a_day(costs, stable=STABLE, before=None):
    """Costs in micro-USD of tasks, each with the hour (from noon) in which it ended."""
    counted = Costs.resume(before, stable)
    for number, (hour, cost) in enumerate(costs):
        counted.end(of_end(Counting.GOOD, 1, cost), NOON + hour * HOUR_MS + number)
    return counted


def test_the_mean_is_of_the_present_hour_and_the_24_before_it():
    day = a_day([(0, 1_000), (1, 50), (24, 30), (25, 10)]).seen()
    assert day.since(NOON + 24 * HOUR_MS) == (4, 1_090, 0)
    assert day.since(NOON + 25 * HOUR_MS) == (3, 90, 0)
    assert day.since(NOON + 60 * HOUR_MS) == (0, 0, 0)


def test_what_is_kept_is_small_and_nothing_is_counted_twice():
    ends = [(n % 40, 5) for n in range(1000)]
    whole = a_day(sorted(ends))
    status = kept(whole.seen())
    assert len(status.hours) == 25
    again = a_day([(39, 5)], before=StableCosts.model_validate(status.wire()))
    assert again.seen() == whole.seen(), "an end before what is counted is passed over"
    assert a_day([], stable="other", before=status).seen().hours == {}


def test_tasks_without_a_known_cost_are_not_in_it():
    counted = a_day([(0, 7)])
    counted.end(of_end(Counting.ERROR, 0), NOON + HOUR_MS - 1)
    assert counted.seen().since(NOON) == (1, 7, 0)


# ---------------------------------------------------------------------------------- from the log


def folded(analysis, *, tried, declared=None, costs=None):
    """What is counted of a task of stable that cost 70, and of one of the canary that cost 900."""
    spec = AgentRolloutSpec(agent_ref=AgentRef(name="support"), analysis=analysis)
    status = AgentRolloutStatus(
        stage=Stage.STEPS if tried else Stage.DONE,
        stable_revision=f"support-{STABLE}",
        canary_revision=f"support-{CANARY}" if tried else None,
        analysis=AnalysisStatus(since_version=2),
    )
    scope = scope_of(spec, status, {}, declared)
    seen = fold.follow(None, scope, status.analysis, costs=costs)
    for place, (arm, revision, cost) in enumerate(
        ((Arm.STABLE, STABLE, 70), (Arm.CANARY, CANARY, 900))
    ):
        for n, kind in enumerate((RowKind.ROUTED, RowKind.FINISHED)):
            at, ended = f"{NOON + 10 * place + n}-0", {"latency_ms": 5, "cost_micro_usd": cost}
            more = ended if kind is RowKind.FINISHED else {}
            seen.add([Row(at, kind, f"t{arm}", arm, revision, 2, 2, 42, **more)])
    return seen.observe(NOON + 100).costs


@pytest.mark.parametrize("tried", [True, False])
def test_of_stable_alone_it_is_counted_whether_anything_is_tried_or_not(tried):
    day = folded(LIMITED, tried=tried)
    assert day.since(NOON) == (1, 70, 0)
    more = folded(LIMITED, tried=tried, costs=kept(a_day([(-1, 30)]).seen()))
    assert more.since(NOON) == (2, 100, 0)


def test_where_nobody_asks_for_it_nothing_is_counted():
    assert folded(Analysis(), tried=True) is None
    assert folded(LIMITED, tried=True, declared=100) is None


# ---------------------------------------------------------------------------------- in a rollout


def costing(cost, tasks=100):
    each = {"timed": tasks, "costed": tasks, "cost_micro_usd": tasks * cost}
    return Tally(tasks=tasks, latency_ms=tasks * 1000, **each)


def measured(world, hours_ago):
    """A hundred tasks of stable that ended before the canary began cost 30 each; those since then 500."""
    begun = int(world.situation.now.timestamp() * 1000)
    counted = Costs(STABLE)
    for n in range(100):
        counted.end(of_end(Counting.GOOD, 1, 30), begun - hours_ago * HOUR_MS + n)
    world.measure(costing(500), costing(500), costs=counted.seen())
    seen = replace(world.situation, observation=world.observation())
    return Facts(seen, world.status).expected_cost


def test_a_task_is_expected_to_cost_what_stables_did_in_the_last_day_not_since_the_canary_began():
    assert measured(world_at(20, analysis=LIMITED), 3) == Expected(30, declared=False)


def test_where_the_last_day_has_too_few_tasks_it_is_as_it_was_before():
    assert measured(world_at(20, analysis=LIMITED), 30) == Expected(500, declared=False)


def test_it_is_kept_in_status():
    world = world_at(20, analysis=LIMITED)
    day = a_day([(0, 30)]).seen()
    world.measure(GOOD, GOOD, costs=day).after(61).decide()
    assert world.status.stable_costs == kept(day)
    world.measure(GOOD, GOOD).after(61).decide()
    assert world.status.stable_costs == kept(day)
