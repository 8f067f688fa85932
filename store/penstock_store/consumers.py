"""What a process knows of its consumers: for whom they ask, their last write, since when Redis has heard of them."""

import time
from collections.abc import Collection

from penstock.names import AgentKey


class Consumers:
    """Each is known by its agent and its own name; all is forgotten when it leaves."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[AgentKey, str], int] = {}
        self._heard: dict[tuple[AgentKey, str], float] = {}
        self._revisions: dict[tuple[AgentKey, str], str] = {}

    def asks_for(self, agent: AgentKey, name: str, revision: str) -> None:
        """It asks for tasks of a revision."""
        self._revisions[agent, name] = revision

    def revision(self, agent: AgentKey, name: str) -> str:
        """For which revision's tasks it asks; "" where it has not."""
        return self._revisions.get((agent, name), "")

    def number(self, agent: AgentKey, name: str) -> int:
        """The number of its last acknowledged write, 0 before the first one."""
        return self._numbers.get((agent, name), 0)

    def number_if_known(self, agent: AgentKey, name: str) -> int:
        """The same; -1 of a consumer of another process."""
        return self._numbers.get((agent, name), -1)

    def writes(self, agent: AgentKey, name: str) -> int:
        """It asks Redis for something; the number of its last acknowledged write."""
        return self._numbers.setdefault((agent, name), 0)

    def wrote(self, agent: AgentKey, name: str, number: int) -> None:
        """Redis has answered it; ``number`` is that of what it wrote, 0 where it wrote nothing."""
        self._numbers[agent, name] = max(self.number(agent, name), number)
        if number:
            self.heard(agent, name)

    def heard(self, agent: AgentKey, name: str) -> None:
        """Redis has heard of it."""
        self._heard.setdefault((agent, name), time.monotonic())

    def unheard(self, agent: AgentKey) -> None:
        """Redis may have lost that it has heard of an agent's consumers; what it hears from now on counts."""
        for known in [known for known in self._heard if known[0] == agent]:
            del self._heard[known]

    def heard_seconds(self, agent: AgentKey, name: str) -> float:
        """For how long Redis has known of it, since it has lost anything."""
        now = time.monotonic()
        return now - self._heard.get((agent, name), now)

    def idle_agents(self, name: str, busy: Collection[AgentKey]) -> list[AgentKey]:
        """The agents that it has asked for tasks, but for the busy ones."""
        return [agent for agent, each in self._numbers if each == name and agent not in busy]

    def forget(self, agent: AgentKey, name: str) -> None:
        """It has left."""
        for kept in (self._numbers, self._heard, self._revisions):
            kept.pop((agent, name), None)
