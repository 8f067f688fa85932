"""Calls at a steady rate, timed from when each was due; standard library only, for peers' callers too."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path


async def steadily(
    call: Callable[[], Awaitable[object]], rate: float, seconds: float
) -> list[float]:
    """Begin a call so often for so long, whether the earlier ones have ended or not.

    Returns the milliseconds of each from when it was due.
    """
    begun, took = time.monotonic(), list[float]()

    async def timed(due: float) -> None:
        await call()
        took.append((time.monotonic() - due) * 1000)

    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due = begun + number / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            group.create_task(timed(due))
    return took


def write(took_ms: Sequence[float], result: Path) -> None:
    """Keep median and 95th percentile."""
    ordered = sorted(took_ms)
    at = {f"p{share}_ms": ordered[len(ordered) * share // 100] for share in (50, 95)}
    result.write_text(json.dumps(at))
