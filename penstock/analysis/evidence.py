"""The measured world that a rollout decides on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from penstock.analysis.failures import Failure
from penstock.traffic import Arm

#: Rows are counted per tick of routing time; arms are only ever compared inside one.
TICK_MS = 5000


@dataclass(frozen=True)
class Tally:
    """Counts of one arm; they add. Latency in seconds, winsorised at 6 x the limit.

    ``errors`` and ``escalations`` are credited to the cohort in which the task was routed;
    ``timed`` tasks have a latency: ended ones, and open ones already older than the limit.
    What ``tasks`` counts depends on where the tally stands, see Observation. ``left_out`` tasks ended
    and are in no other count: planned, halted, or, as ``cancelled`` of them were, taken back by their
    callers. Only totals tell of them.
    """

    tasks: int = 0
    errors: int = 0
    escalations: int = 0
    timed: int = 0
    latency_sum: float = 0.0
    latency_squares: float = 0.0
    cost_micro_usd: int = 0
    left_out: int = 0
    cancelled: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return total_of((self, other))

    def times(self, factor: float) -> "Tally":
        """So many times as much, at the same rates."""
        return Tally(
            round(self.tasks * factor),
            round(self.errors * factor),
            round(self.escalations * factor),
            round(self.timed * factor),
            self.latency_sum * factor,
            self.latency_squares * factor,
            self.cost_micro_usd,
            self.left_out,
            self.cancelled,
        )

    def less(self, other: "Tally") -> "Tally":
        """Without a part of it."""
        return Tally(
            self.tasks - other.tasks,
            self.errors - other.errors,
            self.escalations - other.escalations,
            self.timed - other.timed,
            max(self.latency_sum - other.latency_sum, 0.0),
            max(self.latency_squares - other.latency_squares, 0.0),
            self.cost_micro_usd - other.cost_micro_usd,
            self.left_out - other.left_out,
            self.cancelled - other.cancelled,
        )


def total_of(tallies: Iterable[Tally]) -> Tally:
    """The sum of many tallies, column by column."""
    tasks = errors = escalations = timed = cost_micro_usd = left_out = cancelled = 0
    latency_sum = latency_squares = 0.0
    for tally in tallies:
        tasks += tally.tasks
        errors += tally.errors
        escalations += tally.escalations
        timed += tally.timed
        latency_sum += tally.latency_sum
        latency_squares += tally.latency_squares
        cost_micro_usd += tally.cost_micro_usd
        left_out += tally.left_out
        cancelled += tally.cancelled
    latencies = (timed, latency_sum, latency_squares)
    return Tally(tasks, errors, escalations, *latencies, cost_micro_usd, left_out, cancelled)


_NOTHING: Final = Tally()


@dataclass(frozen=True)
class Stratum:
    """One tick of tasks whose sessions began under the same route version."""

    tick: int
    begin_version: int
    arms: Mapping[Arm, Tally] = field(default_factory=dict)

    def arm(self, arm: Arm) -> Tally:
        """The tally of one arm, zeros when it had no task."""
        return self.arms.get(arm, _NOTHING)


@dataclass(frozen=True)
class Observation:
    """What was measured up to ``now_ms`` (Redis time).

    ``window``: strata of the last windowSeconds of routing time. Its tasks are *exposure*: all
    that were routed, ended or not, so that fast failures do not run ahead of slow successes.
    ``older``: the strata before it that a late end can still change.
    ``total``: *ended* tasks of each arm since the candidate began; ``step``: of them those that
    were routed since the present step began, which is after the row ``step_from``. ``exposed``:
    tasks routed in this step, ended or not. Totals are what a checkpoint keeps: they have no
    ``latency_squares``. ``counted_through`` is the id of the last outcome row in it. ``gap``:
    rows were lost before they were counted. ``since_version``: the first route version of the
    candidate that was counted; None says that it is the present one. ``ended``: ended tasks, and
    those over their time by now, by the tick of their end, where the letter of a limit asks for
    them. ``failed``: the last failures of the candidate in the window, see ``failures``.
    """

    now_ms: int
    window: tuple[Stratum, ...] = ()
    older: tuple[Stratum, ...] = ()
    total: Mapping[Arm, Tally] = field(default_factory=dict)
    step: Mapping[Arm, Tally] = field(default_factory=dict)
    counted_through: str = ""
    gap: bool = False
    exposed: Mapping[Arm, int] = field(default_factory=dict)
    step_from: str = ""
    since_version: int | None = None
    ended: tuple[Stratum, ...] = ()
    failed: tuple[Failure, ...] = ()

    def ended_in_window(self, arm: Arm) -> Tally:
        """What became of one arm's tasks that ended in the window, whenever they were routed."""
        return total_of(stratum.arms[arm] for stratum in self.ended if arm in stratum.arms)

    def in_window(self, arm: Arm) -> Tally:
        """All of one arm in the window."""
        return total_of(stratum.arms[arm] for stratum in self.window if arm in stratum.arms)

    def in_total(self, arm: Arm) -> Tally:
        """One arm since the candidate began."""
        return self.total.get(arm, _NOTHING)

    def in_step(self, arm: Arm) -> Tally:
        """One arm since the step began."""
        return self.step.get(arm, _NOTHING)

    def routed_in_step(self, arm: Arm) -> int:
        """Tasks routed to one arm since the step began, ended or not."""
        return self.exposed.get(arm, 0)

    def of_candidate(self, since_version: int | None) -> "Observation":
        """The same, without what was counted for an earlier candidate or attempt.

        Args:
            since_version: first route version of the present one; 0 when it begins just now,
                None when there is none and stable is watched alone.
        """
        just_begun = since_version == 0
        if self.since_version in (None, since_version or 0) and not just_begun:
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
        return replace(self, window=window, older=older, ended=ended, failed=failed)
