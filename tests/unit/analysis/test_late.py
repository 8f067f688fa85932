"""Failures that come minutes after their task was routed: neither diluted by young tasks, nor passed."""

from __future__ import annotations

import pytest

from penstock.analysis import guardrails, late
from penstock.analysis.delays import Delays
from penstock.analysis.evidence import TICK_MS, Observation, Stratum, arm_total
from penstock.analysis.fold import Fold
from penstock.analysis.guardrails import CheckVerdict
from penstock.analysis.halts import Halts
from penstock.analysis.metrics import ESCALATION_RATE, Tally
from penstock.analysis.scope import Scope
from penstock.api.analysis import Guardrails
from penstock.rollout import findings
from penstock.task import Counting
from penstock.traffic import Arm
from tests.unit.analysis.rows import CANARY, STABLE, Log

T = 1_700_000_000_000
LIMITS = Guardrails()
SCOPE = Scope(
    stable=STABLE,
    canary=CANARY,
    since_version=2,
    window_ms=300_000,
    latency_limit_ms=10_000,
    overdue_ms={Arm.STABLE: 750_000, Arm.CANARY: 750_000},
)


def played(seconds, *, every_ms, late_ms, of_four=1, stable_of_four=0, scope=SCOPE):
    """The log of a canary and of stable: of each four tasks so many escalate, so late; all others end at once."""
    ends = []
    for n, at_ms in enumerate(range(T, T + seconds * 1000, every_ms)):
        for arm, bad in ((Arm.CANARY, of_four), (Arm.STABLE, stable_of_four)):
            escalates = n % 4 < bad
            ends.append((at_ms, 0, f"{arm}{n}", arm, None))
            took = late_ms if escalates else 1000
            how = Counting.ESCALATION if escalates else Counting.GOOD
            ends.append((at_ms + took, 1, f"{arm}{n}", arm, how))
    log, until = Log(), T + seconds * 1000
    for at_ms, _, task, arm, how in sorted(ends, key=lambda end: end[:3]):
        if at_ms < until and how is None:
            log.routed(task, at_ms, arm)
        elif at_ms < until:
            log.finished(task, at_ms, arm, counting=how)
    fold = Fold(scope)
    fold.add(log.rows)
    return fold.observe(until)


def judged(observation, name="escalationRate"):
    return next(one for one in guardrails.judge(LIMITS, observation) if one.name == name)


@pytest.mark.parametrize("late_ms", [1000, 60_000, 120_000, 300_000, 600_000])
def test_a_quarter_that_escalates_is_condemned_however_late_it_does(late_ms):
    found = judged(played(1400, every_ms=500 if late_ms > 300_000 else 1000, late_ms=late_ms))
    assert found.verdict is CheckVerdict.BREACHED
    assert found.canary.mean == pytest.approx(0.25, abs=0.03)


def test_without_the_weights_the_young_tasks_would_dilute_it_below_its_limit():
    seen = played(1400, every_ms=1000, late_ms=300_000)
    raw = arm_total(seen.older + seen.window, Arm.CANARY)
    assert ESCALATION_RATE.sums(raw).mean < 0.2


def test_what_was_counted_is_said():
    seen = judged(played(1400, every_ms=1000, late_ms=300_000))
    assert "of tasks old enough that a failure would be known" in findings.line(seen)
    at_once = judged(played(1400, every_ms=1000, late_ms=1000))
    assert "old enough" not in findings.line(at_once)


def test_few_late_escalations_are_suspected_and_hold():
    found = judged(played(1400, every_ms=4000, late_ms=300_000, of_four=2))
    assert found.verdict is CheckVerdict.BREACHED
    fewer = judged(played(600, every_ms=20_000, late_ms=300_000, of_four=2))
    assert fewer.verdict is CheckVerdict.SUSPECT


def test_late_escalations_of_both_are_left_to_people_and_take_nobody_off():
    found = judged(played(1400, every_ms=1000, late_ms=300_000, of_four=2, stable_of_four=2))
    assert found.verdict is CheckVerdict.UNCLEAR
    assert not found.stable_over


def test_late_escalations_within_the_limit_pass():
    found = judged(played(1400, every_ms=1000, late_ms=300_000, of_four=0, stable_of_four=1))
    assert found.verdict is CheckVerdict.PASSING


# ------------------------------------------------------------------------------ the weights


def strata(tasks, *failed):
    """Ticks of a canary with so many tasks each, and so many escalations in each."""
    return [
        Stratum(tick, 2, {Arm.CANARY: Tally(tasks=tasks, escalations=k)})
        for tick, k in enumerate(failed)
    ]


def weighed(strata, *delays, ticks):
    known = Delays({(Arm.CANARY, ESCALATION_RATE): tuple(sorted(delays))})
    return [
        stratum.arm(Arm.CANARY).tasks
        for stratum in late.matured(strata, ESCALATION_RATE, known, ticks * TICK_MS)
    ]


def test_of_an_age_that_share_counts_whose_failure_would_be_known():
    known = [TICK_MS, 3 * TICK_MS] * 200
    assert weighed(strata(10, 0, 0, 0, 0), *known, ticks=4) == [10, 10, 5, 6]


def test_the_delays_of_few_failures_do_not_pass_for_all_there_are():
    assert weighed(strata(10, 0, 0, 0, 0), TICK_MS, 3 * TICK_MS, ticks=4) == [10, 10, 10, 10]


def test_where_nothing_has_failed_every_task_counts():
    assert weighed(strata(10, 0, 0), ticks=2) == [10, 10]


def test_parts_of_a_task_add_up_and_none_counts_fewer_than_have_failed():
    thin = weighed(strata(1, *[0] * 10), *[0, 100 * TICK_MS] * 200, ticks=10)
    assert sum(thin) == 5
    assert weighed(strata(2, 2, 0, 0), *[100 * TICK_MS] * 400, ticks=3)[0] == 2


def test_while_the_kill_switch_is_on_nothing_comes_of_age():
    known = {(Arm.CANARY, ESCALATION_RATE): (2 * TICK_MS,) * 256}
    now_ms = 4 * TICK_MS
    halted = Delays(known, Halts(((TICK_MS, now_ms),)))
    kept = late.matured(strata(10, 0), ESCALATION_RATE, halted, now_ms)
    assert kept[0].arm(Arm.CANARY).tasks == 0


def test_an_observation_without_delays_is_judged_as_it_is():
    window = (
        Stratum(1, 2, {Arm.CANARY: Tally(tasks=40, escalations=20), Arm.STABLE: Tally(tasks=400)}),
    )
    assert judged(Observation(now_ms=10_000, window=window)).verdict is CheckVerdict.BREACHED
