"""Who leads, decided from what was seen of a Lease and from one's own clock. Pure.

A leader may write until ``deadline``: the moment before it asked for the renewal that succeeded
last, plus ``renew_seconds``. Anybody else takes the Lease only after having seen it unchanged for
``duration_seconds``. A renewal is seen no earlier than it was asked for, so two candidates never
hold at once as long as their clocks differ in speed by less than renew : duration. No clock is
ever compared with the other side's.
"""

import math
from dataclasses import dataclass, replace
from typing import Final, Self

#: leaseTransitions is a 32-bit number.
HIGHEST_EPOCH: Final = 2**31 - 1
#: A higher epoch on record is nobody's leadership; to go above it would leave no room for others.
HIGHEST_BELIEVED: Final = 2**30
#: A Lease that says longer was written by nobody who keeps it: with that, none would ever take it.
LONGEST_BELIEVED_SECONDS: Final = 600.0
#: The first leader's: 0 is for an operator without election.
FIRST_EPOCH: Final = 1


@dataclass(frozen=True)
class Timing:
    """When a Lease is renewed, given up and taken, in seconds.

    What is left between the first two is how long a write may be on its way.
    """

    duration_seconds: float = 15.0
    renew_seconds: float = 10.0
    retry_seconds: float = 2.0

    def __post_init__(self) -> None:
        """Refuse timings under which two could lead."""
        if not 0 < self.retry_seconds < self.renew_seconds < self.duration_seconds:
            raise ValueError(
                "a Lease needs duration > renew > retry > 0 seconds, not "
                f"{self.duration_seconds:g}, {self.renew_seconds:g}, {self.retry_seconds:g}"
            )
        if self.duration_seconds > LONGEST_BELIEVED_SECONDS:
            raise ValueError(f"a Lease lasts at most {LONGEST_BELIEVED_SECONDS:g} seconds")

    @property
    def write_seconds(self) -> float:
        """The longest that a write may take, so that it ends before another leads."""
        return self.duration_seconds - self.renew_seconds

    @property
    def request_seconds(self) -> float:
        """The longest that a request for the Lease may take, so that several fit in a renewal."""
        return self.renew_seconds / 4


@dataclass(frozen=True)
class Lease:
    """A Lease as it was read; ``version`` changes with every write, no holder means released."""

    holder: str
    transitions: int
    duration_seconds: float
    version: str


@dataclass(frozen=True)
class Wait:
    """Nothing to write; look again after a while."""

    seconds: float


@dataclass(frozen=True)
class Ask:
    """Ask for the Lease: replace the one of this version, or create it where there is none."""

    transitions: int
    version: str = ""


@dataclass(frozen=True)
class Leave:
    """Another has taken the Lease from us: end at once, whatever is in hand."""

    holder: str


Step = Wait | Ask | Leave


@dataclass(frozen=True)
class Candidate:
    """What one candidate knows.

    ``lease`` has been as it is for as long as anybody looked, ``since`` a moment of the own clock;
    ``looked_at`` is the last look. ``highest`` is the largest number of transitions ever seen, -1
    before any. ``epoch`` is 0 until it has led.
    """

    identity: str
    timing: Timing
    lease: Lease | None = None
    since: float = -math.inf
    looked_at: float = -math.inf
    highest: int = -1
    epoch: int = 0
    deadline: float = -math.inf

    def held(self, now: float) -> bool:
        """Whether it leads."""
        return now < self.deadline

    def saw(self, lease: Lease | None, now: float) -> Self:
        """The candidate after a look.

        After a time in which it could not look the holder could not renew either, as a rule: it
        then gets a few more tries, instead of losing the Lease to whoever is first.
        """
        blind = now - self.looked_at > 3 * self.timing.retry_seconds
        since = now if lease != self.lease or self.looked_at == -math.inf else self.since
        if blind:
            since = max(since, now - self._patience(lease) + 3 * self.timing.retry_seconds)
        highest = max(self.highest, lease.transitions if lease else -1)
        return replace(self, lease=lease, since=since, looked_at=now, highest=highest)

    def won(self, lease: Lease, asked_at: float, now: float) -> Self:
        """The candidate after its request for the Lease succeeded."""
        deadline = asked_at + self.timing.renew_seconds
        return replace(self.saw(lease, now), epoch=lease.transitions, deadline=deadline)

    def released(self) -> Self:
        """The candidate when it gives the Lease back: it writes nothing from here on."""
        return replace(self, deadline=-math.inf)

    def free_in(self, now: float) -> float:
        """In how many seconds the Lease may be taken."""
        if self.lease is None and self.highest < 0:
            return 0.0  # there never was one
        if self.lease is not None and not self.lease.holder:
            return 0.0
        return self.since + self._patience(self.lease) - now

    def _patience(self, lease: Lease | None) -> float:
        """How long a Lease must be unchanged; the holder may have been told other timings."""
        own = self.timing.duration_seconds
        if lease is None or not lease.holder:
            return own
        return max(own, min(lease.duration_seconds, LONGEST_BELIEVED_SECONDS))


def decide(candidate: Candidate, now: float, *, alive: bool, at_least: int = 0) -> Step:
    """What to do after a look.

    Args:
        candidate: after ``saw``.
        alive: whether the loop that would do the leader's work turns.
        at_least: the smallest epoch that is above all that is on record.
    """
    lease, retry = candidate.lease, candidate.timing.retry_seconds
    if lease is not None and candidate.epoch and lease.holder != candidate.identity:
        return Leave(lease.holder)
    if not alive:
        return Wait(retry)
    if lease is not None and lease.holder == candidate.identity:
        return _ask(lease, max(candidate.epoch, lease.transitions, at_least))
    if lease is None and candidate.held(now):
        return _ask(None, max(candidate.epoch, at_least))  # somebody deleted it: put it back
    wait = candidate.free_in(now)
    if wait > 0:
        return Wait(min(retry, wait))
    return _ask(lease, max(candidate.highest + 1, FIRST_EPOCH, at_least))


def _ask(lease: Lease | None, transitions: int) -> Ask:
    return Ask(min(transitions, HIGHEST_EPOCH), lease.version if lease else "")
