"""Outcome rows become an observation: exposure by routing, each task once, restarts unseen.

What is counted when:

- A task is *exposed* in the tick in which it was routed, in the stratum of the route version under
  which its session began; whatever becomes of it is credited there.
- Ended tasks count as they ended. Open ones count as slow once they have been worked on for longer
  than the latency limit, and as errors once they are overdue.
- Moved tasks and those that are nobody's doing (``LeftOut``) are no samples: they are taken out.
- With a candidate, only sessions begun since its first route version are samples, on either side.

A fold is additive and deterministic: the same rows give the same observation wherever they were
cut into batches and wherever a restart fell between. It forgets what is older than the window
plus the time after which a task is overdue.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from penstock import names
from penstock.api.rollout import (
    AgentRolloutSpec,
    AgentRolloutStatus,
    AnalysisStatus,
    ArmCounts,
)
from penstock.outcomes import Row, RowKind
from penstock.rollout import path
from penstock.rollout.guardrails import WINSOR_LIMITS
from penstock.rollout.observation import TICK_MS, Observation, Stratum, Tally
from penstock.task import Counting
from penstock.traffic import Arm, RevisionLimits

_DEFAULT_LIMITS: Final = RevisionLimits(input_chars=20_000, queue_seconds=600, wall_seconds=120)

Position = tuple[int, int]


@dataclass(frozen=True)
class Scope:
    """What is counted: whose rows, since when, over how long, and what is late.

    ``stable`` and ``candidate`` are hashes; without a candidate stable alone is watched.
    """

    stable: str
    candidate: str
    since_version: int
    window_ms: int
    latency_limit_ms: int
    overdue_ms: Mapping[Arm, int]

    @property
    def kept_ms(self) -> int:
        """How long a routed task can still change an observation."""
        return self.window_ms + max(self.overdue_ms.values()) + TICK_MS

    def is_sample(self, row: Row) -> bool:
        """Whether the row is about a task that is compared."""
        ours = self.candidate if row.arm is Arm.CANDIDATE else self.stable
        return row.revision == ours and row.begin_version >= self.since_version


def scope_of(
    spec: AgentRolloutSpec, status: AgentRolloutStatus, limits: Mapping[str, RevisionLimits]
) -> Scope:
    """What must be counted for a rollout as it is decided now.

    Args:
        limits: of the revisions, by name.
    """
    guardrails = spec.analysis.guardrails
    canary = status.canary_revision or "" if path.under_way(status) else ""
    revisions = {Arm.STABLE: status.stable_revision or "", Arm.CANDIDATE: canary}
    overdue = {
        arm: limits.get(revision, _DEFAULT_LIMITS).overdue_seconds * 1000
        for arm, revision in revisions.items()
    }
    return Scope(
        stable=names.hash_of(revisions[Arm.STABLE]),
        candidate=names.hash_of(canary),
        since_version=status.analysis.since_version if canary else 0,
        window_ms=guardrails.window_seconds * 1000,
        latency_limit_ms=guardrails.latency_mean_seconds * 1000,
        overdue_ms=overdue,
    )


@dataclass
class _Count:
    """A growing tally in whole numbers: milliseconds, and their squares."""

    tasks: int = 0
    errors: int = 0
    escalations: int = 0
    timed: int = 0
    latency_ms: int = 0
    squares: int = 0
    cost_micro_usd: int = 0

    def event(self, counting: Counting, latency_ms: int) -> None:
        """What became of a task; 0 ms: it was never worked on."""
        self.errors += counting is Counting.ERROR
        self.escalations += counting is Counting.ESCALATION
        if latency_ms > 0:
            self.timed += 1
            self.latency_ms += latency_ms
            self.squares += latency_ms * latency_ms

    def tally(self) -> Tally:
        return Tally(
            self.tasks,
            self.errors,
            self.escalations,
            self.timed,
            self.latency_ms / 1000,
            self.squares / 1_000_000,
            self.cost_micro_usd,
        )


@dataclass(frozen=True)
class _Cell:
    tick: int
    begin_version: int
    arm: Arm


@dataclass
class _Open:
    """A task that was routed and has not ended."""

    cell: _Cell
    routed: Position
    started_ms: int = 0

    def worked_ms(self, until_ms: int) -> int:
        return max(until_ms - self.started_ms, 1) if self.started_ms else 0


@dataclass
class Fold:
    """The rows of one agent, folded for one scope. See ``follow`` for which one to use."""

    scope: Scope
    step_from: str = ""
    #: Rows up to here are in the totals already; those at or before it only rebuild the window.
    counted: Position = (0, 0)
    total: dict[Arm, _Count] = field(default_factory=lambda: {arm: _Count() for arm in Arm})
    step: dict[Arm, _Count] = field(default_factory=lambda: {arm: _Count() for arm in Arm})
    gap: bool = False
    _last: Position = (0, 0)
    _cells: dict[_Cell, _Count] = field(default_factory=dict)
    _open: dict[str, _Open] = field(default_factory=dict)
    _deadlines: dict[Arm, deque[tuple[int, str]]] = field(
        default_factory=lambda: {arm: deque() for arm in Arm}
    )

    @classmethod
    def resume(cls, scope: Scope, checkpoint: AnalysisStatus) -> "Fold":
        """A fold that goes on from the counts in status; a blank one begins with nothing.

        Read rows from ``read_after`` on: those that are counted already rebuild the window and
        the open tasks, and are not counted twice.
        """
        fold = cls(scope, checkpoint.step_from, position(checkpoint.counted_through))
        if scope.candidate:
            fold.total = _restored(checkpoint.stable, checkpoint.candidate)
            fold.step = _restored(checkpoint.step_stable, checkpoint.step_candidate)
        return fold

    def begin_step(self, step_from: str) -> None:
        """Count a new step: tasks routed after that row. To be called before rows are added."""
        self.step_from = step_from
        self.step = {arm: _Count() for arm in Arm}

    def read_after(self, now_ms: int) -> str:
        """The row id after which to read on; at first far enough back to rebuild the window."""
        if self._last > (0, 0):
            return _text(self._last)
        if self.scope.candidate and self.counted == (0, 0):
            return ""
        # Tasks that were open at the checkpoint were routed before it.
        oldest_ms = min(now_ms, self.counted[0] or now_ms) - self.scope.kept_ms
        return _text((max(oldest_ms, 0), 0))

    def add(self, rows: Iterable[Row], first_kept: str = "", through: str = "") -> None:
        """Count rows in the order of their ids; rows seen before are passed over.

        Args:
            rows: those of the log that could be read.
            through: id up to which the log was read, where its last rows could not be.
            first_kept: id of the oldest row that the log still had when the rows were read. When
                that is past the last one counted, rows were lost: a gap, which is kept in mind.
        """
        reached = max(self._last, self.counted)
        if first_kept and (0, 0) < reached < position(first_kept):
            self.gap = True
        for row in rows:
            at = position(row.id)
            if at <= self._last:
                continue
            self._settle_overdue(at[0])
            if at[0] // TICK_MS != self._last[0] // TICK_MS:
                self._forget(at[0])
            self._last = at
            self._row(row, at)
        self._last = max(self._last, position(through))

    def observe(self, now_ms: int) -> Observation:
        """What the rows so far say at this moment (Redis time, not before the last row)."""
        strata = self._strata(now_ms)
        begun = now_ms - self.scope.window_ms
        return Observation(
            now_ms=now_ms,
            window=tuple(stratum for stratum in strata if stratum.tick * TICK_MS >= begun),
            older=tuple(stratum for stratum in strata if stratum.tick * TICK_MS < begun),
            total={arm: _without_squares(self.total[arm]) for arm in Arm},
            step={arm: _without_squares(self.step[arm]) for arm in Arm},
            counted_through=_text(max(self._last, self.counted)),
            gap=self.gap,
            exposed={arm: self.step[arm].tasks + self._open_in_step(arm) for arm in Arm},
            step_from=self.step_from,
            since_version=self.scope.since_version,
        )

    def _strata(self, now_ms: int) -> list[Stratum]:
        strata: dict[tuple[int, int], dict[Arm, Tally]] = {}
        late = self._open_events(now_ms)
        for cell, count in self._cells.items():
            if cell.tick * TICK_MS < now_ms - self.scope.kept_ms + TICK_MS or not count.tasks:
                continue
            arms = strata.setdefault((cell.tick, cell.begin_version), {})
            arms[cell.arm] = count.tally() + late.get(cell, _NOTHING).tally()
        return [Stratum(*key, strata[key]) for key in sorted(strata)]

    # -- one row -------------------------------------------------------------------------------

    def _row(self, row: Row, at: Position) -> None:
        if row.kind is RowKind.ROUTED:
            self._routed(row, at)
            return
        task = self._open.get(row.task)
        if task is None:
            return
        if row.kind is RowKind.STARTED:
            task.started_ms = task.started_ms or at[0]
            return
        del self._open[row.task]
        if row.kind is RowKind.REHOMED or row.counting is Counting.LEFT_OUT:
            self._cells[task.cell].tasks -= 1
        else:
            self._ended(task, row.counting, row.latency_ms, row.cost_micro_usd, at)

    def _routed(self, row: Row, at: Position) -> None:
        if not self.scope.is_sample(row) or row.task in self._open:
            return
        cell = _Cell(at[0] // TICK_MS, row.begin_version, row.arm)
        self._cells.setdefault(cell, _Count()).tasks += 1
        self._open[row.task] = _Open(cell, at)
        self._deadlines[row.arm].append((at[0] + self.scope.overdue_ms[row.arm], row.task))

    def _ended(
        self, task: _Open, counting: Counting, latency_ms: int, cost: int, at: Position
    ) -> None:
        latency_ms = self._winsorised(latency_ms)
        arm = task.cell.arm
        self._cells[task.cell].event(counting, latency_ms)
        self._cells[task.cell].cost_micro_usd += cost
        if at <= self.counted or not self.scope.candidate:
            return
        in_step = task.routed > position(self.step_from)
        for count in (self.total[arm], self.step[arm]) if in_step else (self.total[arm],):
            count.tasks += 1
            count.cost_micro_usd += cost
            count.event(counting, latency_ms)

    def _winsorised(self, latency_ms: int) -> int:
        return min(latency_ms, WINSOR_LIMITS * self.scope.latency_limit_ms)

    # -- time ----------------------------------------------------------------------------------

    def _settle_overdue(self, now_ms: int) -> None:
        """End, as errors, the tasks whose time was over by the log's own clock."""
        for deadlines in self._deadlines.values():
            while deadlines and deadlines[0][0] <= now_ms:
                deadline_ms, identifier = deadlines.popleft()
                task = self._open.get(identifier)
                if task is None or task.routed[0] + self._allowed(task) != deadline_ms:
                    continue
                del self._open[identifier]
                # Of the rows of one millisecond the first settles: it stands before all of them.
                settled = (deadline_ms, 0)
                self._ended(task, Counting.ERROR, task.worked_ms(deadline_ms), 0, settled)

    def _allowed(self, task: _Open) -> int:
        return self.scope.overdue_ms[task.cell.arm]

    def _open_events(self, now_ms: int) -> dict[_Cell, _Count]:
        """What can be said of open tasks by now: slow ones, and overdue ones."""
        events: dict[_Cell, _Count] = {}
        for task in self._open.values():
            worked = task.worked_ms(now_ms)
            slow = self._winsorised(worked) if worked > self.scope.latency_limit_ms else 0
            overdue = now_ms >= task.routed[0] + self._allowed(task)
            if slow or overdue:
                counting = Counting.ERROR if overdue else Counting.GOOD
                events.setdefault(task.cell, _Count()).event(counting, slow)
        return events

    def _open_in_step(self, arm: Arm) -> int:
        begun = position(self.step_from)
        return sum(1 for t in self._open.values() if t.cell.arm is arm and t.routed > begun)

    def _forget(self, now_ms: int) -> None:
        oldest = (now_ms - self.scope.kept_ms) // TICK_MS
        for cell in [cell for cell in self._cells if cell.tick < oldest]:
            del self._cells[cell]


_NOTHING: Final = _Count()


def follow(fold: Fold | None, scope: Scope, checkpoint: AnalysisStatus) -> Fold:
    """The fold to use now: the same while its scope is, with the step that status is in.

    Another scope, or none before (a restart), resumes from the counts in status.
    """
    if fold is None or fold.scope != scope:
        return Fold.resume(scope, checkpoint)
    if fold.step_from != checkpoint.step_from:
        fold.begin_step(checkpoint.step_from)
    return fold


def position(identifier: str) -> Position:
    """A stream id ``<ms>-<n>`` as numbers that can be compared; empty is before all."""
    ms, _, n = identifier.partition("-")
    return int(ms or 0), int(n or 0)


def _text(at: Position) -> str:
    return f"{at[0]}-{at[1]}" if at > (0, 0) else ""


def _restored(stable: ArmCounts, candidate: ArmCounts) -> dict[Arm, _Count]:
    return {
        arm: _Count(
            tasks=kept.tasks,
            errors=kept.errors,
            escalations=kept.escalations,
            timed=kept.timed,
            latency_ms=kept.latency_ms,
            cost_micro_usd=kept.cost_micro_usd,
        )
        for arm, kept in ((Arm.STABLE, stable), (Arm.CANDIDATE, candidate))
    }


def _without_squares(count: _Count) -> Tally:
    """A total: squares are not kept in status, so a restart must not miss them."""
    tally = count.tally()
    return Tally(
        tally.tasks,
        tally.errors,
        tally.escalations,
        tally.timed,
        tally.latency_sum,
        0.0,
        tally.cost_micro_usd,
    )
