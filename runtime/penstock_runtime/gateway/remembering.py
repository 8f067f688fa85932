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
    """Answers by key; an error is handed to everybody who waited for it, and never kept."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Keep at most so many answers; the oldest go first. ``clock`` never goes backwards."""
        self._most = most
        self._clock = clock
        self._kept: dict[K, Answer[V]] = {}  # with the moment of its end instead of the seconds
        self._asking: dict[K, asyncio.Task[V]] = {}

    async def get(self, key: K, ask: Callable[[], Awaitable[Answer[V]]]) -> V:
        """The answer that is known, else the one being asked for, else that of ``ask``."""
        known = self._kept.get(key)
        if known and self._clock() < known.seconds:
            return known.value
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._ask(key, ask))
            asking.add_done_callback(_look_at)
        # One who goes away takes the answer from nobody else.
        return await asyncio.shield(asking)

    async def _ask(self, key: K, ask: Callable[[], Awaitable[Answer[V]]]) -> V:
        try:
            answer = await ask()
        finally:
            del self._asking[key]
        self._keep(key, answer)
        return answer.value

    def _keep(self, key: K, answer: Answer[V]) -> None:
        self._kept.pop(key, None)
        if answer.seconds <= 0:
            return
        self._kept[key] = Answer(answer.value, self._clock() + answer.seconds)
        if len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]


def _look_at(task: asyncio.Task[V]) -> None:
    """An error that nobody waited for any more is no news for the log."""
    if not task.cancelled():
        task.exception()
