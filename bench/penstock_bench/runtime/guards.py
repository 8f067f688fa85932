"""What keeps model calls within bounds, each alone and all together: ledger, breaker and pool.

Five Agents that differ in nothing else are served side by side, and loaded in turn: what one of them costs
more than the one without any is a difference within one round.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from penstock.money.ledger import Budget, Limit, Scope, Unit, Window
from penstock.names import AgentKey
from penstock_bench import job, stores
from penstock_bench.crew import Crew
from penstock_bench.runtime import ends, product
from penstock_bench.runtime.size import Size
from penstock_bench.verdict import Goal, Row, Sense

_PLENTY: Final = 900_000_000_000_000  # micro-USD: nothing is refused
_BUDGET: Final = Budget(
    tuple(
        Limit(scope, Window.DAY, Unit.MICRO_USD, _PLENTY)
        for scope in (Scope.USER, Scope.TENANT, Scope.AGENT)
    )
)
_ALLOWED: Final = {
    "requestsPerMinute": 10**9,
    "inputTokensPerMinute": 10**12,
    "outputTokensPerMinute": 10**12,
}
_MOST_CPU_MS, _MOST_P50_MS, _MOST_OWN_CPU_MS = 0.5, 1.0, 3.0


@dataclass(frozen=True)
class Guards:
    """Which of them an Agent has."""

    name: str
    ledger: bool = False
    breaker: bool = False
    pool: bool = False


_OFF: Final = Guards("none")
_ALL: Final = Guards("ledger, breaker and pool", ledger=True, breaker=True, pool=True)
VARIANTS: Final = (
    _OFF,
    Guards("ledger", ledger=True),
    Guards("breaker", breaker=True),
    Guards("pool", pool=True),
    _ALL,
)


@dataclass(frozen=True)
class _Served:
    guards: Guards
    worker: str
    url: str


async def measure(folder: Path, kit: Path, size: Size) -> list[Row]:
    """Load one Agent after the other, round by round: 16 callers for the CPU, one for the time."""
    busy: dict[Guards, list[ends.Round]] = defaultdict(list)
    alone: dict[Guards, list[ends.Round]] = defaultdict(list)
    async with Crew(folder) as crew:
        served = await _serve(crew, kit)
        for each in served:
            await ends.load(kit, each.url, callers=8, seconds=1.5)  # what is made once is made now
        for number in range(size.rounds):
            order = (
                served if number % 2 == 0 else served[::-1]
            )  # who comes first is not always the same
            for each in order:
                for callers, rounds in ((16, busy), (1, alone)):
                    seen = await ends.measured(
                        crew, kit, each.url, each.worker, callers=callers, seconds=size.seconds
                    )
                    rounds[each.guards].append(seen)
    return [row for guards in VARIANTS for row in _rows(guards, busy, alone)]


async def _serve(crew: Crew, kit: Path) -> list[_Served]:
    """One Redis, model and gateway, and an Agent with a worker for each variant."""
    redis, model = await crew.redis("redis"), await crew.model(kit)
    prices = crew.folder / "prices.json"
    prices.write_text(json.dumps({job.MODEL: {"rateLimits": _ALLOWED}}))
    found, url = [], ""
    for number, guards in enumerate(VARIANTS):
        agent = AgentKey(product.agent().namespace, f"guards-{number}")
        own = product.Product(crew, redis, model, product.template("Help."), agent)
        await own.route()
        if guards.ledger:
            async with stores.opened(redis) as store:
                await store.ledger.declare(agent, _BUDGET)
        without = [name for name in ("breaker", "pool") if not getattr(guards, name)]
        worker = f"worker-{number}"
        told = {"PENSTOCK_PRICES_FILE": str(prices)} if guards.pool else {}
        await own.start_worker(worker, product.command("own_guards", *without), told)
        url = url or await own.start_gateway()
        found.append(_Served(guards, worker, own.tasks_at(url)))
    return found


def _rows(
    guards: Guards, busy: dict[Guards, list[ends.Round]], alone: dict[Guards, list[ends.Round]]
) -> list[Row]:
    cpu = tuple(each.own_cpu_ms for each in busy[guards])
    p50 = tuple(each.p50_ms for each in alone[guards])
    whole = guards is _ALL
    what = f"guards: {guards.name}"
    rows = [
        Row(what, "own CPU ms/task", cpu, goal=_at_most(_MOST_OWN_CPU_MS) if whole else None),
        Row(what, "p50 ms", p50),
    ]
    if guards is _OFF:
        return rows
    more_cpu = _more(cpu, tuple(each.own_cpu_ms for each in busy[_OFF]))
    more_p50 = _more(p50, tuple(each.p50_ms for each in alone[_OFF]))
    return [
        *rows,
        Row(what, "own CPU ms/task more", more_cpu, goal=_at_most(_MOST_CPU_MS) if whole else None),
        Row(what, "p50 ms more", more_p50, goal=_at_most(_MOST_P50_MS) if whole else None),
    ]


def _more(those: tuple[float, ...], than: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(one - other for one, other in zip(those, than, strict=True))


def _at_most(bound: float) -> Goal:
    return Goal(Sense.AT_MOST, bound)
