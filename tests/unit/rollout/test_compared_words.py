"""The numbers of the comparison beside its evidence: both speak of the same tasks."""

from __future__ import annotations

import random

from penstock.analysis import fold
from penstock.analysis.metrics import COST, LATENCY, valued
from penstock.analysis.scope import scope_of
from penstock.api.analysis import Analysis, AnalysisStatus
from penstock.api.comparison import Comparison
from penstock.api.rollout import AgentRolloutSpec, AgentRolloutStatus, Stage
from penstock.rollout.words import compared
from penstock.task import Counting
from penstock.traffic import Arm
from tests.unit.analysis.rows import CANARY, STABLE, Log


def counted(tasks, seconds=900):
    """What is seen of both arms, a task of each every second: ``tasks`` says how it ends, of its arm and number."""
    spec = AgentRolloutSpec.model_validate({"agentRef": {"name": "support"}})
    spec = spec.model_copy(update={"analysis": Analysis(comparison=Comparison())})
    status = AgentRolloutStatus(
        stable_revision=f"support-{STABLE}",
        canary_revision=f"support-{CANARY}",
        stage=Stage.STEPS,
        analysis=AnalysisStatus(since_version=2),
    )
    log = Log()
    for second in range(seconds):
        for place, arm in enumerate(Arm):
            at_ms, name = second * 1000 + 100 * place, f"{arm}{second}"
            log.routed(name, at_ms, arm, bucket=(second * 7 + 50 * place) % 100)
            log.finished(name, at_ms + 50, arm, **tasks(arm, second))
    seen = fold.Fold(scope_of(spec, status, {}, None))
    seen.add(log.rows)
    return seen, seen.observe(seconds * 1000)


def cheaper_in_the_mean(arm, number):
    """Half of the canary's tasks fail before they cost anything; the others cost a fifth more than stable's."""
    if arm is Arm.CANARY and number % 2:
        return {"counting": Counting.ERROR, "cost_micro_usd": 0, "latency_ms": 30}
    return {"cost_micro_usd": 6 if arm is Arm.CANARY else 5, "latency_ms": 1000}


def test_what_a_verdict_tells_of_costs_is_of_the_tasks_that_are_ranked():
    """A mean with what failed for nothing would be below stable's, beside evidence that it is dearer."""
    _, seen = counted(cheaper_in_the_mean)
    ours, theirs = (compared.of_arm(seen, "cost", arm) for arm in (Arm.CANARY, Arm.STABLE))
    assert (ours, theirs) == ("0.000006 USD (n=450)", "0.000005 USD (n=900)")
    assert COST.sums(seen.in_total(Arm.CANARY)).n == 900, "the limit is on the mean of all"


def test_as_many_values_are_ranked_as_the_numbers_are_of():
    chance = random.Random(7)

    def any_end(_arm, _number):
        worked = chance.choice((0, 0, 40, 900, 20_000))
        cost = chance.choice((0, 5, 70)) if worked else 0
        return {"cost_micro_usd": cost, "latency_ms": worked}

    counting, seen = counted(any_end, seconds=59)
    (cohort,) = counting.cohorts._live.values()
    for at, metric in enumerate((LATENCY, COST)):
        ranked = sum(cohort.canary[at].values()), sum(cohort.bins[at].values())
        told = [valued(metric, seen.in_total(arm)).n for arm in (Arm.CANARY, Arm.STABLE)]
        assert ranked == tuple(told)
        assert min(told) > 5


def test_where_nothing_costs_anything_nothing_is_compared():
    _, seen = counted(lambda *_: {"cost_micro_usd": 0, "latency_ms": 900}, seconds=59)
    assert not compared.has_tasks(seen, "cost", Arm.CANARY)
    assert compared.has_tasks(seen, "latency", Arm.CANARY)
