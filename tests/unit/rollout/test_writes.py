"""How often a status says something new: each write costs etcd the whole object."""

from __future__ import annotations

import pytest

from penstock.analysis.metrics import Tally
from tests.unit.rollout.world import GOOD, SUSPECT, world_at

UNCLEAR = (Tally(tasks=300, errors=33, timed=300, latency_ms=300_000, latency_squares=330_000_000),
           Tally(tasks=400, errors=24, timed=400, latency_ms=400_000, latency_squares=440_000_000))  # fmt: skip


def growing(tally, second):
    """The same rates, on more tasks with every second."""
    return tally._replace(tasks=tally.tasks + second, timed=tally.timed + second)


@pytest.mark.parametrize(
    ("weather", "waits"),
    [(UNCLEAR, "AnalysisUnclear"), ((SUSPECT, GOOD), "AwaitingEvidence")],
)
def test_while_a_check_is_unclear_the_status_is_written_once_a_minute(weather, waits):
    world = world_at(20).after(61)
    written = set()
    for second in range(180):
        world.measure(*(growing(tally, second // 40) for tally in weather)).after(1).decide()
        assert world.waits == waits
        written.add(world.status.model_dump_json())
    assert len(written) <= 4, "the numbers of three minutes"


def test_the_sentence_says_of_when_its_numbers_are():
    world = world_at(20).after(61).measure(SUSPECT, GOOD).decide()
    clock = world.status.analysis.counted_at[11:19]
    assert world.message("Ready").endswith(f"As of {clock} UTC.")


def test_a_wait_that_comes_and_goes_is_told_once_in_a_step():
    world, told = world_at(20).after(61), []
    for _ in range(6):
        for weather in (UNCLEAR, (GOOD, Tally())):
            world.measure(*weather).after(1).decide()
            told += world.reasons()
    assert told.count("AnalysisUnclear") == 1
