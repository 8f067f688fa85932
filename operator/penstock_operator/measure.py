"""Measuring: outcome rows are read from Redis and folded into what a rollout decides on."""

from collections.abc import Mapping

from penstock.api.rollout import AgentRolloutSpec, AgentRolloutStatus
from penstock.names import AgentKey
from penstock.rollout.observation import Observation
from penstock.traffic import RevisionLimits
from penstock_store.records import Look
from penstock_store.store import Store


class Measure:
    """One fold per agent, kept in memory; lost with the process and read again from the log."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def observe(
        self,
        key: AgentKey,
        uid: str,
        look: Look,
        spec: AgentRolloutSpec,
        status: AgentRolloutStatus,
        limits: Mapping[str, RevisionLimits],
    ) -> Observation:
        """Read the rows since the last time and say what was measured so far."""
        return Observation(now_ms=look.now_ms)

    def forget(self, key: AgentKey) -> None:
        """Drop what is kept of an agent that is gone."""
