"""Who asks when, and what becomes of it: drawn from a seed, the same for every rule."""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from penstock.analysis.comparison import users
from penstock.api.comparison import StableUsers
from penstock.traffic import BUCKETS


class Value(NamedTuple):
    """A log-normal value with a heavy tail: its mean, its spread, which part of the values is how many times as large."""

    mean: float
    spread: float
    tail: tuple[float, float]


#: Seconds and USD of a good task; limits are 10 s and 2 USD.
LATENCY = Value(4.0, 1.0, (0.02, 10.0))
EVEN_LATENCY = Value(4.0, 0.3, (0.0, 1.0))
COST = Value(0.8, 0.9, (0.01, 20.0))
LONGEST_SECONDS, DEAREST_USD = 120.0, 24.0


@dataclass(frozen=True)
class Outage:
    """Both versions fail with a chance, for so long, once the canary has had a share for ``after_seconds``."""

    percent: int
    seconds: float
    chance: float = 0.6
    after_seconds: float = 60.0


@dataclass(frozen=True)
class Crowd:
    """What is special about users and hours, the same for both versions.

    ``heaviest``: part of all tasks that one user makes. ``spell_seconds``: users come and go, half of them are there at a
    time, each for so long. ``swing_seconds``: in so long traffic goes up and down by 80 %, and failures down and up by as much. ``lengths``:
    deviation of ln of how many times as long and as dear a user's tasks are.
    """

    heaviest: float = 0.0
    spell_seconds: float = 0.0
    swing_seconds: float = 0.0
    #: Not in the representation, either.
    lengths: float = field(default=0.0, repr=False)


@dataclass(frozen=True)
class Weather:
    """A version's tasks, and what is different with the canary's.

    ``users``: 0 for many who are alike; else so many, of whom a tenth make 60 % of the tasks and whose own failure rates
    are Beta-distributed with an intra-user correlation of ``alike``. ``late_seconds``: of escalations.
    ``turns``: of a session, each 10 % slower and 10 % dearer than the one before. ``hanging``:
    part of the canary's tasks that never end. ``from_percent``: share from which on it is bad. ``known_hours``: of stable's life before the
    canary, of which its users are known. ``even``: latency has no tail.
    """

    tasks_per_second: float
    errors: float = 0.02
    escalations: float = 0.08
    canary_errors: float | None = None
    canary_escalations: float | None = None
    slower: float = 1.0
    dearer: float = 1.0
    latency_seconds: float = LATENCY.mean
    users: int = 0
    alike: float = 0.0
    late_seconds: float = 120.0
    fast_failures: bool = False
    turns: int = 1
    hanging: float = 0.0
    burst: int = 1
    outage: Outage | None = None
    from_percent: int = 0
    known_hours: float = 0.0
    #: Not in the representation, of which chance is made: weathers without one stay as they were.
    crowd: Crowd = field(default_factory=Crowd, repr=False)
    even: bool = field(default=False, repr=False)

    @property
    def harmless(self) -> bool:
        """Whether the canary is as good as stable."""
        return (
            self.canary_errors is None
            and self.canary_escalations is None
            and (self.slower, self.dearer, self.hanging) == (1.0, 1.0, 0.0)
        )


class Task(NamedTuple):
    """A task that was routed, and what will become of it.

    Moments in seconds; ``ends`` is None for one that hangs. ``began`` is the version under which its
    session began.
    """

    routed: float
    starts: float
    ends: float | None
    canary: bool
    bucket: int
    began: int
    error: bool
    escalation: bool
    seconds: float
    usd: float


class Turn(NamedTuple):
    """A task that will be routed: the ``nth`` of its session, which stays on its side."""

    at: float
    order: int
    nth: int
    bucket: int
    user: int
    canary: bool
    began: int


@dataclass
class Sky:
    """One run of a weather, for one rule: tasks as they are routed under the share it has."""

    weather: Weather
    seed: int
    number: int = 0
    reached: float | None = None
    _turns: list[Turn] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self._name())
        #: Cumulated activity, bucket, failure rate and escalation rate of each user.
        self.people = self._drawn_people()
        lengths, own = self.weather.crowd.lengths, random.Random(f"lengths/{self._name()}")
        self._lengths = [math.exp(own.gauss(0, lengths)) for _ in self.people if lengths]

    def _name(self) -> str:
        """Of which chance is made: another one for each weather and seed."""
        crowd = self.weather.crowd
        return f"{self.weather}/{self.seed}{f'/{crowd}' if crowd != Crowd() else ''}"

    def _drawn_people(self) -> list[tuple[float, int, float, float]]:
        kind, chance = self.weather, self.chance
        if not kind.users:
            return []
        heavy = max(1, kind.users // 10)
        people, total = [], 0.0
        for user in range(kind.users):
            base = 0.6 / heavy if user < heavy else 0.4 / (kind.users - heavy)
            weight = base * chance.lognormvariate(0, 0.5)
            if kind.crowd.heaviest and not user:
                weight = kind.crowd.heaviest / (1 - kind.crowd.heaviest)
            total += weight
            rates = (self._beta(kind.errors), self._beta(kind.escalations))
            people.append((total, chance.randrange(BUCKETS), *rates))
        return people

    def _beta(self, mean: float) -> float:
        if not self.weather.alike:
            return mean
        size = 1 / self.weather.alike - 1
        return self.chance.betavariate(mean * size, (1 - mean) * size)

    def tasks(self, begin: float, seconds: float, percent: int, version: int) -> list[Task]:
        """The tasks that are routed in a stretch of time, in their order."""
        self._note(begin, percent)
        kind = self.weather
        fresh = kind.tasks_per_second * seconds / kind.turns / kind.burst * (1 + self._tide(begin))
        for _ in range(_drawn_count(self.chance, fresh)):
            at = begin + self.chance.random() * seconds
            bucket, user = self._user(at)
            for n in range(kind.burst):
                self._session(Turn(at + 0.05 * n, 0, 0, bucket, user, bucket < percent, version))
        found = []
        while self._turns and self._turns[0].at < begin + seconds:
            found.append(self._task(heapq.heappop(self._turns), percent))
        return found

    def users_before(self) -> StableUsers | None:
        """What was counted of stable's users before the canary began, as status keeps it."""
        kind, hours = self.weather, self.weather.known_hours
        if not hours:
            return None
        chance = random.Random(f"before/{self._name()}")
        shares, rates = [1 / BUCKETS] * BUCKETS, [(kind.errors, kind.escalations)] * BUCKETS
        groups = list(zip(range(BUCKETS), shares, rates, strict=True))
        if self.people:
            whole, below = self.people[-1][0], 0.0
            groups = []
            for total, bucket, *own in self.people:
                groups.append((bucket, (total - below) / whole, (own[0], own[1])))
                below = total
        counts = [[0] * BUCKETS for _ in range(3)]
        for bucket, share, (errors, escalations) in groups:
            tasks = _drawn_count(chance, kind.tasks_per_second * 3600 * hours * share)
            failed = min(_drawn_count(chance, tasks * errors), tasks)
            handed = min(_drawn_count(chance, tasks * escalations), tasks - failed)
            for kept, count in zip(counts, (tasks, failed, handed), strict=True):
                kept[bucket] += count
        sums = users.encode(tuple(map(tuple, counts)))
        return StableUsers(since_ms=1, through_ms=1, sums=sums)

    def _tide(self, at: float) -> float:
        swing = self.weather.crowd.swing_seconds
        return 0.8 * math.sin(2 * math.pi * (at / swing + self.seed / 7)) if swing else 0.0

    def _user(self, at: float) -> tuple[int, int]:
        if not self.people:
            return self.chance.randrange(BUCKETS), -1
        spell = self.weather.crowd.spell_seconds
        found = self._anybody()
        while spell and (found[1] * 0.618 + at / (2 * spell)) % 1 >= 0.5:
            found = self._anybody()
        return found

    def _anybody(self) -> tuple[int, int]:
        drawn = self.chance.random() * self.people[-1][0]
        low, high = 0, len(self.people) - 1
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self.people[middle][0] < drawn else (low, middle)
        return self.people[low][1], low

    def _session(self, first: Turn) -> None:
        at = first.at
        for nth in range(self.weather.turns):
            self.number += 1
            turn = Turn(at, self.number, nth, first.bucket, first.user, first.canary, first.began)
            heapq.heappush(self._turns, turn)
            at += self.chance.uniform(5, 40)

    def _note(self, now: float, percent: int) -> None:
        outage = self.weather.outage
        if outage and self.reached is None and percent >= outage.percent:
            self.reached = now + outage.after_seconds

    def _storms(self, at: float) -> bool:
        outage = self.weather.outage
        if outage is None or self.reached is None:
            return False
        return self.reached <= at < self.reached + outage.seconds

    def _task(self, turn: Turn, percent: int) -> Task:
        kind, chance, at = self.weather, self.chance, turn.at
        bad = turn.canary and percent >= kind.from_percent
        errors, escalations = self._rates(turn.user, bad=bad)
        errors *= 1 - self._tide(at)
        if self._storms(at) and kind.outage:
            errors = 1 - (1 - errors) * (1 - kind.outage.chance)
        drawn = chance.random()
        error, escalation = drawn < errors, errors <= drawn < errors + escalations
        latency = EVEN_LATENCY if kind.even else LATENCY
        seconds = _drawn(chance, latency, kind.latency_seconds)
        usd = _drawn(chance, COST, COST.mean)
        growth = 1.1**turn.nth * (self._lengths[turn.user] if self._lengths else 1.0)
        seconds = min(seconds * growth * (kind.slower if bad else 1), LONGEST_SECONDS)
        usd = min(usd * growth * (kind.dearer if bad else 1), DEAREST_USD)
        if kind.fast_failures and error:
            seconds = 0.3
        starts = at + 0.02 + (kind.late_seconds if escalation else 0.0)
        ends = None if bad and chance.random() < kind.hanging else starts + seconds
        return Task(
            at, starts, ends, turn.canary, turn.bucket, turn.began, error, escalation, seconds, usd
        )

    def _rates(self, user: int, bad: bool) -> tuple[float, float]:  # noqa: FBT001 - a drawn fact
        kind = self.weather
        errors, escalations = (
            self.people[user][2:] if user >= 0 else (kind.errors, kind.escalations)
        )
        if bad and kind.canary_errors is not None:
            errors = min(errors * kind.canary_errors / kind.errors, 1.0)
        if bad and kind.canary_escalations is not None:
            escalations = min(escalations * kind.canary_escalations / kind.escalations, 1.0)
        return errors, escalations


def _drawn_count(chance: random.Random, mean: float) -> int:
    """Poisson-distributed, or nearly so where it is large."""
    if mean > 50:
        return max(round(chance.gauss(mean, math.sqrt(mean))), 0)
    count, product, floor = 0, chance.random(), math.exp(-mean)
    while product > floor:
        count += 1
        product *= chance.random()
    return count


def _drawn(chance: random.Random, value: Value, mean: float) -> float:
    part, times = value.tail
    drawn = chance.lognormvariate(middle(value, mean), value.spread)
    return drawn * times if chance.random() < part else drawn


@cache
def middle(value: Value, mean: float) -> float:
    """Of the logarithms of the values without a tail, so that all have this mean."""
    part, times = value.tail
    return math.log(mean / (1 + part * (times - 1))) - value.spread * value.spread / 2
