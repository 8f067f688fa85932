"""One rule under one weather, played to its verdict or to the end of the day."""

from __future__ import annotations

import heapq
import time
from dataclasses import asdict, dataclass, field, replace

from penstock.analysis import binomial, rates
from penstock.api.rollout import AgentRolloutStatus
from penstock.rollout.facts import COMPARABLE_PERCENT
from penstock_bench.rollouts.product import Product, spec
from penstock_bench.rollouts.rules import LIMITS, RIVALS, Rule
from penstock_bench.rollouts.sums import OnSums
from penstock_bench.rollouts.weather import Sky, Task, Weather

PRODUCT, HOLD = "Penstock", "Penstock, onNoEvidence: Hold"
NAMES = (PRODUCT, *(rule().name for rule in RIVALS), HOLD)


@dataclass(frozen=True)
class Cell:
    """A weather with a name, and how it is played: how often it is looked at, and for how long at most.

    ``blocks``: its tasks are drawn and counted in blocks, where they are many and the product plays alone. ``whole``: of so many looks
    one is whole, see ``Product.glance``. ``steps``: other percentages than the default ones.
    """

    name: str
    weather: Weather
    look_seconds: float
    longest_seconds: float
    goals: tuple[str, ...] = ()
    rivals: bool = True
    hold: bool = False
    blocks: bool = False
    whole: int = 1
    steps: tuple[int, ...] = ()


@dataclass(frozen=True)
class Run:
    """What became of one seed.

    ``given``: tasks the canary got until the verdict; ``harmed``: those of them that failed or escalated. ``full``:
    seconds until it had 95 % of the users; ``over``: until the verdict; None: never. ``off``: seconds from the outage's begin until no
    new session came to the canary; ``late_looks``: how many looks that was after the first credible window. ``look_ms``: mean and largest CPU of a look; ``sums``: characters in status.
    """

    cell: str
    rule: str
    seed: int
    verdict: str
    given: int
    harmed: int
    full: float | None
    over: float | None
    off: float | None = None
    late_looks: float = 0.0
    look_ms: tuple[float, float] = (0.0, 0.0)
    sums: int = 0
    cpu_seconds: float = 0.0
    message: str = ""
    path: str = ""

    def wire(self) -> dict[str, object]:
        """As it is kept."""
        return asdict(self)


def play(cell: Cell, rule: str, seed: int) -> Run:
    """Play a seed; the same seed has the same weather for each rule, as far as its shares are the same."""
    began = time.process_time()
    if cell.blocks:
        run = _in_blocks(cell, seed, rule)
        return replace(run, cpu_seconds=time.process_time() - began)
    sky = Sky(cell.weather, seed)
    if rule in (PRODUCT, HOLD):
        known = AgentRolloutStatus(stable_users=sky.users_before())
        run = _product(
            cell, sky, rule, OnSums(policy=spec(hold=rule == HOLD, steps=cell.steps), status=known)
        )
    else:
        run = _rival(cell, sky, next(made for made in (r() for r in RIVALS) if made.name == rule))
    return replace(run, cpu_seconds=time.process_time() - began)


@dataclass
class _Toll:
    """What the canary was given, and did with it."""

    given: int = 0
    harmed: int = 0

    def count(self, tasks: list[Task]) -> None:
        mine = [task for task in tasks if task.canary]
        self.given += len(mine)
        self.harmed += sum(task.error or task.escalation for task in mine)


@dataclass
class _Incident:
    """When the first window of 60 or 300 s was credible: of stable, or of a canary that has most of the users."""

    seen: list[Task] = field(default_factory=list)
    credible: float | None = None

    def look(self, now: float, tasks: list[Task], percent: int) -> None:
        self.seen = [task for task in self.seen if task.routed > now - 300] + tasks
        arms = (False, True) if percent > COMPARABLE_PERCENT else (False,)
        windows = [(arm, seconds) for arm in arms for seconds in (60, 300)]
        if self.credible is None and any(self._breaks(now, *window) for window in windows):
            self.credible = now

    def _breaks(self, now: float, canary: bool, seconds: int) -> bool:  # noqa: FBT001 - an arm
        window = [t for t in self.seen if t.routed > now - seconds and t.canary is canary]
        failed = sum(t.error and t.ends is not None and t.ends <= now for t in window)
        return failed >= 3 and binomial.tail(failed, len(window), LIMITS[0]) <= rates.TAIL


def _product(cell: Cell, sky: Sky, name: str, product: Product) -> Run:
    now, toll, off, incident = 0.0, _Toll(), None, _Incident()
    while now < cell.longest_seconds and not product.verdict:
        percent = product.percent
        tasks = sky.tasks(now, cell.look_seconds, product.percent, product.version)
        toll.count(tasks)
        product.route(tasks)
        now += cell.look_seconds
        _look(cell, product, now)
        if off is None and cell.weather.outage:
            incident.look(now, tasks, percent)
        if off is None and sky.reached is not None and now >= sky.reached and not product.percent:
            off = now - sky.reached
    first = incident.credible
    late = max(off + (sky.reached or 0.0) - first, 0.0) if off is not None and first else 0.0
    run = _told(cell, name, sky.seed, product, toll, now)
    return replace(run, off=off, late_looks=late / cell.look_seconds)


def _in_blocks(cell: Cell, seed: int, name: str) -> Run:
    from penstock_bench.rollouts.block_sums import OnBlocks  # numpy is loaded where it is used
    from penstock_bench.rollouts.blocks import BlockSky

    sky = BlockSky(cell.weather, seed)
    known = AgentRolloutStatus(stable_users=sky.users_before())
    product = OnBlocks(policy=spec(hold=name == HOLD, steps=cell.steps), status=known)
    now, toll = 0.0, _Toll()
    while now < cell.longest_seconds and not product.verdict:
        block = sky.tasks(now, cell.look_seconds, product.percent, product.version)
        toll.given, toll.harmed = toll.given + block.given, toll.harmed + block.harmed
        product.route_block(block)
        now += cell.look_seconds
        _look(cell, product, now)
    return _told(cell, name, sky.seed, product, toll, now)


def _look(cell: Cell, product: Product, now: float) -> None:
    if round(now / cell.look_seconds) % cell.whole:
        product.glance(now)
    else:
        product.look(now)


def _told(cell: Cell, name: str, seed: int, product: Product, toll: _Toll, now: float) -> Run:
    return Run(
        cell.name, name, seed, product.verdict, toll.given, toll.harmed, product.full_at,
        now if product.verdict else None, None, 0.0,
        (1000 * product.look_seconds / product.looks, 1000 * product.largest_look),
        product.largest_sums, 0.0, product.message, "; ".join(product.lines),
    )  # fmt: skip


def _rival(cell: Cell, sky: Sky, rule: Rule) -> Run:
    now, toll = 0.0, _Toll()
    running: list[tuple[float, int, Task]] = []
    count = 0
    seconds = max(cell.look_seconds, 5.0)
    while now < cell.longest_seconds and not rule.verdict:
        tasks = sky.tasks(now, seconds, rule.percent, 1)
        toll.count(tasks)
        for task in tasks:
            if task.ends is not None:
                count += 1
                heapq.heappush(running, (task.ends, count, task))
        now += seconds
        ended = []
        while running and running[0][0] <= now:
            ended.append(heapq.heappop(running)[2])
        rule.see(now, ended)
    return Run(
        cell.name, rule.name, sky.seed, rule.verdict, toll.given, toll.harmed, rule.full_at,
        now if rule.verdict else None,
    )  # fmt: skip


def is_the_same_after_restarts(cell: Cell, seed: int) -> bool:
    """Whether an operator that has only status and log at each look takes the same path to the same verdict."""
    one, other = (
        _product(cell, Sky(cell.weather, seed), PRODUCT, Product(restarts=restarts))
        for restarts in (False, True)
    )
    return (one.path, one.verdict, one.message, one.given) == (
        other.path,
        other.verdict,
        other.message,
        other.given,
    )
