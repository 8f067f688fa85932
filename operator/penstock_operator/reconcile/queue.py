"""The work queue: one run per key at a time, rollouts in flight first."""

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable

from penstock.names import AgentKey

_FIRST_BACKOFF_SECONDS = 0.05
_LONGEST_BACKOFF_SECONDS = 30.0
_LONGEST_URGENT_BACKOFF_SECONDS = 5.0


class WorkQueue:
    """Keys waiting for a reconcile, with the semantics of client-go's queue.

    A key never runs twice at once; whatever happens during its run causes exactly one more run.
    Urgent keys (rollouts in flight) are taken before all others.
    """

    def __init__(
        self, clock: Callable[[], float], jitter: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self._urgent: deque[AgentKey] = deque()
        self._calm: deque[AgentKey] = deque()
        self._pending: set[AgentKey] = set()
        self._active: set[AgentKey] = set()
        self._dirty: dict[AgentKey, bool] = {}
        self._due: dict[AgentKey, tuple[float, bool]] = {}
        self._timers: list[tuple[float, AgentKey]] = []
        self._failures: dict[AgentKey, int] = {}
        self._wake = asyncio.Event()
        self._waiting = asyncio.Lock()  # one worker waits for news, the others for their turn

    def add(self, key: AgentKey, *, urgent: bool = False) -> None:
        """Ask for a run as soon as possible."""
        if key in self._active:
            self._dirty[key] = self._dirty.get(key, False) or urgent
            return
        if key in self._pending:
            if urgent and key in self._calm:
                self._calm.remove(key)
                self._urgent.append(key)
            return
        self._pending.add(key)
        (self._urgent if urgent else self._calm).append(key)
        self._wake.set()

    def add_after(self, key: AgentKey, seconds: float, *, urgent: bool = False) -> None:
        """Ask for a run after a while; the earliest wish counts."""
        due = self._clock() + seconds
        if key not in self._due or due < self._due[key][0]:
            urgent = urgent or self._due.get(key, (due, False))[1]
            self._due[key] = (due, urgent)
            heapq.heappush(self._timers, (due, key))
            self._wake.set()

    def retry(self, key: AgentKey, *, urgent: bool = False) -> float:
        """Ask for a run after a failure; returns the back-off in seconds, short where it is urgent."""
        longest = _LONGEST_URGENT_BACKOFF_SECONDS if urgent else _LONGEST_BACKOFF_SECONDS
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        backoff = min(_FIRST_BACKOFF_SECONDS * 2.0 ** min(failures, 12), longest)
        seconds = backoff * (0.5 + self._jitter() / 2)
        self.add_after(key, seconds, urgent=urgent)
        return seconds

    def forget(self, key: AgentKey) -> None:
        """Start a key's back-off anew, after a success."""
        self._failures.pop(key, None)

    async def get(self) -> tuple[AgentKey, bool]:
        """The next key to run and whether it is urgent, waiting for one."""
        async with self._waiting:
            return await self._next()

    async def _next(self) -> tuple[AgentKey, bool]:
        while True:
            self._release_due()
            if self._urgent or self._calm:
                urgent = bool(self._urgent)
                key = (self._urgent if urgent else self._calm).popleft()
                self._pending.discard(key)
                self._active.add(key)
                return key, urgent
            self._wake.clear()
            try:
                async with asyncio.timeout(self._next_due_seconds()):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def done(self, key: AgentKey) -> None:
        """The run of a key is over; it runs again if anything happened meanwhile."""
        self._active.discard(key)
        if key in self._dirty:
            self.add(key, urgent=self._dirty.pop(key))

    def __len__(self) -> int:
        return len(self._pending)

    def _release_due(self) -> None:
        now = self._clock()
        while self._timers and self._timers[0][0] <= now:
            due, key = heapq.heappop(self._timers)
            known, urgent = self._due.get(key, (None, False))
            if known == due:
                del self._due[key]
                self.add(key, urgent=urgent)

    def _next_due_seconds(self) -> float | None:
        if not self._timers:
            return None
        return max(0.0, self._timers[0][0] - self._clock())
