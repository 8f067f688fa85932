"""How a consumer ends in order."""

import asyncio
from typing import Final

from penstock_runtime.worker.contact import Contact
from penstock_runtime.worker.crew import Duty
from penstock_store.store import Store

_SECONDS: Final = 1.0  # the grace period is nearly over


async def leave(store: Store, duty: Duty, contact: Contact) -> None:
    """Say that this consumer ends: what it still holds is redelivered, suspected of nothing."""
    try:
        async with asyncio.timeout(_SECONDS):
            await contact.asked(
                "leave", store.claims.leave(duty.agent, duty.revision, duty.consumer)
            )
    except TimeoutError:
        return
