"""The parts of a running operator, and what each of them runs on."""

import asyncio
import functools
import socket
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self, TypeAlias

from penstock.errors import PenstockError
from penstock.guard import unguarded
from penstock_operator.cluster.cache import Cache
from penstock_operator.cluster.client import Cluster
from penstock_operator.external import servers
from penstock_operator.external.gates import Gates
from penstock_operator.leadership.leadership import Leadership
from penstock_operator.leadership.lease import Elector, Place
from penstock_operator.reconcile.controller import Workers
from penstock_operator.reconcile.gather import Sources, highest_epoch
from penstock_operator.reconcile.manifests import Installation
from penstock_operator.reconcile.measure import Measure
from penstock_operator.reconcile.queue import WorkQueue
from penstock_operator.reconcile.reconciler import Reconciler
from penstock_operator.reconcile.relist import Relister
from penstock_operator.reconcile.rounds import Rounds
from penstock_operator.settings import Settings
from penstock_operator.tenancy import pressure
from penstock_operator.tenancy.credentials import read_credentials
from penstock_operator.tenancy.prices import PriceFile
from penstock_operator.tenancy.tenants import Tenants
from penstock_store.store import Store

Clock: TypeAlias = Callable[[], datetime]

_STALE_LIST_SECONDS: Final = 180.0
_BEAT_SECONDS: Final = 0.25


class ElectionEnded(PenstockError):
    """The thread that keeps the Lease is gone."""


@dataclass(frozen=True)
class Parts:
    """All parts but the informer. There is no elector without election."""

    leadership: Leadership
    cache: Cache
    queue: WorkQueue
    relister: Relister
    tenants: Tenants | None
    workers: Workers
    rounds: Rounds
    elector: Elector | None
    store: Store
    gates: Gates

    @classmethod
    def of(
        cls,
        settings: Settings,
        cluster: Cluster,
        store: Store,
        leadership: Leadership,
        clock: Clock,
    ) -> Self:
        """Put them together; nothing runs yet. The clock gives the time of day, in UTC."""
        cache, queue = Cache(), WorkQueue(time.monotonic)
        relister = Relister(
            cluster,
            store,
            cache,
            queue,
            settings.watched,
            settings.relist_seconds,
            time.monotonic,
            leadership,
        )
        tenants = _tenants(settings, cluster, store, cache, relister)
        gates = Gates(servers.read(settings.prometheus), leadership.clock)
        sources = Sources(
            cluster,
            store,
            cache,
            Measure(store),
            Installation.of(settings, tenants.credentials if tenants else None),
            settings.settle_seconds,
            leadership,
            tenants,
            price_file=PriceFile(settings.prices_file),
            gates=gates,
        )
        reconciler = Reconciler(sources, clock)
        workers = Workers(queue, reconciler, leadership, relister.knows)
        rounds = Rounds(store, queue, reconciler.memories, leadership, time.monotonic)
        elector = _elector(settings, leadership, clock)
        return cls(
            leadership, cache, queue, relister, tenants, workers, rounds, elector, store, gates
        )

    def start(self) -> list[asyncio.Task[Any]]:
        """Begin everything; each of the tasks runs for ever."""
        tasks = [
            asyncio.create_task(self._beat(), name="heartbeat"),
            asyncio.create_task(self.relister.run(), name="relist"),
            asyncio.create_task(self._lead(), name="workers"),
            asyncio.create_task(pressure.follow(self.store), name="memory of Redis"),
            asyncio.create_task(self.gates.run(), name="gates"),
        ]
        if self.elector:
            self.elector.start()
        return tasks

    async def release(self) -> None:
        """Give the Lease back, once nothing is written any more."""
        if self.elector:
            await self.elector.release()

    async def _lead(self) -> None:
        """Wait to lead; then list everything anew, take an epoch above all on record, and work."""
        await self.leadership.until_held()
        await self.relister.lead()
        await self.leadership.outbid(highest_epoch(self.cache))
        async with asyncio.TaskGroup() as group:
            group.create_task(self.workers.run(), name="passes")
            group.create_task(self.rounds.run(), name="rounds")
            if self.tenants:
                group.create_task(self.tenants.run(), name="tenants")

    async def _beat(self) -> None:
        """Show the election's thread that this loop turns, and see that the thread lives."""
        while True:
            self.leadership.beat()
            await asyncio.sleep(_BEAT_SECONDS)
            if problem := self.unwell():
                raise ElectionEnded(problem)

    def unwell(self) -> str | None:
        """Why the operator must be started anew, in a sentence; None when it need not."""
        if self.elector and not self.elector.running:
            return "the election's thread has ended; see the traceback above"
        return None

    def unready(self) -> str | None:
        """Why the operator is not ready, in a sentence; None when it is. A standby is ready."""
        if self.relister.listed_at is None:
            return "not all kinds have been listed yet"
        age = time.monotonic() - self.relister.listed_at
        if age > _STALE_LIST_SECONDS:
            return f"the last complete list is {age:.0f} s old"
        return None


def _tenants(
    settings: Settings, cluster: Cluster, store: Store, cache: Cache, relister: Relister
) -> Tenants | None:
    """Who keeps the Redis users of namespaces, where each has one."""
    credentials = read_credentials(settings)
    if credentials is None:
        return None
    return Tenants(
        cluster,
        store,
        cache,
        credentials,
        lambda: relister.sure and relister.leadership.held(),
        time.monotonic,
        settings.watched,
    )


def _elector(settings: Settings, leadership: Leadership, clock: Clock) -> Elector | None:
    """The canary for the Lease, where there is an election."""
    if not settings.lease:
        return None
    identity = f"{settings.pod_name or socket.gethostname()}_{uuid.uuid4()}"
    seconds = settings.timing.request_seconds
    connect = functools.partial(
        Cluster.connect,
        settings.kubeconfig,
        unguarded,
        timeout_seconds=seconds,
        write_seconds=seconds,
    )
    place = Place(settings.namespace, settings.lease)
    return Elector(connect, place, identity, leadership, clock)
