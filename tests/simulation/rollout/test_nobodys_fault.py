"""Good versions are not condemned for what is not theirs, and bad ones are caught as soon as ever.

With PENSTOCK_SIMULATION=full every cell is played as often as it says (hours; see
docs/simulation.md); without it a few cells a few times, which shows that a rule broke. Figures: at
most one in a hundred is condemned. PENSTOCK_SIMULATION_RECORD names a file that keeps the runs.
"""

from __future__ import annotations

import os
import statistics

import pytest

from tests.simulation.rollout import scenarios
from tests.simulation.rollout.crowd import crowd
from tests.simulation.rollout.record import Record
from tests.simulation.rollout.scenarios import (
    bad_cell,
    crowd_cell,
    kill_switch_cell,
    outage_cell,
    row_cell,
)

FULL = os.environ.get("PENSTOCK_SIMULATION") == "full"
MOST_CONDEMNED = 0.01
MOST_TASKS_OF_A_BAD_VERSION = 20

OUTAGES = [outage_cell(*at) for at in ((20, 1.0, 60), (50, 1.0, 300), (95, 0.3, 60), (95, 1.0, 60))]
OUTAGES += [outage_cell(100, 1.0, 60)]
ROWS = [row_cell(95, 0.3, 60), row_cell(100, 1.0, 30)]
KILL_SWITCHES = [kill_switch_cell(95, 1.0), kill_switch_cell(100, 1.0)]
CROWDS = [crowd_cell(20.0, 10.0, 60.0), crowd_cell(5.0, 60.0, 60.0)]
BAD = [bad_cell(0.3), bad_cell(1.0)]


@pytest.fixture(scope="module")
def record():
    return Record(os.environ.get("PENSTOCK_SIMULATION_RECORD", ""))


def cells(full, quick):
    """A test for each cell."""
    chosen = full if FULL else quick
    return pytest.mark.parametrize("cell", chosen, ids=[cell.name for cell in chosen])


def condemned(played):
    return [run.message for run in played if run.condemned]


@cells(scenarios.OUTAGES, OUTAGES)
def test_an_outage_of_both_arms_condemns_nobody_at_any_share(cell, record):
    played = record.play(cell, None if FULL else 2)
    assert all(run.begun is not None for run in played), "each had its outage"
    assert len(condemned(played)) <= MOST_CONDEMNED * len(played), condemned(played)
    promoted = [run for run in played if run.result == "Promoted"]
    assert len(promoted) >= 0.9 * len(played), "and it comes back by itself"


@cells(scenarios.ROWS, ROWS)
def test_outages_in_a_row_condemn_nobody(cell, record):
    played = record.play(cell, None if FULL else 2)
    assert all(run.begun is not None for run in played)
    assert len(condemned(played)) <= MOST_CONDEMNED * len(played), condemned(played)


@cells(scenarios.KILL_SWITCHES, KILL_SWITCHES)
def test_the_kill_switch_for_a_quarter_of_an_hour_makes_no_task_late_and_none_slow(cell, record):
    played = record.play(cell, None if FULL else 2)
    assert all(run.begun is not None for run in played)
    assert not condemned(played)
    assert "Suspended" not in {told for run in played for told in run.told}


@cells(scenarios.CROWDS, CROWDS)
def test_pods_that_come_up_slowly_condemn_nobody(cell, record):
    played = record.play(cell, None if FULL else 1)
    assert not condemned(played)
    assert {run.reason for run in played} == {"AllStepsPassed"}


@pytest.mark.parametrize("seed", range(10 if FULL else 2))
def test_a_persons_setpoint_acts_with_one_ready_pod_and_the_queue_says_nothing_before_there_is_room(
    seed,
):
    played = crowd(seed, 20.0, 60.0, 90.0, setpoint_at=130.0)
    raised = [glance for glance in played.glances if glance.percent == 100]
    assert played.glances[131].percent == 100, "in the first pass after it"
    assert 0 < raised[0].ready <= 2
    assert max(glance.queue_seconds for glance in raised if not glance.room) > 60
    assert "Suspended" not in played.told
    assert played.verdict.reason == "Requested", "by a person's share, not by steps"


def test_workers_are_taken_away_as_the_operator_does_it_after_a_minute_that_needed_fewer():
    played = crowd(0, 5.0, 20.0, 60.0, setpoint_at=0.0)
    asked = [glance.asked for glance in played.glances]
    changes = [at for at in range(1, len(asked)) if asked[at] != asked[at - 1]]
    falls = [at for at in changes if asked[at] < asked[at - 1]]
    assert falls, "there were more than were needed"
    assert all(at - max([0, *(c for c in changes if c < at)]) >= 60 for at in falls), asked


@cells(scenarios.BAD_VERSIONS, BAD)
def test_a_version_of_which_a_third_fails_is_caught_in_about_twenty_tasks(cell, record):
    played = record.play(cell, None if FULL else 5)
    assert len(condemned(played)) == len(played)
    most = MOST_TASKS_OF_A_BAD_VERSION if FULL else 26
    assert statistics.median(run.given for run in played) <= most


def test_what_was_played_is_read_again_and_not_played_twice(tmp_path):
    file = tmp_path / "runs"
    first = Record(str(file)).play(BAD[1], 2)
    with file.open("a") as torn:
        torn.write('{"cell": "cut o')
    again = Record(str(file))
    assert again.known(BAD[1]) == first
    assert again.play(BAD[1], 3)[:2] == first
    assert len(Record(str(file)).known(BAD[1])) == 3, "a line that was cut off costs itself alone"
