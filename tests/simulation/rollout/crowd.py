"""Rollouts whose workers are slow to come up: a queue and pods in front of the product's engine.

How many workers there are is the operator's own decision: its world is put together here from the
queues and pods that are played, and ``muster`` says what each revision gets.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

from penstock.api.rollout import Setpoint
from penstock.outcomes import RowKind
from penstock.rollout import capacity, path
from penstock.rollout.situation import Decision, Pods
from penstock.task import Counting
from penstock.traffic import Arm, RevisionLimits
from penstock_operator.reconcile.course import Course, capacity_of
from penstock_operator.reconcile.stock import Known, Stock
from penstock_operator.reconcile.workforce import muster
from penstock_store.records import RevisionWork
from tests.simulation.rollout.traffic import Traffic, with_latency_limit
from tests.unit.operator import worlds
from tests.unit.operator.worlds import cut
from tests.unit.rollout.world import C, S, spec

CONCURRENCY = 32
MOST_WORKERS = 64
REVISIONS = {Arm.STABLE: S, Arm.CANARY: C}


CUTS = {Arm.STABLE: cut("Be kind."), Arm.CANARY: cut("Be brief.")}
STOCK = Stock(
    {made.name: Known(made, None, sequence) for sequence, made in enumerate(CUTS.values(), 1)},
    latest=CUTS[Arm.CANARY].name,
    stable=CUTS[Arm.STABLE].name,
)
WORLD = worlds.world(
    worlds.agent(scaling={"maxReplicas": MOST_WORKERS}, worker={"concurrency": CONCURRENCY})
)


@dataclass
class Crew:
    """One arm's pods, by the second in which they are ready, its queue and what it works on."""

    ready_at: list[float]
    queue: deque = field(default_factory=deque)
    busy_until: list[float] = field(default_factory=list)

    def ready(self, now):
        return sum(at <= now for at in self.ready_at)

    def scale(self, replicas, now, startup):
        """As many pods as the operator asks for: the newest go first."""
        self.ready_at += [now + startup] * (replicas - len(self.ready_at))
        del self.ready_at[replicas:]

    @property
    def asked(self):
        """Pods that there are, ready or not."""
        return len(self.ready_at)

    def pods(self, now):
        """Its pods, as the API server tells the operator."""
        return Pods(self.ready(now), self.asked)

    @property
    def work(self):
        """What it holds, as Redis tells the operator."""
        return RevisionWork(queued=len(self.queue), running=len(self.busy_until))


@dataclass(frozen=True)
class Glance:
    """The canary after a pass: its share, pods, oldest waiting task, whether it has room."""

    percent: int
    ready: int
    asked: int
    queue_seconds: float
    room: bool


@dataclass
class Crowd(Traffic):
    """Tasks of a fixed length, and pods that are ready so many seconds after they are asked for."""

    task_seconds: float = 20.0
    startup_seconds: float = 60.0
    pass_seconds: float = 1.0
    limits: RevisionLimits = field(default_factory=lambda: RevisionLimits(20_000, 600, 300))
    #: From this second on a person wants all users on the canary.
    setpoint_at: float | None = None
    glances: list[Glance] = field(default_factory=list)

    def __post_init__(self):
        super().__post_init__()
        full = -(-int(self.tasks_per_second * self.task_seconds) // CONCURRENCY) + 1
        first = [self.startup_seconds]  # of the canary: its Deployment has just been made
        self.crews = {Arm.STABLE: Crew([0.0] * full), Arm.CANARY: Crew(first)}
        self.lulls = {}

    def _task(self, at_ms, arm, slot, begin, *, old=False):
        self.number += 1
        self.given[arm] += 1
        about = {
            "task": f"t{self.number}",
            "arm": arm,
            "revision": REVISIONS[arm][-8:],
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
        self.glances.append(self._glance())
        self._scale()
        for crew in self.crews.values():
            self._work(crew)

    def _pass(self):
        if self.setpoint_at is not None and self.seconds >= self.setpoint_at:
            wanted = Setpoint(canary_percent=100, canary_revision=C)
            self.spec = self.spec.model_copy(update={"traffic": wanted})
        super()._pass()

    def _glance(self):
        more, percent = self._more(), self.status.share.percent
        pods, age = more["pods"][C], more["queue_age_seconds"][C]
        return Glance(percent, pods.ready, pods.wanted, age, more["capacity"].suffices(percent))

    def _rehome(self):
        """What waits for a canary that was taken off goes back to stable."""
        ours, theirs = self.crews[Arm.CANARY], self.crews[Arm.STABLE]
        while ours.queue:
            at_ms, about = ours.queue.popleft()
            self._later(self.now_ms, RowKind.REHOMED, about)
            theirs.queue.append((at_ms, {**about, "task": f"{about['task']}-moved"}))

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

    # -- the operator --------------------------------------------------------------------------

    def _scale(self):
        crews = muster(self._world(), STOCK, self._course())
        self.lulls = {crew.known.name: crew.lull for crew in crews if crew.lull}
        replicas = {crew.known.name: crew.replicas for crew in crews}
        for arm, crew in self.crews.items():
            crew.scale(replicas[CUTS[arm].name] or 0, self.seconds, self.startup_seconds)

    def _course(self):
        under_way = path.under_way(self.status)
        named = {
            "stable_revision": STOCK.stable,
            "canary_revision": STOCK.latest if under_way else None,
        }
        return Course(
            Decision(self.status.model_copy(update=named)),
            governed=True,
            staff_percent=capacity.percent_to_staff(self.status, self.spec, self._now()),
        )

    def _world(self):
        crews = [(CUTS[arm], crew) for arm, crew in self.crews.items()]
        work = {made.hash: crew.work for made, crew in crews}
        return replace(
            WORLD,
            now=self._now(),
            deployments={made.name: {"spec": {"replicas": crew.asked}} for made, crew in crews},
            look=replace(WORLD.look, now_ms=self.now_ms, work=work),
            pods={made.name: crew.pods(self.seconds) for made, crew in crews},
            lulls=self.lulls,
        )

    def _more(self):
        ages = {
            REVISIONS[arm]: (self.now_ms - crew.queue[0][0]) / 1000 if crew.queue else 0.0
            for arm, crew in self.crews.items()
        }
        return {
            "pods": {REVISIONS[arm]: crew.pods(self.seconds) for arm, crew in self.crews.items()},
            "queue_age_seconds": ages,
            "capacity": capacity_of(self._world(), STOCK, STOCK.latest),
        }


def crowd(seed, per_second, task_seconds, startup_seconds, setpoint_at=None):
    """One rollout with slow pods, played to its end: by its steps, or by a person's setpoint."""
    return Crowd(
        seed=seed,
        spec=with_latency_limit(spec(final_hold=300), int(3 * task_seconds)),
        weather={},
        tasks_per_second=per_second,
        task_seconds=task_seconds,
        startup_seconds=startup_seconds,
        setpoint_at=setpoint_at,
    ).run(7200)
