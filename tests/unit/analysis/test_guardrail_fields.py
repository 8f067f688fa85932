"""Each field of the guardrails decides: the same tasks, two values, two verdicts."""

import pytest

from penstock.analysis import fold, guardrails
from penstock.analysis.evidence import Observation, Stratum
from penstock.analysis.guardrails import CheckVerdict
from penstock.analysis.metrics import Tally
from penstock.analysis.scope import scope_of
from penstock.api.analysis import AnalysisStatus, Guardrails
from penstock.api.rollout import AgentRolloutSpec, AgentRolloutStatus, Stage
from penstock.rollout import findings
from penstock.task import Counting
from penstock.traffic import Arm, RevisionLimits
from tests.unit.analysis.rows import CANARY, STABLE, Log

PASSING, BREACHED = CheckVerdict.PASSING, CheckVerdict.BREACHED


def judged(name, observation, **fields):
    """What one check says under guardrails with these fields."""
    limits = Guardrails.model_validate(fields)
    return next(check for check in guardrails.judge(limits, observation) if check.name == name)


def seen(canary, stable):
    stratum = Stratum(0, 2, {Arm.CANARY: canary, Arm.STABLE: stable})
    return Observation(now_ms=1_000_000, window=(stratum,))


def errors(events, tasks):
    return Tally(tasks=tasks, errors=events)


def escalations(events, tasks):
    return Tally(tasks=tasks, escalations=events)


def latencies(count, mean):
    squares = round(1_000_000 * count * (mean**2 + 1))
    return Tally(count, timed=count, latency_ms=round(1000 * count * mean), latency_squares=squares)


# 20 % on the canary, 1 % on stable; 12 s against 2 s.
TWENTY_PERCENT_ERRORS = seen(errors(20, 100), errors(3, 300))
TWENTY_PERCENT_ESCALATIONS = seen(escalations(20, 100), escalations(3, 300))
TWELVE_SECONDS = seen(latencies(100, 12.0), latencies(300, 2.0))


@pytest.mark.parametrize("mode", ["Credible", "Literal"])
@pytest.mark.parametrize(
    ("check", "field", "observation", "exceeded", "kept"),
    [
        ("errorRate", "errorRatePercent", TWENTY_PERCENT_ERRORS, 5, 30),
        ("escalationRate", "escalationRatePercent", TWENTY_PERCENT_ESCALATIONS, 5, 30),
        ("latencyMean", "latencyMeanSeconds", TWELVE_SECONDS, 10, 13),
    ],
)
def test_a_limit_condemns_what_is_over_it_and_spares_what_is_under_it(
    mode, check, field, observation, exceeded, kept
):
    low = judged(check, observation, mode=mode, **{field: exceeded})
    high = judged(check, observation, mode=mode, **{field: kept})
    assert (low.verdict, high.verdict) == (BREACHED, PASSING)
    assert f"limit {exceeded} " in findings.line(low)
    assert f"limit {kept} " in findings.line(high)


@pytest.mark.parametrize(
    ("field", "observation"),
    [
        ("errorRatePercent", TWENTY_PERCENT_ERRORS),
        ("escalationRatePercent", TWENTY_PERCENT_ESCALATIONS),
        ("latencyMeanSeconds", TWELVE_SECONDS),
    ],
)
def test_a_limit_is_about_its_own_measure_only(field, observation):
    highest = {"errorRatePercent": 100, "escalationRatePercent": 100, "latencyMeanSeconds": 900}
    limits = Guardrails.model_validate(highest | {field: 1})
    condemned = [c for c in guardrails.judge(limits, observation) if c.verdict is BREACHED]
    assert len(condemned) == 1
    all_high = Guardrails.model_validate(highest)
    assert all(c.verdict is not BREACHED for c in guardrails.judge(all_high, observation))


def test_literal_waits_for_as_many_tasks_as_it_is_told():
    few = seen(errors(5, 10), errors(0, 300))
    for fewest, verdict in ((10, BREACHED), (11, PASSING)):
        assert judged("errorRate", few, mode="Literal", minTasks=fewest).verdict is verdict


def test_credible_needs_no_number_of_tasks_to_be_told():
    few = seen(errors(5, 10), errors(0, 300))
    for fewest in (1, 1000):
        assert judged("errorRate", few, minTasks=fewest).verdict is BREACHED


def test_the_mode_decides_whether_two_failures_in_twenty_are_proof():
    chance = seen(errors(2, 20), errors(0, 300))
    assert judged("errorRate", chance, mode="Literal").verdict is BREACHED
    assert judged("errorRate", chance, mode="Credible").verdict is PASSING


# -------------------------------------------------------------------------- windowSeconds


def outage_a_while_ago():
    """The canary fails for a minute; then it is well again for four."""
    log = Log()
    for number in range(300):
        at_ms = 1_000_000 + number * 1000
        failed = number < 60
        ended = Counting.ERROR if failed else Counting.GOOD
        log.routed(f"c{number}", at_ms).routed(f"s{number}", at_ms, Arm.STABLE)
        log.finished(f"c{number}", at_ms + 10, counting=ended)
        log.finished(f"s{number}", at_ms + 10, Arm.STABLE)
    return log.rows


def observed(window_seconds):
    """What is counted for a rollout whose window is this long, when the last task has ended."""
    guards = {"analysis": {"guardrails": {"windowSeconds": window_seconds}}}
    spec = AgentRolloutSpec.model_validate({"agentRef": {"name": "support"}, **guards})
    status = AgentRolloutStatus(
        stable_revision=f"support-{STABLE}",
        canary_revision=f"support-{CANARY}",
        stage=Stage.STEPS,
        analysis=AnalysisStatus(since_version=2),
    )
    quick = RevisionLimits(input_chars=100, queue_seconds=10, wall_seconds=10)
    limits = {status.stable_revision: quick, status.canary_revision: quick}
    counted = fold.Fold(scope_of(spec, status, limits))
    counted.add(outage_a_while_ago())
    return counted.observe(1_300_000)


def test_what_is_older_than_the_window_is_not_held_against_the_canary():
    for window_seconds, verdict in ((300, BREACHED), (60, PASSING)):
        check = judged("errorRate", observed(window_seconds), windowSeconds=window_seconds)
        assert check.verdict is verdict, findings.line(check)
        assert f"in the last {window_seconds} s" in findings.line(check)
