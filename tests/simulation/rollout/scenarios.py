"""What the simulation plays, cell by cell: outages, the kill switch, slow pods, bad versions.

A cell is one scenario at one traffic; it is played with the seeds from 0 on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.simulation.rollout.crowd import crowd
from tests.simulation.rollout.outages import kill_switch, outage, spec_at
from tests.simulation.rollout.traffic import Traffic, play, steady, with_latency_limit
from tests.unit.rollout.world import spec

#: Shares, and tasks per second: where stable has fewest users first, then what is quick to play.
PERCENTS = (100, 95, 50, 20, 5)
RATES = (1.0, 0.3, 3.0, 10.0)
KILL_SWITCH_LIMIT_SECONDS = 120
BAD = {"S": steady(), "C": steady(errors=0.3)}


@dataclass(frozen=True)
class Cell:
    """One scenario: its name, which is its key, and how a seed of it is played to its end."""

    name: str
    play: Callable[[int], Traffic]
    runs: int = 100


def outage_cell(percent, rate, seconds):
    """An outage of both arms at a share."""
    name = f"outage of {seconds} s at {percent} %, {rate:g}/s"
    return Cell(name, partial(outage, percent=percent, per_second=rate, seconds=seconds))


def row_cell(percent, rate, seconds):
    """Five outages of both arms in a row, two minutes apart."""
    name = f"5 outages of {seconds} s in a row at {percent} %, {rate:g}/s"
    how = {"percent": percent, "per_second": rate, "seconds": seconds, "times": 5}
    return Cell(name, partial(outage, **how), 30)


def kill_switch_cell(percent, rate):
    """The kill switch for a quarter of an hour at a share."""
    policy = with_latency_limit(spec_at(percent), KILL_SWITCH_LIMIT_SECONDS)
    name = f"kill switch at {percent} %, {rate:g}/s"
    return Cell(name, partial(kill_switch, percent=percent, per_second=rate, policy=policy), 30)


def crowd_cell(rate, task_seconds, startup_seconds):
    """Pods that come up slowly under tasks of one length."""
    name = f"pods ready after {startup_seconds:g} s, tasks of {task_seconds:g} s, {rate:g}/s"
    how = {"task_seconds": task_seconds, "startup_seconds": startup_seconds}
    return Cell(name, partial(crowd, per_second=rate, **how), 10)


def bad_cell(rate):
    """A version of which a third of the tasks fails."""
    return Cell(f"30 % errors, {rate:g}/s", partial(_bad, rate=rate))


def _bad(seed, rate):
    longest = int(20_000 / min(rate, 1.0))
    return play(longest, seed=seed, spec=spec(), weather=BAD, tasks_per_second=rate, pass_seconds=1)


def _outages(rates):
    return [
        outage_cell(percent, rate, seconds)
        for percents in (PERCENTS[:2], PERCENTS[2:])
        for rate in rates
        for percent in percents
        for seconds in (60, 300)
    ]


QUICK_OUTAGES, SLOW_OUTAGES = _outages(RATES[:2]), _outages(RATES[2:])
OUTAGES = QUICK_OUTAGES + SLOW_OUTAGES
ROWS = [
    row_cell(percent, rate, seconds)
    for percent in PERCENTS
    for rate in (0.3, 1.0)
    for seconds in (30, 60)
]
KILL_SWITCHES = [kill_switch_cell(percent, rate) for percent in PERCENTS for rate in (1.0, 3.0)]
CROWDS = [
    crowd_cell(rate, task, startup)
    for startup in (60.0, 90.0, 20.0, 40.0)
    for rate in (5.0, 10.0, 20.0)
    for task in (10.0, 20.0, 60.0)
]
BAD_VERSIONS = [bad_cell(rate) for rate in RATES]
#: In the order in which they are worth knowing.
EVERY = (*QUICK_OUTAGES, *BAD_VERSIONS, *KILL_SWITCHES, *ROWS, *SLOW_OUTAGES, *CROWDS)
