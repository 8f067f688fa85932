"""The child's part of trying suspects: one group at a time, in a process that may die of it."""

import asyncio
import ctypes
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Final

from penstock_runtime import logs
from penstock_runtime.agent import loop
from penstock_runtime.agent.boundary import caught
from penstock_runtime.worker.contact import Contact
from penstock_runtime.worker.counts import counted
from penstock_runtime.worker.crew import Crew, Duty
from penstock_runtime.worker.heart import Heart
from penstock_runtime.worker.leaving import leave
from penstock_store.store import Store

_IDLE_SECONDS: Final = 3.0  # without a group, a child ends
_LOOK_SECONDS: Final = 0.25
_REPORT_SECONDS: Final = 1.0
_REPORTS: Final = 6  # in one claim time, at least
_PR_SET_PDEATHSIG: Final = 1
_FIRST_TO_KILL: Final = "1000"  # where memory ends, a child goes before its parent

log = logs.get()


def bind_to_parent() -> None:
    """End this process when its parent ends, whatever either of them does at that moment."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        _offer_to_the_oom_killer()
    threading.Thread(target=_die_with_parent, name="lifeline", daemon=True).start()


def _offer_to_the_oom_killer() -> None:
    try:
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_KILL, encoding="ascii")
    except OSError:
        return


def _die_with_parent() -> None:
    """Wait for the end of standard input, which the parent holds open and never writes to."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGKILL)


class Suspects:
    """Works on groups of suspects until none has waited for some seconds.

    Args:
        report: a file descriptor to which the parent listens.
    """

    def __init__(self, store: Store, agent: loop.Agent, duty: Duty, report: int) -> None:
        self._store = store
        self._duty = duty
        self._report = report
        self._contact = Contact(agent.meter)
        self._crew = Crew(store, agent, duty, lambda: None)
        self._heart = Heart(store, self._crew, duty, self._contact, lambda: None)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until no group waits, or until ``stop`` is set; then hand back the rest."""
        async with asyncio.TaskGroup() as group:
            beating = group.create_task(self._heart.beat(), name="heartbeat")
            reporting = group.create_task(self._tell(), name="reports")
            await self._try_groups(group, stop)
            if len(self._crew):
                await self._crew.drain()
            beating.cancel()
            reporting.cancel()
        if not self._crew.dropped:  # else the claims run out, and are counted where one was alone
            await leave(self._store, self._duty, self._contact)
        self._say(ends=True)

    async def _try_groups(self, group: asyncio.TaskGroup, stop: asyncio.Event) -> None:
        duty = self._duty
        clock = asyncio.get_running_loop().time
        until = clock() + _IDLE_SECONDS
        while not stop.is_set() and clock() < until:
            call = self._store.claims.take_suspects(duty.agent, duty.revision, duty.consumer)
            claims = await self._contact.asked("take_suspects", call)
            if not claims:
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            log.info("suspects are tried", tasks=len(claims))
            self._crew.take_on(group, claims)
            await self._crew.done_or(stop)
            until = clock() + _IDLE_SECONDS

    async def _tell(self) -> None:
        pause = min(_REPORT_SECONDS, self._duty.claim_idle_seconds / _REPORTS)
        while True:
            await caught(self._told())
            await asyncio.sleep(pause)

    async def _told(self) -> None:
        self._say(ends=False)

    def _say(self, *, ends: bool) -> None:
        said = {"running": self._crew.at_work, "ends": ends, "samples": counted()}
        line = json.dumps(said)
        os.write(self._report, line.encode() + b"\n")
