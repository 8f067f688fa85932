"""One agent with a budget, and the calls on its ledger that tests repeat."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

from penstock.money.ledger import (
    Amount,
    Budget,
    Limit,
    Quote,
    Reserved,
    Scope,
    Settlement,
    Unit,
    Window,
    Wish,
)

USD = 1_000_000
#: 1,000 tokens of input for 2,000 micro-USD, and a reply of at most 1,000 tokens at 10 USD per million.
QUOTE = Quote(Amount(1000, 2000), 1000, 256, 10 * USD)
MOST = QUOTE.most(1000)


def limit(scope=Scope.AGENT, window=Window.DAY, most=USD, unit=Unit.MICRO_USD):
    return Limit(scope, window, unit, most)


def budget(*limits, **more):
    return Budget(limits or (limit(),), **more)


@dataclass
class Money:
    """The ledger of a desk's agent; ``journal`` is what a vendor has billed, by call."""

    desk: object
    numbers: object = field(default_factory=lambda: iter(range(10**9)))
    random: random.Random = field(default_factory=lambda: random.Random(7))
    journal: dict = field(default_factory=dict)

    @property
    def ledger(self):
        return self.desk.store.ledger

    async def declare(self, *limits, **more):
        await self.ledger.declare(self.desk.agent, budget(*limits, **more))

    async def task(self, **fields):
        return (await self.desk.admit(**fields)).task

    def wish(self, quote=QUOTE, lasts_ms=60_000, patience_ms=10_000, call=""):
        return Wish(call or f"call-{next(self.numbers)}", quote, lasts_ms, patience_ms)

    async def reserve(self, task, wish=None, **more):
        return await self.ledger.reserve(self.desk.agent, task, wish or self.wish(**more))

    async def waiting(self, task, **more):
        """A call that waits by now for others, in the line where all hear of it."""
        wish = self.wish(**{"patience_ms": 60_000, **more})
        asking = asyncio.create_task(self.reserve(task, wish))
        waits = f"{self.desk.keys.tag}:call:{wish.call}"
        async with asyncio.timeout(60):
            while not await self.desk.raw.exists(waits):  # noqa: ASYNC110 - nothing rings
                await asyncio.sleep(0.01)
        return asking

    async def settle(self, task, reserved, used=None):
        if used is None:
            share = self.random.random() ** 4
            used = Amount(int(reserved.most.tokens * share), int(reserved.most.micro_usd * share))
        assert isinstance(reserved, Reserved)
        self.journal.setdefault(reserved.call, used)
        one = Settlement(reserved.call, used, reserved.at_ms)
        return (await self.ledger.settle(self.desk.agent, task, [one]))[0]

    async def spent(self, scope=Scope.AGENT, window=Window.DAY, **whose):
        said = await self.ledger.spending(self.desk.agent, **whose)
        (found,) = [one for one in said.windows if (one.scope, one.window) == (scope, window)]
        return found

    @property
    def billed(self):
        return sum(self.journal.values(), Amount())
