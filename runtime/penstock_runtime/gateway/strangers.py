"""Tokens that were never accepted here: how many are shown to the API server, and for whom."""

import asyncio
import contextlib
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from penstock_runtime.gateway import problems
from penstock_runtime.gateway.apiserver import DEADLINE_SECONDS, APIServerAway

AT_A_TIME: Final = 16  # of the connections to the API server; the others are for who is known
MAX_WAITING: Final = 256  # for one of them
REFUSALS_AT_ONCE: Final = 50  # of one address
REFUSALS_PER_SECOND: Final = 5.0
MAX_ADDRESSES: Final = 4096
_RETRY_AFTER_SECONDS: Final = 1


@dataclass(frozen=True)
class Allowance:
    """How many refusals an address has left, at a moment of a clock."""

    left: float
    at: float

    def now(self, seconds: float) -> "Allowance":
        """The allowance at a later moment."""
        grown = self.left + max(seconds - self.at, 0) * REFUSALS_PER_SECOND
        return Allowance(min(grown, REFUSALS_AT_ONCE), seconds)


class Strangers:
    """Bounds the questions about tokens that nobody knows, so that callers who are known go on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._allowances: OrderedDict[str, Allowance] = OrderedDict()
        self._asking = asyncio.Semaphore(AT_A_TIME)
        self._waiting = 0

    def check(self, address: str) -> None:
        """Let an address show another token that is not known.

        Raises:
            Problem: too-many-unknown-tokens.
        """
        if self._allowance(address).left < 1:
            raise problems.unknown_tokens()

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
