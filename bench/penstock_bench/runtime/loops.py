"""The agent loop: ten model calls with nine tool calls, Penstock's whole worker beside the bare SDK and a framework."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Final

from penstock_bench import job, library
from penstock_bench.crew import Crew
from penstock_bench.runtime import product, queues
from penstock_bench.runtime.size import Size
from penstock_bench.verdict import Goal, Peer, Row, Sense, Yardstick

SKIPPED: Final = 5
_PEERS: Final = {
    "sdk": ("anthropic", "messages.create"),
    "sdk-stream": ("anthropic", "messages.stream"),
    "pydantic-ai": ("pydantic-ai-slim", "Agent.run"),
}
_SECONDS: Final = 120.0
_SDK_CPU_MS: Final = 1.26  # a call, on the quiet reference machine


async def measure(folder: Path, kit: Path, size: Size) -> tuple[list[Row], Yardstick]:
    """CPU milliseconds of the process a model call, in turn on one fake."""
    spent: dict[str, list[float]] = defaultdict(list)
    async with Crew(folder) as crew:
        url = await crew.model(kit)
        for number in range(size.rounds):
            for kind in ("sdk", "own", "sdk-stream", "pydantic-ai"):
                result = folder / f"{kind}-{number}.json"
                if kind == "own":
                    await _own(crew, url, size.loops, result)
                else:
                    how = (kind, url, str(size.loops), str(SKIPPED), result)
                    command = library.command("loops", *how)
                    crew.start(kind, command, library.environment())
                    await crew.ended(kind, _SECONDS)
                calls = size.loops * job.MODEL_CALLS
                spent[kind].append(json.loads(result.read_text())["cpu"] * 1000 / calls)
    rows = [_row(kind, tuple(spent["own"]), tuple(spent[kind])) for kind in _PEERS]
    return rows, Yardstick(
        "CPU ms of the SDK's plain call", statistics.median(spent["sdk"]), _SDK_CPU_MS
    )


async def _own(crew: Crew, model: str, loops: int, result: Path) -> None:
    """The whole worker: claims, checkpoints and ends in Redis, tools over HTTP."""
    tool = {
        "name": job.TOOL["name"],
        "description": job.TOOL["description"],
        "inputSchema": job.TOOL["input_schema"],
        "effect": "ReadOnly",
        "approval": {"mode": "None"},
        "http": {"url": f"{model}/tool"},
    }
    limits = {"modelCalls": 50, "toolCalls": 50}
    template = product.template(job.SYSTEM, tools=[tool], limits=limits)
    made = product.Product(crew, await crew.redis("redis"), model, template)
    await made.route()
    await queues.fill(made.redis_url, SKIPPED + loops)
    counts = (str(SKIPPED), str(loops), str(job.MODEL_CALLS))
    one_by_one = {**made.worker_environment, "PENSTOCK_CONCURRENCY": "1"}
    crew.start("worker", product.command("own_worker", *counts, result), one_by_one)
    await crew.ended("worker", _SECONDS)
    await crew.end("redis")


def _row(kind: str, own: tuple[float, ...], theirs: tuple[float, ...]) -> Row:
    package, call = _PEERS[kind]
    goal = Goal(Sense.AT_MOST, 1.5, of_peer=True) if kind == "sdk" else None
    peer = Peer(f"{library.named(package)} {call}", theirs)
    return Row("agent loop, 10 model and 9 tool calls", "CPU ms/model call", own, peer, goal)
