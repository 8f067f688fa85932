"""Listing everything anew: repairs what a watch has missed, and keeps the index of agents."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from penstock.errors import PenstockError, StoreRefused, StoreUnavailable
from penstock.names import AgentKey
from penstock_operator import metrics
from penstock_operator.cluster.cache import Cache, owner_key
from penstock_operator.cluster.client import Cluster, ClusterError
from penstock_operator.cluster.kinds import AGENT, WATCHED, Kind, name_of, namespace_of, uid_of
from penstock_operator.leadership.leadership import Leadership
from penstock_operator.reconcile.queue import WorkQueue
from penstock_store.store import Store

log = structlog.get_logger("penstock.operator")

_RETRY_SECONDS = 1.0
_REFUSALS = (403, 404)
_CLOSING_SECONDS = 20.0  # of all agents together, before the index is written
_INDEX_SECONDS = 1.0  # between two indexes: a thousand Agents that come at once are not a thousand


@dataclass
class Relister:
    """Lists all kinds at the start and once a minute.

    ``listed_at`` is when that last succeeded by the clock; ``listed`` is set once it ever did:
    before, an object that is not in the cache may well exist. The index of agents is written by a leader who has listed everything
    since it leads (``sure``): what its predecessor saw last it may not have heard of before.

    Of several namespaces one may be ``refused`` (to why), as when it was deleted and its Role with
    it. What is known of it stays, and the list of the others counts as complete.
    """

    cluster: Cluster
    store: Store
    cache: Cache
    queue: WorkQueue
    namespaces: tuple[str, ...]
    period_seconds: float
    clock: Callable[[], float]
    leadership: Leadership
    listed_at: float | None = None
    listed: asyncio.Event = field(default_factory=asyncio.Event)
    sure: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    refused: dict[str, str] = field(default_factory=dict)
    _unknown: set[str] = field(default_factory=set)  # refused ever since this operator leads

    async def run(self) -> None:
        """List for ever; a failure is tried again after a second."""
        while True:
            try:
                await self.once()
                pause = self.period_seconds * (0.9 + random.random() / 5)
            except PenstockError as error:
                log.warning("re-list failed", error=str(error))
                pause = _RETRY_SECONDS
            await self._index_until(pause)

    async def lead(self) -> None:
        """Have everything listed since the leadership began, before anything is decided on it."""
        if self.leadership.elected:
            await self._list_surely()
        else:
            await self.listed.wait()  # nobody led before
        self._unknown = set(self.refused)
        self.sure = True
        self.changed.set()

    def knows(self, agent: AgentKey) -> bool:
        """Whether all that belongs to an agent was listed since this operator leads.

        Where it was not, revisions may be missing in the cache, and nothing must be decided.
        """
        return self.sure and agent.namespace not in self._unknown

    async def _list_surely(self) -> None:
        while True:
            try:
                await self._list()
                return
            except PenstockError as error:
                log.warning("re-list failed", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)

    async def once(self) -> None:
        """One pass: everything listed, and the index of agents written by it."""
        await self._list()
        await self._index()

    async def _list(self) -> None:
        """Every kind listed, the cache made equal, the owners of repairs woken.

        Raises:
            ClusterError: something could not be listed; of namespaces that are refused, all are.
        """
        first = self.listed_at is None
        refused: dict[str, str] = {}
        for kind in WATCHED:
            for namespace in self.namespaces:
                if namespace not in refused:
                    refused |= await self._settle_one(kind, namespace, count=not first)
            if not self.namespaces:
                await self._settle(kind, None, count=not first)
        self._tell_refused(refused)
        if self.namespaces and refused.keys() >= set(self.namespaces):
            raise ClusterError(403, f"no watched namespace can be listed: {refused}")
        self.listed_at = self.clock()
        self.listed.set()
        metrics.RELISTED.set_to_current_time()
        for agent in self.cache.all(AGENT):
            self.queue.add(AgentKey(namespace_of(agent), name_of(agent)))

    def _tell_refused(self, refused: dict[str, str]) -> None:
        for namespace in self.namespaces:
            metrics.REFUSED.labels(namespace).set(namespace in refused)
        for namespace in refused.keys() - self.refused.keys():
            why = refused[namespace]
            log.warning("namespace refused, left as it is", namespace=namespace, error=why)
        for namespace in self.refused.keys() - refused.keys():
            log.info("namespace is listed again", namespace=namespace)
        self.refused = refused
        self._unknown &= refused.keys()

    async def _settle_one(self, kind: Kind, namespace: str, *, count: bool) -> dict[str, str]:
        """A kind of one namespace of several; the namespace and why, where that is refused."""
        try:
            await self._settle(kind, namespace, count=count)
        except ClusterError as error:
            if error.status not in _REFUSALS:
                raise
            return {namespace: str(error)}
        return {}

    async def _settle(self, kind: Kind, namespace: str | None, *, count: bool) -> None:
        listed, version = await self.cluster.listing(kind, namespace)
        repaired = self.cache.settle(kind, listed, version, namespace)
        metrics.CACHED.labels(kind.kind).set(self.cache.size(kind))
        if count and repaired:
            metrics.RELIST_REPAIRS.labels(kind.kind).inc(len(repaired))
        for obj in repaired:
            if owner := owner_key(kind, obj):
                self.queue.add(owner)

    async def _index(self) -> None:
        """Write the index of agents, and close those that are gone; as leader only."""
        if not (self.sure and self.leadership.held()):
            return
        agents = {
            AgentKey(namespace_of(obj), name_of(obj)): uid_of(obj) for obj in self.cache.all(AGENT)
        }
        before = await self.store.routes.index()
        gone = {
            key: uid
            for key, uid in before.items()
            if self._watches(key.namespace) and agents.get(key) != uid
        }
        unseen = {key: uid for key, uid in gone.items() if key.namespace in self.refused}
        left = await self._close({key: gone[key] for key in gone.keys() - unseen.keys()})
        await self.store.routes.set_index(agents | unseen | left)

    def _watches(self, namespace: str) -> bool:
        return not self.namespaces or namespace in self.namespaces

    async def _close(self, gone: dict[AgentKey, str]) -> dict[AgentKey, str]:
        """Close agents; those that are left for the next try.

        Whoever has a namespace's Redis user can make its agents fail, or fill their queues faster
        than they are emptied. So the time is bounded, and the order another one each time.
        """
        left = dict(gone)
        try:
            async with asyncio.timeout(_CLOSING_SECONDS):
                for key in random.sample(list(gone), len(gone)):
                    if await self._closed(key, gone[key]):
                        del left[key]
        except TimeoutError:
            log.warning("agents not closed in time", left=len(left))
        except StoreUnavailable as error:
            log.warning("agents not closed", left=len(left), error=str(error))
        return left

    async def _closed(self, key: AgentKey, uid: str) -> bool:
        """Whether an agent could be closed; why not is logged."""
        try:
            ended = await self.store.routes.close(key, uid)
        except StoreRefused as error:
            log.warning("agent not closed", agent=str(key), error=str(error))
            return False
        log.info("agent closed", agent=str(key), cancelled=ended)
        return True

    async def _index_until(self, seconds: float) -> None:
        """Wait for the next pass; the index follows when an Agent comes or goes, the first at once."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await self.changed.wait()
                    self.changed.clear()
                    await self._try_index()
                    await asyncio.sleep(_INDEX_SECONDS)
        except TimeoutError:
            return

    async def _try_index(self) -> None:
        try:
            await self._index()
        except PenstockError as error:
            log.warning("index not written", error=str(error))
