"""The election as it runs: a thread of its own that keeps, or waits for, one Lease.

It has its own loop and its own connection: whatever the main loop is busy with, the Lease is
renewed in time, and whatever keeps the Lease from being renewed holds nothing else up.
"""

import asyncio
import math
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

import structlog

from penstock_operator import metrics
from penstock_operator.cluster.client import Cluster, ClusterError
from penstock_operator.cluster.kinds import LEASE, Object
from penstock_operator.leadership import election
from penstock_operator.leadership.election import Ask, Candidate, Lease, Leave, Wait
from penstock_operator.leadership.leadership import Leadership

log = structlog.get_logger("penstock.election")

#: How the process ends when another has taken the Lease from it.
EXIT_DEPOSED: Final = 3
_AT_ONCE_SECONDS: Final = 0.05
_GIVEN_BACK_SECONDS: Final = 1


@dataclass(frozen=True)
class Place:
    """Which Lease it is about."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """The Lease as people name it."""
        return f"{self.namespace}/{self.name}"


def read(obj: Object) -> Lease:
    """A Lease object as the election sees it."""
    spec: dict[str, Any] = obj.get("spec") or {}
    return Lease(
        holder=spec.get("holderIdentity") or "",
        transitions=int(spec.get("leaseTransitions") or 0),
        duration_seconds=float(spec.get("leaseDurationSeconds") or 0),
        version=str(obj["metadata"]["resourceVersion"]),
    )


def written(
    stored: Object | None, place: Place, holder: str, transitions: int, seconds: int, now: datetime
) -> Object:
    """The Lease object to write in place of ``stored``, which keeps its labels and annotations.

    The times in it are for people; no candidate looks at them.
    """
    old: dict[str, Any] = (stored or {}).get("spec") or {}
    moment = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    kept = holder == old.get("holderIdentity") and "acquireTime" in old
    return {
        "apiVersion": LEASE.api_version,
        "kind": LEASE.kind,
        "metadata": (stored or {}).get("metadata")
        or {"name": place.name, "namespace": place.namespace},
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": seconds,
            "leaseTransitions": transitions,
            "acquireTime": old["acquireTime"] if kept else moment,
            "renewTime": moment,
        },
    }


def depart() -> NoReturn:
    """End the process without another word: nothing that is in hand may still be written."""
    sys.stderr.flush()
    os._exit(EXIT_DEPOSED)


class Elector:
    """One candidate, on a thread of its own."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Cluster]],
        place: Place,
        identity: str,
        leadership: Leadership,
        wall: Callable[[], datetime],
    ) -> None:
        self._connect = connect
        self._wall = wall
        self._place = place
        self._leadership = leadership
        self._candidate = Candidate(identity, leadership.timing)
        self._stored: Object | None = None
        self._holder_told: str | None = None
        self._failing = False
        self._stopping = threading.Event()
        self._wake: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._thread = threading.Thread(target=self._main, name="election", daemon=True)

    def start(self) -> None:
        """Be a candidate from now on."""
        metrics.LEADER.set_function(lambda: float(self._leadership.held()))
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether the thread lives; without it no Lease is ever renewed."""
        return self._thread.is_alive()

    async def release(self) -> None:
        """Lead no more, give the Lease back if it is ours, and end the thread."""
        self._leadership.end()
        self._stopping.set()
        if self._wake and self.running:
            loop, event = self._wake
            loop.call_soon_threadsafe(event.set)
        await asyncio.to_thread(self._thread.join)

    # ----------------------------------------------------------------------- on the thread itself

    def _main(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        wake = asyncio.Event()
        self._wake = (asyncio.get_running_loop(), wake)
        async with await self._connect() as cluster:
            while not self._stopping.is_set():
                seconds = await self._round(cluster)
                try:
                    async with asyncio.timeout(seconds):
                        await wake.wait()
                except TimeoutError:
                    continue
            await self._give_back(cluster)

    async def _round(self, cluster: Cluster) -> float:
        """Look and act; returns after how many seconds to look again."""
        retry = self._leadership.timing.retry_seconds
        try:
            await self._look(cluster)
            match self._decide():
                case Wait(seconds):
                    return seconds
                case Leave(holder):
                    self._leave(holder)
                case Ask() as ask:
                    await self._ask(cluster, ask)
        except ClusterError as error:
            if error.conflict:
                return _AT_ONCE_SECONDS  # somebody else was first: look what is there now
            self._unanswered(error)
        return retry

    def _decide(self) -> election.Step:
        leadership = self._leadership
        return election.decide(
            self._candidate,
            leadership.clock(),
            alive=leadership.alive(),
            at_least=leadership.at_least,
        )

    async def _look(self, cluster: Cluster) -> None:
        place = self._place
        self._stored = await cluster.get(LEASE, place.namespace, place.name)
        lease = read(self._stored) if self._stored else None
        self._candidate = self._candidate.saw(lease, self._leadership.clock())
        self._leadership.transitions = lease.transitions if lease else 0
        metrics.LEADER_TRANSITIONS.set(self._leadership.transitions)
        holder = lease.holder if lease else ""
        if holder not in (self._holder_told, self._candidate.identity):
            log.info("waiting", lease=str(self._place), holder=holder or "nobody")
            self._holder_told = holder

    async def _ask(self, cluster: Cluster, ask: Ask) -> None:
        """Write the Lease with us as its holder; we lead when that is taken."""
        candidate, clock = self._candidate, self._leadership.clock
        asked_at = clock()
        lease = await self._write(cluster, candidate.identity, ask.transitions)
        led, known = candidate.held(clock()), candidate.epoch
        self._candidate = candidate.won(lease, asked_at, clock())
        if self._stopping.is_set():
            return  # it is given back at once
        self._leadership.grant(self._candidate.epoch, self._candidate.deadline)
        self._recovered()
        if not led or known != self._candidate.epoch:
            self._holder_told = candidate.identity
            word = "leads again" if known == self._candidate.epoch else "leads"
            log.info(word, lease=str(self._place), epoch=self._candidate.epoch)

    async def _write(self, cluster: Cluster, holder: str, transitions: int) -> Lease:
        # No holder: it is given back, and how long that would be held is of no matter.
        seconds = self._leadership.timing.duration_seconds if holder else _GIVEN_BACK_SECONDS
        whole = math.ceil(seconds)
        obj = written(self._stored, self._place, holder, transitions, whole, self._wall())
        if self._stored is None:
            self._stored = await cluster.create(LEASE, obj)
        else:
            self._stored = await cluster.replace(LEASE, obj)
        return read(self._stored)

    def _leave(self, holder: str) -> NoReturn:
        self._leadership.end()
        log.error(
            "another operator has taken the Lease; this one ends without finishing anything",
            lease=str(self._place),
            holder=holder or "nobody (it was taken from us by hand)",
            epoch=self._candidate.epoch,
        )
        depart()

    async def _give_back(self, cluster: Cluster) -> None:
        """Let the next candidate have the Lease without waiting for it to expire."""
        self._candidate = self._candidate.released()
        try:
            await self._look(cluster)
            lease = self._candidate.lease
            if lease is None or lease.holder != self._candidate.identity:
                return
            await self._write(cluster, "", lease.transitions)
        except ClusterError as error:
            log.warning("Lease not given back; it expires", error=str(error))
            return
        log.info("Lease given back", lease=str(self._place), epoch=lease.transitions)

    def _unanswered(self, error: ClusterError) -> None:
        left = self._leadership.deadline - self._leadership.clock()
        if left > 0:
            log.warning(
                "Lease not renewed", error=str(error), writes_stop_in_seconds=round(left, 1)
            )
        elif not self._failing:
            log.warning("Lease out of reach; nothing is written until it answers", error=str(error))
        self._failing = left <= 0

    def _recovered(self) -> None:
        self._failing = False
