"""Workers are killed and Redis restarts while an irreversible tool acts and does not answer: what is done, is done once.

``PENSTOCK_TASKS_REFUNDED=2000`` kills 50 workers on the way; ``PENSTOCK_SEED`` draws another run.
"""

import asyncio
import os
import random
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass

import pytest

from penstock.effects import EffectState
from penstock.task import OutcomeReason, TaskStatus
from penstock_store import testing
from penstock_store.effects import SoughtEffects
from tests.integration.runtime.moody import MoodyTool
from tests.integration.runtime.shop import Shop, killed, tool
from tests.integration.runtime.test_lost_tail import log_of

pytestmark = [pytest.mark.redis, pytest.mark.timeout(3600)]

TASKS = int(os.environ.get("PENSTOCK_TASKS_REFUNDED", "16"))
SEED = os.environ.get("PENSTOCK_SEED", "1")
KILLS = min(50, max(1, TASKS // 20))
WORKERS, AT_ONCE = (3, 12) if TASKS > 100 else (2, 6)
REFUNDS = [{"name": "refund", "input": {"order": order, "amount": 12}} for order in ("A1", "A2")]
SCRIPT = {"toolCalls": REFUNDS, "latencyMs": 20}
#: With appendfsync everysec a lost host takes so much with it; a Redis that is stopped loses nothing.
LOST_SECONDS = (1.0, 0.0) if TASKS > 100 else (1.0,)
PATIENCE_SECONDS = 400 + TASKS


@pytest.fixture
def own_redis():
    with testing.redis_server("", "--auto-aof-rewrite-percentage", "0") as server:
        server.start_seconds = 180
        yield server


@pytest.fixture
def refunds():
    with MoodyTool(SEED) as server:
        yield server


@pytest.fixture
async def shop(own_redis, fake_model, tmp_path):
    running = Shop(own_redis.url, fake_model.url, tmp_path)
    yield running
    await running.close()


class Crew:
    """Workers of a revision, of which one after the other is killed and replaced."""

    def __init__(self, shop, cut, program):
        self.chance = random.Random(SEED)
        self.started = 0
        self._start = lambda: shop.worker(
            cut,
            program=program,
            output=subprocess.DEVNULL,
            PENSTOCK_CONCURRENCY=str(AT_ONCE),
            PENSTOCK_LOG_LEVEL="CRITICAL",
            PENSTOCK_SIGN_SECONDS="2",
        )
        self.workers = [self._start() for _ in range(WORKERS)]

    def kill(self):
        """One of many, or both, and others come in their place."""
        count = 1 if WORKERS > 2 else WORKERS
        for _ in range(count):
            killed(self.workers.pop(self.chance.randrange(len(self.workers))))
        self.workers += [self._start() for _ in range(count)]


@dataclass
class Night:
    """What was done, and what is known of it."""

    journal: list[str]
    unknown: list[str]
    done: list[str]
    refused: list[str]
    ended: list

    def words(self):
        again = len(self.journal) - len(set(self.journal))
        doubt = sum("it may have been called before" in each.outcome.message for each in self.ended)
        return (
            f"{len(self.ended)} tasks, {len(self.journal)} lines in the journal, {again} of them again; "
            f"{len(self.done)} known as done, {len(self.refused)} refused, {len(self.unknown)} unknown; "
            f"{dict(Counter(str(each.status) for each in self.ended))}, {doubt} in doubt"
        )


async def night(shop, refunds, breaks=None, program="penstock_runtime.worker"):
    """All tasks from submission to their end.

    Redis breaks while all workers live, workers die one by one, and with the last one Redis breaks again.
    """
    declared = tool("refund", refunds.url, "Irreversible", timeoutSeconds=2, amountFrom="amount")
    patient = {"queueSeconds": 86_400}  # on a busy machine, too, none ends before it was begun
    cut = await shop.release(SCRIPT, tools=[declared], limits=patient)
    drawn = random.Random(SEED)
    tasks = [
        await shop.submit(user=f"u{number % 50}", drawn=drawn.randbytes(16))
        for number in range(TASKS)
    ]
    crew = await asyncio.to_thread(Crew, shop, cut, program)
    await until_journal_has(shop, refunds, WORKERS * AT_ONCE // 2)
    if breaks:
        await asyncio.to_thread(breaks)
    for number in range(1, KILLS + 1):
        await until_journal_has(shop, refunds, TASKS * number // (KILLS + 1))
        await asyncio.to_thread(crew.kill)
    if breaks:
        await asyncio.to_thread(breaks)
    ended = [await shop.ended(each, PATIENCE_SECONDS) for each in tasks]
    refunds.gate.set()
    unknown, known = await effects(shop)
    told = Night(
        list(refunds.journal),
        [place(one) for one in unknown],
        [place(one) for one in known if one.state is EffectState.DONE],
        [place(one) for one in known if one.state is EffectState.REFUSED],
        ended,
    )
    print(told.words())
    return told


async def until_journal_has(shop, refunds, lines):
    """So many, and calls are under way; or until everything has ended: after a break tasks in doubt make none."""

    async def grown():
        if len(refunds.journal) >= lines and len(refunds.under_way) > 1:
            return True
        work = (await shop.store.routes.look(shop.agent, [*shop.standings])).work.values()
        return not any(each.queued or each.running for each in work)

    await shop.until(grown, PATIENCE_SECONDS)


async def effects(shop):
    """All of them; which are unknown stands on the first page."""
    page = await shop.store.effects.page(shop.agent, SoughtEffects(), "", 100)
    unknown, known = list(page.unknown), list(page.items)
    while page.following:
        page = await shop.store.effects.page(shop.agent, SoughtEffects(), page.following, 100)
        unknown += page.unknown
        known += page.items
    return unknown, known


def place(effect):
    """What the tool knows the call by."""
    return f"{effect.task}.{effect.step}.{effect.position}"


@pytest.mark.parametrize("lost_seconds", LOST_SECONDS)
async def test_each_line_of_the_journal_has_one_effect_and_each_known_effect_one_line(
    shop, own_redis, refunds, lost_seconds
):
    """Where Redis is lost with its newest second and with a worker, what that one did in it a person is asked for."""

    def breaks():
        log, size = log_of(own_redis), sizes.ago(lost_seconds)
        own_redis.stop(signal.SIGKILL if lost_seconds else signal.SIGTERM)
        if lost_seconds:
            log.write_bytes(log.read_bytes()[:size])
        own_redis.start()

    async with Sizes(own_redis) as sizes:
        told = await night(shop, refunds, breaks)
    assert len(told.journal) == len(set(told.journal)), "an irreversible call was made twice"
    listed = [*told.unknown, *told.done, *told.refused]
    assert len(listed) == len(set(listed)), "one effect for one call"
    assert set(told.done) <= set(told.journal), "what is known as done has its line"
    assert not set(told.refused) & set(told.journal)
    without = set(told.journal) - {*told.unknown, *told.done}
    print(f"{len(without)} lines without an effect")
    assert {key.rsplit(".", 2)[0] for key in without} <= asked(told.ended)
    assert not without or lost_seconds
    sums = await shop.store.effects.sums(shop.agent, next(iter(shop.standings)))
    assert (sums.done, sums.unknown) == (len(told.done), len(told.unknown))


def asked(ended):
    """Tasks of which a person was told that nobody knows what was done."""
    return {
        each.id
        for each in ended
        if (each.status, each.outcome.reason) == (TaskStatus.ESCALATED, OutcomeReason.PERSON)
    }


class Sizes:
    """How large Redis' log was a moment ago."""

    def __init__(self, server):
        self.server = server
        self.seen = []

    def ago(self, seconds):
        """What it was so long ago; where nobody looked at that moment, shortly after it."""
        since = time.monotonic() - seconds
        return next((size for at, size in self.seen if at >= since), self.seen[-1][1])

    async def _watch(self):
        while True:
            self.seen.append((time.monotonic(), log_of(self.server).stat().st_size))
            await asyncio.sleep(0.05)

    async def __aenter__(self):
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_):
        self._watching.cancel()


async def test_without_the_guard_the_same_night_does_things_twice(shop, refunds):
    told = await night(shop, refunds, None, "tests.integration.runtime.unguarded")
    assert len(told.journal) > len(set(told.journal))
