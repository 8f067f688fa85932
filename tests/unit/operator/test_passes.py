"""What every pass has in common: its log lines name the namespace, and the queue is shown as it is."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, cast

import structlog

from penstock.names import AgentKey
from penstock_operator import metrics
from penstock_operator.leadership.leadership import Leadership
from penstock_operator.reconcile.controller import Workers
from penstock_operator.reconcile.queue import WorkQueue


@dataclass
class Looking:
    """A reconciler that keeps what its log lines would carry, and waits until it is let go."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    carried: list[dict[str, Any]] = field(default_factory=list)

    async def reconcile(self, _key: AgentKey) -> None:
        self.carried.append(structlog.contextvars.get_contextvars())
        await self.go.wait()


async def test_log_lines_of_a_pass_name_its_namespace_and_waiting_agents_are_shown() -> None:
    queue, looking = WorkQueue(time.monotonic), Looking()
    leadership = Leadership.alone()
    workers = Workers(queue, cast("Any", looking), leadership, lambda _key: True, count=1)
    running = asyncio.create_task(workers.run())
    for namespace in ("acme", "globex", "initech"):
        queue.add(AgentKey(namespace, "support"))
    try:
        async with asyncio.timeout(10):
            while not looking.carried:  # noqa: ASYNC110  a pass tells nobody that it began
                await asyncio.sleep(0)
        # Every worker is held up: the queue is shown all the same.
        assert metrics.REGISTRY.get_sample_value("penstock_operator_queue_depth") == 2
        looking.go.set()
        async with asyncio.timeout(10):
            while len(looking.carried) < 3:  # noqa: ASYNC110  as above
                await asyncio.sleep(0)
    finally:
        running.cancel()
    assert [found["namespace"] for found in looking.carried] == ["acme", "globex", "initech"]
