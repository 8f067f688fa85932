"""Enqueue → result in the caller, with Penstock's store: own_caller.py REDIS_URL RATE SECONDS RESULT."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from penstock_bench import pace, stores
from penstock_bench.counting import leave
from penstock_bench.runtime import product
from penstock_store.store import Store

_PATIENCE_SECONDS = 20.0


async def one(store: Store) -> None:
    """Submit a task, wait for its end, and read its result, as the gateway does."""
    identifier = await product.submit(store, "u")
    await store.notifications.wait_for_end(identifier, _PATIENCE_SECONDS)
    found = await store.tasks.get(identifier, product.TENANT)
    if found is None or not found.status.ended:
        leave(3, f"it has not ended: {found}")


async def drive(url: str, rate: str, seconds: str, result: str) -> None:
    """Call steadily and keep how long it took."""
    async with stores.opened(url) as store:
        await one(store)
        took = await pace.steadily(lambda: one(store), float(rate), float(seconds))
    pace.write(took, Path(result))


if __name__ == "__main__":
    asyncio.run(drive(*sys.argv[1:]))
