"""The reconcile workers: take a key, run a pass, decide when it runs again."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from penstock.errors import PenstockError, StaleWrite
from penstock.names import AgentKey
from penstock_operator import metrics
from penstock_operator.cluster.client import ClusterError
from penstock_operator.leadership.leadership import Fenced, Leadership
from penstock_operator.reconcile.queue import WorkQueue
from penstock_operator.reconcile.reconciler import Reconciler

log = structlog.get_logger("penstock.operator")


@dataclass
class Workers:
    """A fixed number of concurrent passes over different agents, while this operator leads.

    ``knows`` says whether all that belongs to an agent is in the cache. Where it is not, there is
    no pass: the list that brings it asks for one.
    """

    queue: WorkQueue
    reconciler: Reconciler
    leadership: Leadership
    knows: Callable[[AgentKey], bool]
    count: int = 16
    passes: int = 0
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    quiet: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Work for ever, from when everything is listed; keys wait while another may lead."""
        metrics.QUEUE_DEPTH.set_function(
            lambda: float(len(self.queue)) if self.leadership.held() else 0.0
        )
        async with asyncio.TaskGroup() as group:
            for _ in range(self.count):
                group.create_task(self._work())

    async def stop(self, seconds: float) -> None:
        """Begin nothing more, and wait for the passes in hand, but not for long."""
        self.stopped.set()
        if not self.passes:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.quiet.wait()

    async def _work(self) -> None:
        while True:
            key, _urgent = await self.queue.get()
            await self.leadership.until_held()
            if self.stopped.is_set():
                return
            self.passes += 1
            try:
                if self.knows(key):
                    await self._pass(key)
            finally:
                self._over(key)

    def _over(self, key: AgentKey) -> None:
        self.queue.done(key)
        self.passes -= 1
        if self.stopped.is_set() and not self.passes:
            self.quiet.set()

    async def _pass(self, key: AgentKey) -> None:
        started = time.monotonic()
        try:
            with structlog.contextvars.bound_contextvars(namespace=key.namespace):
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
        seconds = self.queue.retry(key, urgent=self.reconciler.in_flight(key))
        metrics.RECONCILES.labels("conflict" if lost else "retry").inc()
        say = log.info if isinstance(error, Fenced) else log.warning
        say(
            "pass failed",
            namespace=key.namespace,
            agent=str(key),
            error=str(error) or repr(error),
            retry_seconds=round(seconds, 3),
            exc_info=None if expected else error,
        )
