"""The bench decides on sums: proved equal to rows, fold and engine, look by look.

A few seeds by default; with ``PENSTOCK_SIMULATION=full`` as many as docs/simulation.md tells of.
"""

from __future__ import annotations

import os
import random

import pytest

from penstock.api.strategy import Strategy
from penstock_bench.rollouts.product import Product, spec
from penstock_bench.rollouts.sums import OnSums
from penstock_bench.rollouts.weather import Outage, Sky, Weather

FULL = os.environ.get("PENSTOCK_SIMULATION") == "full"
SEEDS = range(200 if FULL else 4)
SHORT = Strategy.model_validate(
    {
        "steps": [
            {"percent": 5, "holdSeconds": 60, "maxWaitSeconds": 120, "minTasks": 10},
            {"percent": 20, "holdSeconds": 60, "maxWaitSeconds": 120, "minTasks": 20},
            {"percent": 50, "holdSeconds": 60, "maxWaitSeconds": 180, "minTasks": 40},
        ],
        "finalHoldSeconds": 90,
    }
)
SECONDS, LOOK = 1200.0, 5.0


def weather(seed: int) -> Weather:
    """Any of them: good and bad ones, slow, dear, late, hanging, of few users, in bursts, in an outage."""
    chance = random.Random(seed)
    bad = chance.random() < 0.6
    outage = Outage(chance.choice((5, 20, 50, 95)), chance.choice((20, 60)), after_seconds=20)
    return Weather(
        tasks_per_second=chance.choice((1.0, 3.0, 6.0)),
        errors=chance.choice((0.0, 0.005, 0.02, 0.045)) or 0.001,
        escalations=chance.choice((0.02, 0.08, 0.18)),
        canary_errors=chance.choice((None, 0.05, 0.08, 0.3)) if bad else None,
        canary_escalations=chance.choice((None, 0.25)) if bad else None,
        slower=chance.choice((1.0, 1.5, 3.0)) if bad else 1.0,
        dearer=chance.choice((1.0, 2.5)) if bad else 1.0,
        users=chance.choice((0, 60)),
        alike=0.05,
        late_seconds=chance.choice((0.0, 60.0, 300.0)),
        fast_failures=chance.random() < 0.3,
        turns=chance.choice((1, 1, 4)),
        hanging=chance.choice((0.0, 0.0, 0.1)) if bad else 0.0,
        burst=chance.choice((1, 1, 3)),
        outage=outage if chance.random() < 0.4 else None,
    )


def decided(product: Product) -> tuple[object, ...]:
    """What a look has decided, with every number that it tells."""
    status = product.status
    told = [(v.result, v.reason, v.check, v.message) for v in status.verdicts]
    return status.share, status.waiting, status.waiting_message, status.analysis.checks, told


@pytest.mark.parametrize("seed", SEEDS)
def test_each_look_decides_on_sums_what_it_decides_on_rows(seed):
    policy = spec().model_copy(update={"strategy": SHORT})
    by_rows, by_sums = Product(policy=policy), OnSums(policy=policy)
    sky, now = Sky(weather(seed), seed), 0.0
    while now < SECONDS and not by_rows.verdict:
        tasks = sky.tasks(now, LOOK, by_rows.percent, by_rows.version)
        now += LOOK
        for product in (by_rows, by_sums):
            product.route(tasks)
            product.look(now)
        assert decided(by_sums) == decided(by_rows), f"at {now} s"
    assert by_rows.lines == by_sums.lines
    assert by_rows.lines
