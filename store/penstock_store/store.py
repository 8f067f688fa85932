"""The store: every call that Penstock makes of Redis, typed."""

from typing import Final, Self

from penstock.guard import Guard
from penstock_store.agent_scripts import AgentScripts
from penstock_store.answers import Answers
from penstock_store.breakers import Breakers
from penstock_store.claims import Claims
from penstock_store.compensations import Compensations
from penstock_store.connection import Connection
from penstock_store.copies import Copies
from penstock_store.effects import Effects
from penstock_store.escalations import Escalations
from penstock_store.ledger import Ledger
from penstock_store.models import Models
from penstock_store.notifications import Notifications
from penstock_store.outbox import Outbox
from penstock_store.outcomes import Outcomes
from penstock_store.pools import Pools
from penstock_store.queue import Queue
from penstock_store.records import Memory
from penstock_store.routes import Routes
from penstock_store.scripts import Retention, Scripts
from penstock_store.tasks import Tasks
from penstock_store.users import Users
from penstock_store.wiring import Durability, Wiring

_RETENTION: Final = Retention()
_DURABILITY: Final = Durability()


class Store:
    """A connection to Redis, and one client for each thing that is kept there.

    Every call has a deadline and raises StoreUnavailable past it. StoreRefused is raised by every
    call as well: where Redis holds what is not Penstock's.

    Attributes:
        routes: which revisions serve an agent, and what they hold.
        queue: what waits in the lanes of a revision.
        claims: the right of workers to tasks.
        tasks: tasks as callers see them.
        notifications: what happens to tasks, as it happens.
        outcomes: what became of tasks.
        users: the Redis users of namespaces.
        ledger: what model calls spend of budgets.
        escalations: which calls wait for a person.
        outbox: what webhooks are told of them.
        effects: what calls of tools have done.
        compensations: what undoes them.
        copies: of stable's tasks, on which a canary is tried.
        answers: what models have answered, for requests that come again.
        breakers: which model endpoints nobody asks for a while.
        pools: how much of a model endpoint is asked in a minute.
        models: all of that together with whom an agent asks, for people.
    """

    def __init__(self, connection: Connection, scripts: Scripts, installation: str) -> None:
        self._connection = connection
        of_agents = AgentScripts(connection, scripts)
        self.routes = Routes(of_agents, installation)
        self.queue = Queue(of_agents)
        self.claims = Claims(of_agents)
        self.tasks = Tasks(of_agents, self.routes)
        self.notifications = Notifications(connection)
        self.outcomes = Outcomes(of_agents)
        self.users = Users(connection, installation)
        self.ledger = Ledger(of_agents)
        self.breakers = Breakers(of_agents)
        self.escalations = Escalations(of_agents)
        self.outbox = Outbox(of_agents, installation)
        self.pools = Pools(of_agents)
        self.effects = Effects(of_agents)
        self.compensations = Compensations(of_agents)
        self.answers = Answers(of_agents)
        self.copies = Copies(of_agents)
        self.models = Models(of_agents)

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
            guard: asked before each write; ``guard.unguarded`` for gateway and workers, who write as
                far as their Redis user may.
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
        await self.notifications.aclose()
        await self.ledger.aclose()
        await self._connection.aclose()

    async def ping(self) -> None:
        """Check that Redis answers."""
        await self._connection.read("PING")

    async def memory(self) -> Memory | None:
        """What Redis uses and may use; None where its user may not ask, or it is a cluster."""
        return await self._connection.memory()
