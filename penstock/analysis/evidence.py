"""What was measured: sums of each arm, by the tick and the route version of the tasks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from penstock.analysis.comparison.compared import Compared
from penstock.analysis.comparison.users import Stretch
from penstock.analysis.day import Day
from penstock.analysis.delays import Delays
from penstock.analysis.drawn import Drawn
from penstock.analysis.failures import Failure
from penstock.analysis.metrics import NO_SUMS, NOTHING, Metric, Sums, Tally, total_of
from penstock.api.decisions import RowsSeen
from penstock.traffic import Arm

if TYPE_CHECKING:  # it knows how long a tick is
    from penstock.analysis.scope import Scope

#: Rows are counted per tick of routing time; arms are only ever compared inside one.
TICK_MS = 5000


@dataclass(frozen=True)
class Stratum:
    """One tick of tasks whose sessions began under the same route version."""

    tick: int
    begin_version: int
    arms: Mapping[Arm, Tally] = field(default_factory=dict)

    def arm(self, arm: Arm) -> Tally:
        """The tally of one arm, zeros when it had no task."""
        return self.arms.get(arm, NOTHING)


def arm_total(strata: Iterable[Stratum], arm: Arm) -> Tally:
    """All of one arm in some strata."""
    return total_of([found for stratum in strata if (found := stratum.arms.get(arm))])


def pairs(strata: Iterable[Stratum], metric: Metric) -> list[tuple[Sums, Sums]]:
    """The canary's sums beside stable's, stratum by stratum."""
    arms = ((stratum.arm(Arm.CANARY), stratum.arm(Arm.STABLE)) for stratum in strata)
    return [(metric.sums(ours), metric.sums(theirs)) for ours, theirs in arms]


def coarser(strata: Sequence[Stratum], ticks: int) -> Sequence[Stratum]:
    """The same in strata of so many ticks; sessions of different route versions stay apart."""
    if ticks == 1:
        return strata
    merged: dict[tuple[int, int], dict[Arm, Tally]] = {}
    for stratum in strata:
        arms = merged.setdefault((stratum.tick // ticks, stratum.begin_version), {})
        for arm, tally in stratum.arms.items():
            arms[arm] = arms[arm] + tally if arm in arms else tally
    return [Stratum(*place, arms) for place, arms in merged.items()]


@dataclass(frozen=True)
class Observation:
    """What was measured up to ``now_ms`` (Redis time).

    ``window``: strata of the last windowSeconds of routing time. Its tasks are *exposure*: all
    that were routed, ended or not, so that fast failures do not run ahead of slow successes.
    ``older``: the strata before it that a late end can still change.
    ``total``: *ended* tasks of each arm since the canary began; ``step``: of them those that
    were routed since the present step began, which is after the row ``step_from``. ``exposed``:
    tasks routed in this step, ended or not. Totals are what a checkpoint keeps: they have no
    ``latency_squares``. ``counted_through`` is the id of the last outcome row in it. ``gap``:
    rows were lost before they were counted, the last before ``gap_ms``. ``since_version``: the first route version of the
    canary that was counted; None says that it is the present one. ``ended``: ended tasks, and
    those over their time by now, by the tick of their end, where the letter of a limit asks for
    them. ``failed``: the last failures of the canary in the window, see ``failures``.
    ``compared``: the arms beside each other since the canary began, where that is asked for. ``users``: stable's, while
    nothing is tried. ``costs``: of stable's tasks of the last day, where that is asked for.
    ``rows``: the digest of the rows in the totals; ``scope``: what was counted.
    ``delays``: how late the last failures were known. ``drawn``: tasks of the newest sessions, by bucket.
    ``chosen``: the window of users of rings beside those who are drawn, where the canary has both.
    ``stable``: the hash of whom the arm stable was counted of; empty: of whoever serves.
    """

    now_ms: int
    window: tuple[Stratum, ...] = ()
    older: tuple[Stratum, ...] = ()
    total: Mapping[Arm, Tally] = field(default_factory=dict)
    step: Mapping[Arm, Tally] = field(default_factory=dict)
    counted_through: str = ""
    gap: bool = False
    gap_ms: int = 0
    exposed: Mapping[Arm, int] = field(default_factory=dict)
    step_from: str = ""
    since_version: int | None = None
    ended: tuple[Stratum, ...] = ()
    failed: tuple[Failure, ...] = ()
    compared: Compared | None = None
    users: Stretch | None = None
    costs: Day | None = None
    rows: RowsSeen | None = field(default=None, compare=False)  # not of what they say
    scope: "Scope | None" = field(default=None, compare=False, repr=False)
    delays: Delays = field(default_factory=Delays)
    stable: str = ""
    drawn: Drawn = field(default_factory=Drawn)
    chosen: "Observation | None" = None

    def ended_in_window(self, arm: Arm) -> Tally:
        """What became of one arm's tasks that ended in the window, whenever they were routed."""
        return arm_total(self.ended, arm)

    def in_window(self, arm: Arm) -> Tally:
        """All of one arm in the window."""
        return self._in_window[arm]

    @cached_property
    def _in_window(self) -> Mapping[Arm, Tally]:
        return {arm: arm_total(self.window, arm) for arm in Arm}

    @property
    def costs_lately(self) -> Sums:
        """What stable's tasks have cost in the last day; nothing where that was not asked for."""
        return self.costs.since(self.now_ms) if self.costs else NO_SUMS

    def in_total(self, arm: Arm) -> Tally:
        """One arm since the canary began."""
        return self.total.get(arm, NOTHING)

    def in_step(self, arm: Arm) -> Tally:
        """One arm since the step began."""
        return self.step.get(arm, NOTHING)

    def routed_in_step(self, arm: Arm) -> int:
        """Tasks routed to one arm since the step began, ended or not."""
        return self.exposed.get(arm, 0)

    def of_canary(self, since_version: int | None) -> "Observation":
        """The same, without what was counted for an earlier canary or attempt.

        Args:
            since_version: first route version of the present one; 0 when it begins just now,
                None when there is none and stable is watched alone.
        """
        just_begun = since_version == 0
        if self.since_version in (None, since_version or 0) and not just_begun:
            return self
        return Observation(
            self.now_ms, counted_through=self.counted_through, gap=self.gap, gap_ms=self.gap_ms
        )

    def of_stable(self, stable: str) -> "Observation":
        """The same, without what was counted of another stable revision; by its hash."""
        if self.stable in ("", stable):
            return self
        return Observation(self.now_ms, counted_through=self.counted_through, gap=self.gap)

    def for_step(self, step_from: str) -> "Observation":
        """The same, without the counts of a step that is over."""
        if step_from == self.step_from:
            return self
        return replace(self, step={}, exposed={}, step_from=step_from)

    def since(self, moment_ms: int) -> "Observation":
        """The same, with only the ticks that began at or after a moment."""
        window, older, ended = (
            tuple(stratum for stratum in strata if stratum.tick * TICK_MS >= moment_ms)
            for strata in (self.window, self.older, self.ended)
        )
        failed = tuple(f for f in self.failed if f.routed_ms // TICK_MS * TICK_MS >= moment_ms)
        chosen = self.chosen.since(moment_ms) if self.chosen else None
        return replace(self, window=window, older=older, ended=ended, failed=failed, chosen=chosen)
