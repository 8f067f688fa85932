"""Weather drawn and counted in blocks: what is decided on it is what is decided on the same tasks one by one.

A few seeds by default; with ``PENSTOCK_SIMULATION=full`` as many as docs/simulation.md tells of.
"""

from __future__ import annotations

import os
import random

import pytest

from penstock_bench.rollouts.block_sums import OnBlocks
from penstock_bench.rollouts.blocks import BlockSky, suits
from penstock_bench.rollouts.product import spec
from penstock_bench.rollouts.sums import OnSums
from penstock_bench.rollouts.weather import Crowd, Sky, Weather
from tests.simulation.rollout.test_sums import SHORT, decided

FULL = os.environ.get("PENSTOCK_SIMULATION") == "full"
SEEDS = range(200 if FULL else 4)
SECONDS, LOOK = 900.0, 10.0


def weather(seed: int) -> Weather:
    """Any of those that can be drawn in blocks."""
    chance = random.Random(seed)
    bad = chance.random() < 0.5
    return Weather(
        tasks_per_second=chance.choice((3.0, 10.0, 30.0)),
        errors=chance.choice((0.005, 0.02, 0.045)),
        escalations=chance.choice((0.02, 0.08, 0.18)),
        canary_errors=chance.choice((None, 0.05, 0.08)) if bad else None,
        canary_escalations=chance.choice((None, 0.25)) if bad else None,
        slower=chance.choice((1.0, 1.5)) if bad else 1.0,
        dearer=chance.choice((1.0, 2.5)) if bad else 1.0,
        users=chance.choice((0, 60)),
        alike=0.05,
        late_seconds=chance.choice((0.0, 60.0, 300.0)),
        fast_failures=chance.random() < 0.3,
        from_percent=chance.choice((0, 20)),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_each_look_decides_on_blocks_what_it_decides_on_tasks(seed):
    policy = spec().model_copy(update={"strategy": SHORT})
    by_blocks, by_tasks = OnBlocks(policy=policy), OnSums(policy=policy)
    sky, now = BlockSky(weather(seed), seed), 0.0
    while now < SECONDS and not by_tasks.verdict:
        block = sky.tasks(now, LOOK, by_tasks.percent, by_tasks.version)
        now += LOOK
        by_blocks.route_block(block)
        by_tasks.route(block.tasks())
        for product in (by_blocks, by_tasks):
            product.look(now)
        assert decided(by_blocks) == decided(by_tasks), f"at {now} s"
        assert by_blocks.status == by_tasks.status, f"at {now} s"
    assert by_blocks.lines == by_tasks.lines
    assert by_blocks.lines


@pytest.mark.parametrize("users", [0, 40])
def test_weather_in_blocks_is_the_weather_of_tasks(users):
    kind = Weather(
        40.0, errors=0.05, canary_errors=0.2, slower=2.0, dearer=1.5, users=users, alike=0.05
    )
    one, other = (told(sky(kind, 3)) for sky in (BlockSky, Sky))
    assert one == pytest.approx(other, rel=0.15)


def told(sky: BlockSky | Sky) -> list[float]:
    """What a stretch of a weather has in the mean: tasks, the canary's part, and of both arms failures and values."""
    found = sky.tasks(0.0, 1500.0, 50, 1)
    tasks = found if isinstance(found, list) else found.tasks()
    assert [task.routed for task in tasks] == sorted(task.routed for task in tasks)
    figures = [float(len(tasks)), sum(task.canary for task in tasks) / len(tasks)]
    for side in (True, False):
        mine = [task for task in tasks if task.canary is side]
        each = [(t.error, t.escalation, t.seconds, t.usd, t.starts - t.routed) for t in mine]
        figures += [sum(column) / len(mine) for column in zip(*each, strict=True)]
    return figures


def test_what_hangs_together_is_not_drawn_in_blocks():
    assert not suits(Weather(1.0, turns=4))
    assert not suits(Weather(1.0, hanging=0.1))
    assert not suits(Weather(1.0, crowd=Crowd(spell_seconds=600)))
    with pytest.raises(ValueError, match="cannot be drawn in blocks"):
        BlockSky(Weather(1.0, burst=3), 1)
