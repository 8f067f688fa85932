"""Rows of users who were chosen: kept apart from those who are drawn, beside stable of the same time."""

from __future__ import annotations

from dataclasses import replace

from penstock.analysis import gravity, guardrails
from penstock.analysis.comparison.yardsticks import Yardsticks
from penstock.analysis.fold import Fold
from penstock.analysis.guardrails import CheckVerdict
from penstock.analysis.halts import Halts
from penstock.api.analysis import Guardrails
from penstock.task import Counting
from penstock.traffic import Arm
from tests.unit.analysis.rows import Log
from tests.unit.analysis.test_fold import SCOPE, T, folded

IN_RINGS = replace(SCOPE, chosen=True)
BESIDE = replace(SCOPE, rings=True)
RING = {"bucket": 100, "begin": 0}


def tried(log, name, at_ms, *, fails=False, **fields):
    counting = Counting.ERROR if fails else Counting.GOOD
    return log.routed(name, at_ms, **fields).finished(name, at_ms + 1, counting=counting, **fields)


def mixed(fails=True):
    """Forty tasks each of a ring that fails, of the drawn ones and of stable."""
    log = Log()
    for number in range(40):
        at_ms = T + number * 100
        tried(log, f"r{number}", at_ms, fails=fails, **RING)
        tried(log, f"c{number}", at_ms + 10, bucket=number)
        tried(log, f"s{number}", at_ms + 20, arm=Arm.STABLE, bucket=number)
    return log


def judged(observation):
    found = guardrails.judge(Guardrails(), observation)
    return next(one for one in found if one.name == "errorRate").verdict


def test_what_chosen_users_see_is_no_sample_of_those_who_are_drawn():
    seen = folded(mixed()).observe(T + 5000)
    assert (seen.in_window(Arm.CANARY).tasks, seen.in_total(Arm.CANARY).errors) == (40, 0)
    assert seen.drawn.arm(Arm.CANARY).tasks == 40
    assert seen.chosen is None


def test_it_never_enters_the_comparison():
    scope = replace(BESIDE, compared=Yardsticks((10_000, 0), (1, 1)))
    with_them, without = Fold(scope), Fold(scope)
    log = mixed()
    with_them.add(log.rows)
    without.add([row for row in log.rows if not row.is_chosen])
    one, other = (fold.observe(T + 120_000).compared for fold in (with_them, without))
    assert one.settled == other.settled


def test_while_chosen_users_go_first_they_are_the_canary_and_stable_is_their_yardstick():
    seen = folded(mixed(), IN_RINGS).observe(T + 5000)
    assert (seen.in_total(Arm.CANARY).tasks, seen.in_total(Arm.CANARY).errors) == (40, 40)
    assert seen.in_total(Arm.STABLE).tasks == 40
    assert all(len(stratum.arms) == 2 for stratum in seen.window), "they share a stratum"
    assert judged(seen) is CheckVerdict.BREACHED


def test_stable_counts_for_them_whenever_its_sessions_began():
    log = Log()
    for number in range(40):
        tried(log, f"r{number}", T + number * 10, **RING)
        tried(log, f"s{number}", T + number * 10 + 5, arm=Arm.STABLE, begin=0)
        tried(log, f"o{number}", T + number * 10 + 7, arm=Arm.STABLE, version=1)
    seen = folded(log, IN_RINGS).observe(T + 5000)
    assert seen.in_total(Arm.STABLE).tasks == 40, "but not what was routed before the canary began"


def test_an_outage_that_stable_shares_is_not_the_fault_of_a_ring():
    log = Log()
    for number in range(40):
        tried(log, f"r{number}", T + number * 10, fails=number % 2 == 0, **RING)
        tried(log, f"s{number}", T + number * 10 + 5, fails=number % 2 == 0, arm=Arm.STABLE)
    assert judged(folded(log, IN_RINGS).observe(T + 5000)) is CheckVerdict.SHARED


def test_once_the_percentage_counts_both_are_judged_and_the_graver_word_holds():
    seen = folded(mixed(), BESIDE).observe(T + 5000)
    assert seen.in_total(Arm.CANARY).errors == 0
    assert seen.chosen.in_window(Arm.CANARY).errors == 40
    drawn, ringed = (guardrails.judge(Guardrails(), one) for one in (seen, seen.chosen))
    found = {one.name: one for one in gravity.graver(drawn, ringed)}
    assert (found["errorRate"].verdict, found["errorRate"].chosen) == (CheckVerdict.BREACHED, True)
    assert not found["latencyMean"].chosen


def test_what_is_worse_of_those_who_are_drawn_is_kept():
    drawn = guardrails.judge(Guardrails(), folded(mixed(), IN_RINGS).observe(T + 5000))
    calm = guardrails.judge(Guardrails(), folded(mixed(fails=False), IN_RINGS).observe(T + 5000))
    assert gravity.graver(drawn, calm) == drawn


def test_a_restart_in_the_steps_rebuilds_the_window_of_the_rings():
    log = mixed()
    whole = folded(log, BESIDE)
    first = Fold(BESIDE)
    first.add(log.rows[:100])
    again = Fold(BESIDE, counted=first._last)
    again.add(log.rows)
    one, other = (fold.observe(T + 5000).chosen for fold in (whole, again))
    assert one.window == other.window


def test_the_clock_of_their_tasks_stands_still_under_the_kill_switch_too():
    log = Log().routed("r", T, **RING)
    fold = Fold(BESIDE)
    fold.know(Halts(((T + 1000, T + 901_000),)))
    fold.add(log.rows)
    assert fold.observe(T + 901_000).chosen.in_window(Arm.CANARY).errors == 0


def test_a_comeback_forgets_what_was_before_of_them_as_well():
    seen = folded(mixed(), BESIDE).observe(T + 5000)
    assert seen.since(T + 60_000).chosen.in_window(Arm.CANARY).tasks == 0


def test_what_ends_late_of_their_stage_is_judged_in_the_steps_and_an_earlier_attempt_is_not():
    """Their stage had route version 2, the steps begin with version 3; the attempt began at T."""
    log = Log()
    for number in range(40):
        log.routed(f"e{number}", T - 4000 + number, **RING)
    for number in range(40):
        log.routed(f"r{number}", T + number * 10, **RING)
        tried(log, f"s{number}", T + number * 10 + 5, arm=Arm.STABLE)
    for number in range(40):
        log.finished(f"r{number}", T + 20_000 + number, counting=Counting.ERROR, **RING)
    scope = replace(BESIDE, since_version=3, began_ms=T)
    seen = folded(log, scope).observe(T + 30_000)
    assert seen.in_window(Arm.CANARY).tasks == 0
    ours = seen.chosen.in_window(Arm.CANARY)
    assert (ours.tasks, ours.errors) == (40, 40)
    assert judged(seen.chosen) is CheckVerdict.BREACHED
    assert folded(log, scope).observe(T + 2_000_000).chosen.in_window(Arm.CANARY).tasks == 0
