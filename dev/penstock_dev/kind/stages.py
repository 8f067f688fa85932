"""Lines of progress with the time since the start, and how long each stage took."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

Clock = Callable[[], float]
_REMINDER_SECONDS = 15.0
_WORTH_A_LINE_SECONDS = 0.5


@dataclass(frozen=True)
class Stage:
    """A stage that has ended."""

    name: str
    seconds: float


@dataclass
class Stages:
    """Says what is going on; `say` takes a finished line, `clock` gives seconds."""

    program: str = "kind"
    say: Callable[[str], None] = print
    clock: Clock = time.monotonic
    ended: list[Stage] = field(default_factory=list)
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    def report(self, text: str) -> None:
        """One line of progress."""
        self.say(f"{self.program} {self.clock() - self.started:6.1f} s  {text}")

    @contextlib.asynccontextmanager
    async def stage(self, name: str) -> AsyncIterator[None]:
        """Time what happens inside; a long silence is broken by a line now and then.

        The closing line comes only when nothing was raised: the error speaks for itself.
        A stage that had nothing to do says nothing.
        """
        begun = self.clock()
        reminder = asyncio.create_task(self._remind(name, begun))
        try:
            yield
        finally:
            reminder.cancel()
        self.ended.append(Stage(name, self.clock() - begun))
        if self.ended[-1].seconds >= _WORTH_A_LINE_SECONDS:
            self.report(f"{name}: done in {self.ended[-1].seconds:.1f} s")

    async def _remind(self, name: str, begun: float) -> None:
        while True:
            await asyncio.sleep(_REMINDER_SECONDS)
            self.report(f"  {name}: {self.clock() - begun:.0f} s")

    def summary(self) -> list[str]:
        """How long each stage took, one line each, and the whole."""
        told = [stage for stage in self.ended if stage.seconds >= _WORTH_A_LINE_SECONDS]
        lines = [f"{stage.seconds:7.1f} s  {stage.name}" for stage in told]
        return [*lines, f"{self.clock() - self.started:7.1f} s  in all"]
