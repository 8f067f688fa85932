"""What was acknowledged of calls that change something, kept for a while to be said again."""

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from penstock.names import AgentKey
from penstock_store.agent_scripts import AgentScripts
from penstock_store.records import Claim

T = TypeVar("T")

# After its acknowledgement it may be lost with the log's tail for so long.
_SECONDS: Final = 60.0
_UNDER_WAY_SECONDS: Final = 10.0  # at most, for an acknowledgement
_BYTES: Final = 8 << 20  # of all that are remembered; the oldest go first
_AT_ONCE: Final = 500  # in one step, so that no script holds Redis up


class AnotherLife(Exception):
    """The server that would run a script is another one, or was started anew; it has run nothing."""

    def __init__(self, life: str) -> None:
        super().__init__(life)
        self.life = life


@dataclass(frozen=True)
class _Said:
    """A word about a call, as it was said. ``owner``: tenant, user and revision of its task."""

    at_seconds: float
    agent: AgentKey
    task: str
    owner: tuple[str, str, str]
    json: str

    @property
    def size(self) -> int:
        """About how much memory it takes, in bytes."""
        return len(self.json) + 200

    def words(self) -> tuple[str, ...]:
        """As `restate.lua` reads it."""
        return (self.task, *self.owner, self.json)


class SaidEffects:
    """The newest words of this process, within a bound of bytes and of time."""

    def __init__(self, scripts: AgentScripts) -> None:
        self._scripts = scripts
        self._said: deque[_Said] = deque()
        self._bytes = 0
        self._lives: dict[AgentKey, str] = {}  # of the server that knows all that was said
        self._saying = asyncio.Lock()

    def remember(self, claim: Claim, told: Sequence[str]) -> None:
        """Keep what was acknowledged of a task's calls, among other events: kind and JSON in turn."""
        now, task = time.monotonic(), claim.task
        owner = (task.tenant, task.user, task.revision)
        for kind, json in zip(told[::2], told[1::2], strict=True):
            if kind == "effect":
                self._said.append(_Said(now, claim.agent, task.id, owner, json))
                self._bytes += self._said[-1].size
        while self._said and (self._bytes > _BYTES or self._said[0].at_seconds < now - _SECONDS):
            self._bytes -= self._said.popleft().size

    def meet(self, agent: AgentKey, life: str) -> None:
        """A script of an agent is about to be run by the server of a life.

        Raises:
            AnotherLife: it may not know what was said; ``join`` first, for the task or its worker may end next.
        """
        if life != self._lives.setdefault(agent, life):
            raise AnotherLife(life)

    async def join(self, agent: AgentKey, life: str) -> None:
        """Say to the server of another life all that it may lack."""
        async with self._saying:
            if self._lives.get(agent) != life:
                await self.say_again(agent)
                self._lives[agent] = life

    async def say_again(self, agent: AgentKey) -> None:
        """Say what Redis may have lost of an agent's effects, oldest first; what is there stays as it is."""
        now = time.monotonic()
        said = [
            one for one in self._said if one.agent == agent and one.at_seconds >= now - _SECONDS
        ]
        for batch in batches(said, _AT_ONCE):
            words = [word for one in batch for word in one.words()]
            since_ms = round((now - batch[0].at_seconds + _UNDER_WAY_SECONDS) * 1000)
            await self._scripts.run("restate", agent, arguments=(since_ms, *words))


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The items in their order, so many at a time."""
    return (items[start : start + size] for start in range(0, len(items), size))
