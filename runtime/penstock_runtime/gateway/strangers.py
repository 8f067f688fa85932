"""Tokens that were never accepted here: how many are shown to the API server, and for whom.

Behind an ingress all callers have one address. So an address of which many tokens were refused is
not turned away: its tokens are looked at one after another, slowly, the good ones among them.
"""

import asyncio
import contextlib
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from penstock_runtime.gateway import problems
from penstock_runtime.gateway.apiserver import DEADLINE_SECONDS, APIServerAway

AT_A_TIME: Final = 16  # of the connections to the API server; the others are for who is known
MAX_WAITING: Final = 256  # for one of them
REFUSALS_AT_ONCE: Final = 50  # of one address
REFUSALS_PER_SECOND: Final = 5.0
MAX_ADDRESSES: Final = 4096
IN_LINE_OF_ADDRESS: Final = 20  # tokens that are looked at slowly; 4 s of refusals
IN_LINES: Final = 128  # of all addresses together
_RETRY_AFTER_SECONDS: Final = 1
_GRAIN_SECONDS: Final = 0.001  # a clock may show a little less than was slept


@dataclass(frozen=True)
class Allowance:
    """How many refusals an address has left, at a moment of a clock."""

    left: float
    at: float

    def now(self, seconds: float) -> "Allowance":
        """The allowance at a later moment."""
        grown = self.left + max(seconds - self.at, 0) * REFUSALS_PER_SECOND
        return Allowance(min(grown, REFUSALS_AT_ONCE), seconds)


@dataclass
class _Line:
    """The tokens of an address that wait while one has its turn."""

    waiting: list[asyncio.Future[None]] = field(default_factory=list)


class Strangers:
    """Bounds the questions about tokens that nobody knows, so that callers who are known go on."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._lines: dict[str, _Line] = {}
        self._in_lines = 0
        self._allowances: OrderedDict[str, Allowance] = OrderedDict()
        self._asking = asyncio.Semaphore(AT_A_TIME)
        self._waiting = 0

    @contextlib.asynccontextmanager
    async def shown(self, address: str) -> AsyncIterator[None]:
        """Let an address show another token that is not known: slowly, after many refusals.

        Raises:
            Problem: too-many-unknown-tokens: too many wait, or its turn did not come in time.
        """
        if address not in self._lines and self._allowance(address).left >= 1:
            yield
            return
        line = await self._turn_of(address)
        try:
            await self._allowed(address)
            yield
        finally:
            self._pass_on(address, line)

    async def _turn_of(self, address: str) -> _Line:
        line = self._lines.get(address)
        if line is None:
            if self._in_lines >= IN_LINES:
                raise problems.unknown_tokens()
            line = self._lines[address] = _Line()
            self._in_lines += 1
            return line
        place = self._place(line)
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await place
        except BaseException as error:
            self._leave(address, line, place)
            if isinstance(error, TimeoutError):
                raise problems.unknown_tokens() from None
            raise
        return line

    def _place(self, line: _Line) -> asyncio.Future[None]:
        """A place in line. Where there is none, one drawn by lot gives way, so that nobody who sends
        more or comes first has all of them.
        """
        if len(line.waiting) >= IN_LINE_OF_ADDRESS - 1 or self._in_lines >= IN_LINES:
            if not line.waiting:
                raise problems.unknown_tokens()
            given_up = self._drawn(line)
            if not given_up.done():
                given_up.set_exception(problems.unknown_tokens())
        place = asyncio.get_running_loop().create_future()
        line.waiting.append(place)
        self._in_lines += 1
        return place

    def _drawn(self, line: _Line) -> asyncio.Future[None]:
        self._in_lines -= 1
        return line.waiting.pop(secrets.randbelow(len(line.waiting)))

    def _leave(self, address: str, line: _Line, place: asyncio.Future[None]) -> None:
        """Give up a place, or the turn that has just come."""
        if place in line.waiting:
            line.waiting.remove(place)
            self._in_lines -= 1
        elif not place.cancelled() and place.exception() is None:
            self._pass_on(address, line)

    def _pass_on(self, address: str, line: _Line) -> None:
        """The turn is over; the next one is drawn by lot."""
        while line.waiting:
            place = self._drawn(line)
            if not place.done():
                place.set_result(None)
                return
        del self._lines[address]
        self._in_lines -= 1

    async def _allowed(self, address: str) -> None:
        """Wait for the next refusal that the address may have."""
        while (left := self._allowance(address).left) < 1:
            await self._sleep((1 - left) / REFUSALS_PER_SECOND + _GRAIN_SECONDS)

    def refused(self, address: str) -> None:
        """A token of this address was refused."""
        allowance = self._allowance(address)
        self._allowances[address] = Allowance(max(allowance.left - 1, 0), allowance.at)
        self._allowances.move_to_end(address)
        if len(self._allowances) > MAX_ADDRESSES:
            self._allowances.popitem(last=False)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One of the questions that are asked at a time.

        Raises:
            APIServerAway: too many wait for theirs.
        """
        if self._waiting >= MAX_WAITING:
            reason = "too many unknown tokens wait for a review"
            raise APIServerAway(reason, _RETRY_AFTER_SECONDS)
        self._waiting += 1
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await self._asking.acquire()
        except TimeoutError:
            raise APIServerAway("too many unknown tokens are under review") from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._asking.release()

    def _allowance(self, address: str) -> Allowance:
        known = self._allowances.get(address, Allowance(REFUSALS_AT_ONCE, -math.inf))
        return known.now(self._clock())
