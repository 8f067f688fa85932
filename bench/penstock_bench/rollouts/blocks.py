"""The same kind of weather drawn a stretch at a time, as columns of numbers: at 100 tasks a second a task by itself costs too much.

Chance is another stream than ``Sky``'s, so that the same seed has other tasks here. Its users are those of ``Sky``.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.api.comparison import StableUsers
from penstock.traffic import BUCKETS
from penstock_bench.rollouts import weather
from penstock_bench.rollouts.weather import Crowd, Sky, Task, Weather

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Block(NamedTuple):
    """Tasks that are routed in one stretch, in their order: for each what ``Task`` has, moments in seconds; none hangs."""

    routed: Floats
    starts: Floats
    ends: Floats
    canary: Flags
    bucket: Whole
    began: int
    error: Flags
    escalation: Flags
    seconds: Floats
    usd: Floats

    def tasks(self) -> list[Task]:
        """One by one."""
        began = [self.began] * len(self.routed)
        columns = [c.tolist() if isinstance(c, np.ndarray) else began for c in self]
        return [Task(*row) for row in zip(*columns, strict=True)]

    @property
    def given(self) -> int:
        """How many the canary got."""
        return int(self.canary.sum())

    @property
    def harmed(self) -> int:
        """How many of these failed or escalated."""
        return int((self.canary & (self.error | self.escalation)).sum())


def suits(kind: Weather) -> bool:
    """Whether this weather can be drawn in blocks: tasks that have nothing to do with each other, and end."""
    plain = Weather(kind.tasks_per_second)
    alone = (kind.turns, kind.burst, kind.outage, kind.hanging, kind.even, kind.crowd)
    return alone == (plain.turns, plain.burst, plain.outage, plain.hanging, plain.even, Crowd())


class BlockSky:
    """One run of a weather, in blocks."""

    def __init__(self, kind: Weather, seed: int) -> None:
        """Another chance for each weather and seed."""
        if not suits(kind):
            raise ValueError(f"cannot be drawn in blocks: {kind}")
        self.weather, self.seed = kind, seed
        self._sky = Sky(kind, seed)
        digest = hashlib.sha256(f"blocks/{kind}/{seed}".encode()).digest()
        self._chance = np.random.default_rng(int.from_bytes(digest[:8]))
        people = self._sky.people or [(1.0, 0, kind.errors, kind.escalations)]
        self._until, buckets, self._errors, self._escalations = map(
            np.array, zip(*people, strict=True)
        )
        self._buckets = buckets if self._sky.people else None

    def users_before(self) -> StableUsers | None:
        """What was counted of stable's users before the canary began, as status keeps it."""
        return self._sky.users_before()

    def tasks(self, begin: float, seconds: float, percent: int, version: int) -> Block:
        """The tasks that are routed in a stretch of time, in their order."""
        kind, chance = self.weather, self._chance
        count = int(chance.poisson(kind.tasks_per_second * seconds))
        routed = np.sort(begin + chance.random(count) * seconds)
        user = np.searchsorted(self._until, chance.random(count) * self._until[-1])
        bucket = (
            chance.integers(BUCKETS, size=count) if self._buckets is None else self._buckets[user]
        )
        canary = bucket < percent
        bad = canary if percent >= kind.from_percent else np.zeros(count, np.bool_)
        errors = _changed(self._errors[user], bad, kind.errors, kind.canary_errors)
        escalations = _changed(
            self._escalations[user], bad, kind.escalations, kind.canary_escalations
        )
        drawn = chance.random(count)
        error = drawn < errors
        escalation = ~error & (drawn < errors + escalations)
        lasts = np.minimum(
            self._drawn(weather.LATENCY, count) * np.where(bad, kind.slower, 1),
            weather.LONGEST_SECONDS,
        )
        usd = np.minimum(
            self._drawn(weather.COST, count) * np.where(bad, kind.dearer, 1), weather.DEAREST_USD
        )
        if kind.fast_failures:
            lasts[error] = 0.3
        starts = routed + 0.02 + np.where(escalation, kind.late_seconds, 0.0)
        return Block(
            routed, starts, starts + lasts, canary, bucket, version, error, escalation, lasts, usd
        )

    def _drawn(self, value: weather.Value, count: int) -> Floats:
        mean = self.weather.latency_seconds if value is weather.LATENCY else value.mean
        drawn = self._chance.lognormal(weather.middle(value, mean), value.spread, count)
        part, times = value.tail
        return drawn * np.where(self._chance.random(count) < part, times, 1.0)


def _changed(rates: Floats, bad: Flags, mean: float, of_canary: float | None) -> Floats:
    """The users' own rates, those of a bad canary's tasks as much higher as its mean is."""
    if of_canary is None:
        return rates
    return np.where(bad, np.minimum(rates * (of_canary / mean), 1.0), rates)
