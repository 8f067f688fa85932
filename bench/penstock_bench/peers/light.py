"""celery under light load: light.py serve REDIS_URL, and light.py drive REDIS_URL RATE SECONDS RESULT."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from celery import Celery

from penstock_bench import pace

_CALLERS = 16
_PATIENCE_SECONDS = 20


def same(value: int) -> int:
    """A task that does nothing."""
    return value


def main(what: str, url: str, *more: str) -> None:
    """Run what the command line says."""
    app = Celery("bench", broker=url, backend=url)
    noop = app.task(same, name="noop")
    if what == "serve":
        app.worker_main(["worker", "--pool=solo", "--loglevel=ERROR"])
        return
    rate, seconds, result = float(more[0]), float(more[1]), Path(more[2])

    def one() -> None:
        noop.delay(1).get(timeout=_PATIENCE_SECONDS)

    async def drive() -> list[float]:
        with ThreadPoolExecutor(_CALLERS) as threads:
            loop = asyncio.get_running_loop()
            for _ in range(_CALLERS):  # each thread has a connection now
                await loop.run_in_executor(threads, one)
            return await pace.steadily(lambda: loop.run_in_executor(threads, one), rate, seconds)

    pace.write(asyncio.run(drive()), result)


if __name__ == "__main__":
    main(*sys.argv[1:])
