"""What is counted when: exposure at routing, each task once, late ones before they end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.analysis import fold as folding
from penstock.analysis import scope as scoping
from penstock.analysis.cells import Cells
from penstock.analysis.fold import Fold
from penstock.analysis.halts import Halts
from penstock.analysis.metrics import ERROR_RATE, ESCALATION_RATE, LATENCY, Tally, for_status
from penstock.analysis.scope import Scope
from penstock.api.analysis import AnalysisStatus
from penstock.api.rollout import AgentRolloutStatus, Stage
from penstock.outcomes import End, RowKind
from penstock.task import Counting, TaskStatus
from penstock.traffic import Arm, RevisionLimits
from tests.unit.analysis.rows import CANARY, STABLE, Log
from tests.unit.rollout.world import C, S, canary_world, spec

SCOPE = Scope(
    stable=STABLE,
    canary=CANARY,
    since_version=2,
    window_ms=300_000,
    latency_limit_ms=10_000,
    overdue_ms={Arm.STABLE: 750_000, Arm.CANARY: 750_000},
)
T = 1_000_000_000


def folded(log, scope=SCOPE, step_from=""):
    fold = Fold(scope, step_from)
    fold.add(log.rows)
    return fold


def window(log, now_ms, arm=Arm.CANARY, scope=SCOPE):
    return folded(log, scope).observe(now_ms).in_window(arm)


def test_a_task_is_exposed_when_it_is_routed_and_counted_when_it_ends():
    log = Log().routed("a", T)
    seen = folded(log).observe(T + 1)
    assert seen.in_window(Arm.CANARY).tasks == 1
    assert seen.in_total(Arm.CANARY).tasks == 0
    log.finished("a", T + 900, latency_ms=800)
    seen = folded(log).observe(T + 1000)
    assert (seen.in_window(Arm.CANARY).tasks, seen.in_total(Arm.CANARY).tasks) == (1, 1)
    assert seen.in_window(Arm.CANARY).latency_ms == 800
    assert seen.in_window(Arm.CANARY).latency_squares == 640_000


def test_an_end_is_credited_to_the_tick_in_which_the_task_was_routed():
    log = Log().routed("a", T).routed("b", T + 60_000)
    log.finished("a", T + 100_000, counting=Counting.ERROR)
    first, second = folded(log).observe(T + 100_000).window
    assert first.arm(Arm.CANARY).errors == 1
    assert second.arm(Arm.CANARY).errors == 0


@pytest.mark.parametrize(
    ("counting", "errors", "escalations"),
    [(Counting.GOOD, 0, 0), (Counting.ERROR, 1, 0), (Counting.ESCALATION, 0, 1)],
)
def test_an_end_counts_as_what_it_was(counting, errors, escalations):
    seen = window(Log().routed("a", T).finished("a", T + 5, counting=counting), T + 10)
    assert (seen.tasks, seen.errors, seen.escalations) == (1, errors, escalations)


def test_what_is_left_out_or_moved_was_never_a_sample():
    log = Log().routed("a", T).routed("b", T).routed("c", T)
    log.finished("a", T + 5, counting=Counting.LEFT_OUT).rehomed("b", T + 6)
    seen = folded(log).observe(T + 10)
    assert seen.in_window(Arm.CANARY).tasks == 1
    log.finished("b", T + 20, arm=Arm.STABLE)
    seen = folded(log).observe(T + 30)
    assert seen.in_window(Arm.CANARY).tasks == 1
    assert seen.in_window(Arm.STABLE).tasks == 0


def test_what_callers_cancelled_is_counted_aside_for_each_arm_also_over_a_restart():
    log = Log()
    for i in range(6):
        arm = Arm.STABLE if i == 0 else Arm.CANARY
        log.routed(f"t{i}", T + i, arm=arm)
    for i in range(5):
        arm = Arm.STABLE if i == 0 else Arm.CANARY
        log.finished(f"t{i}", T + 10 + i, arm=arm, counting=Counting.LEFT_OUT)
    log.rehomed("t5", T + 20)
    whole = folded(log, step_from=f"{T + 2}-0").observe(T + 30)
    asides = [[tallies(arm).left_out for arm in Arm] for tallies in (whole.in_total, whole.in_step)]
    assert asides == [[1, 4], [0, 2]], "what was moved goes on elsewhere"
    assert whole.in_total(Arm.CANARY).tasks == 0

    half = Fold(SCOPE, f"{T + 2}-0")
    half.add([row for row in log.rows if row.at_ms <= T + 12])
    seen = half.observe(T + 12)
    status = AnalysisStatus(
        counted_through=seen.counted_through,
        step_from=f"{T + 2}-0",
        stable=for_status(seen.in_total(Arm.STABLE)),
        canary=for_status(seen.in_total(Arm.CANARY)),
        step_stable=for_status(seen.in_step(Arm.STABLE)),
        step_canary=for_status(seen.in_step(Arm.CANARY)),
    )
    again = Fold.resume(SCOPE, status)
    again.add(log.rows)
    assert again.observe(T + 30) == whole


def test_of_what_was_left_out_it_is_told_later_what_callers_cancelled():
    log = Log()
    for i in range(4):
        log.routed(f"t{i}", T + i)
    for i in range(4):
        log.finished(f"t{i}", T + 10 + i, counting=Counting.LEFT_OUT if i else Counting.GOOD)
    fold = folded(log)
    assert fold.unexplained == ["t1", "t2", "t3"]
    fold.explain({"t1": End(TaskStatus.CANCELLED), "t2": End(TaskStatus.ESCALATED)})
    assert fold.unexplained == []
    seen = fold.observe(T + 20).in_total(Arm.CANARY)
    assert (seen.tasks, seen.left_out, seen.cancelled) == (1, 3, 1)
    again = Fold.resume(SCOPE, AnalysisStatus(counted_through=f"{T + 13}-0"))
    again.add(log.rows)
    assert again.unexplained == [], "they were counted before"


def test_a_flood_of_cancels_is_remembered_within_bounds():
    log = Log()
    for i in range(folding.MOST_UNEXPLAINED + 9):
        log.routed(f"t{i}", T + i).finished(f"t{i}", T + i, counting=Counting.LEFT_OUT)
    fold = folded(log)
    assert len(fold.unexplained) == folding.MOST_UNEXPLAINED
    assert fold.observe(T + 9999).in_total(Arm.CANARY).left_out == len(log.rows) / 2


def test_sessions_older_than_the_canary_are_no_samples_on_either_side():
    log = Log()
    log.routed("old", T, arm=Arm.STABLE, version=2, begin=1)
    log.routed("new", T, arm=Arm.STABLE, version=2, begin=2)
    assert window(log, T + 1, Arm.STABLE).tasks == 1


def test_rows_of_an_earlier_canary_are_no_samples():
    log = Log().routed("a", T, revision="0ther000").routed("b", T)
    assert window(log, T + 1).tasks == 1


def test_without_a_canary_all_sessions_of_stable_are_watched():
    alone = replace(SCOPE, canary="", since_version=0)
    log = Log().routed("a", T, arm=Arm.STABLE, begin=1).routed("b", T)
    seen = folded(log, alone).observe(T + 1)
    assert seen.in_window(Arm.STABLE).tasks == 1
    assert seen.in_window(Arm.CANARY).tasks == 0
    assert seen.in_total(Arm.STABLE).tasks == 0


# -------------------------------------------------------------------------------- late ones


def test_an_open_task_is_slow_once_it_was_worked_on_past_the_limit():
    log = Log().routed("a", T).started("a", T + 2000)
    assert window(log, T + 12_000).timed == 0
    seen = window(log, T + 14_500)
    assert (seen.timed, seen.latency_ms, seen.errors) == (1, 12_500, 0)


def test_waiting_in_the_queue_is_not_being_slow():
    assert window(Log().routed("a", T), T + 200_000).timed == 0


def test_one_stuck_task_counts_at_most_six_times_the_limit():
    log = Log().routed("a", T).started("a", T)
    assert window(log, T + 250_000).latency_ms == 60_000
    log.finished("a", T + 280_000, latency_ms=280_000)
    assert window(log, T + 290_000).latency_ms == 60_000


def test_an_overdue_task_is_an_error_without_a_word_from_its_worker():
    quick = replace(SCOPE, overdue_ms={Arm.STABLE: 90_000, Arm.CANARY: 90_000})
    log = Log().routed("a", T)
    assert window(log, T + 89_999, scope=quick).errors == 0
    assert window(log, T + 90_000, scope=quick).errors == 1
    log.routed("b", T + 95_000)
    seen = folded(log, quick).observe(T + 95_000)
    assert seen.in_window(Arm.CANARY).errors == 1
    assert (seen.in_total(Arm.CANARY).tasks, seen.in_total(Arm.CANARY).errors) == (1, 1)


def test_what_ends_after_it_was_overdue_is_not_counted_twice():
    quick = replace(SCOPE, overdue_ms={Arm.STABLE: 90_000, Arm.CANARY: 90_000})
    log = Log().routed("a", T).finished("a", T + 95_000)
    seen = folded(log, quick).observe(T + 95_000)
    assert seen.in_window(Arm.CANARY).errors == 1
    assert seen.in_total(Arm.CANARY).tasks == 1


def test_a_log_that_was_silent_for_a_day_goes_on():
    log = Log().routed("a", T).started("a", T + 5).routed("b", T + 86_400_000)
    seen = folded(log).observe(T + 86_400_000)
    assert seen.in_window(Arm.CANARY).tasks == 1
    assert seen.in_total(Arm.CANARY).errors == 1


# ------------------------------------------------------------------------- window and steps


def test_the_window_slides_by_the_time_of_routing():
    log = Log().routed("a", T).finished("a", T + 290_000, counting=Counting.ERROR)
    assert window(log, T + 299_000).errors == 1
    assert window(log, T + 306_000).tasks == 0


def test_a_step_counts_the_tasks_that_were_routed_in_it():
    log = Log().routed("a", T).routed("b", T + 1000)
    log.finished("a", T + 2000).finished("b", T + 3000)
    fold = folded(log, step_from=f"{T + 500}-0")
    seen = fold.observe(T + 4000)
    assert (seen.in_step(Arm.CANARY).tasks, seen.in_total(Arm.CANARY).tasks) == (1, 2)
    fold.begin_step(f"{T + 4000}-0")
    assert fold.observe(T + 4000).in_step(Arm.CANARY).tasks == 0
    assert fold.observe(T + 4000).in_total(Arm.CANARY).tasks == 2


def test_tasks_that_have_not_ended_are_exposed_in_the_step():
    seen = folded(Log().routed("a", T)).observe(T + 1)
    assert seen.routed_in_step(Arm.CANARY) == 1
    assert seen.routed_in_step(Arm.STABLE) == 0


def test_the_memory_of_a_fold_is_bounded_by_time():
    log, fold = Log(), Fold(SCOPE)
    for i in range(6000):
        log.routed(f"t{i}", T + 2000 * i)
        if i % 2:
            log.finished(f"t{i}", T + 2000 * i + 500)
    fold.add(log.rows)
    kept = SCOPE.kept_ms / 5000
    assert len(fold._coarse) <= kept + 2
    assert len(fold._open) <= 750 / 2


@pytest.mark.parametrize("span", ["window", "queue"])
def test_a_look_at_a_day_has_as_few_strata_as_one_at_five_minutes(span):
    day = 86_400_000
    scope = (
        replace(SCOPE, window_ms=day)
        if span == "window"
        else replace(SCOPE, overdue_ms=dict.fromkeys(Arm, day))
    )
    log = Log()
    for i in range(4000):
        log.routed(f"t{i}", T + 20_000 * i).finished(f"t{i}", T + 20_000 * i + 5)
    seen = folded(log, scope).observe(T + 20_000 * 4000)
    assert len(seen.window) + len(seen.older) <= 2 * scoping.MOST_TICKS
    everything = sum(s.arm(Arm.CANARY).tasks for s in seen.window + seen.older)
    assert everything > 3900, "and all of the day is in them"


def test_while_the_kill_switch_is_on_no_task_becomes_late_or_slow():
    log = Log().routed("a", T).started("a", T + 1000)
    halts = Halts(((T + 5000, T + 905_000),))
    fold = folded(log)
    fold.know(halts)
    assert fold.observe(T + 900_000).in_window(Arm.CANARY).errors == 0
    assert fold.observe(T + 900_000).in_window(Arm.CANARY).timed == 0, "4 s of work"
    log.finished("a", T + 910_000, latency_ms=909_000)
    fold.add(log.rows)
    seen = fold.observe(T + 911_000).in_total(Arm.CANARY)
    assert (seen.errors, seen.latency_ms) == (0, 9000)


def test_after_the_kill_switch_the_clocks_go_on_where_they_stood():
    fold = folded(Log().routed("a", T))
    fold.know(Halts(((T + 5000, T + 905_000),)))
    assert fold.observe(T + 750_000 + 899_000).in_window(Arm.CANARY).errors == 0
    fold.add(Log().routed("b", T + 750_000 + 901_000).rows)
    assert fold.observe(T + 750_000 + 901_000).in_total(Arm.CANARY).errors == 1


def failed(fold, now_ms):
    return [(f.metric, f.task) for f in fold.observe(now_ms).failed]


def test_what_counts_against_the_canary_is_kept_with_what_it_counted_as():
    log = Log()
    for i, counting in enumerate(Counting):
        log.routed(f"t{i}", T + i).finished(f"t{i}", T + i, counting=counting)
    log.routed("slow", T + 9).finished("slow", T + 11_000, latency_ms=10_001)
    log.routed("theirs", T + 11_001, arm=Arm.STABLE)
    log.finished("theirs", T + 11_002, arm=Arm.STABLE, counting=Counting.ERROR)
    log.routed("early", T + 11_003, begin=1).finished("early", T + 11_004, counting=Counting.ERROR)
    assert failed(folded(log), T + 12_000) == [
        (ERROR_RATE, "t1"), (LATENCY, "slow"), (ESCALATION_RATE, "t2"),
    ]  # fmt: skip


def test_a_task_that_was_moved_or_ended_by_nobody_is_no_failure():
    log = Log().routed("moved", T).rehomed("moved", T + 1).routed("left", T + 2)
    log.finished("moved", T + 3, arm=Arm.STABLE, counting=Counting.ERROR)
    log.finished("left", T + 4, counting=Counting.LEFT_OUT)
    assert not failed(folded(log), T + 5)


def test_an_overdue_task_is_a_failure_that_never_ended():
    log = Log().routed("a", T).routed("b", T + 760_000)
    (late,) = folded(log).observe(T + 760_000).failed
    assert (late.task, late.metric, late.overdue) == ("a", ERROR_RATE, True)


def test_failures_before_the_window_and_before_a_resumption_are_no_samples():
    log = Log().routed("a", T).finished("a", T + 1, counting=Counting.ERROR)
    log.routed("b", T + 290_000).finished("b", T + 290_001, counting=Counting.ERROR)
    fold = folded(log)
    assert failed(fold, T + 299_000) == [(ERROR_RATE, "a"), (ERROR_RATE, "b")]
    assert failed(fold, T + 310_000) == [(ERROR_RATE, "b")]
    assert [f.task for f in fold.observe(T + 299_000).since(T + 100_000).failed] == ["b"]


def test_a_restart_keeps_the_failures_of_the_window():
    log = Log().routed("a", T).finished("a", T + 1, counting=Counting.ERROR)
    again = Fold.resume(SCOPE, AnalysisStatus(counted_through=f"{T + 1}-0"))
    again.add(log.rows)
    assert again.observe(T + 9).failed == folded(log).observe(T + 9).failed != ()


# ---------------------------------------------------------------------------- reading the log


def test_rows_seen_before_are_passed_over():
    log = Log().routed("a", T).finished("a", T + 5, counting=Counting.ERROR)
    fold = folded(log)
    once = fold.observe(T + 10)
    fold.add(log.rows)
    assert fold.observe(T + 10) == once


def test_rows_lost_before_they_were_counted_are_a_gap():
    fold = folded(Log().routed("a", T))
    fold.add([], first_kept=f"{T}-0")
    assert not fold.observe(T).gap
    fold.add([], first_kept=f"{T + 5}-0")
    assert fold.observe(T).gap


def test_a_log_trimmed_past_the_checkpoint_is_a_gap():
    fold = Fold.resume(SCOPE, AnalysisStatus(counted_through=f"{T}-3"))
    fold.add(Log().routed("a", T + 10).rows, first_kept=f"{T + 10}-0")
    assert fold.observe(T + 10).gap


@pytest.mark.parametrize(
    ("first_kept", "trimmed", "gap"),
    [
        (T - 1_060_000, True, False),  # as far back as the window and what is open reach
        (T - 500_000, True, True),
        (T - 500_000, False, False),  # the log is no older
    ],
)
def test_a_window_that_is_rebuilt_from_a_trimmed_log_has_a_gap(first_kept, trimmed, gap):
    fold = Fold.resume(SCOPE, AnalysisStatus(counted_through=f"{T}-0"))
    fold.read_after(T + 60_000)
    rows = Log().routed("a", T - 400_000).routed("counted", T).routed("b", T + 1).rows
    fold.add(rows, f"{first_kept}-0", trimmed=trimmed)
    assert fold.observe(T + 60_000).gap is gap
    fold.add(Log().routed("c", T + 70_000).rows, f"{T + 1}-0", trimmed=trimmed)
    assert fold.observe(T + 70_000).gap is gap, "what was read is not needed in the log any more"
    assert not fold.observe(first_kept + SCOPE.kept_ms).gap, "until then it is in the window"


def test_what_was_trimmed_before_the_canary_began_is_no_gap():
    for began, gap in ((T - 100_000, False), (T - 600_000, True)):
        scope = replace(SCOPE, began_ms=began)
        fold = Fold.resume(scope, AnalysisStatus(counted_through=f"{T}-0"))
        fold.read_after(T)
        fold.add(Log().routed("a", T - 90_000).rows, f"{T - 500_000}-0", trimmed=True)
        assert fold.observe(T).gap is gap


def test_a_canary_that_nothing_was_counted_of_has_a_gap_when_its_log_was_trimmed():
    for began, gap in ((T - 1, True), (T + 1, False)):
        fold = Fold.resume(replace(SCOPE, began_ms=began), AnalysisStatus())
        fold.read_after(T)
        fold.add(Log().routed("a", T).rows, first_kept=f"{T}-0", trimmed=True)
        assert fold.observe(T).gap is gap


def test_a_log_that_was_cut_at_its_end_is_a_gap_and_blames_nobody_for_what_was_in_it():
    fold = folded(Log().routed("a", T).started("a", T + 1))
    fold.add([], last_kept=f"{T + 1}-0")
    assert not fold.observe(T + 5).gap
    fold.add([], last_kept=f"{T}-0")
    seen = fold.observe(T + 5)
    assert (seen.gap, seen.gap_ms) == (True, T + 1)
    assert fold.observe(T + 800_000).in_total(Arm.CANARY).errors == 0


def test_a_checkpoint_that_is_ahead_of_the_log_is_a_gap():
    for last, gap in ((T - 1, True), (T, False), (T + 9, False)):
        fold = Fold.resume(SCOPE, AnalysisStatus(counted_through=f"{T}-0"))
        fold.add([], last_kept=f"{last}-0")
        assert fold.observe(T + 10).gap is gap


def test_a_log_without_the_row_that_was_counted_last_is_a_gap_up_to_the_first_after_it():
    """It went back and grew before anybody looked: its ends tell nothing of that."""
    log = Log().routed("a", T).routed("b", T + 5)
    grown = Log().routed("a", T).routed("c", T + 60_000).routed("d", T + 61_000)
    for rows, gap in ((log.rows + grown.rows[1:], False), (grown.rows, True)):
        fold = Fold.resume(SCOPE, AnalysisStatus(counted_through=f"{T + 5}-0"))
        fold.read_after(T + 61_000)
        fold.add(rows[:1], first_kept=f"{T}-0", last_kept=rows[-1].id)
        assert not fold.observe(T + 61_000).gap, "what was counted last may come yet"
        fold.add(rows[1:])
        seen = fold.observe(T + 61_000)
        assert (seen.gap, seen.gap_ms) == (gap, T + 60_000 if gap else 0)
        fold.add(Log().finished("d", T + 62_000).rows)
        assert fold.observe(T + 62_000).gap_ms == seen.gap_ms, "it is one gap"


def test_a_row_that_was_counted_last_and_cannot_be_read_is_there():
    fold = Fold.resume(SCOPE, AnalysisStatus(counted_through=f"{T}-3"))
    fold.read_after(T + 9)
    fold.add(Log().routed("a", T + 9).rows, passed_over=(f"{T}-2", f"{T}-3"))
    assert not fold.observe(T + 9).gap


@pytest.mark.parametrize("first_kept", [f"{T - 70_000}-0", f"{T}-3"])
def test_a_log_of_which_only_counted_rows_were_cut_has_no_gap(first_kept):
    """Where the window needs none of them: the canary began later."""
    fold = Fold.resume(replace(SCOPE, began_ms=T + 1), AnalysisStatus(counted_through=f"{T}-3"))
    fold.read_after(T + 60_000)
    fold.add(Log().routed("b", T + 60_000).rows, first_kept, trimmed=True, passed_over=(f"{T}-3",))
    assert not fold.observe(T + 60_000).gap


def test_how_tasks_ended_across_a_gap_is_unknown_and_not_an_error():
    fold = folded(Log().routed("a", T).routed("b", T, arm=Arm.STABLE).started("a", T + 1))
    fold.add(Log().routed("c", T + 60_000).rows, first_kept=f"{T + 50_000}-0")
    later = fold.observe(T + 800_000)
    assert later.gap
    everything = replace(later, window=later.older + later.window)
    assert everything.in_window(Arm.CANARY).tasks == 1, "c alone"
    assert everything.in_window(Arm.CANARY).errors == 0
    assert everything.in_window(Arm.STABLE).tasks == 0
    fold.add(Log().finished("a", T + 800_001).routed("d", T + 900_000).rows)
    assert fold.observe(T + 900_000).in_total(Arm.CANARY).errors == 1, "c is overdue"


def test_a_first_reading_has_no_gap():
    fold = Fold.resume(SCOPE, AnalysisStatus())
    fold.add(Log().routed("a", T).rows, first_kept=f"{T}-0")
    assert not fold.observe(T).gap


def test_reading_goes_on_after_the_last_row():
    log = Log().routed("a", T).routed("b", T)
    assert Fold(replace(SCOPE, canary="")).read_after(T) == f"{T - SCOPE.kept_ms}-0"
    fold = Fold(SCOPE)
    assert fold.read_after(T) == "", "nothing was counted yet for this canary"
    fold.add(log.rows)
    assert fold.read_after(T + 60_000) == f"{T}-1"


def test_after_a_long_absence_reading_begins_before_the_checkpoint():
    fold = Fold.resume(SCOPE, AnalysisStatus(counted_through=f"{T}-3"))
    assert fold.read_after(T + 3_600_000) == f"{T - SCOPE.kept_ms}-0"


# ----------------------------------------------------------------------- which fold, which scope


def test_the_scope_follows_the_decision():
    limits = {S: RevisionLimits(1000, 600, 120), C: RevisionLimits(1000, 60, 30)}
    world = canary_world()
    scope = scoping.scope_of(spec(), world.status, limits)
    assert (scope.stable, scope.canary) == (S[-8:], C[-8:])
    assert scope.since_version == world.status.analysis.since_version > 0
    assert scope.overdue_ms == {Arm.STABLE: 750_000, Arm.CANARY: 120_000}
    done = world.status.model_copy(update={"stage": Stage.DONE})
    assert scoping.scope_of(spec(), done, limits).canary == ""
    assert scoping.scope_of(spec(), AgentRolloutStatus(), {}).stable == ""


def test_the_same_scope_keeps_the_fold_and_follows_the_step():
    fold = folded(Log().routed("a", T).finished("a", T + 1))
    same = folding.follow(fold, SCOPE, AnalysisStatus(step_from=f"{T + 9}-0"))
    assert same is fold
    assert fold.observe(T + 9).in_step(Arm.CANARY).tasks == 0


def test_another_scope_resumes_from_the_counts_in_status():
    fold = folded(Log().routed("a", T).finished("a", T + 1))
    wider = replace(SCOPE, window_ms=600_000)
    other = folding.follow(fold, wider, AnalysisStatus(counted_through=f"{T}-0"))
    assert other is not fold
    assert other.counted == (T, 0)


def test_every_kind_of_row_is_understood():
    log = Log().routed("a", T).started("a", T).finished("a", T).rehomed("a", T)
    assert {row.kind for row in log.rows} == set(RowKind)
    assert window(log, T + 1).tasks == 1


def test_rows_that_could_not_be_read_are_not_read_again() -> None:
    log = Log().routed("a", T)
    fold = Fold(SCOPE)
    fold.add(log.rows, through=f"{T + 50}-3")
    assert fold.read_after(T + 60) == f"{T + 50}-3"
    fold.add(Log().routed("late", T + 10).rows)
    assert fold.observe(T + 60).counted_through == f"{T + 50}-3"


def test_strata_stand_by_time_and_route_version_in_whatever_order_they_began():
    cells = Cells(1)
    for at_ms, version in ((20_000, 3), (20_000, 1), (10_000, 2), (30_000, 1), (20_000, 2)):
        cells.add(cells.place(at_ms, version, Arm.STABLE), Tally(tasks=1))
        strata = [(stratum.tick, stratum.begin_version) for stratum in cells.strata()]
        assert strata == sorted(strata)
    assert len(strata) == 5
