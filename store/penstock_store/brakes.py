"""What restricts the tasks of each agent, as a worker has heard it last.

It rides on what a worker says anyway: on claims, checkpoints and heartbeats. Each time the worker says
by which mark it knows the restrictions, and hears them where others are in the route. So they hold from
the next step of every task on, without a call of their own.
"""

from penstock import restrictions
from penstock.api.restrictions import NO_RESTRICTIONS, Restrictions
from penstock.names import AgentKey


class Brakes:
    """The restrictions of agents, by what was heard last."""

    def __init__(self) -> None:
        self._heard: dict[AgentKey, tuple[str, Restrictions]] = {}

    def mark(self, agent: AgentKey) -> str:
        """By what those are known that were heard last; empty where there are none."""
        return self._heard.get(agent, ("", NO_RESTRICTIONS))[0]

    def of(self, agent: AgentKey) -> Restrictions:
        """What restricts an agent's tasks."""
        return self._heard.get(agent, ("", NO_RESTRICTIONS))[1]

    def hear(self, agent: AgentKey, said: bytes | None) -> None:
        """Take over what a script says; None: they are the same.

        What cannot be read was written by another hand: what was heard before goes on.
        """
        if said is None:
            return
        try:
            self._heard[agent] = restrictions.read(said.decode())
        except ValueError:
            return
