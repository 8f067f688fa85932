"""What a bad revision has done is undone while workers are killed and Redis restarts: each call once, and each doubt is listed.

``PENSTOCK_TASKS_REFUNDED=2000`` kills 50 workers on the way; ``PENSTOCK_SEED`` draws another run. With few tasks Redis restarts
alone: workers die in ``test_compensations``.
"""

import asyncio
import contextlib
import random
import signal
import subprocess
from collections import Counter
from dataclasses import dataclass, field

import pytest

from penstock import errors
from penstock.effects import EffectState, Undoing
from penstock.escalation import Verdict
from penstock_store.compensations import Asked, By
from penstock_store.escalations import Sought, Word
from tests.integration.runtime import test_done_once as forward
from tests.integration.runtime.shop import killed, tool
from tests.integration.runtime.test_done_once import PATIENCE_SECONDS, SEED, TASKS

own_redis, refunds, shop = forward.own_redis, forward.refunds, forward.shop
pytestmark = forward.pytestmark

KILLS = min(50, TASKS // 20)
WORKERS, AT_ONCE = (3, 12) if TASKS > 100 else (2, 1)
REFUND = {"name": "refund", "input": {"order": "A1", "amount": 12}}
UNDO = {"tool": "undo_refund", "arguments": {"order": "arguments.order"}}
BY = By("boss")


@dataclass
class Morning:
    """A revision that was taken off, its calls, and what a person does about them."""

    shop: object
    tool: object
    paid: list
    attempts: dict = field(default_factory=dict)  # which call a compensating task undoes
    approved: set = field(default_factory=set)

    async def state(self):
        """How far the compensation of each call is."""
        known = await there(self.shop.store.compensations.known, self.shop.agent, self.paid)
        return dict(zip((one.call for one in self.paid), known, strict=True))

    async def ask(self, effects):
        """Ask for each, until its revision's workers have said what they keep, and over an outage."""
        compensations = self.shop.store.compensations
        for effect in effects:

            async def asked(effect=effect):
                (known,) = await there(compensations.known, self.shop.agent, [effect])
                mine = (self.shop.agent, effect, effect.undo, known, BY)
                said, task = await there(compensations.ask, *mine)
                return None if said is Asked.OLDER_WORKERS else (said, task)

            said, task = await self.shop.until(asked, PATIENCE_SECONDS)
            if said is Asked.ASKED:
                self.attempts[task] = effect.call

    async def approve(self):
        """Agree to whatever waits, for as long as this is awaited; now and then twice."""
        escalations = self.shop.store.escalations
        while True:
            page = await there(escalations.page, self.shop.agent, Sought())
            for one in page.items:
                word = Word("ann", Verdict.APPROVE, digest=one.digest)
                for _ in range(1 + len(self.approved) % 2):
                    await there(escalations.decide, one.id, word)
                self.approved.add(one.id)
            await asyncio.sleep(0.05)

    async def is_over(self):
        """Whether no compensation waits, runs, or needs a person."""
        await asyncio.sleep(0.1)
        look = await there(self.shop.store.routes.look, self.shop.agent, [*self.shop.standings])
        return not look.parked and not any(one.queued or one.running for one in look.work.values())

    async def until_over(self):
        """Wait until all that was asked for has ended."""
        await self.shop.until(self.is_over, PATIENCE_SECONDS)


class Crew:
    """Workers of a revision, of which one after the other is killed and replaced."""

    def __init__(self, shop, cut):
        self.chance = random.Random(SEED)
        self._start = lambda: shop.worker(
            cut,
            output=subprocess.DEVNULL,
            PENSTOCK_CONCURRENCY=str(AT_ONCE),
            PENSTOCK_LOG_LEVEL="CRITICAL",
            PENSTOCK_SIGN_SECONDS="2",
        )
        self.workers = [self._start() for _ in range(WORKERS)]

    def kill(self):
        killed(self.workers.pop(self.chance.randrange(len(self.workers))))
        self.workers.append(self._start())


async def there(call, *arguments):
    """What a call answers, once Redis is there."""
    while True:
        with contextlib.suppress(errors.StoreUnavailable):
            return await call(*arguments)
        await asyncio.sleep(0.05)


@pytest.fixture
async def morning(shop, refunds, tool_server):
    """All have been paid by a revision that serves no more."""
    paying = tool("refund", tool_server.url + "/ok", "Irreversible", compensate=UNDO)
    bad = await shop.release({"toolCalls": [REFUND]}, tools=[paying])
    drawn = random.Random(SEED)
    tasks = [
        await shop.submit(user=f"u{number % 50}", drawn=drawn.randbytes(16))
        for number in range(TASKS)
    ]
    async with shop.pool(bad, PENSTOCK_CONCURRENCY="16"):
        for each in tasks:
            await shop.ended(each, PATIENCE_SECONDS)
    unknown, paid = await forward.effects(shop)
    assert (len(unknown), len(paid)) == (0, TASKS)
    return Morning(shop, refunds, paid)


async def put_through(morning, own_redis):
    """Ask for all of them and approve each, while workers die one by one and Redis restarts twice."""
    undoing = tool(
        "undo_refund",
        morning.tool.url,
        "Irreversible",
        timeoutSeconds=2,
        approval={"mode": "Always"},
    )
    good = await morning.shop.release({}, tools=[undoing], limits={"queueSeconds": 86_400})
    crew = await asyncio.to_thread(Crew, morning.shop, good)

    def breaks(how):
        own_redis.stop(how)
        own_redis.start()

    moments = [(TASKS // 12, breaks, signal.SIGTERM), (TASKS // 3, breaks, signal.SIGKILL)]
    moments += [(TASKS * number // (KILLS + 1), crew.kill) for number in range(1, KILLS + 1)]
    asking = asyncio.create_task(morning.ask(morning.paid))

    async def has(lines):
        if len(morning.tool.journal) >= lines and morning.tool.under_way:
            return True
        return asking.done() and await morning.is_over()

    for lines, *what in sorted(moments, key=lambda moment: moment[0]):
        await morning.shop.until(lambda: has(lines), PATIENCE_SECONDS)  # noqa: B023
        await asyncio.to_thread(*what)
    await asking
    await morning.until_over()


async def test_each_call_is_undone_at_most_once_and_each_doubt_is_listed(morning, own_redis):
    approving = asyncio.create_task(morning.approve())
    try:
        await put_through(morning, own_redis)
        before = await morning.state()
        # What was not undone is named again, twice: only what the tool has refused gets another key.
        for _ in range(2):
            await morning.ask(morning.paid)
            await morning.until_over()
    finally:
        approving.cancel()
    states = await morning.state()
    unknown, known = await forward.effects(morning.shop)
    journal = [*morning.tool.journal]
    tell(morning, journal, before, states, unknown)

    lines = Counter(morning.attempts[key.rsplit(".", 2)[0]] for key in journal)
    assert not [call for call, made in lines.items() if made > 1], "undone twice"
    done = {call for call, one in states.items() if one.state is Undoing.DONE}
    assert done <= lines.keys(), "what is known as done has its line"
    doubted = {one.compensates for one in unknown}
    assert lines.keys() <= done | doubted, "a line of which nobody is told"
    assert doubted == {call for call, one in states.items() if one.state is Undoing.INTENDED}
    told = [one.compensates for one in known if one.compensates and one.state is EffectState.DONE]
    assert Counter(told) == dict.fromkeys(done, 1), "one effect for each"
    not_made = (Undoing.REFUSED, Undoing.ASKED, Undoing.ENDED)
    never = {call for call, one in states.items() if one.state in not_made}
    assert not never & lines.keys()


def tell(morning, journal, before, states, unknown):
    ended = Counter(one.state.value for one in before.values())
    finally_so = Counter(one.state.value for one in states.values())
    again = len(journal) - len(set(journal))
    print(
        f"{len(morning.paid)} calls to undo, {len(morning.approved)} approvals, {KILLS} kills; {len(journal)} lines in the "
        f"journal, {again} of them again; at first {dict(ended)}, named again {dict(finally_so)}; {len(unknown)} listed as unknown"
    )
