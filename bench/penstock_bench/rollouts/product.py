"""The product as it decides: outcome rows, fold, engine, with nothing put together for the bench."""

from __future__ import annotations

import heapq
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from penstock.analysis import fold as folding
from penstock.analysis import pending
from penstock.analysis.comparison.compared import Compared
from penstock.analysis.evidence import Observation
from penstock.analysis.scope import scope_of
from penstock.api.analysis import Analysis
from penstock.api.comparison import Comparison, OnNoEvidence
from penstock.api.rollout import AgentRef, AgentRolloutSpec, AgentRolloutStatus
from penstock.api.strategy import Step, Strategy
from penstock.outcomes import Row, RowKind
from penstock.rollout.comparing import comparing
from penstock.rollout.engine import decide
from penstock.rollout.facts import Facts
from penstock.rollout.situation import Pods, RevisionRecord, Situation
from penstock.task import Counting
from penstock.traffic import Arm, RevisionLimits
from penstock_bench.rollouts.weather import Task

STABLE, CANARY = "bench-11111111", "bench-22222222"
START = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)
LIMITS = {name: RevisionLimits(20_000, 600, 120) for name in (STABLE, CANARY)}
EXPECTED_MICRO_USD = 1_000_000
START_MS = int(START.timestamp() * 1000)
_COUNTING = {(True, False): Counting.ERROR, (False, True): Counting.ESCALATION}


def spec(*, hold: bool = False, steps: Sequence[int] = ()) -> AgentRolloutSpec:
    """An AgentRollout with its defaults, and the comparison with its own.

    Args:
        hold: nothing is raised without proof.
        steps: percentages in place of the default ones, each held for five minutes.
    """
    wanted = OnNoEvidence.HOLD if hold else OnNoEvidence.ADVANCE
    analysis = Analysis(comparison=Comparison(), on_no_evidence=wanted)
    made = AgentRolloutSpec(agent_ref=AgentRef(name="bench"), analysis=analysis)
    if not steps:
        return made
    declared = tuple(Step(percent=percent, hold_seconds=300) for percent in steps)
    return made.model_copy(update={"strategy": Strategy(steps=declared)})


@dataclass
class Product:
    """One rollout; it sees rows, and is asked for its share.

    ``restarts``: at each look it is a new process that has the status and the log, and nothing else.
    """

    name: str = "Penstock"
    policy: AgentRolloutSpec = field(default_factory=spec)
    restarts: bool = False
    status: AgentRolloutStatus = field(default_factory=AgentRolloutStatus)
    fold: folding.Fold | None = None
    full_at: float | None = None
    off_at: float | None = None
    looks: int = 0
    look_seconds: float = 0.0
    largest_look: float = 0.0
    largest_sums: int = 0
    lines: list[str] = field(default_factory=list)
    _waiting: list[tuple[int, int, RowKind, Task]] = field(default_factory=list)
    _log: list[Row] = field(default_factory=list)
    _fresh: list[Row] = field(default_factory=list)
    _sequence: int = 0
    _last: tuple[int, int] = (0, 0)

    @property
    def percent(self) -> int:
        """The share in force."""
        return self.status.share.percent

    @property
    def version(self) -> int:
        """The route version in force."""
        return self.status.route_version

    @property
    def verdict(self) -> str:
        """Condemned or promoted, as rivals have it; empty while it is tried."""
        for verdict in self.status.verdicts:
            if verdict.revision == CANARY:
                return "promoted" if verdict.result == "Promoted" else "condemned"
        return ""

    @property
    def message(self) -> str:
        """The verdict's sentence, or what is awaited."""
        said = [verdict.message for verdict in self.status.verdicts]
        return said[-1] if said else self.status.waiting_message

    def route(self, tasks: Iterable[Task]) -> None:
        """Tasks are in the log from when they are routed; what becomes of them, when it does."""
        for task in tasks:
            self._sequence += 1
            heapq.heappush(
                self._waiting, (milliseconds(task.routed), self._sequence, RowKind.ROUTED, task)
            )
            heapq.heappush(
                self._waiting, (milliseconds(task.starts), self._sequence, RowKind.STARTED, task)
            )
            if task.ends is not None:
                self._later(task)

    def _later(self, task: Task) -> None:
        ends = milliseconds(task.ends or 0.0)
        heapq.heappush(self._waiting, (ends, self._sequence, RowKind.FINISHED, task))

    def glance(self, now: float) -> None:
        """A look that decides only where the comparison would condemn: raises, and what takes users off for a while, wait for a whole one."""
        now_ms = milliseconds(now)
        self._take(now_ms)
        seen = Observation(now_ms, compared=self._compared(now_ms))
        if _condemned(self._situation(seen, now)):
            self.look(now)

    def look(self, now: float) -> None:
        """One pass of the operator at a moment."""
        self._take(milliseconds(now))
        began = time.process_time()
        self._decide(self._observe(milliseconds(now)), now)
        took = time.process_time() - began
        self.looks, self.look_seconds = self.looks + 1, self.look_seconds + took
        self.largest_look = max(self.largest_look, took)
        kept = self.status.analysis.comparison
        self.largest_sums = max(self.largest_sums, len(kept.sums) if kept else 0)
        if self.full_at is None and self.percent >= 95:
            self.full_at = now

    def _take(self, now_ms: int) -> None:
        """The rows that were written since the last look."""
        self._fresh = list(self._rows(now_ms))
        if self.restarts:
            self._log += self._fresh

    def _rows(self, now_ms: int) -> Iterable[Row]:
        while self._waiting and self._waiting[0][0] <= now_ms:
            at_ms, number, kind, task = heapq.heappop(self._waiting)
            self._last = (at_ms, self._last[1] + 1) if at_ms == self._last[0] else (at_ms, 0)
            yield self._row(f"{self._last[0]}-{self._last[1]}", kind, number, task)

    def _row(self, identifier: str, kind: RowKind, number: int, task: Task) -> Row:
        arm, revision = (Arm.CANARY, CANARY) if task.canary else (Arm.STABLE, STABLE)
        ended = kind is RowKind.FINISHED
        return Row(
            identifier, kind, f"t{number}", arm, revision[-8:], task.began, task.began, task.bucket,
            counting(task) if ended else Counting.GOOD,
            int(task.seconds * 1000) if ended else 0,
            int(task.usd * 1_000_000) if ended else 0,
        )  # fmt: skip

    def _observe(self, now_ms: int) -> Observation:
        rows = self._fresh
        scope = scope_of(self.policy, self.status, LIMITS, EXPECTED_MICRO_USD)
        if self.restarts:
            self.fold = None
            self.status = AgentRolloutStatus.model_validate(
                json.loads(json.dumps(self.status.wire()))
            )
        fresh = folding.follow(self.fold, scope, self.status.analysis, self.status.halts)
        self.fold = fresh
        if self.restarts:
            after = pending.position(fresh.read_after(now_ms))
            rows = [row for row in self._log if pending.position(row.id) > after]
        fresh.add(rows)
        return fresh.observe(now_ms)

    def _compared(self, now_ms: int) -> Compared | None:
        return self._observe(now_ms).compared

    def _situation(self, observation: Observation, now: float) -> Situation:
        return Situation(
            now=START + timedelta(seconds=now),
            spec=self.policy,
            generation=1,
            status=self.status,
            epoch=0,
            stable=STABLE,
            latest=CANARY,
            records={
                STABLE: RevisionRecord(STABLE, promoted_sequence=1),
                CANARY: RevisionRecord(CANARY),
            },
            pods={STABLE: Pods(2, 2), CANARY: Pods(1, 1)},
            observation=observation,
            fresh_salt="bench",
            expected_micro_usd=EXPECTED_MICRO_USD,
        )

    def _decide(self, observation: Observation, now: float) -> None:
        before = self.status.share
        self.status = decide(self._situation(observation, now)).status
        share = self.status.share
        if (share.percent, share.source) != (before.percent, before.source):
            self.lines.append(f"{now:.0f} s {share.percent} % {share.source.value}")


def _condemned(situation: Situation) -> bool:
    """Whether the comparison has found the canary worse by as much as condemns."""
    known = comparing(Facts(situation, situation.status))
    return known is not None and known.strengths.condemns


def milliseconds(seconds: float) -> int:
    """A moment of the bench by the log's clock."""
    return START_MS + int(seconds * 1000)


def counting(task: Task) -> Counting:
    """How the end of a task counts."""
    return _COUNTING.get((task.error, task.escalation), Counting.GOOD)
