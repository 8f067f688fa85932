"""Rollouts whose workers are slow to come up: a queue and pods in front of the product's engine.

Workers are asked for as the operator does: for the backlog, and for the share that the candidate's
pods must be able to take by now.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from penstock.api.agent import Scaling
from penstock.outcomes import RowKind
from penstock.rollout import capacity
from penstock.rollout.situation import Pods
from penstock.task import Counting
from penstock.traffic import Arm, RevisionLimits
from penstock_operator.workforce import wanted_replicas
from penstock_store.records import RevisionWork
from tests.simulation.rollout.traffic import Traffic
from tests.unit.rollout.world import C, S, spec

CONCURRENCY = 32
SCALING = Scaling()
SCALE_DOWN_AFTER = 60


@dataclass
class Crew:
    """One arm's pods, by the second in which they are ready, its queue and what it works on."""

    ready_at: list[float]
    queue: deque = field(default_factory=deque)
    busy_until: list[float] = field(default_factory=list)
    low_since: float | None = None

    def ready(self, now):
        return sum(at <= now for at in self.ready_at)

    def scale(self, wanted, now, startup):
        """Up at once; down, the newest first, only after a while."""
        if wanted >= len(self.ready_at):
            self.low_since = None
            self.ready_at += [now + startup] * (wanted - len(self.ready_at))
            return
        self.low_since = now if self.low_since is None else self.low_since
        if now - self.low_since >= SCALE_DOWN_AFTER:
            del self.ready_at[wanted:]


@dataclass
class Crowd(Traffic):
    """Tasks of a fixed length, and pods that are ready so many seconds after they are asked for."""

    task_seconds: float = 20.0
    startup_seconds: float = 60.0
    pass_seconds: float = 1.0
    limits: RevisionLimits = field(default_factory=lambda: RevisionLimits(20_000, 600, 300))

    def __post_init__(self):
        super().__post_init__()
        full = -(-int(self.tasks_per_second * self.task_seconds) // CONCURRENCY) + 1
        self.crews = {Arm.STABLE: Crew([0.0] * full), Arm.CANDIDATE: Crew([0.0])}

    def _task(self, at_ms, arm, slot, begin, *, old=False):
        self.number += 1
        self.given[arm] += 1
        about = {
            "task": f"t{self.number}",
            "arm": arm,
            "revision": (C if arm is Arm.CANDIDATE else S)[-8:],
            "route_version": self.status.route_version,
            "begin_version": begin,
            "bucket": slot,
        }
        self._later(at_ms, RowKind.ROUTED, about)
        self.crews[arm].queue.append((at_ms, about))

    def _decide(self, observation):
        super()._decide(observation)
        if not self.status.share.percent:
            self._rehome()
        self._scale()
        for crew in self.crews.values():
            self._work(crew)

    def _rehome(self):
        """What waits for a candidate that was taken off goes back to stable."""
        ours, theirs = self.crews[Arm.CANDIDATE], self.crews[Arm.STABLE]
        while ours.queue:
            at_ms, about = ours.queue.popleft()
            self._later(self.now_ms, RowKind.REHOMED, about)
            theirs.queue.append((at_ms, {**about, "task": f"{about['task']}-moved"}))

    def _scale(self):
        ours, theirs = self.crews[Arm.CANDIDATE], self.crews[Arm.STABLE]
        theirs.scale(max(self._wanted(theirs), len(theirs.ready_at)), self.seconds, 0)
        share = capacity.percent_to_staff(self.status, self.spec, self._now())
        ahead = capacity.replicas_for(self._room(), share, CONCURRENCY)
        ours.scale(max(ahead, self._wanted(ours)), self.seconds, self.startup_seconds)

    def _wanted(self, crew):
        work = RevisionWork(queued=len(crew.queue), running=len(crew.busy_until))
        return max(1, wanted_replicas(SCALING, work))

    def _work(self, crew):
        now = self.seconds
        crew.busy_until = [until for until in crew.busy_until if until > now]
        free = crew.ready(now) * CONCURRENCY - len(crew.busy_until)
        for _ in range(min(free, len(crew.queue))):
            _, about = crew.queue.popleft()
            crew.busy_until.append(now + self.task_seconds)
            latency = int(self.task_seconds * 1000)
            self._later(self.now_ms, RowKind.STARTED, about)
            end = {**about, "counting": Counting.GOOD, "latency_ms": latency}
            self._later(self.now_ms + latency, RowKind.FINISHED, end)

    def _more(self):
        now = self.seconds
        pods = {
            name: Pods(crew.ready(now), len(crew.ready_at))
            for name, crew in ((S, self.crews[Arm.STABLE]), (C, self.crews[Arm.CANDIDATE]))
        }
        ages = {
            name: (self.now_ms - crew.queue[0][0]) / 1000 if crew.queue else 0.0
            for name, crew in ((S, self.crews[Arm.STABLE]), (C, self.crews[Arm.CANDIDATE]))
        }
        return {"pods": pods, "queue_age_seconds": ages, "capacity": self._room()}

    def _room(self):
        crews = self.crews.values()
        tasks = sum(len(crew.queue) + len(crew.busy_until) for crew in crews)
        ready = self.crews[Arm.CANDIDATE].ready(self.seconds)
        return capacity.capacity(SCALING, CONCURRENCY, ready, tasks)


def crowd(seed, per_second, task_seconds, startup_seconds):
    """One rollout with slow pods, played to its end."""
    return Crowd(
        seed=seed,
        spec=_patient(task_seconds),
        weather={},
        tasks_per_second=per_second,
        task_seconds=task_seconds,
        startup_seconds=startup_seconds,
    ).run(7200)


def _patient(task_seconds):
    policy = spec(final_hold=300)
    guardrails = policy.analysis.guardrails.model_copy(
        update={"latency_mean_seconds": int(3 * task_seconds)}
    )
    analysis = policy.analysis.model_copy(update={"guardrails": guardrails})
    return policy.model_copy(update={"analysis": analysis})
