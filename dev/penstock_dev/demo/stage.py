"""The stage: what an act of the story can say, do, wait for and count."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from penstock_dev import traffic
from penstock_dev.demo.cluster import AGENT, Cluster
from penstock_dev.demo.seen import Scene, Seen
from penstock_dev.traffic import Answer, Ledger, Tally

PATTERN = traffic.Pattern(rate_per_second=25.0, users=400)
_POLL_SECONDS = 0.05
_DRAW_SECONDS = 0.25
_SAMPLE_SECONDS = 1.2
_SHOWN_EXCHANGES = 3


class DidNotHappen(Exception):
    """Something the demo shows did not happen; the message is one clear sentence."""


class View(Protocol):
    """How the demo is watched."""

    def say(self, text: str, command: str = "") -> None:
        """One line of the story, and the command a person would type for it."""

    def detail(self, text: str) -> None:
        """A line below the last one."""

    def show(self, scene: Scene) -> None:
        """The present state; called a few times a second."""


@dataclass
class Stage:
    """A running environment with traffic, as acts see it."""

    cluster: Cluster
    view: View
    manifests: Path
    steps: tuple[int, ...]
    elapsed: Callable[[], float]
    ledger: Ledger = field(default_factory=Ledger)
    _background: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    _canary: str = ""
    _before: dict[str, Tally] = field(default_factory=dict)
    _exchanges: list[Answer] = field(default_factory=list)

    @property
    def seen(self) -> Seen:
        """What is there, a fraction of a second ago."""
        return self.cluster.seen

    def say(self, text: str, command: str = "") -> None:
        """Tell one line."""
        self.view.say(text, command)

    async def do(self, text: str, command: str) -> str:
        """Tell one line, run its kubectl command, and return what it printed."""
        self.say(text, command)
        return await self.cluster.run(command)

    def manifest(self, name: str) -> str:
        """The path of a manifest, as short as it can be typed here."""
        path = self.manifests / name
        short = os.path.relpath(path)
        return short if not short.startswith("..") else str(path)

    async def until(
        self,
        what: str,
        seconds: float,
        happened: Callable[[Seen], bool],
        *,
        unless: Callable[[Seen], str] = lambda _: "",
    ) -> Seen:
        """Wait for what must happen.

        Raises DidNotHappen after `seconds`, or at once when `unless` says why it never will.
        """
        deadline = time.monotonic() + seconds
        while not happened(self.seen):
            if why := unless(self.seen):
                raise DidNotHappen(f"{what} did not happen: {why}")
            if time.monotonic() > deadline:
                raise DidNotHappen(
                    f"{what} did not happen within {seconds:g} s ({self.seen.described()})"
                )
            await asyncio.sleep(_POLL_SECONDS)
        return self.seen

    # --------------------------------------------------------------------------- traffic

    async def begin_traffic(self) -> None:
        """Let users ask from now on, until the stage is left."""
        environment = self.cluster.environment
        target = traffic.Target(environment.gateway_url or "", environment.token, AGENT)
        sending = traffic.send(target, PATTERN, self.ledger, self._sample)
        await self._background.enter_async_context(beside(sending))

    def _sample(self, answer: Answer) -> None:
        """Keep a few exchanges to show: about one a second, the canary's first, all failures."""
        last = self._exchanges[-1] if self._exchanges else None
        fresh = last is None or answer.sent_at - last.sent_at > _SAMPLE_SECONDS
        rare = last is not None and last.revision != answer.revision == self.seen.canary
        if fresh or rare or not answer.good:
            self._exchanges = [*self._exchanges, answer][-_SHOWN_EXCHANGES:]

    # --------------------------------------------------------------------------- the view

    def tally(self, revision: str) -> Tally:
        """What a revision did since the present canary began."""
        return self.ledger.tally(revision) - self._before.get(revision, Tally())

    def scene(self) -> Scene:
        """All that a view draws."""
        tallies = {revision: self.tally(revision) for revision in self.ledger.tallies}
        exchanges = tuple(self._exchanges)
        return Scene(self.seen, self.steps, tallies, exchanges, self.elapsed())

    async def _draw(self) -> None:
        while True:
            if self.seen.canary != self._canary:
                self._canary = self.seen.canary
                self._before = dict(self.ledger.tallies)
            self.view.show(self.scene())
            await asyncio.sleep(_DRAW_SECONDS)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Watch the cluster and draw for the length of a `with` block; traffic ends with it."""
        async with beside(self.cluster.watch()), beside(self._draw()), self._background:
            yield
            self.view.show(self.scene())


@contextlib.asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Work that goes on beside a `with` block and is cancelled at its end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
