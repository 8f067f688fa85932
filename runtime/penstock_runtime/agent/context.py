"""The clock, the ids and the chance of a task: all that would differ if it ran again.

Nothing else below the loop asks for them. A replay gives a task those of its first run.
"""

import asyncio
import random
import secrets
import time
from typing import Final, Protocol

from penstock.money.prices import Day


class Context(Protocol):
    """Where a task gets what no conversation holds."""

    def seconds(self) -> float:
        """A clock that goes forward only; its zero means nothing."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait by that clock."""
        ...

    def day(self) -> Day:
        """The day in UTC, by which prices hold."""
        ...

    def chance(self) -> float:
        """A number from 0 up to 1."""
        ...

    def identifier(self, characters: int) -> str:
        """An id of so many hex digits, an even number."""
        ...


class Live:
    """The context of a task that runs for the first time."""

    def seconds(self) -> float:
        """The clock by which event loops keep their deadlines."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """See ``Context.sleep``."""
        await asyncio.sleep(seconds)

    def day(self) -> Day:
        """See ``Context.day``."""
        year, month, day, *_ = time.gmtime()
        return Day(year, month, day)

    def chance(self) -> float:
        """See ``Context.chance``."""
        return random.random()

    def identifier(self, characters: int) -> str:
        """See ``Context.identifier``."""
        return secrets.token_hex(characters // 2)


LIVE: Final = Live()
