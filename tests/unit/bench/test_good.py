"""Which good versions are played, and what is asked of them."""

from __future__ import annotations

import pytest

from penstock_bench.rollouts import blocks, good, play
from penstock_bench.rollouts.record import Record


def test_each_question_is_answered_by_two_thousand_runs():
    wanted = {
        name: sum(one.wanted for one in cells) for name, cells in good.groups(good.all_good())
    }
    assert set(good.CROWDS) < set(wanted)
    assert {"0.1/s", "100/s, a day known", "0.5% errors", "4.0% errors"} < set(wanted)
    assert min(wanted.values()) >= 2000


def test_each_cell_has_a_name_of_its_own():
    names = [one.cell.name for one in good.all_good()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("tasks_per_second", good.LOOKS)
def test_each_cell_can_be_played(tasks_per_second):
    cells = [one.cell for one in good.all_good() if one.tasks_per_second == tasks_per_second]
    assert cells
    assert all(cell.weather.harmless for cell in cells)
    assert all(blocks.suits(cell.weather) for cell in cells if cell.blocks)


def test_a_run_is_counted_in_each_group_that_it_is_in(tmp_path):
    [one] = [
        one
        for one in good.all_good()
        if one.cell.name == "good: 5 very unlike users, 2.0% errors, 0.1/s, a day known"
    ]
    kept = Record(tmp_path / "runs.jsonl")
    for seed, verdict in enumerate(("promoted", "condemned", "held")):
        kept._keep(play.Run(one.cell.name, play.PRODUCT, seed, verdict, 10, 0, None, None))
    counted = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:5]]
        for line in good.table(good.all_good(), kept).splitlines()[2:]
    }
    asked = ("0.1/s, a day known", "2.0% errors", "5 very unlike users", "all")
    assert {counted[name][0] for name in asked} == {"3"}
    assert {counted[name][2] for name in asked} == {"1"}
    assert counted["0.1/s"][0] == "0"


@pytest.mark.parametrize(
    ("crowd", "condemned", "broken"),
    [
        ("5 very unlike users", 4, False),
        ("5 very unlike users", 7, True),
        ("many users who are alike", 1, False),
        ("many users who are alike", 4, True),
    ],
)
def test_a_group_in_which_too_many_are_rolled_back_is_broken(tmp_path, crowd, condemned, broken):
    """So many of 100 in each of two cells of a crowd come by chance less often than once in a hundred, or more often."""
    some = [one for one in good.all_good() if one.crowd == crowd][:2]
    kept = Record(tmp_path / "runs.jsonl")
    for seed in range(100):
        for one in some:
            verdict = "condemned" if seed < condemned else "promoted"
            kept._keep(play.Run(one.cell.name, play.PRODUCT, seed, verdict, 10, 0, None, None))
    assert good.is_broken(kept, crowd) is broken
    assert not good.is_broken(kept, "20 very unlike users")
