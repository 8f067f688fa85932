"""What a process has met of breaks of Redis, and after which of them its consumers have said all that they hold."""

from collections.abc import Iterable

from penstock.names import AgentKey


class Breaks:
    """A break is known by when it was, in ms of Redis' clock; 0 where there was none."""

    def __init__(self) -> None:
        self._last: dict[AgentKey, int] = {}
        self._said: dict[tuple[AgentKey, str], int] = {}

    def last(self, agent: AgentKey) -> int:
        """The newest one after which ends and effects were said again."""
        return self._last.get(agent, 0)

    def last_of(self, agents: Iterable[AgentKey]) -> list[int]:
        """The newest ones of several agents."""
        return [self.last(agent) for agent in agents]

    def met(self, agent: AgentKey, broken: int) -> None:
        """Ends and effects were said again after it."""
        self._last[agent] = max(self.last(agent), broken)

    def said(self, agent: AgentKey, name: str) -> int:
        """The newest one after which Redis has heard of all that a consumer holds."""
        return self._said.get((agent, name), 0)

    def owes(self, agent: AgentKey, name: str) -> bool:
        """Whether Redis waits for a consumer to say that it has said all that it holds."""
        return self.last(agent) > self.said(agent, name)

    def all_said(self, agent: AgentKey, name: str, broken: int) -> None:
        """Redis has heard of all that a consumer holds."""
        self._said[agent, name] = max(self.said(agent, name), broken)

    def forget(self, agent: AgentKey, name: str) -> None:
        """The consumer has left."""
        self._said.pop((agent, name), None)
