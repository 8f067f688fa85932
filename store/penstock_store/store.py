"""The store: every call that Penstock makes of Redis, typed."""

from typing import Final, Self

from penstock_store.connection import Connection, Durability, Guard, Wiring
from penstock_store.listening import Listening
from penstock_store.listing import Listing
from penstock_store.routing import Routing
from penstock_store.scripts import Retention, Scripts
from penstock_store.users import Permitting
from penstock_store.work import Working

_RETENTION: Final = Retention()
_DURABILITY: Final = Durability()


class Store(Routing, Permitting, Listing, Working, Listening):
    """A connection to Redis. Every call has a deadline and raises StoreUnavailable past it.

    StoreRefused is raised by every call as well: where Redis holds what is not Penstock's.

    The operator's calls are in ``Routing`` and ``Permitting``, the gateway's in ``Admitting``,
    ``Listing`` and ``Listening``, the worker's in ``Working`` and ``Listening``.
    """

    @classmethod
    def connect(  # noqa: PLR0913 - what a caller does not name has a default
        cls,
        url: str,
        *,
        guard: Guard,
        installation: str = "penstock",
        timeout_seconds: float = 5.0,
        retention: Retention = _RETENTION,
        cluster: bool = False,
        ca_file: str = "",
        durability: Durability = _DURABILITY,
    ) -> Self:
        """A store on the Redis at ``url`` (redis:// or rediss://); connects on first use.

        Args:
            url: where Redis is; of a cluster, any node.
            guard: asked before each write; ``connection.unguarded`` where nobody else may write.
            installation: names the operator's index and the namespaces' users. Routes, queues and
                tasks are named by namespace and agent alone: one Redis serves one cluster.
            timeout_seconds: the deadline of each call.
            retention: how much is kept and for how long.
            cluster: whether it is a Redis Cluster.
            ca_file: certificates (PEM) by which a rediss:// server is known; empty: the system's.
            durability: which replicas a write that is to be replicated waits for; not in a cluster.

        Raises:
            ValueError: the address is none, or replicas of a cluster were asked for.
        """
        if cluster and durability.replicas:
            raise ValueError("of a Redis Cluster no replicas can be waited for")
        wiring = Wiring(url, timeout_seconds, cluster, ca_file, durability)
        connection = Connection(wiring, guard)
        return cls(connection, Scripts(retention), installation)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._news.aclose()
        await self._connection.aclose()

    async def ping(self) -> None:
        """Check that Redis answers."""
        await self._connection.read("PING")
