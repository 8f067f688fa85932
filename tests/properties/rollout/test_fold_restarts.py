"""However the log is cut, and wherever a restart falls, the observation is the same."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.analysis.comparison.sums import encode, plus
from penstock.analysis.comparison.yardsticks import Yardsticks
from penstock.analysis.fold import Fold, position
from penstock.analysis.metrics import for_status
from penstock.analysis.scope import Scope
from penstock.api.analysis import AnalysisStatus
from penstock.api.comparison import ComparisonStatus
from penstock.outcomes import Row, RowKind
from penstock.task import Counting
from penstock.traffic import Arm
from tests.unit.analysis.rows import CANARY, STABLE, Log

SCOPE = Scope(
    stable=STABLE,
    canary=CANARY,
    since_version=2,
    window_ms=60_000,
    latency_limit_ms=4_000,
    overdue_ms={Arm.STABLE: 50_000, Arm.CANARY: 35_000},
)
#: So long that what is before the window, and then the window too, is counted in wider strata.
PATIENT = replace(SCOPE, overdue_ms={Arm.STABLE: 2_900_000, Arm.CANARY: 3_500_000})
LONG = replace(SCOPE, window_ms=2_000_000, literal=True)
COMPARED = replace(SCOPE, compared=Yardsticks((4_000, 5), (1, 2)))
SCOPES = st.sampled_from((SCOPE, PATIENT, LONG, COMPARED))
SINCE = (2, 3, 0, 0, 3)
T = 1_000_000_000


def random_log(seed):
    """A few hundred rows: bursts, silences, hangs, moves, old sessions, other revisions."""
    chance = random.Random(seed)
    log, open_tasks, now = Log(), {}, T
    for number in range(chance.randrange(20, 250)):
        now += chance.choice((0, 0, 1, 40, 400, 3000, 30_000))
        if open_tasks and chance.random() < 0.6:
            _go_on(chance, log, open_tasks, now)
        else:
            arm = chance.choice(tuple(Arm))
            begin = chance.choice((1, 2, 3, 3))
            revision = {} if chance.random() < 0.9 else {"revision": "0ther000"}
            bucket = chance.randrange(100)
            log.routed(f"t{number}", now, arm, version=3, begin=begin, bucket=bucket, **revision)
            open_tasks[f"t{number}"] = arm
    return log.rows


def _go_on(chance, log, open_tasks, now):
    task = chance.choice(list(open_tasks))
    arm = open_tasks[task]
    what = chance.random()
    if what < 0.3:
        log.started(task, now, arm)
    elif what < 0.4:
        log.rehomed(task, now, arm)
        del open_tasks[task]
    elif what < 0.9:
        latency = chance.choice((0, 10, 900, 5000, 100_000))
        counting = chance.choice(tuple(Counting))
        log.finished(task, now, arm, counting, latency, cost_micro_usd=chance.randrange(9))
        del open_tasks[task]


def checkpoint(fold, now_ms):
    """What status keeps of an observation, through JSON and back."""
    seen = fold.observe(now_ms)
    kept = AnalysisStatus(
        counted_through=seen.counted_through,
        step_from=seen.step_from,
        stable=for_status(seen.in_total(Arm.STABLE)),
        canary=for_status(seen.in_total(Arm.CANARY)),
        step_stable=for_status(seen.in_step(Arm.STABLE)),
        step_canary=for_status(seen.in_step(Arm.CANARY)),
        comparison=seen.compared
        and ComparisonStatus(
            since=seen.compared.since,
            through_ms=seen.compared.through_ms,
            sums=encode(seen.compared.settled),
        ),
    )
    return AnalysisStatus.model_validate_json(kept.model_dump_json())


def rest(rows, after):
    return [row for row in rows if position(row.id) > position(after)]


def whole(rows, step_from, scope=SCOPE):
    fold = slotted(Fold(scope, step_from))
    fold.add(rows)
    return fold


def slotted(fold):
    """Evidence is weighed since route versions that all logs here have."""
    if fold.cohorts:
        fold.cohorts.begin(SINCE)
    return fold


@settings(max_examples=200)
@given(
    scope=SCOPES,
    seed=st.integers(0, 2**32),
    cut=st.floats(0, 1),
    step=st.floats(0, 1),
    absent_ms=st.sampled_from((0, 700, 20_000, 200_000, 4_000_000)),
)
@example(scope=SCOPE, seed=551502764, cut=1.0, step=0.0, absent_ms=0)  # at last old sessions alone
def test_a_restart_at_any_row_gives_the_same_observation(scope, seed, cut, step, absent_ms):
    rows = random_log(seed)
    step_from = rows[int(step * (len(rows) - 1))].id
    first = rows[: int(cut * len(rows))]
    before = slotted(Fold(scope, step_from))
    before.add(first)
    stopped_ms = first[-1].at_ms if first else T
    kept = checkpoint(before, stopped_ms + 5)

    after = Fold.resume(scope, kept)
    now_ms = max(rows[-1].at_ms, stopped_ms + absent_ms)
    after.add(rest(rows, after.read_after(now_ms)), first_kept=rows[0].id)
    assert after.observe(now_ms) == whole(rows, step_from, scope).observe(now_ms)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), later_ms=st.sampled_from((0, 30_000, 700_000)))
def test_wide_strata_hold_what_fine_ones_would(seed, later_ms):
    """But for the oldest, which is whole or not there: nothing is counted twice or missed."""
    rows = random_log(seed)
    now_ms = rows[-1].at_ms + later_ms
    seen = whole(rows, "", PATIENT).observe(now_ms)
    exposed = [row for row in rows if row.kind is RowKind.ROUTED and PATIENT.is_sample(row)]
    gone = {row.task for row in rows if row.kind is RowKind.REHOMED}
    gone |= {row.task for row in rows if row.counting is Counting.LEFT_OUT}
    since = (seen.older + seen.window)[0].tick * 5000 if seen.older + seen.window else now_ms
    want = sum(row.task not in gone and row.at_ms >= since for row in exposed)
    assert sum(s.arm(arm).tasks for s in seen.older + seen.window for arm in Arm) == want


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), sizes=st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_batches_of_any_size_make_the_same_whole(seed, sizes):
    rows = random_log(seed)
    fold, at = slotted(Fold(COMPARED)), 0
    for size in sizes:
        fold.add(rows[at : at + size])
        at = min(at + size, len(rows))
        if at:
            fold.observe(rows[at - 1].at_ms)
    fold.add(rows[at:])
    now_ms = rows[-1].at_ms + 3
    assert fold.observe(now_ms) == whole(rows, "", COMPARED).observe(now_ms)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), cut=st.floats(0, 1))
def test_the_sums_of_two_halves_of_the_tasks_add_up_to_those_of_all(seed, cut):
    """Halves of which no minute is in both: each task is compared with those of its own minute."""
    rows = random_log(seed)
    minute = rows[int(cut * (len(rows) - 1))].at_ms // 60_000
    routed_ms = {row.task: row.at_ms for row in rows if row.kind is RowKind.ROUTED}
    early = [row for row in rows if routed_ms[row.task] // 60_000 < minute]
    late = [row for row in rows if routed_ms[row.task] // 60_000 >= minute]
    now_ms = rows[-1].at_ms + 40_000
    passed = Row(f"{now_ms}-0", RowKind.ROUTED, "end", Arm.STABLE, "0ther000", 3, 3, 0)
    halves = [whole([*half, passed], "", COMPARED).observe(now_ms) for half in (early, late)]
    together = whole([*rows, passed], "", COMPARED).observe(now_ms).compared.evidence
    assert plus(*(half.compared.evidence for half in halves)) == together


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32))
def test_no_arm_ever_has_more_events_than_tasks(seed):
    rows = random_log(seed)
    for now_ms in (rows[-1].at_ms, rows[-1].at_ms + 45_000):
        seen = whole(rows, "").observe(now_ms)
        tallies = [stratum.arm(arm) for stratum in seen.window for arm in Arm]
        tallies += [seen.in_total(arm) for arm in Arm] + [seen.in_step(arm) for arm in Arm]
        for tally in tallies:
            assert 0 <= tally.errors + tally.escalations <= tally.tasks
            assert 0 <= tally.timed <= tally.tasks
