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
plus the time after which a task is overdue. However long these are, there are at most MOST_TICKS
strata of the window and as many before it: what a look costs does not grow with the span.

While the kill switch is on, the clocks of tasks stand still: a halted task is neither late nor slow.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from penstock.analysis.cells import Cells, Count, Place
from penstock.analysis.evidence import TICK_MS, Observation, Stratum, Tally
from penstock.analysis.failures import Failure, Kind, Lately
from penstock.analysis.guardrails import WINSOR_LIMITS
from penstock.analysis.halts import Halts
from penstock.analysis.scope import Scope
from penstock.api.counts import ArmCounts
from penstock.api.interruptions import Halt
from penstock.api.rollout import AnalysisStatus
from penstock.outcomes import End, Row, RowKind
from penstock.task import Counting, TaskStatus
from penstock.traffic import Arm

#: Tasks left out of one reading of which it is asked whether their callers cancelled them.
MOST_UNEXPLAINED: Final = 1000

Position = tuple[int, int]


@dataclass(slots=True)
class _Open:
    """A task that was routed and has not ended."""

    arm: Arm
    fine: Place
    coarse: Place
    routed: Position
    started_ms: int = 0


def _no_counts() -> dict[Arm, Count]:
    return {arm: Count() for arm in Arm}


@dataclass
class Fold:
    """The rows of one agent, folded for one scope. See ``follow`` for which one to use."""

    scope: Scope
    step_from: str = ""
    #: Rows up to here are in the totals already; those at or before it only rebuild the window.
    counted: Position = (0, 0)
    total: dict[Arm, Count] = field(default_factory=_no_counts)
    step: dict[Arm, Count] = field(default_factory=_no_counts)
    halts: Halts = field(default_factory=Halts)
    _gap_at: int = 0  # up to when rows are known to be lost, by the log's clock
    _last: Position = (0, 0)
    _needed: Position = (0, 0)  # from where on the first reading must find every row
    _open: dict[Arm, OrderedDict[str, _Open]] = field(
        default_factory=lambda: {arm: OrderedDict() for arm in Arm}
    )
    _open_in_step: dict[Arm, int] = field(default_factory=lambda: dict.fromkeys(Arm, 0))
    _failed: Lately = field(default_factory=Lately)
    _unexplained: deque[tuple[str, list[Count]]] = field(
        default_factory=lambda: deque(maxlen=MOST_UNEXPLAINED)
    )

    def __post_init__(self) -> None:
        self._step_position = position(self.step_from)
        self._fine = Cells(self.scope.fine_ticks)
        same = self.scope.coarse_ticks == self.scope.fine_ticks
        self._coarse = self._fine if same else Cells(self.scope.coarse_ticks)
        self._outcomes = Cells(self.scope.fine_ticks)  # by the time of the end

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
        self.step_from, self._step_position = step_from, position(step_from)
        self.step = _no_counts()
        self._open_in_step = {
            arm: sum(task.routed > self._step_position for task in found.values())
            for arm, found in self._open.items()
        }

    def read_after(self, now_ms: int) -> str:
        """The row id after which to read on; at first far enough back to rebuild the window."""
        if self._last > (0, 0):
            return _text(self._last)
        began = (self.scope.began_ms, 0)  # what was routed before is no sample
        if self.scope.candidate and self.counted == (0, 0):
            self._needed = max(began, (1, 0))
            return ""
        # Tasks that were open at the checkpoint were routed before it.
        newest_ms = min(now_ms, self.counted[0] or now_ms)
        oldest_ms = self.halts.earlier(newest_ms, self.scope.kept_ms)
        oldest = (max(oldest_ms, 0), 0)
        self._needed = max(began, oldest, (1, 0))
        return _text(oldest)

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
    ) -> None:
        """Count rows in the order of their ids; rows seen before are passed over.

        Args:
            rows: those of the log that could be read.
            through: id up to which the log was read, where its last rows could not be.
            first_kept: id of the oldest row that the log still had when the rows were read. When
                that is past the last one counted, rows were lost: a gap, which is kept in mind.
            trimmed: rows before the oldest one were in the log and are gone. Where the window is
                rebuilt from further back, that is a gap as well.
        """
        first, reached = position(first_kept), max(self._last, self.counted)
        short = trimmed and self._last == (0, 0) < self._needed < first
        if short or (0, 0) < reached < first:
            self._lose(first)
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

    def _lose(self, first: Position) -> None:
        """Rows before this one are lost: how tasks ended that were open before it nobody knows."""
        self._gap_at = max(self._gap_at, first[0])
        for tasks in self._open.values():
            for name, task in [(n, t) for n, t in tasks.items() if t.routed < first]:
                self._close(name, task)
                for count in self._counts(task):
                    count.tasks -= 1

    def observe(self, now_ms: int) -> Observation:
        """What the rows so far say at this moment (Redis time, not before the last row)."""
        begun = self.halts.earlier(now_ms, self.scope.window_ms)
        late = self._open_events(now_ms)
        fine = self._fine.strata()
        window = [s for s in fine if s.tick * TICK_MS >= begun]
        return Observation(
            now_ms=now_ms,
            window=_with_late(window, late, lambda task: task.fine),
            older=_with_late(self._older(fine, now_ms, begun), late, lambda task: task.coarse),
            total={arm: _without_squares(self.total[arm]) for arm in Arm},
            step={arm: _without_squares(self.step[arm]) for arm in Arm},
            counted_through=_text(max(self._last, self.counted)),
            gap=bool(self._gap_at) and now_ms - self._gap_at < self.scope.kept_ms,
            exposed={arm: self.step[arm].tasks + self._open_in_step[arm] for arm in Arm},
            step_from=self.step_from,
            since_version=self.scope.since_version,
            ended=self._ended_lately(now_ms, begun, late) if self.scope.literal else (),
            failed=self._failed.since(begun),
        )

    def _older(self, fine: list[Stratum], now_ms: int, begun: int) -> list[Stratum]:
        """The strata before the window that a late end can still change."""
        width = self.scope.coarse_ticks * TICK_MS
        oldest = self.halts.earlier(now_ms, self.scope.kept_ms) + width
        same = self._coarse is self._fine
        strata = fine if same else self._coarse.strata()
        older = [s for s in strata if oldest <= s.tick * TICK_MS < begun]
        if same:
            return older
        return [
            s if s.tick * TICK_MS + width <= begun else self._cut(s, fine, begun) for s in older
        ]

    def _cut(self, stratum: Stratum, fine: list[Stratum], begun: int) -> Stratum:
        """The part of a wide stratum that is before the window."""
        end = stratum.tick + self.scope.coarse_ticks
        arms = dict(stratum.arms)
        for inside in fine:
            same = inside.begin_version == stratum.begin_version
            if same and begun <= inside.tick * TICK_MS and stratum.tick <= inside.tick < end:
                for arm, tally in inside.arms.items():
                    arms[arm] = arms[arm].less(tally)
        return Stratum(stratum.tick, stratum.begin_version, arms)

    def _ended_lately(
        self, now_ms: int, begun: int, late: list[tuple[_Open, Count]]
    ) -> tuple[Stratum, ...]:
        """What ended in the window, whenever it was routed, and what is over time by now."""
        open_now = _no_counts()
        for task, count in late:
            open_now[task.arm].add(count)
            open_now[task.arm].tasks += count.errors
        tallies = {arm: count.tally() for arm, count in open_now.items()}
        strata = [s for s in self._outcomes.strata() if s.tick * TICK_MS >= begun]
        return (*strata, Stratum(now_ms // TICK_MS, 0, tallies))

    # -- one row -------------------------------------------------------------------------------

    def _row(self, row: Row, at: Position) -> None:
        if row.kind is RowKind.ROUTED:
            self._routed(row, at)
            return
        task = self._known(row.task)
        if task is None:
            return
        if row.kind is RowKind.STARTED:
            task.started_ms = task.started_ms or at[0]
            return
        self._close(row.task, task)
        if row.kind is RowKind.REHOMED or row.counting is Counting.LEFT_OUT:
            for count in self._counts(task):
                count.tasks -= 1
            if row.kind is RowKind.FINISHED:
                self._left_out(row.task, self._totals(task, at))
            return
        worked_ms = self.halts.running_ms(at[0] - row.latency_ms, at[0])
        self._ended(task, row.counting, worked_ms, row.cost_micro_usd, at)
        for kind in self._kinds(row.counting, worked_ms):
            self._note(task, Failure(row.task, kind, task.routed[0], at[0], row.reason))

    def _kinds(self, counting: Counting, worked_ms: int) -> list[Kind]:
        """As what an end counts against the candidate."""
        kinds = {Counting.ERROR: [Kind.ERROR], Counting.ESCALATION: [Kind.ESCALATION]}
        slow = [Kind.SLOW] if worked_ms > self.scope.latency_limit_ms else []
        return kinds.get(counting, []) + slow

    def _note(self, task: _Open, failure: Failure) -> None:
        if task.arm is Arm.CANDIDATE:
            self._failed.note(failure)

    def _left_out(self, identifier: str, totals: list[Count]) -> None:
        for count in totals:
            count.left_out += 1
        if totals:
            self._unexplained.append((identifier, totals))

    @property
    def unexplained(self) -> list[str]:
        """Ids of tasks that were left out, and of which it is not known yet whether by their callers."""
        return [identifier for identifier, _ in self._unexplained]

    def explain(self, ends: Mapping[str, End]) -> None:
        """Count which of the unexplained were cancelled; what is not said of one stays unknown."""
        for identifier, totals in self._unexplained:
            end = ends.get(identifier)
            for count in totals if end and end.status is TaskStatus.CANCELLED else ():
                count.cancelled += 1
        self._unexplained.clear()

    def _known(self, identifier: str) -> _Open | None:
        found = (tasks.get(identifier) for tasks in self._open.values())
        return next((task for task in found if task is not None), None)

    def _close(self, identifier: str, task: _Open) -> None:
        del self._open[task.arm][identifier]
        self._open_in_step[task.arm] -= task.routed > self._step_position

    def _routed(self, row: Row, at: Position) -> None:
        if not self.scope.is_sample(row) or self._known(row.task):
            return
        fine, coarse = (
            cells.place(at[0], row.begin_version, row.arm) for cells in (self._fine, self._coarse)
        )
        task = self._open[row.arm][row.task] = _Open(row.arm, fine, coarse, at)
        self._open_in_step[row.arm] += at > self._step_position
        self._fine.count(task.fine).tasks += 1
        if self._coarse is not self._fine:
            self._coarse.count(task.coarse).tasks += 1

    def _counts(self, task: _Open) -> list[Count]:
        """The counts that a task is in, as far as they are kept."""
        found = [self._fine.known(task.fine)]
        if self._coarse is not self._fine:
            found.append(self._coarse.known(task.coarse))
        return [count for count in found if count is not None]

    def _ended(
        self, task: _Open, counting: Counting, latency_ms: int, cost: int, at: Position
    ) -> None:
        latency_ms = self._winsorised(latency_ms)
        counts = self._counts(task)
        for count in counts:
            count.event(counting, latency_ms)
            count.cost_micro_usd += cost
        ended = []
        if self.scope.literal:
            ended.append(self._outcomes.count(self._outcomes.place(at[0], 0, task.arm)))
        for count in ended + self._totals(task, at):
            count.tasks += 1
            count.cost_micro_usd += cost
            count.event(counting, latency_ms)

    def _totals(self, task: _Open, at: Position) -> list[Count]:
        """The totals that an end at this position enters; none that were counted before."""
        if at <= self.counted or not self.scope.candidate:
            return []
        in_step = task.routed > self._step_position
        return [self.total[task.arm], *([self.step[task.arm]] if in_step else [])]

    def _winsorised(self, latency_ms: int) -> int:
        return min(latency_ms, WINSOR_LIMITS * self.scope.latency_limit_ms)

    # -- time ----------------------------------------------------------------------------------

    def _settle_overdue(self, now_ms: int) -> None:
        """End, as errors, the tasks whose time was over by the log's own clock."""
        for arm, tasks in self._open.items():
            allowed = self.scope.overdue_ms[arm]
            while tasks:
                identifier, task = next(iter(tasks.items()))
                if task.routed[0] + allowed > now_ms:
                    break  # the first was routed first
                deadline_ms = self.halts.later(task.routed[0], allowed)
                if deadline_ms is None or deadline_ms > now_ms:
                    break
                self._close(identifier, task)
                # Of the rows of one millisecond the first settles: it stands before all of them.
                settled = (deadline_ms, 0)
                worked_ms = self._worked_ms(task, deadline_ms)
                self._ended(task, Counting.ERROR, worked_ms, 0, settled)
                routed_ms, ended_ms = task.routed[0], settled[0]
                late = Failure(identifier, Kind.ERROR, routed_ms, ended_ms, overdue=True)
                self._note(task, late)

    def _worked_ms(self, task: _Open, until_ms: int) -> int:
        if not task.started_ms:
            return 0
        return max(self.halts.running_ms(task.started_ms, until_ms), 1)

    def _open_events(self, now_ms: int) -> list[tuple[_Open, Count]]:
        """What can be said of open tasks by now: slow ones, and overdue ones."""
        events = []
        for arm, tasks in self._open.items():
            allowed = self.scope.overdue_ms[arm]
            for task in tasks.values():
                worked = self._worked_ms(task, now_ms) if task.started_ms else 0
                slow = self._winsorised(worked) if worked > self.scope.latency_limit_ms else 0
                old = now_ms - task.routed[0] >= allowed
                overdue = old and self.halts.running_ms(task.routed[0], now_ms) >= allowed
                if slow or overdue:
                    count = Count()
                    count.event(Counting.ERROR if overdue else Counting.GOOD, slow)
                    events.append((task, count))
        return events

    def _forget(self, now_ms: int) -> None:
        self._coarse.forget(self.halts.earlier(now_ms, self.scope.kept_ms))
        newest = self.halts.earlier(now_ms, self.scope.window_ms)
        if self._coarse is not self._fine:
            self._fine.forget(newest - self.scope.coarse_ticks * TICK_MS)
        self._outcomes.forget(newest)


def _with_late(
    strata: Iterable[Stratum],
    late: Iterable[tuple[_Open, Count]],
    place_of: Callable[[_Open], Place],
) -> tuple[Stratum, ...]:
    """The strata with what can be said of open tasks."""
    events: dict[Place, Count] = {}
    for task, count in late:
        events.setdefault(place_of(task), Count()).add(count)
    if not events:
        return tuple(strata)
    return tuple(_and_late(stratum, events) for stratum in strata)


def _and_late(stratum: Stratum, events: Mapping[Place, Count]) -> Stratum:
    late = {
        arm: found.tally()
        for arm in stratum.arms
        if (found := events.get(Place(stratum.tick, stratum.begin_version, arm)))
    }
    if not late:
        return stratum
    arms = {arm: t + late[arm] if arm in late else t for arm, t in stratum.arms.items()}
    return Stratum(stratum.tick, stratum.begin_version, arms)


def follow(
    fold: Fold | None, scope: Scope, checkpoint: AnalysisStatus, halts: Iterable[Halt] = ()
) -> Fold:
    """The fold to use now: the same while its scope is, with the step that status is in.

    Another scope, or none before (a restart), resumes from the counts in status.

    Args:
        halts: when the kill switch was on.
    """
    if fold is None or fold.scope != scope:
        fold = Fold.resume(scope, checkpoint)
    fold.halts = Halts.of(halts)
    if fold.step_from != checkpoint.step_from:
        fold.begin_step(checkpoint.step_from)
    return fold


def position(identifier: str) -> Position:
    """A stream id ``<ms>-<n>`` as numbers that can be compared; empty is before all."""
    ms, _, n = identifier.partition("-")
    return int(ms or 0), int(n or 0)


def _text(at: Position) -> str:
    return f"{at[0]}-{at[1]}" if at > (0, 0) else ""


def _restored(stable: ArmCounts, candidate: ArmCounts) -> dict[Arm, Count]:
    return {
        arm: Count(
            tasks=kept.tasks,
            errors=kept.errors,
            escalations=kept.escalations,
            timed=kept.timed,
            latency_ms=kept.latency_ms,
            cost_micro_usd=kept.cost_micro_usd,
            left_out=kept.left_out,
            cancelled=kept.cancelled,
        )
        for arm, kept in ((Arm.STABLE, stable), (Arm.CANDIDATE, candidate))
    }


def _without_squares(count: Count) -> Tally:
    """A total: squares are not kept in status, so a restart must not miss them."""
    return replace(count.tally(), latency_squares=0.0)
