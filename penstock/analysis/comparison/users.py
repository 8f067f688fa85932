"""How unlike stable's users are, learnt while nothing is tried: a day of it is known when a canary begins.

Tasks and events of stable are counted by bucket, as long as the buckets are the same ones (one salt), a day at most. What
a stretch has shown is kept as two numbers for each metric when the next one begins: buckets of another salt hold other users
together and must not be added up.
"""

import base64
import binascii
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from penstock.analysis.comparison import spread
from penstock.analysis.comparison.spread import Spread
from penstock.analysis.comparison.sums import RATIOS, Counts
from penstock.analysis.metrics import Tally
from penstock.api.comparison import StableUsers, UserSpread
from penstock.traffic import BUCKETS

DAY_MS: Final = 86_400_000
_MILLION: Final = 1_000_000
_BYTES: Final = 5
_MOST: Final = 256**_BYTES - 1
_MOST_INFORMATION: Final = 1_000_000_000

#: What tells less than that of all metrics is not used: the first tasks after a start.
LEAST_INFORMATION: Final = 0.05


class Learnt(NamedTuple):
    """How unlike users are by one metric, and from how many events that is known."""

    spread: Spread
    events: int


#: Of each of RATIOS.
Known = tuple[Learnt, ...]


class Stretch(NamedTuple):
    """What was counted of stable since a moment, by bucket; ``known``: of the stretch before."""

    salt: str
    since_ms: int
    through_ms: int
    tasks: Counts
    events: tuple[Counts, ...]
    known: Known


@dataclass
class Users:
    """The stretch that is being counted."""

    salt: str
    since_ms: int = 0
    #: Ends up to here are counted.
    through_ms: int = 0
    known: Known = ()
    _tasks: list[int] = field(default_factory=lambda: [0] * BUCKETS)
    _events: list[list[int]] = field(default_factory=lambda: [[0] * BUCKETS for _ in RATIOS])
    _counted_ms: int = 0  # ends up to here were counted before

    @classmethod
    def resume(cls, kept: StableUsers | None, salt: str) -> "Users":
        """Goes on from what status keeps; with other buckets it begins anew, and knows what those have shown."""
        if kept is None:
            return cls(salt)
        if kept.salt != salt:
            return cls(
                salt, known=_known(kept), through_ms=kept.through_ms, _counted_ms=kept.through_ms
            )
        tasks, *events = decode(kept.sums)
        return cls(
            salt, kept.since_ms, kept.through_ms, _of(kept.known), list(tasks),
            [list(each) for each in events], kept.through_ms,
        )  # fmt: skip

    def end(self, bucket: int, end: Tally, at_ms: int) -> None:
        """A task of stable has ended; what was counted before is passed over."""
        if at_ms <= self._counted_ms:
            return
        if not self.since_ms or at_ms - self.since_ms >= DAY_MS:
            self._begin(at_ms)
        self.through_ms = max(self.through_ms, at_ms)
        self._tasks[bucket] += 1
        for events, count in zip(self._events, (end.errors, end.escalations), strict=True):
            events[bucket] += count

    def _begin(self, at_ms: int) -> None:
        if any(self._tasks):
            self.known = _learnt(self._tasks, self._events)
        self.since_ms = at_ms
        self._tasks = [0] * BUCKETS
        self._events = [[0] * BUCKETS for _ in RATIOS]

    def seen(self) -> Stretch:
        """The stretch so far."""
        events = tuple(tuple(each) for each in self._events)
        return Stretch(
            self.salt, self.since_ms, self.through_ms, tuple(self._tasks), events, self.known
        )


def priors(kept: StableUsers | None) -> tuple[Spread, Spread] | None:
    """What is known of users before a canary begins, with what is assumed of any; None where nothing is known."""
    known = _known(kept) if kept else ()
    if len(known) != len(RATIOS) or not any(
        one.spread.information >= LEAST_INFORMATION for one in known
    ):
        return None
    errors, escalations = (spread.together(one.spread, spread.OF_RATES) for one in known)
    return errors, escalations


def kept(seen: Stretch) -> StableUsers:
    """A stretch as status keeps it."""
    return StableUsers(
        salt=seen.salt,
        since_ms=seen.since_ms,
        through_ms=seen.through_ms,
        sums=encode((seen.tasks, *seen.events)),
        known=tuple(
            UserSpread(
                variance_millionths=round(one.spread.value * _MILLION),
                information_thousandths=round(
                    1000 * min(one.spread.information, _MOST_INFORMATION)
                ),
                events=one.events,
            )
            for one in seen.known
        ),
    )


def _known(kept: StableUsers) -> Known:
    """Of the present stretch, or of the one before, whichever has more events: no estimate chooses between them."""
    before = _of(kept.known)
    tasks, *events = decode(kept.sums)
    if not any(tasks):
        return before
    now = _learnt(tasks, events)
    if not before:
        return now
    return tuple(max(pair, key=lambda one: one.events) for pair in zip(now, before, strict=True))


def _learnt(tasks: Sequence[int], events: Iterable[Sequence[int]]) -> Known:
    return tuple(Learnt(spread.of_rates(each, tasks), sum(each)) for each in events)


def _of(known: Iterable[UserSpread]) -> Known:
    return tuple(
        Learnt(
            Spread(
                one.variance_millionths / _MILLION, max(one.information_thousandths / 1000, 1e-9)
            ),
            one.events,
        )
        for one in known
    )


def encode(counts: tuple[Counts, ...]) -> str:
    """Counts by bucket as printable characters, at most some 1,900."""
    raw = b"".join(min(n, _MOST).to_bytes(_BYTES) for each in counts for n in each)
    return base64.b85encode(zlib.compress(raw, 9)).decode()


def decode(text: str) -> tuple[Counts, ...]:
    """The counts of ``encode``; none where they cannot be read."""
    size = 1 + len(RATIOS)
    try:
        raw = zlib.decompress(base64.b85decode(text)) if text else b""
    except (ValueError, binascii.Error, zlib.error):
        raw = b""
    if len(raw) != size * BUCKETS * _BYTES:
        return ((0,) * BUCKETS,) * size
    numbers = [int.from_bytes(raw[at : at + _BYTES]) for at in range(0, len(raw), _BYTES)]
    return tuple(tuple(numbers[n * BUCKETS : (n + 1) * BUCKETS]) for n in range(size))
