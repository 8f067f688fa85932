"""When a goal is met, missed or not judged, and what the table and the exit code make of it."""

from __future__ import annotations

import pytest

from penstock_bench import table, verdict
from penstock_bench.verdict import Goal, Peer, Row, Sense, Verdict, Yardstick

NOISY = ("others kept 2.0 cores busy",)
FAST = Goal(Sense.AT_MOST, 2.5)
TWICE = Goal(Sense.AT_LEAST, 2.0, of_peer=True)


def row(*values, peer=None, goal=None, note=""):
    return Row("queue", "tasks/s", values, Peer("saq", peer) if peer else None, goal, note)


@pytest.mark.parametrize(
    ("value", "said"), [(2.4, Verdict.MET), (2.5, Verdict.MET), (2.6, Verdict.MISSED)]
)
def test_a_goal_in_absolute_units_is_judged_by_the_median_where_it_is_quiet(value, said):
    assert verdict.judge(row(0.1, value, 9.0, goal=FAST), ()) is said


def test_it_is_not_judged_on_a_noisy_machine_however_good_or_bad():
    for value in (0.1, 9.0):
        assert verdict.judge(row(value, goal=FAST), NOISY) is Verdict.NOT_JUDGED


@pytest.mark.parametrize("noisy", [(), NOISY])
def test_a_ratio_is_judged_on_any_machine(noisy):
    assert verdict.judge(row(210.0, peer=(100.0,), goal=TWICE), noisy) is Verdict.MET
    assert verdict.judge(row(190.0, peer=(100.0,), goal=TWICE), noisy) is Verdict.MISSED


def test_a_ratio_is_that_of_rounds_which_had_the_same_machine():
    drifting = row(200.0, 100.0, 50.0, peer=(100.0, 50.0, 25.0), goal=TWICE)
    assert drifting.ratio == 2.0
    assert verdict.judge(drifting, ()) is Verdict.MET
    with pytest.raises(ValueError, match="argument 2"):
        _ = row(1.0, 2.0, peer=(1.0,)).ratio


def test_a_count_is_judged_on_any_machine():
    none = Goal(Sense.AT_MOST, 0, anywhere=True)
    assert verdict.judge(row(0.0, goal=none), NOISY) is Verdict.MET
    assert verdict.judge(row(1.0, goal=none), NOISY) is Verdict.MISSED


def test_a_peer_that_has_nothing_gives_no_ratio():
    assert row(1.0, peer=(0.0,)).ratio is None


def test_a_goal_of_a_peer_needs_one():
    with pytest.raises(ValueError, match="needs a peer"):
        verdict.judge(row(1.0, goal=TWICE), ())


def test_a_machine_is_noisy_when_others_are_busy_or_a_yardstick_is_off():
    def stick(measured):
        return Yardstick("CPU of saq", measured, 100.0)

    assert verdict.noise(0.9, [stick(86.0), stick(114.0)]) == ()
    assert "1.4 cores" in verdict.noise(1.4, [])[0]
    for off in (84.0, 116.0):
        assert "CPU of saq" in verdict.noise(0.0, [stick(off)])[0]


def test_the_table_shows_each_round_s_span_the_peer_the_ratio_and_the_verdict():
    text = table.render([row(1500.0, 1700.0, 1600.0, peer=(800.0,) * 3, goal=TWICE)], ())
    head, _, line = text.splitlines()
    assert [cell.strip() for cell in line.strip("|").split("|")] == [
        *("queue", "tasks/s", "1,600 (1,500-1,700)", "saq 800 (800-800)"),
        *("2.00 ×", "≥ 2 × peer", "met"),
    ]
    assert len(head) == len(line)


def test_what_is_missed_is_named_and_what_was_not_judged_has_its_reason():
    rows = [row(1.0, peer=(1.0,), goal=TWICE), row(3.0, goal=FAST), row(2.0)]
    assert table.summary(rows, NOISY) == [
        "missed: queue, 1.00 × saq, goal ≥ 2 × peer",
        "not judged, 1 of 2 goals: others kept 2.0 cores busy",
    ]
    assert "missed: queue, 3.00 tasks/s, goal ≤ 2.5" in table.summary(rows, ())
    assert table.summary([row(2.0, goal=FAST)], ()) == ["every goal is met"]


def test_only_a_missed_goal_fails_the_bench():
    assert table.any_missed([row(3.0, goal=FAST)], ())
    assert not table.any_missed([row(3.0, goal=FAST)], NOISY)
    assert not table.any_missed([row(3.0)], ())


@pytest.mark.parametrize(
    ("value", "said"), [(1234.5, "1,234"), (12.34, "12.3"), (1.234, "1.23"), (0.0, "0.00")]
)
def test_figures_have_no_more_digits_than_they_deserve(value, said):
    assert table.number(value) == said
