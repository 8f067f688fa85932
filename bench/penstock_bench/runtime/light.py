"""Light load: how long from enqueue to result at a steady 50 tasks a second, beside celery."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from pathlib import Path
from typing import Final

from penstock_bench import library
from penstock_bench.crew import Command, Crew
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
        how = (str(_RATE), str(2 * size.seconds))
        for number in range(size.rounds):
            result = folder / f"own-{number}.json"
            await _run(crew, "caller", product.command("own_caller", own, *how, result), {})
            took["own"].append(json.loads(result.read_text()))
            result = folder / f"celery-{number}.json"
            driving = library.command("light", "drive", theirs, *how, result)
            await _run(crew, "caller-celery", driving, library.environment())
            took["celery"].append(json.loads(result.read_text()))
    return [_row(share, took) for share in _SHARES]


async def _start_own(crew: Crew, url: str) -> None:
    made = product.Product(crew, url, "", product.template("Help."))
    await made.route()
    environment = made.worker_environment
    crew.start("worker", product.command("own_worker", *_FOR_EVER), environment)
    await crew.listening("worker", int(environment["PENSTOCK_LISTEN"].rpartition(":")[2]))


async def _run(crew: Crew, name: str, command: Command, environment: dict[str, str]) -> None:
    crew.start(name, command, environment)
    await crew.ended(name, _PATIENCE_SECONDS)
    await asyncio.sleep(0.2)  # let the other one's last tasks be tidied up


def _row(share: str, took: dict[str, list[dict[str, float]]]) -> Row:
    own, theirs = ([each[share] for each in took[name]] for name in ("own", "celery"))
    goal = Goal(Sense.AT_MOST, 2.5) if share == "p50_ms" else None
    what, unit = f"enqueue → result at {_RATE}/s", share.replace("_", " ")
    return Row(what, unit, tuple(own), Peer(library.named("celery"), tuple(theirs)), goal)
