"""How many connections a gateway holds, what each may send and how long it may take."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Protocol

from penstock_runtime.gateway import metrics

MAX_URL_BYTES: Final = 16 << 10
MAX_HEADER_BYTES: Final = 64 << 10  # of all header lines together, or of all trailers
MAX_HEADERS: Final = 256
MAX_PIPELINED: Final = (
    8  # about; requests of one connection that are read before the first's answer
)
MAX_BEHIND_BYTES: Final = 512 << 10  # behind those, not looked at yet
MAX_IGNORED_BYTES: Final = 16 << 20  # after a refusal, while the caller may still read it
MAX_REQUEST_BYTES: Final = 64 << 20  # of all requests that are not answered yet, together
MAX_UNREAD_BYTES: Final = 64 << 20  # of all answers that are not read yet, together
SPARE_CONNECTIONS: Final = 64  # beyond the bound, for probes; others hear 503 on them

HEADERS_SECONDS: Final = 10.0  # from the first byte (or the connection) to the end of the headers
BODY_SECONDS: Final = 60.0  # from there to the end of the body
KEEP_ALIVE_SECONDS: Final = 75.0  # between an answer and the next request
LINGER_SECONDS: Final = 5.0  # for the caller to read why he was refused
STALLED_SECONDS: Final = 30.0  # in which a caller must read
LEAST_READ_BYTES: Final = 16 << 10  # so much of an answer that waits for him
RETRY_AFTER_SECONDS: Final = 5
_SWEEP_SECONDS: Final = 0.5
_SHED_TO: Final = 7 / 8  # of the bound on requests, so that not each byte more closes somebody


class Reading(Enum):
    """What a connection is expected to send next."""

    FIRST = auto()  # its first request
    HEAD = auto()  # the rest of a header section
    BODY = auto()  # the rest of a body
    NOTHING = auto()  # its request is whole, and not answered yet
    NEXT = auto()  # another request, or nothing more
    DEAF = auto()  # nothing: whatever comes is thrown away


#: How long each may last; NOTHING has no bound here, because the answer has bounds of its own.
PATIENCE_SECONDS: Final = {
    Reading.FIRST: HEADERS_SECONDS,
    Reading.HEAD: HEADERS_SECONDS,
    Reading.BODY: BODY_SECONDS,
    Reading.NEXT: KEEP_ALIVE_SECONDS,
    Reading.DEAF: LINGER_SECONDS,
}


class Held(Protocol):
    """A connection as the door sees it."""

    address: str
    reading: Reading
    since: float  # when ``reading`` began, in seconds of the event loop's clock

    @property
    def answering(self) -> bool:
        """Whether a request of it is being answered."""

    @property
    def unread_bytes(self) -> int:
        """How much of its answers waits for the caller to read."""

    def overdue(self) -> None:
        """End what takes too long, with an answer where that is possible."""

    def abort(self) -> None:
        """Close at once, without another byte."""


def is_overdue(reading: Reading, seconds: float, *, answering: bool) -> bool:
    """Whether a connection has been in this state for too many seconds.

    Who only waits for the answer of an earlier request is late with nothing.
    """
    if answering and reading is not Reading.BODY:
        return False
    return seconds >= PATIENCE_SECONDS.get(reading, float("inf"))


@dataclass(frozen=True)
class Unread:
    """How much of an answer was left to be read, and when that was seen."""

    seen_bytes: int
    since: float

    def later(self, unread_bytes: int, now: float) -> "Unread | None":
        """What to remember at a later look; None when the caller does not read."""
        if now - self.since < STALLED_SECONDS:
            return self
        if self.seen_bytes - unread_bytes < min(LEAST_READ_BYTES, self.seen_bytes):
            return None
        return Unread(unread_bytes, now)


class Door:
    """All connections of a listener, within bounds."""

    def __init__(self, most: int, most_of_an_address: int) -> None:
        self._most = most
        self._most_of_an_address = most_of_an_address
        self._held: dict[Held, None] = {}
        self._by_address: Counter[str] = Counter()
        self._unread: dict[Held, Unread] = {}
        self._requests: Counter[Held] = Counter()  # bytes of requests that are not answered yet
        self._request_bytes = 0  # their sum

    def enter(self, connection: Held) -> bool:
        """Take a connection in; whether it may be served. Another one may have to go for it."""
        fits = self._has_room(connection.address)
        self._held[connection] = None
        self._by_address[connection.address] += 1
        metrics.CONNECTIONS.inc()
        if len(self._held) > self._most + SPARE_CONNECTIONS:
            metrics.REFUSED_CONNECTIONS.labels("closed").inc()
            connection.abort()
        return fits

    def leave(self, connection: Held) -> None:
        """Forget a connection that is closed."""
        if connection not in self._held:
            return
        del self._held[connection]
        self._unread.pop(connection, None)
        self._set_bytes(connection, 0)
        self._by_address[connection.address] -= 1
        if not self._by_address[connection.address]:
            del self._by_address[connection.address]
        metrics.CONNECTIONS.dec()

    def hold(self, connection: Held, request_bytes: int) -> bool:
        """Whether there is memory for so much of a connection's requests. Another may have to go."""
        if connection in self._held:
            self._set_bytes(connection, request_bytes)
        return self._request_bytes <= MAX_REQUEST_BYTES or self._shed(connection)

    async def watch(self) -> None:
        """End what takes too long, for ever."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            self.sweep(clock())

    def sweep(self, now: float) -> None:
        """End what takes too long now, and whoever leaves too much unread."""
        unread_bytes = 0
        for connection in list(self._held):
            unread_bytes += connection.unread_bytes
            seconds = now - connection.since
            if is_overdue(connection.reading, seconds, answering=connection.answering):
                connection.overdue()
            if self._does_not_read(connection, now):
                metrics.REFUSED_CONNECTIONS.labels("stalled").inc()
                connection.abort()
        if unread_bytes > MAX_UNREAD_BYTES:
            metrics.REFUSED_CONNECTIONS.labels("unread").inc()
            max(self._held, key=lambda connection: connection.unread_bytes).abort()

    def _does_not_read(self, connection: Held, now: float) -> bool:
        unread_bytes = connection.unread_bytes
        if not unread_bytes:
            self._unread.pop(connection, None)
            return False
        known = self._unread.get(connection)
        latest = known.later(unread_bytes, now) if known else Unread(unread_bytes, now)
        if latest is not None:
            self._unread[connection] = latest
        return latest is None

    def _set_bytes(self, connection: Held, request_bytes: int) -> None:
        self._request_bytes += request_bytes - self._requests[connection]
        self._requests[connection] = request_bytes
        if not request_bytes:
            del self._requests[connection]

    def _shed(self, asking: Held) -> bool:
        """Close those who have sent most of a request that is not whole; whether that was enough."""
        unfinished = [held for held in self._requests if not held.answering and held is not asking]
        for held in sorted(unfinished, key=self._requests.__getitem__, reverse=True):
            self._displace(held)
            if self._request_bytes <= MAX_REQUEST_BYTES * _SHED_TO:
                break
        return self._request_bytes <= MAX_REQUEST_BYTES

    def _displace(self, held: Held) -> None:
        metrics.REFUSED_CONNECTIONS.labels("displaced").inc()
        self.leave(held)
        held.abort()

    def _has_room(self, address: str) -> bool:
        if self._by_address[address] >= self._most_of_an_address:
            return self._make_room(held for held in self._held if held.address == address)
        return len(self._held) < self._most or self._make_room(self._held)

    def _make_room(self, among: Iterable[Held]) -> bool:
        """Close the one that has kept the gateway waiting for longest, of those without a request."""
        idle = [held for held in among if not held.answering]
        if not idle:
            return False
        # One that has been served and may come again goes last.
        self._displace(min(idle, key=lambda held: (held.reading is Reading.NEXT, held.since)))
        return True
