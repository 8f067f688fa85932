"""Light load: how long from enqueue to result at a steady 50 tasks a second, beside celery."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Final

from penstock_bench import job, library
from penstock_bench.crew import Crew
from penstock_bench.runtime import product
from penstock_bench.runtime.size import Size
from penstock_bench.verdict import Goal, Peer, Row, Sense

_RATE: Final = 50
_PATIENCE_SECONDS: Final = 60.0
_FOR_EVER: Final = ("0", "0", "1")
_SHARES: Final = ("p50_ms", "p95_ms")


async def measure(folder: Path, size: Size) -> list[Row]:
    """One worker each with a no-op task; both stand, and are called in turn."""
    took: dict[str, list[dict[str, float]]] = defaultdict(list)
    async with Crew(folder) as crew:
        own, theirs = await crew.redis("redis"), await crew.redis("redis-celery")
        crew.start("celery", library.command("light", "serve", theirs), library.environment())
        await _start_own(crew, own)
        await _both(crew, own, theirs, 0.2, "warm")  # what is made once is made now
        for number in range(size.rounds):
            seen = await _both(crew, own, theirs, 2 * size.seconds, str(number))
            for name, figures in seen.items():
                took[name].append(figures)
    return [_row(share, took) for share in _SHARES]


async def _start_own(crew: Crew, url: str) -> None:
    made = product.Product(crew, url, job.NOWHERE, product.template("Help."))
    await made.route()
    environment = made.worker_environment
    crew.start("worker", product.command("own_worker", *_FOR_EVER), environment)
    await crew.listening("worker", int(environment["PENSTOCK_LISTEN"].rpartition(":")[2]))


async def _both(
    crew: Crew, own: str, theirs: str, seconds: float, label: str
) -> dict[str, dict[str, float]]:
    """Call the one for some seconds, then the other; median and tail of each."""
    found, how = {}, (str(_RATE), str(seconds))
    for name in ("own", "celery"):
        result = crew.folder / f"{name}-{label}.json"
        if name == "own":
            crew.start("caller", product.command("own_caller", own, *how, result))
        else:
            calling = library.command("light", "drive", theirs, *how, result)
            crew.start("caller", calling, library.environment())
        await crew.ended("caller", _PATIENCE_SECONDS)
        found[name] = json.loads(result.read_text())
    return found


def _row(share: str, took: dict[str, list[dict[str, float]]]) -> Row:
    own, theirs = ([each[share] for each in took[name]] for name in ("own", "celery"))
    goal = Goal(Sense.AT_MOST, 2.5) if share == "p50_ms" else None
    what, unit = f"enqueue → result at {_RATE}/s", share.replace("_", " ")
    return Row(what, unit, tuple(own), Peer(library.named("celery"), tuple(theirs)), goal)
