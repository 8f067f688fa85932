"""What is told to webhooks: deliveries of an agent's escalations, by target, and which gateway sends them.

It is kept beside the escalations, in the agent's slot: what is told and that it was told are one write.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from penstock.names import AgentKey
from penstock.task import task_id
from penstock_store import codec, keys
from penstock_store.agent_scripts import AgentScripts

ASKED: Final = "Asked"
DECIDED: Final = "Decided"
KINDS: Final = (ASKED, DECIDED)
MOST_LOOKED_AT: Final = (
    500  # escalations of an agent, at either end and from a place that goes round
)
_PER_TARGET: Final = 3


@dataclass(frozen=True)
class Due:
    """What is in the outbox of a target for one agent. ``waited_ms``: that of the oldest; 0: nothing is."""

    due: bool
    waiting: int
    waited_ms: int


@dataclass(frozen=True)
class Delivery:
    """One message to a target. ``since_ms``: Redis time at which it was news; ``name`` is Redis' own."""

    agent: AgentKey
    target: str
    kind: str
    since_ms: int
    escalation: str
    name: str


class Outbox:
    """Deliveries of escalations. ``installation`` names the lease of the gateway that sends."""

    def __init__(self, scripts: AgentScripts, installation: str) -> None:
        self._scripts = scripts
        self._sender = keys.sender(installation)

    async def lead(self, who: str, seconds: float) -> bool:
        """Whether this gateway sends for so long from now on; with 0 it does not any more."""
        script = self._scripts.script("sender")
        milliseconds = int(seconds * 1000)
        return bool(
            await self._scripts.connection.run(script, (self._sender,), (who, milliseconds))
        )

    async def look(
        self, agent: AgentKey, targets: Sequence[tuple[str, Collection[str]]], place: int = 0
    ) -> tuple[int, list[Due]]:
        """Put what is news into the outbox of each target, and say what is in there.

        Args:
            agent: whose escalations.
            targets: names, each with the kinds that it is told.
            place: from where so many of many escalations are looked at.

        Returns:
            The place to go on from, and what is in the outbox of each target.
        """
        told = [word for name, kinds in targets for word in (name, ",".join(kinds))]
        arguments: Sequence[str | int] = (MOST_LOOKED_AT, place, task_id(agent, b""), *told)
        following, *said = await self._scripts.run("outbox", agent, arguments=arguments)
        found = [
            Due(bool(said[at]), int(said[at + 1]), int(said[at + 2]))
            for at in range(0, len(said), _PER_TARGET)
        ]
        return int(following), found

    async def take(
        self, agent: AgentKey, target: str, most: int, held_seconds: float
    ) -> tuple[int, list[Delivery]]:
        """Take deliveries that are due; for so long nobody else takes them.

        Returns:
            Redis time in ms, and the deliveries.
        """
        arguments = (target, most, int(held_seconds * 1000))
        now, *names = await self._scripts.run("dispatch", agent, arguments=arguments)
        return int(now), [_delivery(agent, target, codec.word(name)) for name in names]

    async def done(self, delivery: Delivery) -> None:
        """A delivery is done with."""
        await self._said(delivery, 0)

    async def postpone(self, delivery: Delivery, seconds: float) -> None:
        """A delivery is tried again after so long."""
        await self._said(delivery, max(1, int(seconds * 1000)))

    async def _said(self, delivery: Delivery, milliseconds: int) -> None:
        arguments = (delivery.target, delivery.name, milliseconds)
        await self._scripts.run("delivered", delivery.agent, arguments=arguments)


def _delivery(agent: AgentKey, target: str, name: str) -> Delivery:
    """A delivery by its name; one that another hand has written is of no escalation."""
    kind, _, rest = name.partition("|")
    since, _, tail = rest.partition("|")
    moment = int(since) if since.isascii() and since.isdecimal() and len(since) < 16 else 0
    return Delivery(agent, target, kind, moment, task_id(agent, b"") + tail, name)
