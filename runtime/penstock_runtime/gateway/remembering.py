"""Answers kept for a while: bounded in number and time, and asked for once however many wait."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True)
class Answer(Generic[V]):
    """What was answered, and for how many seconds it may be repeated; 0 or less: not at all."""

    value: V
    seconds: float


class Remembered(Generic[K, V]):
    """Answers by key; an error is handed to everybody who waited for it, and never kept.

    Answers that say no are kept apart: however many there are, they push out no other.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Keep at most so many answers of either kind; the oldest go first.

        ``clock`` never goes backwards.
        """
        self._most = most
        self._clock = clock
        # With the moment of its end instead of the seconds.
        self._kept: dict[K, Answer[V]] = {}
        self._refused: dict[K, Answer[V]] = {}
        self._asking: dict[K, asyncio.Task[V]] = {}

    async def get(self, key: K, ask: Callable[[], Awaitable[Answer[V]]]) -> V:
        """The answer that is known, else the one being asked for, else that of ``ask``."""
        known = self._kept.get(key) or self._refused.get(key)
        if known and self._clock() < known.seconds:
            return known.value
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._ask(key, ask))
            asking.add_done_callback(_look_at)
        # One who goes away takes the answer from nobody else.
        return await asyncio.shield(asking)

    def forget(self, key: K) -> None:
        """Keep no answer of this key; one that is being asked for is given to whoever asks meanwhile."""
        self._kept.pop(key, None)
        self._refused.pop(key, None)

    def is_news(self, key: K) -> bool:
        """Whether it takes a question, and no former answer was a yes that is still in memory."""
        if key in self._kept or key in self._asking:
            return False
        refused = self._refused.get(key)
        return refused is None or self._clock() >= refused.seconds

    async def _ask(self, key: K, ask: Callable[[], Awaitable[Answer[V]]]) -> V:
        try:
            answer = await ask()
        finally:
            del self._asking[key]
        self._keep(key, answer)
        return answer.value

    def _keep(self, key: K, answer: Answer[V]) -> None:
        self._kept.pop(key, None)
        self._refused.pop(key, None)
        if answer.seconds <= 0:
            return
        kept = self._kept if answer.value else self._refused
        kept[key] = Answer(answer.value, self._clock() + answer.seconds)
        if len(kept) > self._most:
            del kept[next(iter(kept))]


def _look_at(task: asyncio.Task[V]) -> None:
    """An error that nobody waited for any more is no news for the log."""
    if not task.cancelled():
        task.exception()
