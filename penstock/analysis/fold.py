"""Outcome rows become an observation: exposure by routing, each task once, restarts unseen.

What is counted when:

- A task is *exposed* in the tick in which it was routed, in the stratum of the route version under
  which its session began; whatever becomes of it is credited there.
- Ended tasks count as they ended. Open ones count as slow once they have been worked on for longer
  than the latency limit, and as errors once they are overdue.
- Moved tasks and those that are nobody's doing (``LeftOut``) are no samples: they are taken out.
- With a canary, only sessions begun since its first route version are samples, on either side, but for users
  who were chosen: they are counted by themselves.

A fold is additive and deterministic: the same rows give the same observation wherever they were cut into
batches and wherever a restart fell between. It forgets what is older than the window plus the time after which
a task is overdue. However long these are, there are at most MOST_TICKS strata of the window and as many before
it: what a look costs does not grow with the span.

While the kill switch is on, the clocks of tasks stand still: a halted task is neither late nor slow.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from penstock.analysis import cells
from penstock.analysis.cells import Cells
from penstock.analysis.comparison.cohort import Cohort
from penstock.analysis.comparison.cohorts import Cohorts
from penstock.analysis.comparison.users import Users
from penstock.analysis.continuity import Continuity
from penstock.analysis.day import Costs
from penstock.analysis.delays import LatestDelays
from penstock.analysis.drawn import Draws
from penstock.analysis.evidence import TICK_MS, Observation, Stratum
from penstock.analysis.failures import Failure, Lately
from penstock.analysis.halts import Halts
from penstock.analysis.metrics import (
    ERROR_RATE,
    NOTHING,
    Tally,
    as_total,
    of_arms,
    of_end,
)
from penstock.analysis.pending import (
    LeftOut,
    Pending,
    Position,
    Task,
    overdue_of_arms,
    position,
    text_of,
    with_late,
    worked_ms,
)
from penstock.analysis.rowchain import RowChain
from penstock.analysis.scope import Scope
from penstock.api.analysis import AnalysisStatus
from penstock.api.comparison import StableUsers
from penstock.api.costs import StableCosts
from penstock.api.interruptions import Halt
from penstock.outcomes import End, Row, RowKind
from penstock.task import Counting, TaskStatus
from penstock.traffic import Arm

#: Tasks left out of one reading of which it is asked whether their callers cancelled them.
MOST_UNEXPLAINED: Final = 1000

_ONE, _LEFT_OUT, _CANCELLED = Tally(tasks=1), Tally(left_out=1), Tally(cancelled=1)


def _nothing() -> dict[Arm, Tally]:
    return dict.fromkeys(Arm, NOTHING)


@dataclass
class Fold:
    """The rows of one agent, folded for one scope. See ``follow`` for which one to use."""

    scope: Scope
    step_from: str = ""
    #: Rows up to here are in the totals already; those at or before it only rebuild the window.
    counted: Position = (0, 0)
    rows: RowChain = field(default_factory=RowChain)
    total: dict[Arm, Tally] = field(default_factory=_nothing)
    step: dict[Arm, Tally] = field(default_factory=_nothing)
    halts: Halts = field(default_factory=Halts)
    users: Users | None = None
    costs: Costs | None = None
    _gap_at: int = 0  # up to when rows are known to be lost, by the log's clock
    _last: Position = (0, 0)
    _failed: Lately = field(default_factory=Lately)
    _delays: LatestDelays = field(default_factory=LatestDelays)
    _unexplained: deque[LeftOut] = field(default_factory=lambda: deque(maxlen=MOST_UNEXPLAINED))

    def __post_init__(self) -> None:
        self._step_position = position(self.step_from)
        self._log = Continuity(self.counted)
        self._open = Pending(self.scope)
        self._draws = Draws(self.scope.kept_ms)
        self._open.begin_step(self._step_position)
        self._fine = Cells(self.scope.fine_ticks)
        same = self.scope.coarse_ticks == self.scope.fine_ticks
        self._coarse = self._fine if same else Cells(self.scope.coarse_ticks)
        self._outcomes = Cells(self.scope.fine_ticks)  # by the time of the end
        self.cohorts = Cohorts(self.scope.compared) if self.scope.compared else None
        self.of_rings = Fold(self.scope.of_rings) if self.scope.of_rings else None

    @classmethod
    def resume(cls, scope: Scope, checkpoint: AnalysisStatus) -> "Fold":
        """A fold that goes on from the counts in status; a blank one begins with nothing.

        Read rows from ``read_after`` on: those that are counted already rebuild the window and
        the open tasks, and are not counted twice.
        """
        fold = cls(scope, checkpoint.step_from, position(checkpoint.counted_through))
        fold.rows = RowChain.resume(checkpoint.rows, checkpoint.counted_through)
        if not scope.canary:
            return fold
        fold.total = of_arms(checkpoint.stable, checkpoint.canary)
        fold.step = of_arms(checkpoint.step_stable, checkpoint.step_canary)
        if scope.compared:
            fold.cohorts = Cohorts.resume(scope.compared, checkpoint.comparison)
        return fold

    def know(self, halts: Halts) -> None:
        """When the kill switch was on, from now on."""
        for fold in filter(None, (self, self.of_rings)):
            fold.halts = halts

    def begin_step(self, step_from: str) -> None:
        """Count a new step: tasks routed after that row. To be called before rows are added."""
        self.step_from, self._step_position = step_from, position(step_from)
        self.step = _nothing()
        self._open.begin_step(self._step_position)

    def read_after(self, now_ms: int) -> str:
        """The row id after which to read on; at first far enough back to rebuild the window."""
        if self._last > (0, 0):
            return text_of(self._last)
        began = (self.scope.began_ms, 0)  # what was routed before is no sample
        if self.scope.canary and self.counted == (0, 0):
            self._log.begin(began)
            return ""
        # Tasks that were open at the checkpoint were routed before it.
        newest_ms = min(now_ms, self.counted[0] or now_ms)
        oldest_ms = self.halts.earlier(newest_ms, self.scope.kept_ms)
        oldest_ms = min(oldest_ms, (self.cohorts and self.cohorts.through_ms) or oldest_ms)
        oldest = (max(oldest_ms, 0), 0)
        self._log.begin(max(began, oldest))
        return text_of(oldest)

    @property
    def has_read(self) -> bool:
        """Whether rows were read: from then on ``read_after`` is the last of them."""
        return self._last > (0, 0)

    def add(
        self,
        rows: Iterable[Row],
        first_kept: str = "",
        through: str = "",
        *,
        trimmed: bool = False,
        last_kept: str = "",
        passed_over: Iterable[str] = (),
    ) -> None:
        """Count rows in the order of their ids; rows seen before are passed over.

        Args:
            through: id up to which the log was read, where its last rows could not be.
            first_kept: id of the oldest row that the log had. Past the last one counted: a gap.
            trimmed: older ones are gone: a gap where the window is rebuilt from further back.
            last_kept: id of the newest row that the log had. One before what was counted: it was cut.
            passed_over: ids of rows that are in the log and cannot be read.
        """
        ends = position(first_kept), position(last_kept)
        for at in self._log.lost(*ends, self._last, trimmed=trimmed):
            self.lose(at)
        self._log.pass_over(passed_over)
        for row in rows:
            at = position(row.id)
            if at <= self._last:
                continue
            if self._log.breaks(at):
                self.lose(at)
            if at[0] >= self._open.soonest_ms:
                self._settle_overdue(at[0])
            if at[0] // TICK_MS != self._last[0] // TICK_MS:
                self._forget(at[0])
            self._last = at
            self.rows.row(row, counted=self._is_counted(at))
            self._row(row, at)
            if self.of_rings:
                self.of_rings.add([row])
        self._last = max(self._last, position(through))

    def lose(self, first: Position) -> None:
        """Rows before this one are lost: how tasks ended that were open before it is unknown."""
        self._gap_at = max(self._gap_at, first[0])
        self.rows.gap(text_of(first), counted=first >= max(self._last, self.counted))
        for task in self._open.lose(first):
            self._no_sample(task)
        if self.of_rings:
            self.of_rings.lose(first)

    def observe(self, now_ms: int) -> Observation:
        """What the rows so far say at this moment (Redis time, not before the last row)."""
        begun = self.halts.earlier(now_ms, self.scope.window_ms)
        late, fine = self._open.so_far(now_ms, self.halts), self._fine.strata()
        window = (s for s in fine if s.tick * TICK_MS >= begun)
        return Observation(
            now_ms,
            with_late(window, late, lambda task: task.fine),
            older=with_late(self._older(fine, now_ms, begun), late, lambda task: task.coarse),
            total={arm: as_total(self.total[arm]) for arm in Arm},
            step={arm: as_total(self.step[arm]) for arm in Arm},
            counted_through=text_of(max(self._last, self.counted)),
            gap=bool(self._gap_at) and now_ms - self._gap_at < self.scope.kept_ms,
            gap_ms=self._gap_at,
            exposed={arm: self.step[arm].tasks + self._open.in_step[arm] for arm in Arm},
            step_from=self.step_from,
            since_version=self.scope.since_version,
            stable=self.scope.stable,
            scope=self.scope,
            ended=self._ended_lately(now_ms, begun, late) if self.scope.literal else (),
            failed=self._failed.since(begun),
            rows=self.rows.seen if self.scope.canary else None,
            compared=self.cohorts.observe(now_ms) if self.cohorts else None,
            users=self.users.seen() if self.users else None,
            costs=self.costs.seen() if self.costs else None,
            drawn=self._draws.seen(now_ms),
            delays=self._delays.since(self.halts.earlier(now_ms, self.scope.kept_ms), self.halts),
            chosen=self.of_rings.observe(now_ms) if self.of_rings else None,
        )

    def _older(self, fine: list[Stratum], now_ms: int, begun: int) -> list[Stratum]:
        """The strata before the window that a late end can still change."""
        width_ms = self.scope.coarse_ticks * TICK_MS
        oldest = self.halts.earlier(now_ms, self.scope.kept_ms) + width_ms
        if self._coarse is self._fine:
            return [s for s in fine if oldest <= s.tick * TICK_MS < begun]
        return cells.between(self._coarse, oldest, begun, fine)

    def _ended_lately(
        self, now_ms: int, begun: int, late: list[tuple[Task, Tally]]
    ) -> tuple[Stratum, ...]:
        """What ended in the window, whenever it was routed, and what is over time by now."""
        strata = [s for s in self._outcomes.strata() if s.tick * TICK_MS >= begun]
        return (*strata, Stratum(now_ms // TICK_MS, 0, overdue_of_arms(late)))

    # -- one row -------------------------------------------------------------------------------

    def _row(self, row: Row, at: Position) -> None:
        if row.kind is RowKind.ROUTED:
            self._routed(row, at)
            return
        task = self._open.find(row.task)
        if task is None:
            return
        if row.kind is RowKind.STARTED:
            task.started_ms = task.started_ms or at[0]
            return
        self._open.close(row.task, task)
        if row.kind is RowKind.REHOMED or row.counting is Counting.LEFT_OUT:
            self._no_sample(task)
            if row.kind is RowKind.FINISHED:
                self._left_out(row.task, task, at)
            return
        worked = self.halts.running_ms(at[0] - row.latency_ms, at[0])
        cost = self.scope.winsorised_cost(row.cost_micro_usd) if row.latency_ms else None
        end = of_end(row.counting, self.scope.winsorised(worked), cost)
        self._ended(task, end, at, worked)
        if task.arm is Arm.CANARY:
            for metric in self.scope.against(end, worked, row.cost_micro_usd):
                self._failed.note(Failure(row.task, metric, task.routed[0], at[0], row.reason))

    def _left_out(self, identifier: str, task: Task, at: Position) -> None:
        if not self._is_counted(at):
            return
        self._count(task, _LEFT_OUT)
        step_from = self.step_from if self._is_in_step(task) else None
        self._unexplained.append(LeftOut(identifier, task.arm, step_from))

    @property
    def unexplained(self) -> list[str]:
        """Ids of tasks that were left out, and of which it is not known yet whether by their callers."""
        return [left.task for left in self._unexplained]

    def explain(self, ends: Mapping[str, End]) -> None:
        """Count which of the unexplained were cancelled; what is not said of one stays unknown."""
        for left in self._unexplained:
            end = ends.get(left.task)
            if end and end.status is TaskStatus.CANCELLED:
                self.total[left.arm] += _CANCELLED
                if left.step_from == self.step_from:
                    self.step[left.arm] += _CANCELLED
        self._unexplained.clear()

    def _routed(self, row: Row, at: Position) -> None:
        if not self.scope.is_sample(row) or self._open.find(row.task):
            return
        place = at[0], self.scope.begin_version(row), row.arm
        fine, coarse = self._fine.place(*place), self._coarse.place(*place)
        task = Task(row.arm, fine, coarse, at, row.bucket)
        self._open.open(row.task, task)
        self._draws.route(row.arm, row.bucket, row.begin_version, at[0])
        if cohort := self._cohort(task):
            cohort.route(task.arm, task.bucket)
        self._fine.add(fine, _ONE)
        if self._coarse is not self._fine:
            self._coarse.add(coarse, _ONE)

    def _credit(self, task: Task, tally: Tally) -> None:
        """Count where a task was routed, as far as that is kept."""
        self._fine.credit(task.fine, tally)
        if self._coarse is not self._fine:
            self._coarse.credit(task.coarse, tally)

    def _no_sample(self, task: Task) -> None:
        self._credit(task, NOTHING - _ONE)
        if cohort := self._cohort(task):
            cohort.leave(task.arm, task.bucket)

    def _cohort(self, task: Task) -> Cohort | None:
        """The tasks that it is compared with."""
        known = self.cohorts
        return known.find(task.routed[0], task.coarse.begin_version) if known else None

    def _ended(self, task: Task, end: Tally, at: Position, worked: int) -> None:
        self._credit(task, end)
        if cohort := self._cohort(task):
            cohort.end(task.arm, task.bucket, end, worked)
        self._delays.note(task.arm, end, task.routed[0], at[0], self.halts)
        if self.users:
            self.users.end(task.bucket, end, at[0])
        if self.costs and task.arm is Arm.STABLE:
            self.costs.end(end, at[0])
        ended = end + _ONE
        if self.scope.literal:
            self._outcomes.add(self._outcomes.place(at[0], 0, task.arm), ended)
        if self._is_counted(at):
            self._count(task, ended)

    def _is_counted(self, at: Position) -> bool:
        """Whether an end at this position enters the totals; none that was counted before."""
        return at > self.counted and bool(self.scope.canary)

    def _is_in_step(self, task: Task) -> bool:
        return task.routed > self._step_position

    def _count(self, task: Task, tally: Tally) -> None:
        """Count in the totals."""
        self.total[task.arm] += tally
        if self._is_in_step(task):
            self.step[task.arm] += tally

    # -- time ----------------------------------------------------------------------------------

    def _settle_overdue(self, now_ms: int) -> None:
        """End, as errors, the tasks whose time was over by the log's own clock."""
        for identifier, task, deadline_ms in self._open.overdue(now_ms, self.halts):
            worked = worked_ms(task, deadline_ms, self.halts)
            # Sequence 0, so that an overdue end sorts before every row of the same millisecond.
            end = of_end(Counting.ERROR, self.scope.winsorised(worked))
            self._ended(task, end, (deadline_ms, 0), worked)
            if task.arm is Arm.CANARY:
                late = Failure(identifier, ERROR_RATE, task.routed[0], deadline_ms, overdue=True)
                self._failed.note(late)

    def _forget(self, now_ms: int) -> None:
        self._coarse.forget(self.halts.earlier(now_ms, self.scope.kept_ms))
        newest = self.halts.earlier(now_ms, self.scope.window_ms)
        if self._coarse is not self._fine:
            self._fine.forget(newest - self.scope.coarse_ticks * TICK_MS)
        self._outcomes.forget(newest)


def follow(
    fold: Fold | None, scope: Scope, checkpoint: AnalysisStatus, halts: Iterable[Halt] = (),
    users: StableUsers | None = None, costs: StableCosts | None = None,
) -> Fold:  # fmt: skip
    """The fold to use now: the same while its scope is, with the step that status is in.

    Another scope, or none before (a restart), resumes from the counts in status. ``halts`` tell when
    the kill switch was on, ``users`` and ``costs`` what is known of stable's users and costs.
    """
    if fold is None or fold.scope != scope:
        fold = Fold.resume(scope, checkpoint)
        fold.users = Users.resume(users, scope.users) if scope.users is not None else None
        fold.costs = Costs.resume(costs, scope.stable) if scope.costs else None
    fold.know(Halts.of(halts))
    if fold.step_from != checkpoint.step_from:
        fold.begin_step(checkpoint.step_from)
    if fold.cohorts and checkpoint.comparison:
        fold.cohorts.begin(checkpoint.comparison.since)
    return fold
