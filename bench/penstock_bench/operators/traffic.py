"""Tasks for many agents, admitted and ended at once by the store's own calls: traffic.py REDIS_URL AGENTS RATE SECONDS."""

from __future__ import annotations

import asyncio
import random
import secrets
import sys
from typing import Final

from penstock import names, task
from penstock_bench import pace, stores
from penstock_store.store import Store

_DONE: Final = task.Outcome(task.TaskStatus.SUCCEEDED, output="Done.")
_USED: Final = task.Usage(1, 0, 100, 20, 40, 300)


async def drive(url: str, agents: str, rate: str, seconds: str) -> None:
    """Call at a steady rate, each time for an agent and a user by chance."""
    keys = [names.AgentKey("default", f"a-{each:04d}") for each in range(int(agents))]
    async with stores.opened(url) as store:
        await pace.steadily(lambda: _one(store, random.choice(keys)), float(rate), float(seconds))


async def _one(store: Store, key: names.AgentKey) -> None:
    user = f"u-{random.randrange(1000)}"
    asked = task.Submission("Where?", "bench", user=user, trace_id=secrets.token_hex(16))
    made = await store.tasks.admit(key, task.task_id(key, secrets.token_bytes(16)), asked)
    for claim in await store.claims.take(key, made.revision, "bench", 4):
        await store.claims.finish(claim, _DONE, _USED)


if __name__ == "__main__":
    asyncio.run(drive(*sys.argv[1:]))
