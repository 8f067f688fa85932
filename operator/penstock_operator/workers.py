"""The reconcile workers: take a key, run a pass, decide when it runs again."""

import asyncio
import time
from dataclasses import dataclass

import structlog

from penstock.errors import PenstockError, StaleWrite
from penstock.names import AgentKey
from penstock_operator import metrics
from penstock_operator.cluster import ClusterError
from penstock_operator.queue import WorkQueue
from penstock_operator.reconcile import Reconciler

log = structlog.get_logger("penstock.operator")


@dataclass
class Workers:
    """A fixed number of concurrent passes over different agents."""

    queue: WorkQueue
    reconciler: Reconciler
    listed: asyncio.Event
    count: int = 16

    async def run(self) -> None:
        """Work for ever, from when everything has been listed once."""
        await self.listed.wait()
        async with asyncio.TaskGroup() as group:
            for _ in range(self.count):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            key, _urgent = await self.queue.get()
            metrics.QUEUE_DEPTH.set(len(self.queue))
            try:
                await self._pass(key)
            finally:
                self.queue.done(key)

    async def _pass(self, key: AgentKey) -> None:
        started = time.monotonic()
        try:
            again = await self.reconciler.reconcile(key)
        except Exception as error:  # noqa: BLE001  the boundary: one agent must not stop the others
            self._failed(key, error)
            return
        finally:
            metrics.RECONCILE_SECONDS.observe(time.monotonic() - started)
        metrics.RECONCILES.labels("ok").inc()
        self.queue.forget(key)
        if again is not None:
            self.queue.add_after(key, again.seconds, urgent=again.urgent)

    def _failed(self, key: AgentKey, error: Exception) -> None:
        lost = isinstance(error, StaleWrite) or (isinstance(error, ClusterError) and error.conflict)
        expected = isinstance(error, PenstockError)
        seconds = self.queue.retry(key)
        metrics.RECONCILES.labels("conflict" if lost else "retry").inc()
        log.warning(
            "pass failed",
            agent=str(key),
            error=str(error) or repr(error),
            retry_seconds=round(seconds, 3),
            exc_info=None if expected else error,
        )
