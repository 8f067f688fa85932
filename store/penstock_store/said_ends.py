"""Ends that were acknowledged, kept for a while so that they can be said again when Redis has lost them."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from penstock.names import AgentKey
from penstock_store.connection import Argument
from penstock_store.records import Claim

# After its acknowledgement an end may be lost with the log's tail for so long.
_SECONDS: Final = 60.0
_BYTES: Final = 16 << 20  # of all that are remembered; the oldest go first


@dataclass(frozen=True)
class End:
    """An end that was acknowledged; its claim is without what it was given to work on."""

    at_seconds: float
    claim: Claim
    arguments: Sequence[Argument]
    size: int


class Ends:
    """The newest ends of this process, within a bound of bytes and of time."""

    def __init__(self) -> None:
        self._ends: deque[End] = deque()
        self._bytes = 0

    def remember(self, at_seconds: float, claim: Claim, arguments: Sequence[Argument]) -> None:
        """Keep what was said to end a task; ``at_seconds`` is of a clock that goes forward only."""
        size = sum(len(part) for part in arguments if not isinstance(part, int))
        bare = replace(claim, checkpoint=None, history=None)
        end = End(at_seconds, bare, arguments, size + len(claim.task.input))
        self._ends.append(end)
        self._bytes += end.size
        oldest = at_seconds - _SECONDS
        while self._ends and (self._bytes > _BYTES or self._ends[0].at_seconds < oldest):
            self._bytes -= self._ends.popleft().size

    def of(self, agent: AgentKey, now_seconds: float) -> list[End]:
        """Those of an agent that Redis may still lose, oldest first."""
        since = now_seconds - _SECONDS
        return [end for end in self._ends if end.claim.agent == agent and end.at_seconds >= since]
