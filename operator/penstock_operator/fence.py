"""The store as an operator may write it: only while it leads."""

from collections.abc import Mapping

from penstock.names import AgentKey
from penstock.traffic import Route
from penstock_operator.leadership import Leadership
from penstock_store.store import Store


class FencedStore(Store):
    """A store whose writing calls raise Fenced unless ``leadership`` is held."""

    leadership = Leadership.alone()

    async def set_route(
        self, agent: AgentKey, route: Route, *, instead_of: tuple[int, int] | None = None
    ) -> None:
        """Put a route in force, as Store does."""
        self.leadership.demand()
        await super().set_route(agent, route, instead_of=instead_of)

    async def rehome(self, agent: AgentKey, revision: str, limit: int = 200) -> int:
        """Move work to stable, as Store does."""
        self.leadership.demand()
        return await super().rehome(agent, revision, limit)

    async def expire(self, agent: AgentKey, limit: int = 200) -> int:
        """End tasks that wait for too long, as Store does."""
        self.leadership.demand()
        return await super().expire(agent, limit)

    async def set_index(self, agents: Mapping[AgentKey, str]) -> None:
        """Replace the index, as Store does."""
        self.leadership.demand()
        await super().set_index(agents)

    async def close_agent(self, agent: AgentKey, uid: str) -> int:
        """Close a deleted agent, as Store does."""
        self.leadership.demand()
        return await super().close_agent(agent, uid)

    async def permit(self, namespace: str, password: str, *, keep_former: bool = False) -> bool:
        """Make a namespace's user, as Store does."""
        self.leadership.demand()
        return await super().permit(namespace, password, keep_former=keep_former)

    async def dismiss(self, namespace: str) -> None:
        """Remove a namespace's user, as Store does."""
        self.leadership.demand()
        await super().dismiss(namespace)

    async def disconnect(self, namespace: str) -> None:
        """End the connections of a namespace's user, as Store does."""
        self.leadership.demand()
        await super().disconnect(namespace)
