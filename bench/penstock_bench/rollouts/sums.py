"""The same rollout decided on sums: counted from the tasks themselves, with no rows and no fold.

It is cheaper than outcome rows and counts by itself, so that each proves the other: tests play both on the same
seeds, and each look must decide the same in the same words.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile

from penstock.analysis.cells import Cells, Place
from penstock.analysis.comparison.cohort import Cohort
from penstock.analysis.comparison.cohorts import Cohorts
from penstock.analysis.comparison.compared import Compared
from penstock.analysis.delays import LatestDelays
from penstock.analysis.evidence import TICK_MS, Observation, Stratum
from penstock.analysis.halts import Halts
from penstock.analysis.metrics import NOTHING, Tally, as_total, of_arms, of_end, total_of
from penstock.analysis.scope import Scope, scope_of
from penstock.api.analysis import AnalysisStatus
from penstock.task import Counting
from penstock.traffic import Arm
from penstock_bench.rollouts import product
from penstock_bench.rollouts.product import EXPECTED_MICRO_USD, LIMITS, Product
from penstock_bench.rollouts.weather import Task

#: A moment by the log's clock, and the look at which it was seen.
Position = tuple[int, int]


@dataclass(slots=True)
class Open:
    """A task that was counted as routed and has not ended; ``started_ms``: when work on it begins."""

    task: Task
    arm: Arm
    place: Place
    routed: Position
    cohort: Cohort | None
    started_ms: int


class Counted:
    """What the fold would have counted of the tasks, under one scope."""

    def __init__(self, scope: Scope, kept: AnalysisStatus) -> None:
        """Goes on from the counts in status; tasks that were routed before are not known to it."""
        self.scope = scope
        self.cells = Cells(scope.fine_ticks)
        self.total = of_arms(kept.stable, kept.canary) if scope.canary else _nothing()
        self.step = of_arms(kept.step_stable, kept.step_canary) if scope.canary else _nothing()
        self.step_from, self._step = kept.step_from, _position(kept.step_from)
        compared = scope.canary and scope.compared
        self.cohorts = Cohorts.resume(scope.compared, kept.comparison) if compared else None  # type: ignore[arg-type]
        self.open: dict[int, Open] = {}
        self.delays = LatestDelays()
        self._starts: list[tuple[int, int]] = []
        self._ends: list[tuple[int, int]] = []
        self._number = 0
        self._newest_ms = 0
        self._ended: list[tuple[Open, Tally]] = []  # since the last look

    def begin_step(self, step_from: str) -> None:
        """Tasks routed from now on are in the step."""
        self.step_from, self.step = step_from, _nothing()
        self._step = _position(step_from)

    def count(self, tasks: Iterable[Task], at: Position) -> None:
        """Tasks were routed since the last look, and others have ended by now."""
        now_ms, look = at
        routed = Counter(place for task in tasks if (place := self._route(task, look)))
        for place, number in routed.items():
            self.cells.add(place, Tally(tasks=number))
        newest = self._newest_ms
        while self._ends and self._ends[0][0] <= now_ms:
            ends_ms, number = heapq.heappop(self._ends)
            newest = max(newest, ends_ms)
            if number in self.open and not self._is_overdue(self.open[number], ends_ms):
                self._end(self.open.pop(number), ends_ms)
        while self._starts and self._starts[0][0] <= now_ms:
            started_ms, number = heapq.heappop(self._starts)
            newest = max(newest, started_ms) if number in self.open else newest
        self._newest_ms = newest
        for number in self._late(newest):
            self._overdue(self.open.pop(number))
        self._add_up()
        self.cells.forget(now_ms - self.scope.kept_ms - TICK_MS)

    def _route(self, task: Task, look: int) -> Place | None:
        routed_ms = product.milliseconds(task.routed)
        self._newest_ms = max(self._newest_ms, routed_ms)
        arm = Arm.CANARY if task.canary else Arm.STABLE
        ours = self.scope.canary if task.canary else self.scope.stable
        self._number += 1
        if not ours or task.began < self.scope.since_version:
            return None
        place = self.cells.place(routed_ms, task.began, arm)
        cohort = self.cohorts.find(routed_ms, task.began) if self.cohorts else None
        if cohort is not None:
            cohort.route(arm, task.bucket)
        started_ms = product.milliseconds(task.starts)
        self.open[self._number] = Open(task, arm, place, (routed_ms, look), cohort, started_ms)
        heapq.heappush(self._starts, (started_ms, self._number))
        if task.ends is not None:
            heapq.heappush(self._ends, (product.milliseconds(task.ends), self._number))
        return place

    def _late(self, now_ms: int) -> list[int]:
        """The open tasks whose time is over; the first was routed first."""
        soonest = min(self.scope.overdue_ms.values())
        old = takewhile(lambda item: now_ms - item[1].routed[0] >= soonest, self.open.items())
        return [number for number, one in old if self._is_overdue(one, now_ms)]

    def _is_overdue(self, one: Open, now_ms: int) -> bool:
        return now_ms - one.routed[0] >= self.scope.overdue_ms[one.arm]

    def _end(self, one: Open, at_ms: int) -> None:
        task, worked = one.task, int(one.task.seconds * 1000)
        kind = product.counting(task)
        cost = self.scope.winsorised_cost(int(task.usd * 1_000_000)) if worked else None
        self._credit(one, of_end(kind, self.scope.winsorised(worked), cost), worked, at_ms)

    def _overdue(self, one: Open) -> None:
        deadline_ms = one.routed[0] + self.scope.overdue_ms[one.arm]
        worked = max(deadline_ms - one.started_ms, 1) if one.started_ms <= deadline_ms else 0
        self._credit(
            one, of_end(Counting.ERROR, self.scope.winsorised(worked)), worked, deadline_ms
        )

    def _credit(self, one: Open, end: Tally, worked_ms: int, at_ms: int) -> None:
        self.delays.note(one.arm, end, one.routed[0], at_ms, Halts())
        if one.cohort is not None:
            one.cohort.end(one.arm, one.task.bucket, end, worked_ms)
        self._ended.append((one, end))

    def _add_up(self) -> None:
        """What has ended since the last look, each sum once."""
        places: dict[Place, list[Tally]] = {}
        for one, end in self._ended:
            places.setdefault(one.place, []).append(end)
        for place, ends in places.items():
            self.cells.credit(place, total_of(ends))
        for arm in Arm if self.scope.canary else ():
            mine = [(one, end) for one, end in self._ended if one.arm is arm]
            inside = [end for one, end in mine if self._is_in_step(one)]
            self.total[arm] += total_of([end for _, end in mine]) + Tally(tasks=len(mine))
            self.step[arm] += total_of(inside) + Tally(tasks=len(inside))
        self._ended.clear()

    def _is_in_step(self, one: Open) -> bool:
        return one.routed > self._step

    # -- what is seen --------------------------------------------------------------------------

    def observe(self, at: Position) -> Observation:
        """What the fold would say of the same tasks."""
        now_ms, look = at
        begun = now_ms - self.scope.window_ms
        oldest = now_ms - self.scope.kept_ms + self.scope.coarse_ticks * TICK_MS
        strata = self.with_open(now_ms)
        kept_from, first = (bisect_left(strata, ms, key=_begin_ms) for ms in (oldest, begun))
        return Observation(
            now_ms=now_ms,
            window=tuple(strata[first:]),
            older=tuple(strata[kept_from:first]),
            total={arm: as_total(self.total[arm]) for arm in Arm},
            step={arm: as_total(self.step[arm]) for arm in Arm},
            counted_through=f"{now_ms}-{look}",
            exposed=self.exposed(),
            step_from=self.step_from,
            since_version=self.scope.since_version,
            delays=self.delays.since(now_ms - self.scope.kept_ms, Halts()),
            compared=self.compared(now_ms),
        )

    def compared(self, now_ms: int) -> Compared | None:
        """The arms beside each other, where that is asked for."""
        return self.cohorts.observe(now_ms) if self.cohorts else None

    def exposed(self) -> dict[Arm, int]:
        """Tasks routed in this step, ended or not."""
        open_now = [one.arm for one in self.open.values() if self._is_in_step(one)]
        return {arm: self.step[arm].tasks + open_now.count(arm) for arm in Arm}

    def with_open(self, now_ms: int) -> list[Stratum]:
        """The strata; tasks that are slow or overdue by now are told before they end."""
        late: dict[tuple[int, int], dict[Arm, Tally]] = {}
        for one in self.open.values():
            worked = now_ms - one.started_ms
            slow = worked if worked > self.scope.latency_limit_ms else 0
            overdue = self._is_overdue(one, now_ms)
            if slow or overdue:
                kind = Counting.ERROR if overdue else Counting.GOOD
                arms = late.setdefault((one.place.tick, one.place.begin_version), {})
                told = of_end(kind, self.scope.winsorised(slow))
                arms[one.arm] = arms.get(one.arm, NOTHING) + told
        return with_late(self.cells.strata(), late)


def with_late(
    strata: list[Stratum], late: Mapping[tuple[int, int], Mapping[Arm, Tally]]
) -> list[Stratum]:
    """The strata with what can be said of open tasks; these are in the last ones."""
    if not late:
        return strata
    oldest = bisect_left(strata, min(late), key=_place)
    return strata[:oldest] + [
        _and_late(stratum, late.get(_place(stratum), {})) for stratum in strata[oldest:]
    ]


def _begin_ms(stratum: Stratum) -> int:
    return stratum.tick * TICK_MS


def _place(stratum: Stratum) -> tuple[int, int]:
    return stratum.tick, stratum.begin_version


def _and_late(stratum: Stratum, late: Mapping[Arm, Tally]) -> Stratum:
    if not late:
        return stratum
    arms = {arm: seen + late.get(arm, NOTHING) for arm, seen in stratum.arms.items()}
    return Stratum(stratum.tick, stratum.begin_version, arms)


def _position(identifier: str) -> Position:
    ms, _, look = identifier.partition("-")
    return int(ms or 0), int(look or 0)


def _nothing() -> dict[Arm, Tally]:
    return dict.fromkeys(Arm, NOTHING)


@dataclass
class OnSums(Product):
    """A rollout of the product's decision, on sums."""

    counted: Counted | None = None
    _routed: list[Task] = field(default_factory=list)

    def route(self, tasks: Iterable[Task]) -> None:
        """Tasks are counted at the next look."""
        self._routed += tasks

    def _take(self, now_ms: int) -> None:
        """There are no rows."""

    def _observe(self, now_ms: int) -> Observation:
        seen, at = self._count(now_ms)
        return seen.observe(at)

    def _compared(self, now_ms: int) -> Compared | None:
        seen, _ = self._count(now_ms)
        return seen.compared(now_ms)

    def _count(self, now_ms: int) -> tuple[Counted, Position]:
        """What was counted up to this look, and when that is."""
        scope = scope_of(self.policy, self.status, LIMITS, EXPECTED_MICRO_USD)
        kept = self.status.analysis
        if self.counted is None or self.counted.scope != scope:
            self.counted = self._begun(scope)
        seen, at = self.counted, (now_ms, self.looks)
        if seen.step_from != kept.step_from:
            seen.begin_step(kept.step_from)
        if seen.cohorts and kept.comparison:
            seen.cohorts.begin(kept.comparison.since)
        self._counted_now(seen, at)
        return seen, at

    def _begun(self, scope: Scope) -> Counted:
        return Counted(scope, self.status.analysis)

    def _counted_now(self, seen: Counted, at: Position) -> None:
        seen.count(self._routed, at)
        self._routed = []
