"""The digest of the rows: the same rows give the same one wherever a restart fell, and any other rows another."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace

import pytest

from penstock.analysis.fold import Fold
from penstock.analysis.metrics import for_status
from penstock.analysis.rowchain import RowChain, text_of
from penstock.api.analysis import AnalysisStatus
from penstock.outcomes import Row, RowKind
from penstock.task import Counting, OutcomeReason
from penstock.traffic import Arm
from tests.unit.analysis.rows import Log
from tests.unit.analysis.test_fold import SCOPE, T

OTHERWISE = {
    "id": f"{T + 3}-9",
    "kind": RowKind.REHOMED,
    "task": "another",
    "arm": Arm.STABLE,
    "revision": "another",
    "route_version": 9,
    "begin_version": 9,
    "bucket": 9,
    "counting": Counting.ERROR,
    "latency_ms": 9,
    "cost_micro_usd": 9,
    "reason": OutcomeReason.TIMEOUT,
}


def a_log():
    log = Log()
    for number in range(6):
        arm = Arm.CANARY if number % 2 else Arm.STABLE
        log.routed(f"t{number}", T + number, arm)
    for number in range(6):
        arm = Arm.CANARY if number % 2 else Arm.STABLE
        log.finished(f"t{number}", T + 1000 + number, arm)
    return log


def digest(rows):
    chain = RowChain()
    for row in rows:
        chain.row(row)
    return chain.digest


def seen(fold):
    return fold.observe(T + 5000).rows


def test_a_row_and_its_digest_are_as_the_page_says():
    row = Row("5-0", RowKind.FINISHED, "t7", Arm.CANARY, "cccc1111", 4, 3, 70, Counting.ERROR, 1200, 345,
              OutcomeReason.TIMEOUT)  # fmt: skip
    text = "5-0|f|t7|C|cccc1111|4|3|70|Error|1200|345|Timeout"
    assert text_of(row) == text
    assert digest([row]) == hashlib.sha256(f"\n{text}".encode()).hexdigest()
    first = digest([row])
    assert digest([row, row]) == hashlib.sha256(f"{first}\n{text}".encode()).hexdigest()
    assert text_of(replace(row, reason=None)).endswith("|345|")


def test_every_field_of_a_row_is_in_it():
    assert OTHERWISE.keys() == {field.name for field in fields(Row)}


@pytest.mark.parametrize("name", OTHERWISE)
def test_a_row_with_another_value_gives_another_digest(name):
    rows = a_log().rows
    changed = replace(rows[3], **{name: OTHERWISE[name]})
    assert getattr(changed, name) != getattr(rows[3], name)
    assert digest([*rows[:3], changed, *rows[4:]]) != digest(rows)


def test_a_row_that_is_missing_moved_or_there_twice_gives_another_digest():
    rows = a_log().rows
    found = {digest(rows)}
    for number in range(len(rows)):
        found.add(digest([*rows[:number], *rows[number + 1 :]]))
        found.add(digest([*rows[: number + 1], *rows[number:]]))
        if number:
            found.add(
                digest([*rows[: number - 1], rows[number], rows[number - 1], *rows[number + 1 :]])
            )
    assert len(found) == 1 + 3 * len(rows) - 1


def test_the_fold_counts_each_row_once_however_it_is_read():
    rows = a_log().rows
    whole, parts = Fold(SCOPE), Fold(SCOPE)
    whole.add(rows)
    for number in range(len(rows)):
        parts.add(rows[max(number - 3, 0) : number + 1])
    assert seen(whole) == seen(parts)
    assert (seen(whole).count, seen(whole).digest) == (len(rows), digest(rows))


@pytest.mark.parametrize("cut", range(13))
def test_a_restart_at_any_row_gives_the_same_digest(cut):
    rows = a_log().rows
    before = Fold(SCOPE)
    before.add(rows[:cut])
    observed = before.observe(T + 500)
    kept = AnalysisStatus(
        counted_through=observed.counted_through,
        rows=observed.rows,
        stable=for_status(observed.in_total(Arm.STABLE)),
        canary=for_status(observed.in_total(Arm.CANARY)),
    )
    kept = AnalysisStatus.model_validate(kept.wire())
    after = Fold.resume(SCOPE, kept)
    after.add(rows)  # those that were counted rebuild the window
    assert seen(after).digest == digest(rows)
    assert seen(after).count == len(rows)


def test_a_version_that_kept_no_digest_leaves_one_that_begins_where_it_ended():
    rows = a_log().rows
    fold = Fold.resume(SCOPE, AnalysisStatus(counted_through=rows[4].id))
    fold.add(rows)
    assert seen(fold).since == rows[4].id
    assert seen(fold).digest == digest(rows[5:])


def test_a_gap_is_a_link_of_it():
    rows = a_log().rows
    whole, lost = Fold(SCOPE), Fold(SCOPE)
    for fold in (whole, lost):
        fold.add(rows[:3])
    whole.add(rows[6:])
    lost.add(rows[6:], first_kept=rows[6].id)
    assert seen(whole).digest == digest([*rows[:3], *rows[6:]])
    assert seen(lost).digest != seen(whole).digest
    assert seen(lost).count == seen(whole).count


def test_a_log_that_was_cut_at_its_end_is_a_link_of_it_once():
    rows = a_log().rows
    fold = Fold(SCOPE)
    fold.add(rows[:6])
    for _ in range(3):
        fold.add([], last_kept=rows[2].id)
    chain = RowChain()
    for row in rows[:6]:
        chain.row(row)
    chain.gap(rows[5].id)
    assert seen(fold).digest == chain.digest != digest(rows[:6])


def test_without_a_canary_nothing_is_added_up():
    fold = Fold(replace(SCOPE, canary=""))
    fold.add(a_log().rows)
    assert fold.observe(T + 5000).rows is None
