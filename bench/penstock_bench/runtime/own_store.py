"""Penstock's store alone, with the guarantees of a worker: own_store.py REDIS_URL REVISION SKIPPED COUNTED RESULT.

Each task is claimed and, as after one model call, ended with it: result, acknowledgement, outcome row, events.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

from penstock import task
from penstock_bench import job, stores
from penstock_bench.counting import Count, leave
from penstock_bench.runtime import product
from penstock_store.records import Claim, Directive
from penstock_store.store import Store

_AT_ONCE: Final = 32
_USED: Final = task.Usage(1, 0, 100, 20, 40, 1)
_DONE: Final = task.Outcome(task.TaskStatus.SUCCEEDED, output=job.OUTPUT)
_ANSWERED: Final[dict[str, object]] = {"stopReason": "end_turn", "text": job.OUTPUT}


async def drain(url: str, revision: str, skipped: str, counted: str, result: str) -> None:
    """Do everything that is queued for a revision."""
    count = Count(int(skipped), int(counted), Path(result))
    async with stores.opened(url) as store:
        while True:
            claims = await store.claims.take(product.agent(), revision, "bench", _AT_ONCE)
            if not claims:
                await store.queue.wait_for_work(product.agent(), revision, 1.0)
            await asyncio.gather(*(_one(store, claim, count) for claim in claims))


async def _one(store: Store, claim: Claim, count: Count) -> None:
    said = await store.claims.finish_step(claim, _DONE, _USED, None, [("model", _ANSWERED)])
    if said is not Directive.CONTINUE:
        leave(3, f"the claim was lost: {said}")
    count.one()


if __name__ == "__main__":
    asyncio.run(drain(*sys.argv[1:]))
