"""Measuring: outcome rows are read from Redis and folded into what a rollout decides on."""

from collections.abc import Mapping
from typing import Final

from penstock.api.rollout import AgentRolloutSpec, AgentRolloutStatus
from penstock.names import AgentKey
from penstock.rollout import fold
from penstock.rollout.observation import Observation
from penstock.traffic import RevisionLimits
from penstock_operator import metrics
from penstock_store.records import Look
from penstock_store.store import Store

_BATCH: Final = 10_000


class Measure:
    """One fold per agent, kept in memory; lost with the process and read again from the log."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folds: dict[tuple[AgentKey, str], fold.Fold] = {}

    async def observe(
        self,
        key: AgentKey,
        uid: str,
        look: Look,
        spec: AgentRolloutSpec,
        status: AgentRolloutStatus,
        limits: Mapping[str, RevisionLimits],
    ) -> Observation:
        """Read the rows since the last time and say what was measured so far.

        Args:
            uid: of the Agent; another Agent of the same name begins anew.
            limits: of the revisions, by name.
        Raises:
            StoreUnavailable: Redis did not answer; nothing that was counted is lost.
        """
        scope = fold.scope_of(spec, status, limits)
        current = fold.follow(self._folds.get((key, uid)), scope, status.analysis)
        self._folds[key, uid] = current
        after, more = current.read_after(look.now_ms), True
        while more:
            page = await self._store.row_page(key, after, _BATCH)
            current.add(page.rows, look.first_row, page.through)
            metrics.ROWS_UNREADABLE.labels(key.namespace, key.name).inc(page.unreadable)
            after, more = page.through or after, page.more
        return current.observe(max(look.now_ms, fold.position(after)[0]))

    def forget(self, key: AgentKey) -> None:
        """Drop what is kept of an agent that is gone."""
        for known in [known for known in self._folds if known[0] == key]:
            del self._folds[known]
