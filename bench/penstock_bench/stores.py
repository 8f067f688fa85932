"""The store as the benches open it: as gateway and worker do."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from penstock.guard import unguarded
from penstock_store.store import Store


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    """A store on a Redis, closed at the end."""
    store = Store.connect(url, guard=unguarded)
    try:
        yield store
    finally:
        await store.aclose()
