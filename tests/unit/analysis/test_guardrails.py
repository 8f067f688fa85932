"""What fires and what does not, in numbers."""

from __future__ import annotations

import pytest

from penstock.analysis import guardrails, rates
from penstock.analysis.evidence import Observation, Stratum, pairs
from penstock.analysis.guardrails import CheckVerdict
from penstock.analysis.metrics import ERROR_RATE, Tally
from penstock.api.analysis import GuardrailMode, Guardrails
from penstock.rollout import findings
from penstock.traffic import Arm

LIMITS = Guardrails()
LITERAL = Guardrails(mode=GuardrailMode.LITERAL)


def observed(*ticks):
    """Ticks as pairs of tallies, canary first."""
    window = tuple(
        Stratum(tick, 2, {Arm.CANARY: ours, Arm.STABLE: theirs})
        for tick, (ours, theirs) in enumerate(ticks)
    )
    return Observation(now_ms=1_000_000, window=window)


def errors(events, tasks):
    return Tally(tasks=tasks, errors=events)


def escalations(events, tasks):
    return Tally(tasks=tasks, escalations=events)


def latencies(count, mean, deviation=0.0):
    """So many tasks of this mean and standard deviation, in seconds."""
    squares = round(1_000_000 * count * (mean**2 + deviation**2))
    return Tally(count, timed=count, latency_ms=round(1000 * count * mean), latency_squares=squares)


def check(name, observation, limits=LIMITS):
    return next(c for c in guardrails.judge(limits, observation) if c.name == name)


def verdict(name, observation, limits=LIMITS):
    return check(name, observation, limits).verdict


@pytest.mark.parametrize(("events", "tasks"), [(3, 3), (4, 8), (6, 20), (30, 300), (13, 42)])
def test_so_many_errors_are_credibly_more_than_5_percent(events, tasks):
    observation = observed((errors(events, tasks), errors(2, 220)))
    assert verdict("errorRate", observation) is CheckVerdict.BREACHED


@pytest.mark.parametrize(("events", "tasks"), [(2, 2), (2, 5), (3, 12), (5, 24), (23, 300)])
def test_so_many_errors_are_suspect_but_not_yet_credibly_too_many(events, tasks):
    observation = observed((errors(events, tasks), errors(2, 220)))
    assert verdict("errorRate", observation) is CheckVerdict.SUSPECT


@pytest.mark.parametrize(("events", "tasks"), [(1, 1), (1, 15), (2, 12), (21, 300)])
def test_so_many_errors_may_be_chance(events, tasks):
    observation = observed((errors(events, tasks), errors(2, 220)))
    assert verdict("errorRate", observation) is CheckVerdict.PASSING


def test_escalations_have_a_limit_of_their_own():
    seen = observed((escalations(20, 40), escalations(2, 200)))
    assert verdict("escalationRate", seen) is CheckVerdict.BREACHED
    assert verdict("errorRate", seen) is CheckVerdict.PASSING


def test_no_task_is_no_data():
    seen = observed((Tally(), errors(0, 100)))
    assert {c.verdict for c in guardrails.judge(LIMITS, seen)} == {CheckVerdict.NO_DATA}
    nothing = Observation(now_ms=1)
    assert {c.verdict for c in guardrails.judge(LIMITS, nothing)} == {CheckVerdict.NO_DATA}


# ---------------------------------------------------------------------------- attributable


def test_stable_fails_as_well_so_it_is_nobodys_fault():
    seen = observed((errors(18, 30), errors(180, 300)))
    assert verdict("errorRate", seen) is CheckVerdict.SHARED
    assert check("errorRate", seen).stable_over


def test_stable_fails_too_but_the_canary_is_clearly_worse():
    seen = observed((errors(90, 100), errors(100, 1000)))
    assert verdict("errorRate", seen) is CheckVerdict.BREACHED


def test_a_canary_a_little_over_the_limit_next_to_a_stable_just_under_it_is_left_to_people():
    ticks = [(errors(8, 80), errors(27, 400)) for _ in range(5)]
    assert verdict("errorRate", observed(*ticks)) is CheckVerdict.SHARED
    calmer = [(errors(8, 80), errors(24, 400)) for _ in range(5)]
    assert verdict("errorRate", observed(*calmer)) is CheckVerdict.UNCLEAR


def test_without_stable_tasks_nobody_can_tell_whose_fault_it_is():
    seen = observed(*[(errors(10, 10), Tally()) for _ in range(60)])
    assert verdict("errorRate", seen) is CheckVerdict.UNCOMPARED


def test_stable_tasks_of_other_moments_exonerate_nobody():
    apart = [(errors(10, 10), Tally()), (Tally(), errors(0, 500))]
    assert verdict("errorRate", observed(*apart)) is CheckVerdict.BREACHED


def test_nineteen_tasks_of_stable_beside_the_canaries_are_too_few_to_blame_it():
    storm = [(errors(9, 90), Tally()) for _ in range(9)]
    few = (errors(9, 90), errors(0, 19))
    assert verdict("errorRate", observed(*storm, few)) is CheckVerdict.UNCOMPARED


def test_stables_many_tasks_of_a_calm_hour_before_are_no_match_for_an_outage_at_95_percent():
    """Where the canary's failures are, stable has six tasks; fifty calm ones prove nothing."""
    half = {Arm.CANARY: errors(0, 20), Arm.STABLE: errors(0, 20)}
    calm = [Stratum(tick, 2, half) for tick in range(3)]
    storm = [
        Stratum(tick, 3, {Arm.CANARY: errors(6, 9), Arm.STABLE: errors(int(tick == 5), 1)})
        for tick in range(3, 9)
    ]
    seen = Observation(now_ms=45_000, window=(*calm, *storm))
    assert verdict("errorRate", seen) is CheckVerdict.UNCOMPARED


def test_few_tasks_in_each_tick_are_compared_in_wider_strata():
    """One task in five seconds: side by side in a tick they hardly ever are."""
    ticks = [(errors(2, 3), Tally()) if n % 4 == 0 else (Tally(), errors(0, 2)) for n in range(40)]
    assert verdict("errorRate", observed(*ticks)) is CheckVerdict.BREACHED


@pytest.mark.parametrize(
    ("name", "ours", "before"),
    [
        ("errorRate", errors(30, 285), errors(33, 300)),
        ("escalationRate", escalations(90, 285), escalations(85, 300)),
        ("latencyMean", latencies(285, 14.0, 12.0), latencies(300, 13.8, 12.0)),
    ],
)
def test_a_version_that_is_as_stable_always_was_is_not_blamed_where_stable_is_too_small_now(
    name, ours, before
):
    seen = observed(
        (ours, Tally(tasks=10, timed=10, latency_ms=20_000, latency_squares=45_000_000))
    )
    judged = {
        known: next(c.verdict for c in guardrails.judge(LIMITS, seen, known) if c.name == name)
        for known in (Tally(), before)
    }
    assert judged == {Tally(): CheckVerdict.UNCOMPARED, before: CheckVerdict.UNCLEAR}


def test_two_failures_of_stable_by_chance_excuse_nobody():
    seen = observed((errors(8, 40), Tally()))
    judged = guardrails.judge(LIMITS, seen, errors(2, 30))
    assert judged[0].verdict is CheckVerdict.UNCOMPARED


def test_what_stable_did_before_does_not_excuse_a_version_that_is_worse():
    seen = observed((errors(120, 285), errors(0, 10)))
    judged = guardrails.judge(LIMITS, seen, errors(33, 300))
    assert judged[0].verdict is CheckVerdict.UNCOMPARED


def test_once_everybody_is_on_the_canary_what_stable_did_before_exonerates_nobody():
    """At 1 % the canary had one task; since the setpoint of 100 % stable has none at all."""
    before = Stratum(0, 2, {Arm.CANARY: errors(0, 1), Arm.STABLE: errors(0, 200)})
    alone = Stratum(1, 3, {Arm.CANARY: errors(12, 40)})
    seen = Observation(now_ms=10_000, window=(before, alone))
    assert verdict("errorRate", seen) is CheckVerdict.UNCOMPARED


def test_stable_over_the_limit_alone_condemns_nobody_and_proves_nothing():
    seen = observed((errors(1, 10), errors(60, 200)))
    assert verdict("errorRate", seen) is CheckVerdict.UNCLEAR


def test_a_canary_that_mends_a_broken_stable_passes():
    seen = observed((errors(0, 60), errors(60, 200)))
    assert verdict("errorRate", seen) is CheckVerdict.PASSING


def test_an_incident_that_has_just_begun_is_seen_on_stable_too():
    """Stable's window is calm but for its last seconds; the canary's is mostly those."""
    calm = [Stratum(tick, 2, {Arm.STABLE: errors(1, 100)}) for tick in range(58)]
    storm = Stratum(59, 2, {Arm.CANARY: errors(12, 20), Arm.STABLE: errors(30, 80)})
    seen = Observation(now_ms=300_000, window=(*calm, storm))
    assert verdict("errorRate", seen) is CheckVerdict.SHARED
    assert "37.5 % (30/80) in the last" in findings.line(check("errorRate", seen))


def test_late_ends_of_older_tasks_still_condemn():
    old = Stratum(0, 2, {Arm.CANARY: errors(20, 40), Arm.STABLE: errors(1, 200)})
    new = Stratum(100, 2, {Arm.CANARY: errors(0, 40), Arm.STABLE: errors(1, 200)})
    seen = Observation(now_ms=505_000, window=(new,), older=(old,))
    assert verdict("errorRate", seen) is CheckVerdict.BREACHED
    assert "(20/80)" in findings.line(check("errorRate", seen))
    assert "in the last 505 s" in findings.line(check("errorRate", seen))


def test_late_ends_on_stable_suspend_nobody():
    old = Stratum(0, 2, {Arm.CANARY: errors(20, 40), Arm.STABLE: errors(100, 200)})
    new = Stratum(100, 2, {Arm.CANARY: errors(0, 40), Arm.STABLE: errors(1, 200)})
    seen = Observation(now_ms=505_000, window=(new,), older=(old,))
    assert verdict("errorRate", seen) is CheckVerdict.PASSING


def test_only_the_same_strata_are_compared():
    """The canary came when all failed; the calm hours of stable are no comparison."""
    storm = [(errors(6, 20), errors(60, 200)) for _ in range(3)]
    calm = [(Tally(), errors(0, 1000)) for _ in range(30)]
    # Over the whole window stable is at 0.6 %: a plain comparison would condemn.
    assert verdict("errorRate", observed(*storm, *calm)) is CheckVerdict.UNCLEAR


# ----------------------------------------------------------------------------------- means


def test_a_slow_canary_next_to_a_quick_stable_breaches():
    seen = observed((latencies(30, 15.0, 3.0), latencies(200, 2.0, 1.0)))
    assert verdict("latencyMean", seen) is CheckVerdict.BREACHED
    assert "15.0 s on the canary (n=30)" in findings.line(check("latencyMean", seen))


def test_a_mean_needs_twenty_tasks():
    seen = observed((latencies(19, 60.0), latencies(200, 2.0, 1.0)))
    assert verdict("latencyMean", seen) is CheckVerdict.PASSING


def test_a_mean_whose_interval_reaches_the_limit_may_be_chance():
    seen = observed((latencies(25, 14.0, 15.0), latencies(200, 2.0, 1.0)))
    assert verdict("latencyMean", seen) is CheckVerdict.PASSING


def test_both_slow_is_a_shared_incident():
    seen = observed((latencies(30, 15.0, 3.0), latencies(300, 14.8, 3.0)))
    assert verdict("latencyMean", seen) is CheckVerdict.SHARED


def test_both_slow_and_the_canary_far_slower_is_the_canaries():
    seen = observed((latencies(60, 40.0, 3.0), latencies(300, 12.0, 3.0)))
    assert verdict("latencyMean", seen) is CheckVerdict.BREACHED


def test_a_hair_over_the_limit_next_to_a_hair_under_it_is_left_to_people():
    seen = observed((latencies(2000, 10.1, 1.0), latencies(2000, 10.05, 2.0)))
    assert verdict("latencyMean", seen) is CheckVerdict.UNCLEAR


# --------------------------------------------------------------------------------- literal


def test_literal_means_the_letter_once_the_tasks_are_in():
    assert verdict("errorRate", observed((errors(2, 19), errors(0, 9))), LITERAL) == "Passing"
    assert verdict("errorRate", observed((errors(2, 20), errors(0, 9))), LITERAL) == "Breached"
    assert verdict("errorRate", observed((errors(1, 20), errors(0, 9))), LITERAL) == "Passing"


def test_literal_blames_the_canary_for_a_shared_incident_as_the_letter_does():
    seen = observed((errors(60, 100), errors(600, 1000)))
    assert verdict("errorRate", seen, LITERAL) is CheckVerdict.BREACHED


def test_literal_reads_the_mean_itself():
    seen = observed((latencies(25, 10.5, 30.0), latencies(200, 2.0)))
    assert verdict("latencyMean", seen, LITERAL) is CheckVerdict.BREACHED
    assert verdict("latencyMean", seen) is CheckVerdict.PASSING


# ----------------------------------------------------------------------------------- words


def test_a_line_says_both_numbers_the_window_and_the_limit():
    line = findings.line(check("errorRate", observed((errors(13, 42), errors(2, 220)))))
    assert line == (
        "error rate 31.0 % on the canary (13/42) and 0.9 % on stable (2/220) "
        "in the last 300 s, limit 5 %"
    )


def test_a_line_without_stable_says_so():
    line = findings.line(check("errorRate", observed((errors(13, 42), Tally()))))
    assert "and no task on stable in the last 300 s" in line


#: Half of the users on either side, the canary a little unlucky: not over the limit by itself.
CALM = (
    *[(errors(1, 4), errors(0, 4))] * 9,
    *[(errors(0, 4), errors(1, 4))],
    *[(errors(0, 5), errors(0, 2))] * 20,
)


def test_one_task_of_stable_that_goes_well_as_an_outage_begins_blames_nobody():
    """Then the canary got nearly all users, and most of its tasks fail."""
    begins = observed(*CALM, (errors(7, 9), errors(0, 1)), (errors(6, 12), errors(0, 0)))
    assert rates.z(pairs(begins.window, ERROR_RATE)) > guardrails.ATTRIBUTABLE_Z
    assert verdict("errorRate", begins) is CheckVerdict.UNCLEAR
    beside = observed(*CALM, (errors(7, 9), errors(0, 9)), (errors(6, 12), errors(0, 0)))
    assert verdict("errorRate", beside) is CheckVerdict.BREACHED, "nine that go well do blame"
