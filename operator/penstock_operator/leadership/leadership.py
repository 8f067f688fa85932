"""What the whole process knows of its leadership: whether it may write, and in which epoch."""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from penstock.errors import PenstockError
from penstock_operator.leadership import election
from penstock_operator.leadership.election import Timing

_POLL_SECONDS: Final = 0.1
#: A second wish for a higher epoch must wait: two installations over one agent would outbid each
#: other without end.
_BETWEEN_WISHES_SECONDS: Final = 60.0


class Fenced(PenstockError):
    """A write that only the leader may make, and this operator does not lead (any more)."""


def boot_clock() -> float:
    """Seconds that also pass while the machine sleeps, and that nobody can set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass
class Leadership:
    """Shared by the election's thread, which grants it, and the main loop, which lives by it.

    Every field is one word that one side writes and the other reads, so no lock is needed.
    ``deadline`` is until when writes are allowed; ``asked_at`` when the renewal that granted it was
    asked for; ``beaten_at`` is when the main loop last turned;
    ``at_least`` is the epoch that the main loop wants to have; ``transitions`` is what the Lease
    was last seen with, whoever holds it.
    """

    timing: Timing
    clock: Callable[[], float] = boot_clock
    elected: bool = True
    epoch: int = 0
    deadline: float = -math.inf
    asked_at: float = -math.inf
    beaten_at: float = -math.inf
    at_least: int = 0
    transitions: int = 0
    wished_at: float = -math.inf

    @classmethod
    def alone(cls) -> Self:
        """An operator without election: it leads from the start and for ever."""
        return cls(Timing(), elected=False, deadline=math.inf)

    def held(self) -> bool:
        """Whether this operator leads now."""
        return self.clock() < self.deadline

    def demand(self) -> None:
        """Raise Fenced unless this operator leads now; to be asked right before each write."""
        if not self.held():
            raise Fenced("this operator does not hold the Lease; nothing is written")

    def longest_write_seconds(self, seconds: float) -> float:
        """How long a write may take at most, given how long it might."""
        return min(seconds, self.timing.write_seconds) if self.elected else seconds

    async def until_held(self) -> None:
        """Wait until this operator leads."""
        while not self.held():  # noqa: ASYNC110  another thread's word and a clock: no event
            await asyncio.sleep(_POLL_SECONDS)

    async def outbid(self, seen: int) -> None:
        """Wait until the epoch is above all that is on record, at the begin of a leadership.

        It is, unless the Lease was deleted, made anew or brought back from a backup: then the
        epoch that Kubernetes and Redis already know would not tell us from our predecessors.
        """
        if not self.elected:
            return
        wanted = self.at_least = max(self.at_least, seen + 1)
        while self.epoch < wanted:  # noqa: ASYNC110  another thread's word
            await asyncio.sleep(_POLL_SECONDS)

    def epoch_over(self, seen: int) -> int:
        """The epoch to decide in, never below ``seen``, the highest that is on record.

        Without election the operator goes on in the epoch it finds. With election a higher epoch
        was written by a newer leader, or is left over from elsewhere. Which of the two, the Lease
        knows: the election's thread asks for an epoch above it, which only the holder gets, and
        whoever finds another holder there ends.

        Raises:
            Fenced: while our epoch is below the one on record.
        """
        if not self.elected:
            return seen
        if seen <= self.epoch:
            return self.epoch
        now = self.clock()
        believed = seen <= election.HIGHEST_BELIEVED
        if believed and now - self.wished_at >= _BETWEEN_WISHES_SECONDS:
            self.at_least, self.wished_at = seen + 1, now
        raise Fenced(f"epoch {seen} is on record, above ours, {self.epoch}: another one has led")

    @property
    def confirmed_at(self) -> float:
        """When the last renewal that was granted was asked for, by ``clock``.

        Nobody else has led between our begin and that moment, so nothing that was there to be seen
        before it was written by a later leader.
        """
        return self.asked_at if self.elected else math.inf

    def beat(self) -> None:
        """Tell the election's thread that the main loop turns."""
        self.beaten_at = self.clock()

    def alive(self) -> bool:
        """Whether the main loop turned within the time in which a leader must renew."""
        return self.clock() - self.beaten_at < self.timing.renew_seconds

    def grant(self, epoch: int, deadline: float) -> None:
        """Lead in an epoch until a deadline."""
        self.epoch = epoch  # before the deadline: nobody must write in a former epoch
        self.deadline = deadline
        self.asked_at = deadline - self.timing.renew_seconds

    def end(self) -> None:
        """Lead no more."""
        self.deadline = -math.inf
