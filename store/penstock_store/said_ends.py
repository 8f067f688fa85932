"""How claims ended, kept for a while so that it can be said again when Redis has lost it: ends of tasks, and those put down."""

import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from penstock.names import AgentKey
from penstock_store import checkpoints
from penstock_store.checkpoints import Saved
from penstock_store.connection import Argument
from penstock_store.records import Claim, Directive

# After its acknowledgement an end may be lost with the log's tail for so long.
_SECONDS: Final = 60.0
_BYTES: Final = 16 << 20  # of all that are remembered; the oldest go first

#: Runs a script that writes for a consumer; what it answers after the number of its write. See ``Claims``.
Run = Callable[..., Awaitable[list[Any]]]


@dataclass(frozen=True)
class End:
    """The end of a claim, by the script that says it. ``at_seconds`` is of a clock that goes forward only."""

    script: str
    claim: Claim
    arguments: Sequence[Argument]
    at_seconds: float = field(default_factory=time.monotonic)

    @property
    def size(self) -> int:
        """About how much memory it takes, in bytes."""
        said = sum(len(part) for part in self.arguments if not isinstance(part, int))
        return said + len(self.claim.task.input)

    def words(self, now_seconds: float) -> tuple[Argument, ...]:
        """As the script takes them. A task that was put down says for how many ms it is."""
        if self.script == "finish":
            return tuple(self.arguments)
        task, claim, *more = self.arguments
        return (task, claim, round((now_seconds - self.at_seconds) * 1000), *more)


def put_down(
    claim: Claim,
    saved: Saved | None,
    money: str,
    waiting: Sequence[Argument] = (),
    *,
    to_stable: bool = False,
) -> End:
    """A task that is put down, with what its claim has saved (None: nothing), as `putdown.lua` takes it.

    ``waiting``: where it waits for a person, its usage and what is asked; else it goes back, or to stable.
    """
    state = saved.state if saved else b""
    words = saved.words if saved else ("", "")
    said = (state, checkpoints.digest(state), *words, money, int(to_stable), *waiting)
    return End("putdown", claim, (claim.task.id, claim.id, *said))


class Ends:
    """The newest ends of this process, within a bound of bytes and of time."""

    def __init__(self) -> None:
        self._ends: deque[End] = deque()
        self._bytes = 0

    def remember(self, end: End) -> None:
        """Keep an end that was acknowledged; its claim without what it was given to work on."""
        end = replace(end, claim=replace(end.claim, checkpoint=None, history=None))
        self._ends.append(end)
        self._bytes += end.size
        oldest = end.at_seconds - _SECONDS
        while self._ends and (self._bytes > _BYTES or self._ends[0].at_seconds < oldest):
            self._bytes -= self._ends.popleft().size

    def of(self, agent: AgentKey, now_seconds: float) -> list[End]:
        """Those of an agent that Redis may still lose, oldest first."""
        since = now_seconds - _SECONDS
        return [end for end in self._ends if end.claim.agent == agent and end.at_seconds >= since]

    async def say_again(self, agent: AgentKey, run: Run) -> None:
        """Say those of an agent again: else such tasks would run once more."""
        for end in self.of(agent, time.monotonic()):
            await _say(end, run)

    async def put_down(self, end: End, said: bytes, run: Run) -> Directive:
        """Keep what was answered to a task that is put down; where Redis may lack its state, put it down with that."""
        if said == Directive.REWRITE.encode():
            said = await _say(end, run)
        directive = Directive(said.decode())
        if directive is Directive.CONTINUE:
            self.remember(end)
        return directive


async def _say(end: End, run: Run) -> bytes:
    claim, words = end.claim, end.words(time.monotonic())
    (said,) = await run(end.script, claim.agent, claim.consumer, *claim.keys, after=words)
    return bytes(said)
