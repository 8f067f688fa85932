"""Measuring: outcome rows are read from Redis and folded into what a rollout decides on."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from penstock.analysis import failures, fold, pending
from penstock.analysis.evidence import Observation
from penstock.analysis.failures import Failure
from penstock.analysis.scope import scope_of
from penstock.api import condition
from penstock.api.rollout import AgentRolloutSpec, AgentRolloutStatus
from penstock.errors import StoreRefused
from penstock.names import AgentKey
from penstock.outcomes import End
from penstock.traffic import RevisionLimits
from penstock_operator import metrics
from penstock_store.records import Look
from penstock_store.store import Store

_BATCH: Final = 10_000
log = structlog.get_logger("penstock.operator")


@dataclass
class StoreClock:
    """Redis' time, which outcomes are stamped with, also while Redis is away.

    Meanwhile it is the last that Redis said, and what has passed since by a clock that is never
    set. This machine's time of day is no measure: it may be minutes off.
    """

    _told: tuple[datetime, float] | None = None
    _away_at: float = -math.inf

    def away(self, at: float) -> None:
        """Redis did not answer, at a moment of the other clock, in seconds."""
        self._away_at = at

    def heard_seconds(self, at: float) -> float:
        """How long ago it was last seen not to answer; infinite where it always has."""
        return at - self._away_at

    def tell(self, now_ms: int, at: float) -> datetime:
        """Redis has said what time it is, at a moment of the other clock, in seconds."""
        now = datetime.fromtimestamp(now_ms / 1000, UTC)
        self._told = (now, at)
        return now

    def now(self, at: float, written: datetime | None, machine: datetime) -> datetime:
        """What time it is while Redis says nothing.

        Args:
            written: the last moment in the status; before Redis has said anything, time stands
                still there.
            machine: this machine's time, where nothing else is known.
        """
        if self._told is None:
            return written or machine
        told, then = self._told
        return told + timedelta(seconds=max(at - then, 0.0))


def last_moment(status: AgentRolloutStatus) -> datetime | None:
    """The last moment that a status tells of; None when it tells of none."""
    written = (
        status.canary_since,
        status.step_started_at,
        status.blind_since,
        status.unready_since,
        status.delay.since if status.delay else None,
        status.analysis.counted_at,
        status.suspension.resumed_at if status.suspension else None,
        status.suspension.since if status.suspension else None,
    )
    return max((condition.moment(text) for text in written if text), default=None)


class Measure:
    """One fold per agent, kept in memory; lost with the process and read again from the log."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folds: dict[tuple[AgentKey, str], fold.Fold] = {}
        self._ends: dict[tuple[AgentKey, str], dict[str, End]] = {}

    async def observe(
        self,
        key: AgentKey,
        uid: str,
        look: Look,
        spec: AgentRolloutSpec,
        status: AgentRolloutStatus,
        limits: Mapping[str, RevisionLimits],
        *,
        expected_micro_usd: int | None = None,
    ) -> Observation:
        """Read the rows since the last time and say what was measured so far.

        Args:
            uid: of the Agent; another Agent of the same name begins anew.
            limits: of the revisions, by name.
            expected_micro_usd: what a task is declared to cost.
        Raises:
            StoreUnavailable: Redis did not answer; nothing that was counted is lost.
        """
        scope = scope_of(spec, status, limits, expected_micro_usd)
        current = fold.follow(
            self._folds.get((key, uid)),
            scope,
            status.analysis,
            status.halts,
            status.stable_users,
            status.stable_costs,
        )
        self._folds[key, uid] = current
        after, more, newest = current.read_after(look.now_ms), True, look.last_row
        while more:
            page = await self._store.outcomes.page(key, after, _BATCH)
            first = look.first_row if not current.has_read else "" if page.held else page.first
            current.add(
                page.rows,
                first,
                page.through,
                trimmed=look.rows_trimmed,
                last_kept=newest,
                passed_over=page.passed_over,
            )
            newest = ""  # pages go on past what the look has seen
            metrics.ROWS_UNREADABLE.labels(key.namespace, key.name).inc(page.unreadable)
            after, more = page.through or after, page.more
        current.explain(await self._told(key, current.unexplained))
        seen = current.observe(max(look.now_ms, pending.position(after)[0]))
        return replace(seen, failed=await self._explained(key, uid, seen.failed))

    async def _explained(
        self, key: AgentKey, uid: str, failed: tuple[Failure, ...]
    ) -> tuple[Failure, ...]:
        """The failures with their reasons; what was asked once about a task is not asked again."""
        known = self._ends.get((key, uid), {})
        open_questions = {f.task for f in failed if f.is_unexplained}
        kept = {name: end for name, end in known.items() if name in open_questions}
        kept |= await self._told(key, sorted(open_questions - kept.keys()))
        self._ends[key, uid] = kept
        return failures.explained(failed, kept)

    async def _told(self, key: AgentKey, tasks: list[str]) -> dict[str, End]:
        """How tasks ended, as far as it can be read: no measurement waits for that."""
        try:
            return await self._store.outcomes.ends(key, tasks) if tasks else {}
        except StoreRefused as error:
            log.warning("ends not read", agent=str(key), error=str(error))
            return {}

    def forget(self, key: AgentKey) -> None:
        """Drop what is kept of an agent that is gone."""
        for kept in (self._folds, self._ends):
            for known in [known for known in kept if known[0] == key]:
                del kept[known]
