"""Sums counted of tasks in blocks: the same numbers as those of ``sums``, to the last digit.

A task is a row of whole numbers; what a look adds is summed over the rows of a cell or a cohort at once. Tests play both
on the same tasks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Final

import numpy as np

from penstock.analysis.cells import Place
from penstock.analysis.comparison.cohort import Cohort
from penstock.analysis.comparison.cohorts import COHORT_MS
from penstock.analysis.comparison.evalues import (
    MOST_ABOVE,
    MOST_BELOW,
    STAKES_ABOVE,
    STAKES_BELOW,
)
from penstock.analysis.comparison.ranks import bin_of
from penstock.analysis.comparison.sums import ONE
from penstock.analysis.comparison.yardsticks import SIZES
from penstock.analysis.evidence import TICK_MS, Stratum
from penstock.analysis.halts import Halts
from penstock.analysis.metrics import Tally
from penstock.analysis.scope import Scope
from penstock.api.analysis import AnalysisStatus
from penstock.traffic import BUCKETS, Arm
from penstock_bench.rollouts import product
from penstock_bench.rollouts.blocks import Block, Flags, Whole
from penstock_bench.rollouts.sums import Counted, OnSums, Position, with_late
from penstock_bench.rollouts.weather import Task

#: Columns of a task.
ROUTED, LOOK, STARTS, ENDS, CANARY, BUCKET, BEGAN, ERROR, ESCALATION, WORKED, COST = range(11)
_NO_ROWS: Final = np.zeros((0, 11), np.int64)
#: Columns of a Tally that the end of a task adds to.
_ENDED: Final = (
    "errors", "escalations", "timed", "latency_ms", "latency_squares",
    "cost_micro_usd", "costed", "cost_squares", "free",
)  # fmt: skip
#: Of a route version in a bench.
_VERSION_BITS: Final = 20
#: No value is larger, in its unit.
_LARGEST: Final = 1 << 40


class BlocksCounted(Counted):
    """What ``Counted`` counts; no task may be overdue."""

    def __init__(self, scope: Scope, kept: AnalysisStatus) -> None:
        """Goes on from the counts in status; tasks that were routed before are not known to it."""
        super().__init__(scope, kept)
        self.rows = _NO_ROWS

    def count_blocks(self, blocks: Iterable[Block], at: Position) -> None:
        """Tasks were routed since the last look, and others have ended by now."""
        now_ms, look = at
        for block in blocks:
            rows = _rows(block, look)
            self._route_rows(rows[self._is_ours(rows)])
        over = self.rows[:, ENDS] <= now_ms
        ended, self.rows = self.rows[over], self.rows[~over]
        self._end_rows(ended[np.argsort(ended[:, ENDS], kind="stable")])
        self.cells.forget(now_ms - self.scope.kept_ms - TICK_MS)

    def _is_ours(self, rows: Whole) -> Flags:
        canary, scope = rows[:, CANARY] == 1, self.scope
        known = np.where(canary, bool(scope.canary), bool(scope.stable))
        return known & (rows[:, BEGAN] >= scope.since_version)

    def _route_rows(self, rows: Whole) -> None:
        if not len(rows):
            return
        longest_ms = int((rows[:, ENDS] - rows[:, ROUTED]).max())
        if longest_ms >= min(self.scope.overdue_ms.values()):
            raise ValueError(f"a task of {longest_ms} ms would be overdue")
        self.rows = np.concatenate([self.rows, rows])
        for place, some in self._by_place(rows):
            self.cells.add(place, Tally(tasks=len(some)))
        for arm, cohort, some in self._by_cohort(rows):
            for bucket, tasks in enumerate(_counts(some[:, BUCKET])):
                if tasks:
                    cohort.route(arm, bucket, tasks)

    def _end_rows(self, rows: Whole) -> None:
        """Tasks have ended, in this order."""
        ends = self._added(rows)
        self._credit_places(rows, ends)
        for arm in Arm if self.scope.canary else ():
            mine = rows[:, CANARY] == (arm is Arm.CANARY)
            inside = mine & self._in_step(rows)
            self.total[arm] += _tally(ends[mine])._replace(tasks=int(mine.sum()))
            self.step[arm] += _tally(ends[inside])._replace(tasks=int(inside.sum()))
        for arm, cohort, some in self._by_cohort(rows):
            _end_in(cohort, arm, some, self._cost(some))
        for row in rows[(rows[:, ERROR] | rows[:, ESCALATION]) == 1].tolist():
            arm, end = _arm(row[CANARY]), Tally(errors=row[ERROR], escalations=row[ESCALATION])
            self.delays.note(arm, end, row[ROUTED], row[ENDS], Halts())

    def _credit_places(self, rows: Whole, ends: Whole) -> None:
        order, begins = _groups(self._ticks(rows), rows)
        if not len(begins):
            return
        first = rows[order[begins]][:, [ROUTED, BEGAN, CANARY]].tolist()
        sums = np.add.reduceat(ends[order], begins, axis=0).tolist()
        for (routed, began, canary), added in zip(first, sums, strict=True):
            place = self.cells.place(routed, began, _arm(canary))
            self.cells.credit(place, Tally(**dict(zip(_ENDED, added, strict=True))))

    def _ticks(self, rows: Whole) -> Whole:
        """The first tick of each one's cell."""
        ticks = rows[:, ROUTED] // TICK_MS
        return ticks - ticks % self.cells.width

    def _cost(self, rows: Whole) -> Whole:
        most = self.scope.winsorised_cost(_LARGEST)
        return np.where(rows[:, WORKED] > 0, np.minimum(rows[:, COST], most), 0)

    def _added(self, rows: Whole) -> Whole:
        """What each adds to its tally, in the columns of _ENDED."""
        latency, cost = (
            np.minimum(rows[:, WORKED], self.scope.winsorised(_LARGEST)),
            self._cost(rows),
        )
        worked = rows[:, WORKED] > 0
        columns = (
            rows[:, ERROR], rows[:, ESCALATION], latency > 0, latency, latency * latency,
            cost, worked, cost * cost, worked & (cost == 0),
        )  # fmt: skip
        return np.column_stack(columns).astype(np.int64)

    def _in_step(self, rows: Whole) -> Flags:
        ms, look = self._step
        routed = rows[:, ROUTED]
        inside: Flags = (routed > ms) | ((routed == ms) & (rows[:, LOOK] > look))
        return inside

    def _by_place(self, rows: Whole) -> Iterator[tuple[Place, Whole]]:
        """The rows of each cell, the oldest first."""
        for some in _parts(self._ticks(rows), rows):
            routed, began, canary = some[0, [ROUTED, BEGAN, CANARY]].tolist()
            yield self.cells.place(routed, began, _arm(canary)), some

    def _by_cohort(self, rows: Whole) -> Iterator[tuple[Arm, Cohort, Whole]]:
        if not self.cohorts:
            return
        for some in _parts(rows[:, ROUTED] // COHORT_MS, rows):
            routed, began, canary = some[0, [ROUTED, BEGAN, CANARY]].tolist()
            cohort = self.cohorts.find(routed, began)
            if cohort is not None:
                yield _arm(canary), cohort, some

    def exposed(self) -> dict[Arm, int]:
        """Tasks routed in this step, ended or not."""
        inside = self.rows[self._in_step(self.rows), CANARY]
        canary = int(inside.sum())
        still = {Arm.CANARY: canary, Arm.STABLE: len(inside) - canary}
        return {arm: self.step[arm].tasks + still[arm] for arm in Arm}

    def with_open(self, now_ms: int) -> list[Stratum]:
        """The strata; tasks that are slow by now are told before they end."""
        worked, strata = now_ms - self.rows[:, STARTS], self.cells.strata()
        slow = worked > self.scope.latency_limit_ms
        if not slow.any():
            return strata
        latency = np.minimum(worked[slow], self.scope.winsorised(_LARGEST))
        told = np.column_stack([self.rows[slow], latency, latency * latency])
        late: dict[tuple[int, int], dict[Arm, Tally]] = {}
        for place, some in self._by_place(told):
            sums = some[:, -2:].sum(axis=0).tolist()
            tally = Tally(timed=len(some), latency_ms=sums[0], latency_squares=sums[1])
            late.setdefault((place.tick, place.begin_version), {})[place.arm] = tally
        return with_late(strata, late)


def _rows(block: Block, look: int) -> Whole:
    count = len(block.routed)
    moments = [(column * 1000).astype(np.int64) + product.START_MS for column in block[:3]]
    routed, starts, ends = moments
    columns = (
        routed, np.full(count, look), starts, ends, block.canary, block.bucket, np.full(count, block.began),
        block.error, block.escalation, (block.seconds * 1000).astype(np.int64), (block.usd * 1_000_000).astype(np.int64),
    )  # fmt: skip
    return np.column_stack(columns).astype(np.int64)


def _groups(times: Whole, rows: Whole) -> tuple[Whole, Whole]:
    """An order in which rows of the same time, route version and arm are together, in their own inside of that; where each group begins."""
    keys = (times << _VERSION_BITS | rows[:, BEGAN]) << 1 | rows[:, CANARY]  # sorted as one number
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    begins = np.flatnonzero(keys[1:] != keys[:-1]) + 1
    return order, np.concatenate([np.zeros(min(len(rows), 1), np.int64), begins])


def _parts(times: Whole, rows: Whole) -> Iterator[Whole]:
    """The rows of each group."""
    order, begins = _groups(times, rows)
    rows = rows[order]
    for begin, end in pairwise([*begins.tolist(), len(rows)]):
        yield rows[begin:end]


def _tally(ends: Whole) -> Tally:
    return Tally(**dict(zip(_ENDED, ends.sum(axis=0).tolist(), strict=True)))


def _arm(canary: int) -> Arm:
    return Arm.CANARY if canary else Arm.STABLE


def _counts(buckets: Whole) -> list[int]:
    counts: list[int] = np.bincount(buckets, minlength=BUCKETS).tolist()
    return counts


# ----------------------------------------------------------------------------- cohorts


def _end_in(cohort: Cohort, arm: Arm, rows: Whole, cost: Whole) -> None:
    """What ``Cohort.end`` does for each of the rows."""
    cohort.open[arm] -= len(rows)
    cohort.made = None
    for at, column in enumerate((ERROR, ESCALATION)):
        happened = rows[rows[:, column] == 1, BUCKET]
        if len(happened):
            known = cohort.events[at][arm]
            known[:] = [n + more for n, more in zip(known, _counts(happened), strict=True)]
            cohort.happened[at][arm] += len(happened)
    for at, values in enumerate((rows[:, WORKED], cost)):
        there = values > 0
        if there.any():
            _value_in(cohort, at, arm, rows[there, BUCKET], values[there])


def _value_in(cohort: Cohort, at: int, arm: Arm, buckets: Whole, values: Whole) -> None:
    places, limit = np.searchsorted(_bins(), values, side="right") - 1, cohort.yardsticks.limits[at]
    cohort.scores[at] = cohort.valued[at] = None
    known = cohort.stable[at] if arm is Arm.STABLE else cohort.ours[at]
    for pair in zip(buckets.tolist(), places.tolist(), strict=True):
        known[pair] = known.get(pair, 0) + 1
    bins = cohort.bins[at] if arm is Arm.STABLE else cohort.canary[at]
    for place, count in Counter(places.tolist()).items():
        bins[place] = bins.get(place, 0) + count
    if arm is Arm.STABLE:
        return
    if limit:
        up = np.minimum(values / limit, MOST_ABOVE) - 1
        down = 1 - np.minimum(values / limit / SIZES[at], MOST_BELOW)
        for kept, stakes, part in ((cohort.above[at], STAKES_ABOVE, up), (cohort.below[at], STAKES_BELOW, down)):  # fmt: skip
            for stake, by in enumerate(stakes):
                kept[stake] += int(np.rint(np.log1p(by * part) * ONE).sum())


@cache
def _bins() -> Whole:
    """The smallest value in each bin, of all bins that have one."""
    found: list[int] = []
    value = 1
    while value < _LARGEST:
        place = bin_of(value)
        found += [value] * (place + 1 - len(found))
        value = _first_after(place, value)
    return np.array(found)


def _first_after(place: int, value: int) -> int:
    """The smallest value that is in a later bin."""
    low, high = value, 2 * value + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if bin_of(middle) <= place else (low, middle)
    return high


# ----------------------------------------------------------------------------- a rollout


@dataclass
class OnBlocks(OnSums):
    """A rollout of the product's decision, on blocks."""

    _blocks: list[Block] = field(default_factory=list)

    def route(self, tasks: Iterable[Task]) -> None:
        """It takes blocks alone."""
        raise NotImplementedError

    def route_block(self, block: Block) -> None:
        """Tasks are counted at the next look."""
        self._blocks.append(block)

    def _begun(self, scope: Scope) -> Counted:
        return BlocksCounted(scope, self.status.analysis)

    def _counted_now(self, seen: Counted, at: Position) -> None:
        assert isinstance(seen, BlocksCounted)  # noqa: S101 - it was made above
        seen.count_blocks(self._blocks, at)
        self._blocks = []
