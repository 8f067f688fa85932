"""What a task may cost in the mean: of what that is a percentage, and whom it condemns."""

from __future__ import annotations

import pytest

from penstock.analysis import fold, guardrails
from penstock.analysis.evidence import Observation, Stratum
from penstock.analysis.expected import Expected, expected
from penstock.analysis.guardrails import CheckVerdict
from penstock.analysis.metrics import COST, NOTHING, Tally, of_end, total_of, yardstick
from penstock.analysis.scope import scope_of
from penstock.api import budgets
from penstock.api.analysis import AnalysisStatus, Guardrails, Reason
from penstock.api.budgets import Budgets
from penstock.api.rollout import AgentRolloutSpec, AgentRolloutStatus, Stage
from penstock.rollout import findings
from penstock.rollout.samples import samples
from penstock.task import Counting
from penstock.traffic import Arm
from tests.unit.analysis.rows import CANARY, STABLE, Log

PASSING, BREACHED = CheckVerdict.PASSING, CheckVerdict.BREACHED
CENT = 10_000  # micro-USD


def tasks(count, cents):
    """So many ended tasks that cost about so much, one in two a tenth more, the others less."""
    ends = [
        of_end(Counting.GOOD, 1000, round(cents * CENT * (1.1 if n % 2 else 0.9)))
        for n in range(count)
    ]
    return total_of([end._replace(tasks=1) for end in ends])


def seen(canary, stable):
    return Observation(1_000_000, (Stratum(0, 2, {Arm.CANARY: canary, Arm.STABLE: stable}),))


def judged(observation, per_task=None, before=NOTHING, total=NOTHING, **fields):
    """What the cost check says; None where the cost is not judged."""
    limits = Guardrails.model_validate(fields)
    cost = Budgets.model_validate({"costUSD": {"perTask": per_task}}) if per_task else None
    wanted = expected(limits, budgets.expected_micro_usd(cost), total, before)
    found = guardrails.judge(limits, observation, before, wanted)
    return next((check for check in found if check.metric is COST), None)


@pytest.mark.parametrize("mode", ["Credible", "Literal"])
@pytest.mark.parametrize(
    ("per_task", "percent", "verdict", "words"),
    [
        ("0.20", None, BREACHED, "0.400000 USD (200 % of 0.200000)"),
        ("0.20", 300, PASSING, "0.600000 USD (300 % of 0.200000)"),
        ("0.30", None, PASSING, "0.600000 USD (200 % of 0.300000)"),
        ("0.30", 150, BREACHED, "0.450000 USD (150 % of 0.300000)"),
    ],
)
def test_the_percentage_is_of_what_a_task_is_expected_to_cost(
    mode, per_task, percent, verdict, words
):
    fields = {"mode": mode} | ({"costPercentOfBudget": percent} if percent else {})
    check = judged(seen(tasks(60, 50), tasks(200, 20)), per_task, **fields)
    assert (check.verdict, findings.limit(check)) == (verdict, words)
    assert findings.reason(check) is Reason.COST
    assert findings.of_canary(check) == "0.500000 USD (n=60)"
    assert f"limit {words}" in findings.line(check)


def test_where_nobody_declares_a_cost_it_is_not_judged():
    dear = seen(tasks(60, 500), tasks(200, 1))
    assert judged(dear, total=tasks(200, 1)) is None
    assert len(guardrails.judge(Guardrails(), dear)) == 3


def test_without_a_declared_cost_the_percentage_is_of_what_stables_tasks_cost():
    observation = seen(tasks(60, 50), tasks(200, 20))
    check = judged(observation, total=tasks(200, 20), costPercentOfBudget=200)
    assert check.verdict is BREACHED
    assert findings.limit(check) == "0.400000 USD (200 % of stable's 0.200000)"
    by_before = judged(observation, before=tasks(20, 30), costPercentOfBudget=200)
    assert by_before.verdict is PASSING
    assert by_before.expected == Expected(300_000, declared=False)


def test_while_too_few_tasks_of_stable_are_known_it_says_so_and_judges_nobody():
    observation = seen(tasks(60, 500), tasks(19, 1))
    for mode in ("Credible", "Literal"):
        check = judged(observation, total=tasks(19, 1), costPercentOfBudget=200, mode=mode)
        assert check.verdict is CheckVerdict.NO_DATA
        assert findings.limit(check) == "200 % of stable's, unknown so far"
        assert not check.stable_over


def test_what_is_dear_on_both_sides_is_nobodys_fault():
    check = judged(seen(tasks(60, 50), tasks(60, 50)), "0.20")
    assert check.verdict is CheckVerdict.SHARED
    assert check.stable_over


def test_a_few_dear_tasks_are_no_proof():
    assert judged(seen(tasks(19, 90), tasks(200, 20)), "0.20").verdict is PASSING
    assert judged(seen(tasks(19, 90), tasks(200, 20)), "0.20", mode="Literal", minTasks=10).verdict is BREACHED  # fmt: skip


def test_a_cost_of_which_the_square_is_larger_than_the_api_takes_is_kept_as_the_largest():
    kept = yardstick(Tally(tasks=1, costed=1, cost_micro_usd=10**12, cost_squares=10**24))
    assert kept.cost_squares == 2**63 - 1


# ----------------------------------------------------------------------------- from the log


def folded(per_task=None, costs=(), latency_ms=1000):
    """What is counted of a canary whose tasks cost this, in micro-USD, at the end of the log."""
    spec = AgentRolloutSpec.model_validate({"agentRef": {"name": "support"}})
    status = AgentRolloutStatus(
        stable_revision=f"support-{STABLE}",
        canary_revision=f"support-{CANARY}",
        stage=Stage.STEPS,
        analysis=AnalysisStatus(since_version=2),
    )
    log = Log()
    for number, _ in enumerate(costs):
        log.routed(f"t{number}", 1000 + number)
    for number, cost in enumerate(costs):
        log.finished(f"t{number}", 5000, latency_ms=latency_ms, cost_micro_usd=cost)
    counted = fold.Fold(scope_of(spec, status, {}, per_task))
    counted.add(log.rows)
    return counted.observe(6000)


def test_one_task_out_of_all_bounds_is_no_mean():
    dear = [CENT] * 30 + [10_000 * CENT]
    bounded, unbounded = folded(CENT, dear), folded(None, dear)
    assert bounded.in_total(Arm.CANARY).cost_micro_usd == (30 + 12) * CENT
    assert unbounded.in_total(Arm.CANARY).cost_micro_usd == sum(dear)
    assert COST.sums(bounded.in_window(Arm.CANARY)).n == len(dear)


def test_a_task_that_nobody_worked_on_says_nothing_of_costs():
    assert COST.sums(folded(CENT, [0, 0], latency_ms=0).in_window(Arm.CANARY)).n == 0


def test_a_verdict_on_costs_shows_tasks_that_were_dear():
    observed = folded(CENT, [CENT, 5 * CENT, 2 * CENT, 3 * CENT])
    shown = samples(observed.failed, Reason.COST)
    assert [one.task for one in shown] == ["t1", "t3"]
    assert "costPercentOfBudget" in shown[0].message
