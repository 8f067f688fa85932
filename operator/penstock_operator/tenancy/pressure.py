"""How full Redis is, for the alert that comes before it refuses writes."""

import asyncio
from typing import Final

from penstock import errors
from penstock_operator import metrics
from penstock_store.store import Store

LOOK_SECONDS: Final = 15.0


async def follow(store: Store) -> None:
    """Show what Redis uses and may use, for ever; what it last said stays while it does not answer."""
    while True:
        await look(store)
        await asyncio.sleep(LOOK_SECONDS)


async def look(store: Store) -> None:
    """Ask once. Where Redis does not say it (a cluster, a user without the right) there is no measure."""
    try:
        memory = await store.memory()
    except errors.StoreUnavailable:
        metrics.REDIS_UP.set(0)
        return
    except errors.StoreRefused:
        memory = None
    metrics.REDIS_UP.set(1)
    if memory:
        metrics.REDIS_USED.set(memory.used)
        metrics.REDIS_LIMIT.set(memory.limit)
