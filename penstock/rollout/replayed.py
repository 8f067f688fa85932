"""Decisions made again: rows go through a fold, and at the moment of each decision through the engine.

What a pass knew beside the rows comes from the record. Decisions whose numbers rest on the same rows
are one run: one fold, from the first row that it counts to the last.
"""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from penstock.analysis.fold import Fold
from penstock.analysis.halts import Halts
from penstock.analysis.pending import Position, position, text_of
from penstock.analysis.rowchain import RowChain
from penstock.analysis.scope import Scope
from penstock.api.decisions import RowGap, RowsSeen
from penstock.outcomes import Row
from penstock.rollout.engine import decide
from penstock.rollout.recorded import Pass, Told
from penstock.rollout.words import verified

#: A status has whole seconds: rows are counted from at most so long after the canary began.
_BEGAN_MS: Final = 2_000


@dataclass(frozen=True)
class Done:
    """A pass made again: its entries, else why it could not be.

    ``digests``: of the rows as recorded and as found, where they differ. ``unless``: why the entries may
    differ, though the rows in the totals are the same.
    """

    made: Pass
    decided: tuple[Told, ...] = ()
    problem: str = ""
    digests: tuple[str, str] | None = None
    unless: str = ""


def again(made: Pass, fold: Fold | None) -> tuple[Told, ...]:
    """The entries that the engine makes of a pass."""
    observed = None
    if fold is not None and made.measured is not None:
        observed = made.measured.completed(fold.observe(made.measured.now_ms))
    decision = decide(replace(made.situation, observation=observed))
    return tuple(json.loads(e.text) for e in decision.entries if e.revision == made.revision)


@dataclass
class Run:
    """Decisions on the same rows: those after ``since``."""

    scope: Scope
    since: Position
    passes: deque[Pass]
    problem: str = ""
    gaps: tuple[RowGap, ...] = ()  # all that the record tells of
    done: list[Done] = field(default_factory=list)
    _linked: set[RowGap] = field(default_factory=set)

    def __post_init__(self) -> None:
        rows = self.passes[0].rows
        since = rows.since if rows else ""
        self._chain = RowChain.resume(RowsSeen(since=since), since)
        counted = self.since if rows else _counted(self.passes[0])
        self._fold = Fold(self.scope, counted=counted, rows=self._chain)
        self._anchor = self.since  # up to where the digest is that of the rows before
        self.start = _window_before(self.scope, self.since, self.passes[0])
        self._begin()

    def _begin(self) -> None:
        """What the next pass knew beside the rows holds from here on."""
        if self.passes:
            status = self.passes[0].situation.status
            self._fold.know(Halts.of(status.halts))
            if self._fold.cohorts and status.analysis.comparison:
                self._fold.cohorts.begin(status.analysis.comparison.since)

    def row(self, row: Row, at: Position, first: Position) -> None:
        """The next row."""
        while self.passes and at > self.passes[0].through:
            self.judge(first, at)
        if not self.passes or at <= self.start:
            return
        self._link(at)
        if self.problem:
            self._chain.row(row, counted=at > self.since)
        else:
            self._step(at)
            self._fold.add([row])

    def judge(self, first: Position, following: Position | None = None) -> None:
        """Make the next pass again; all rows that it knew were given.

        Args:
            first: the oldest row of the log, where older ones were trimmed.
            following: the row after those, where there is one.
        """
        after = (self.passes[0].through[0], self.passes[0].through[1] + 1)
        self._link(after)
        made = self.passes.popleft()
        digests = self._digests(made)
        lost = self._lost(made, following) if digests else ""
        if lost and not self.problem:
            self.problem = verified.lost(lost)
        if self.problem:
            checkable = digests if first <= self._anchor and not lost else None
            self.done.append(Done(made, problem=self.problem, digests=checkable))
            self._anchor_at(made)
        else:
            self._step(after, made)
            decided = again(made, self._fold)
            short = verified.trimmed(text_of(first)) if self.start < first else _gap(made)
            self.done.append(Done(made, decided, digests=digests, unless=short))
        self._begin()

    def _step(self, at: Position, made: Pass | None = None) -> None:
        """Begin the step of a pass, else of the next one, before the first row after its place."""
        told = (made or self.passes[0]).situation.status.analysis.step_from
        if told != self._fold.step_from and at > position(told):
            self._fold.begin_step(told)

    # -- the digest ------------------------------------------------------------------------------

    def _link(self, at: Position) -> None:
        """Link the gaps before a row, as far as the next pass knew of them."""
        rows = self.passes[0].rows if self.passes else None
        for gap in (rows and rows.gaps) or ():
            if gap not in self._linked and position(gap.after) < at:
                self._linked.add(gap)
                self._chain.gap(gap.at)

    def _digests(self, made: Pass) -> tuple[str, str] | None:
        rows = made.rows
        if rows is None or rows.digest == self._chain.digest:
            return None
        return rows.digest, self._chain.digest

    def _lost(self, made: Pass, following: Position | None) -> str:
        """Before which row some of those may be lost that were counted since the decision before it; empty: none.

        What a log loses is its end. A row that is still there, and was before the loss, tells that all before it are.
        """
        for gap in self.gaps:
            after = position(gap.after)
            if self._anchor < after <= made.through:
                return gap.at
            if after > made.through and (following is None or following > after):
                return gap.at
        return ""

    def _anchor_at(self, made: Pass) -> None:
        """Go on with the digest from the recorded one."""
        if made.rows is not None:
            self._chain.digest, self._anchor = made.rows.digest, made.through


class Replay:
    """All runs of a record: rows are given once, in the order of the log."""

    def __init__(self, passes: Sequence[Pass], first_kept: str) -> None:
        """Sort the passes by the rows that they rest on.

        Args:
            first_kept: id of the oldest row, where older ones were trimmed; else empty.
        """
        self._first = position(first_kept)
        self._last: Position = (0, 0)
        self._blind = [made for made in passes if made.measured is None]
        self._runs = _runs([made for made in passes if made.measured is not None])
        gaps = {gap for made in passes for gap in (made.rows and made.rows.gaps) or ()}
        for run in self._runs:
            run.gaps = tuple(sorted(gaps, key=lambda gap: position(gap.after)))
            if not run.problem and run.since < self._first:
                run.problem = verified.trimmed(first_kept)

    @property
    def after(self) -> str:
        """The row after which rows are wanted; empty: from the first one on."""
        oldest = min((run.start for run in self._runs), default=(0, 0))
        return text_of(oldest) if oldest > (0, 0) else ""

    @property
    def through(self) -> Position:
        """The last row that is wanted."""
        return max((made.through for run in self._runs for made in run.passes), default=(0, 0))

    def add(self, rows: Iterable[Row]) -> None:
        """The next rows; one that is not after the one before it is passed over."""
        for row in rows:
            at = position(row.id)
            if at > self._last:
                self._last = at
                for run in self._runs:
                    if run.passes:
                        run.row(row, at, self._first)

    def finish(self) -> Iterator[Done]:
        """Every pass, once no more rows are to come."""
        for made in self._blind:
            yield Done(made, again(made, None))
        for run in self._runs:
            while run.passes:
                run.judge(self._first)
            yield from run.done


def _runs(passes: Sequence[Pass]) -> list[Run]:
    runs: list[Run] = []
    for made in passes:
        measured = made.measured
        assert measured is not None  # noqa: S101 - the others are apart
        scope, since = measured.scope, _since(made)
        last = runs[-1] if runs else None
        if last and made.rows is not None and (last.scope, last.since) == (scope, since):
            last.passes.append(made)
            continue
        run = Run(scope, since, deque([made]))
        run.problem = _problem(run, last)
        runs.append(run)
    return runs


def _since(made: Pass) -> Position:
    """After which row a pass counted: while nothing is tried, as far back as a window needs."""
    if made.rows is not None:
        return position(made.rows.since)
    assert made.measured is not None  # noqa: S101 - the others are apart
    return _window_before(made.measured.scope, (made.measured.now_ms, 0), made)


def _counted(made: Pass) -> Position:
    """Up to where a status says that rows were counted."""
    return position(made.situation.status.analysis.counted_through)


def _window_before(scope: Scope, at: Position, made: Pass) -> Position:
    """From where on tasks are in the window, or may end in it, at a moment."""
    halts = Halts.of(made.situation.status.halts)
    return max(halts.earlier(at[0], scope.kept_ms), 0), 0


def _gap(made: Pass) -> str:
    """Why a pass in which nothing was tried may have seen other tasks under way: empty where it knew of no gap."""
    known = made.measured if made.rows is None else None
    return verified.lost(text_of((known.gap_ms, 0))) if known and known.gap else ""


def _problem(run: Run, before: Run | None) -> str:
    """Why a run cannot be made again, though all its rows were there."""
    if not run.scope.canary:
        return ""
    if run.scope.began_ms and run.since[0] > run.scope.began_ms + _BEGAN_MS:
        return verified.DIGEST_LATER
    same = before and (before.scope.since_version, before.since) == (
        run.scope.since_version,
        run.since,
    )
    return verified.LIMITS_CHANGED if same else ""
