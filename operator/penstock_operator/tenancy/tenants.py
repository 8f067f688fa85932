"""Keeping each namespace's way to Redis: its user there, and the Secret that its workers read."""

import asyncio
import math
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from penstock import names
from penstock.errors import PenstockError, StoreRefused, StoreUnavailable
from penstock_operator.cluster.cache import Cache
from penstock_operator.cluster.client import Cluster, ClusterError
from penstock_operator.cluster.kinds import AGENT, DEPLOYMENT, SECRET, namespace_of
from penstock_operator.tenancy.credentials import SECRET_NAME, Credentials
from penstock_store.store import Store

log = structlog.get_logger("penstock.operator")


@dataclass(frozen=True)
class Pace:
    """How often users are looked after, in seconds.

    ``look``: until it is noticed that Redis forgot users, by a restart or a failover; ``renew``:
    between two times at which everything is put right; ``former``: for how long the password of a
    former key stays valid, so that workers can be rolled; ``empty``: for how long a namespace must
    have been without Agents and workers before its user goes.
    """

    look: float = 2.0
    renew: float = 60.0
    former: float = 600.0
    empty: float = 60.0


@dataclass
class Tenants:
    """The namespaces with Agents, each with a Redis user and a Secret of its own.

    ``certain`` says whether this operator leads and has listed everything since: before, a
    namespace that looks empty need not be. ``watched`` are the namespaces to keep; empty: all.
    """

    cluster: Cluster
    store: Store
    cache: Cache
    credentials: Credentials
    certain: Callable[[], bool]
    clock: Callable[[], float]
    watched: tuple[str, ...] = ()
    pace: Pace = field(default_factory=Pace)
    _provided: set[str] = field(default_factory=set)
    _former_since: dict[str, float] = field(default_factory=dict)
    _empty_since: dict[str, float] = field(default_factory=dict)
    _turns: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    def provided(self, namespace: str) -> bool:
        """Whether that was done before which lets a namespace's workers reach Redis."""
        return namespace in self._provided

    async def provide(self, namespace: str) -> str:
        """See that a namespace's workers can reach Redis; a sentence why they cannot, or "".

        Does nothing when it was done before: ``run`` keeps it so.
        """
        if self.provided(namespace):
            return ""
        return await self._provide(namespace)

    async def run(self) -> None:
        """Keep users and Secrets for ever; what fails is tried again with the next look."""
        renewed_at = -math.inf
        while True:
            await asyncio.sleep(self.pace.look)
            if not self.certain():
                continue
            now = self.clock()
            try:
                if now - renewed_at < self.pace.renew:
                    await self.look()
                else:
                    await self.renew()
                    renewed_at = now
            except PenstockError as error:
                log.warning("users of namespaces not looked after", error=str(error))

    async def look(self) -> None:
        """Make the users again that Redis does not know any more."""
        known = await self.store.users.namespaces()
        for namespace in sorted(self._peopled() - known):
            await self._alone(namespace, self._permit_again)

    async def renew(self) -> None:
        """Put every user and Secret right, and take those away that nobody needs any more.

        What is refused in one namespace is logged, tried again the next time, and holds up no other.
        """
        peopled = self._peopled()
        for namespace in sorted(peopled):
            if problem := await self._provide(namespace):
                log.warning("a namespace's workers cannot reach Redis", error=problem)
        empty = await self.store.users.namespaces() - peopled
        now = self.clock()
        self._empty_since = {name: self._empty_since.get(name, now) for name in empty}
        for namespace, since in sorted(self._empty_since.items()):
            mine = not self.watched or namespace in self.watched
            if mine and now - since >= self.pace.empty:
                await self._alone(namespace, self._withdraw)

    async def _alone(self, namespace: str, work: Callable[[str], Awaitable[None]]) -> None:
        """Do something about one namespace; its failure is logged and is no other's.

        Raises:
            Fenced, StoreUnavailable: none of the others would fare better.
        """
        try:
            await work(namespace)
        except (StoreRefused, ClusterError) as error:
            log.warning("a namespace's user not kept", namespace=namespace, error=str(error))

    def _peopled(self) -> set[str]:
        """Namespaces with an Agent, or with workers that still run."""
        return {namespace_of(obj) for kind in (AGENT, DEPLOYMENT) for obj in self.cache.all(kind)}

    async def _provide(self, namespace: str) -> str:
        """The user first: a worker that starts on the Secret finds it there."""
        async with self._turns[namespace]:
            try:
                await self._permit(namespace)
                secret = self.credentials.secret(namespace)
                await self.cluster.apply(SECRET, secret, names.MANAGER)
            except (StoreUnavailable, StoreRefused) as error:
                return f"the Redis user of namespace {namespace} cannot be made: {error}"
            except ClusterError as error:
                return f"Secret {SECRET_NAME} in namespace {namespace} cannot be written: {error}"
            self._provided.add(namespace)
            return ""

    async def _permit_again(self, namespace: str) -> None:
        """Make a user that Redis has forgotten."""
        async with self._turns[namespace]:
            await self._permit(namespace)
        log.info("Redis user made again", namespace=namespace)

    async def _permit(self, namespace: str) -> None:
        """Make the user; the password of a former key is dropped when its time is over."""
        now = self.clock()
        over = now - self._former_since.get(namespace, now) >= self.pace.former
        password = self.credentials.password(namespace)
        if await self.store.users.permit(namespace, password, keep_former=not over):
            self._former_since.setdefault(namespace, now)
            return
        self._former_since.pop(namespace, None)
        if over:
            await self.store.users.disconnect(namespace)
            log.info("former password dropped", namespace=namespace)

    async def _withdraw(self, namespace: str) -> None:
        """Take user and Secret from a namespace, unless an Agent is there after all."""
        async with self._turns[namespace]:
            self._provided.discard(namespace)  # who comes now waits for us and provides anew
            agents, _ = await self.cluster.listing(AGENT, namespace)
            if agents:
                return
            await self._delete_secret(namespace)
            await self.store.users.dismiss(namespace)
            log.info("Redis user removed", namespace=namespace)

    async def _delete_secret(self, namespace: str) -> None:
        """Delete the Secret by its uid, which only writing it tells who may not read it.

        One in which somebody keeps something else is left to them.
        """
        try:
            secret = self.credentials.secret(namespace)
            written = await self.cluster.apply(SECRET, secret, names.MANAGER)
            if written["data"].keys() == secret["data"].keys():
                await self.cluster.delete(SECRET, written)
        except ClusterError as error:
            if error.status != 404:  # then the namespace is gone, and the Secret with it
                log.warning("Secret not deleted", namespace=namespace, error=str(error))
