"""The main part of a worker: tasks are claimed, worked on, and handed back when it must stop."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from penstock_runtime.agent import loop
from penstock_runtime.agent.boundary import caught
from penstock_runtime.agent.context import LIVE
from penstock_runtime.worker import account
from penstock_runtime.worker.children import Children, Spawn
from penstock_runtime.worker.contact import BELL, CLAIM, Contact
from penstock_runtime.worker.copies import Copies
from penstock_runtime.worker.crew import Crew, Duty
from penstock_runtime.worker.heart import Heart
from penstock_runtime.worker.leaving import leave
from penstock_store.store import Store

_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 2.0
_CLAIM_BATCH: Final = 64  # tasks in one call, so that neither Redis nor the process stands still
_RESERVED_SHARE: Final = 4  # one in so many places is not lent to suspects


class Pool:
    """Runs tasks of one revision, at most ``concurrency`` at a time.

    Args:
        spawn: how a child process is started in which suspects are tried.
    """

    def __init__(self, store: Store, agent: loop.Agent, duty: Duty, spawn: Spawn) -> None:
        self._store = store
        self._agent = agent
        self._duty = duty
        self._meter = agent.meter
        self._contact = Contact(agent.meter)
        self._crew = Crew(store, agent, duty, self._show)
        self.children = Children(store, duty, spawn, self._contact, self._show)
        self._copies = Copies(store, agent, duty)
        self._heart = Heart(store, self._crew, duty, self._contact, self.children.wait_for_renewals)
        self._stopping = False

    @property
    def ready(self) -> bool:
        """Whether it takes on tasks: Redis answers and takes writes, and nobody told it to stop."""
        return not self.problem

    @property
    def problem(self) -> str:
        """Why it is not ready, "" when it is."""
        if self._stopping:
            return "stopping"
        if not self._contact.answers:
            return "Redis does not answer"
        return "Redis takes no writes" if self._crew.unwritten else ""

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; then finish what can be finished and hand back the rest."""
        async with asyncio.TaskGroup() as group:
            beating = group.create_task(self._heart.beat(), name="heartbeat")
            apart = group.create_task(self.children.keep(group), name="suspects")
            await self._claim(group, stop)
            self._stopping = True
            apart.cancel()
            self._copies.stop()
            children = group.create_task(self.children.stop(), name="children")
            await self._crew.drain()
            beating.cancel()
            await children
        await leave(self._store, self._duty, self._contact)

    async def _claim(self, group: asyncio.TaskGroup, stop: asyncio.Event) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not stop.is_set():
            self._crew.freed.clear()
            if not self._free:
                await _unless(stop, self._crew.freed.wait())
            elif await caught(self._took(group, stop)) is True:
                pause = _FIRST_PAUSE_SECONDS
            else:
                await _unless(stop, asyncio.sleep(pause))
                pause = min(_LONGEST_PAUSE_SECONDS, pause * 2)

    async def _took(self, group: asyncio.TaskGroup, stop: asyncio.Event) -> bool:
        """Take on what waits, and wait where nothing does; False when Redis does not answer."""
        duty = self._duty
        most = min(self._free, _CLAIM_BATCH)
        first_calls = account.opening(self._agent, LIVE.day())
        call = self._store.claims.take(duty.agent, duty.revision, duty.consumer, most, first_calls)
        claims = await self._contact.asked(CLAIM, call)
        if claims is None:
            return False
        self._crew.take_on(group, claims, asked=True)
        if claims:
            await asyncio.sleep(0)  # what was taken on begins before more is
            return True
        heard: list[str | None] = []
        await _unless(stop, self._listen(heard))
        for copy in filter(None, heard):
            self._copies.take_on(group, copy)
        return heard != [None]

    async def _listen(self, heard: list[str | None]) -> None:
        """Wait for the bell, or for a copy: a worker that has tasks hears of none."""
        duty, copies = self._duty, self._copies.has_room
        rang = self._store.queue.wait_for_work(
            duty.agent, duty.revision, duty.poll_seconds, copies=copies
        )
        heard.append(await self._contact.asked(BELL, rang))

    @property
    def _free(self) -> int:
        """How many tasks may be taken on: suspects in children need places too, but not all."""
        places = self._duty.concurrency
        reserved = max(1, places // _RESERVED_SHARE)
        own = len(self._crew)
        return max(0, places - own - self.children.running, reserved - own)

    def _show(self) -> None:
        self._crew.freed.set()
        self._meter.running(self._crew.at_work + self.children.running)


async def _unless(stop: asyncio.Event, call: Coroutine[Any, Any, Any]) -> None:
    """Await a call that may be dropped, until ``stop`` is set."""
    waiting = {asyncio.ensure_future(call), asyncio.ensure_future(stop.wait())}
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    for each in done:
        each.result()
