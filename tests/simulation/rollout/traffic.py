"""Seeded traffic for rollouts: users arrive, tasks are routed, worked on and end, as rows.

Everything that a rollout sees goes the product's own way: rows, fold, observation, decision.
The only thing played here is the weather: how often tasks fail, and how long they take.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from penstock.analysis import fold as folding
from penstock.analysis import scope as scoping
from penstock.api.rollout import AgentRolloutSpec, AgentRolloutStatus
from penstock.outcomes import Row, RowKind
from penstock.rollout.engine import decide
from penstock.rollout.situation import Pods, RevisionRecord, Situation
from penstock.task import Counting
from penstock.traffic import BUCKETS, Arm, RevisionLimits
from tests.unit.rollout.world import C, S

LIMITS = RevisionLimits(20_000, 600, 120)
START = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Fate:
    """What becomes of a task: how it counts, and how long work on it takes (None: for ever)."""

    counting: Counting
    seconds: float | None


Weather = Callable[[random.Random, float], Fate]


def steady(errors=0.02, failing=0.3, working=(0.5, 2.0), escalations=0.0) -> Weather:
    """Fails with a chance after so many seconds, else succeeds within a range of seconds."""

    def fate(chance, _seconds):
        drawn = chance.random()
        if drawn < errors:
            return Fate(Counting.ERROR, failing)
        if drawn < errors + escalations:
            return Fate(Counting.ESCALATION, chance.uniform(*working))
        return Fate(Counting.GOOD, chance.uniform(*working))

    return fate


def during(begin, end, storm, otherwise) -> Weather:
    """One weather between two moments (seconds since the start), another before and after."""
    return lambda chance, seconds: (storm if begin <= seconds < end else otherwise)(chance, seconds)


def hanging(_chance, _seconds):
    """Work on a task never ends."""
    return Fate(Counting.GOOD, None)


@dataclass
class Traffic:
    """One rollout under traffic; ``run`` plays until it is over or the time is up."""

    seed: int
    spec: AgentRolloutSpec
    weather: dict[Arm, Weather]
    tasks_per_second: float = 5.0
    users: int = 400
    pass_seconds: float = 2.0
    turns: int = 1  # tasks in a session, which stays on its revision
    limits: RevisionLimits = LIMITS
    #: Whether a user of this salt and name is active at all.
    active: Callable[[str, str], bool] = lambda _salt, _user: True
    status: AgentRolloutStatus = field(default_factory=AgentRolloutStatus)
    shares: list[tuple[float, int, str]] = field(default_factory=list)
    given: dict[Arm, int] = field(default_factory=lambda: dict.fromkeys(Arm, 0))
    told: list[str] = field(default_factory=list)
    old_per_second: float = 0.0  # tasks of sessions on stable that began before the canary
    old_weather: Weather | None = None
    stable: str = S

    def __post_init__(self):
        self.chance = random.Random(self.seed)
        self.fold = None
        self.halted = False
        self.waiting: list[tuple[int, int, RowKind, dict]] = []
        self.sequence = 0
        self.number = 0
        self.now_ms = int(START.timestamp() * 1000)
        self.start_ms = self.now_ms
        self.records = {S: RevisionRecord(S, promoted_sequence=1), C: RevisionRecord(C)}

    @property
    def seconds(self):
        return (self.now_ms - self.start_ms) / 1000

    @property
    def verdict(self):
        mine = [v for v in self.status.verdicts if v.revision == C]
        return mine[-1] if mine else None

    def run(self, seconds):
        """Play for so long, or until there is a verdict. Returns itself."""
        until = self.now_ms + seconds * 1000
        while self.now_ms < until and self.verdict is None:
            self._pass()
        return self

    def _pass(self):
        if not self.halted:
            self._arrive()
        self.now_ms += int(self.pass_seconds * 1000)
        limits = {S: self.limits, C: self.limits}
        scope = scoping.scope_of(self.spec, self.status, limits)
        self.fold = folding.follow(self.fold, scope, self.status.analysis, self.status.halts)
        self.fold.add(self._rows())
        self._decide(self.fold.observe(self.now_ms))

    def _decide(self, observation):
        decision = decide(
            Situation(
                now=self._now(),
                spec=self.spec,
                generation=1,
                status=self.status,
                epoch=0,
                stable=self.stable,
                latest=C,
                records=self.records,
                observation=observation,
                fresh_salt=f"salt-{self.seed}",
                agent_suspended=self.halted,
                **self._more(),
            )
        )
        self.status = decision.status
        self.told += [happening.reason for happening in decision.happenings]
        share = (self.status.share.percent, self.status.share.source.value)
        if not self.shares or self.shares[-1][1:] != share:
            self.shares.append((self.seconds, *share))

    def _now(self):
        return START + timedelta(seconds=self.seconds)

    def _more(self):
        """Pods, and what else a simulation has to tell the engine."""
        return {"pods": {S: Pods(2, 2), C: Pods(1, 1)}}

    def halt(self, seconds):
        """The kill switch goes on: what runs stops at its next step, and goes on after so long."""
        self.halted = True
        longer = int(seconds * 1000)
        ends = [item for item in self.waiting if item[2] is RowKind.FINISHED]
        self.waiting = [item for item in self.waiting if item[2] is not RowKind.FINISHED]
        for at_ms, sequence, kind, about in ends:
            later = {**about, "latency_ms": about["latency_ms"] + longer}
            self.waiting.append((at_ms + longer, sequence, kind, later))
        heapq.heapify(self.waiting)

    # -- tasks ---------------------------------------------------------------------------------

    def _arrive(self):
        span = int(self.pass_seconds * 1000)
        expected = self.tasks_per_second * self.pass_seconds / self.turns
        for _ in range(self._poisson(expected)):
            user = f"user-{self.chance.randrange(self.users)}"
            if not self.active(self.status.salt, user):
                continue
            _, arm, slot = self.status.split.pick(user, user)
            at_ms = self.now_ms + self.chance.randrange(span)
            self._session(at_ms, arm, slot)
        for _ in range(self._poisson(self.old_per_second * self.pass_seconds)):
            self._task(self.now_ms + self.chance.randrange(span), Arm.STABLE, 50, 0, old=True)

    def _poisson(self, mean):
        whole, rest = divmod(mean, 8.0)
        return sum(self._small_poisson(8.0) for _ in range(int(whole))) + self._small_poisson(rest)

    def _small_poisson(self, mean):
        count, product, floor = 0, self.chance.random(), 2.718281828459045**-mean
        while product > floor:
            count += 1
            product *= self.chance.random()
        return count

    def _session(self, at_ms, arm, slot):
        version = 0 if slot >= BUCKETS else self.status.route_version
        for _ in range(self.turns):
            self._task(at_ms, arm, slot, version)
            at_ms += self.chance.randrange(5_000, 40_000)

    def _task(self, at_ms, arm, slot, begin, *, old=False):
        self.number += 1
        self.given[arm] += 1
        weather = self.old_weather if old and self.old_weather else self.weather[arm]
        fate = weather(self.chance, (at_ms - self.start_ms) / 1000)
        about = {
            "task": f"t{self.number}",
            "arm": arm,
            "revision": (C if arm is Arm.CANARY else S)[-8:],
            "route_version": self.status.route_version,
            "begin_version": begin,
            "bucket": slot,
        }
        self._later(at_ms, RowKind.ROUTED, about)
        started_ms = at_ms + 20
        self._later(started_ms, RowKind.STARTED, about)
        if fate.seconds is not None:
            latency = int(fate.seconds * 1000)
            end = {**about, "counting": fate.counting, "latency_ms": latency}
            self._later(started_ms + latency, RowKind.FINISHED, end)

    def _later(self, at_ms, kind, about):
        self.sequence += 1
        heapq.heappush(self.waiting, (at_ms, self.sequence, kind, about))

    def _rows(self):
        rows = []
        while self.waiting and self.waiting[0][0] <= self.now_ms:
            at_ms, sequence, kind, about = heapq.heappop(self.waiting)
            rows.append(Row(id=f"{at_ms}-{sequence}", kind=kind, **about))
        return rows


def play(seconds, **fields):
    """A rollout played to its end."""
    return Traffic(**fields).run(seconds)


def with_latency_limit(spec, seconds):
    guardrails = spec.analysis.guardrails.model_copy(update={"latency_mean_seconds": seconds})
    analysis = spec.analysis.model_copy(update={"guardrails": guardrails})
    return spec.model_copy(update={"analysis": analysis})
