"""The demo without a terminal: plain lines, each with the time since the beginning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from penstock_dev.demo.seen import Scene

INDENT = " " * 10


def clock(seconds: float) -> str:
    """The time since the beginning, as each line of the story begins."""
    return f"[{seconds:6.1f} s] "


@dataclass
class LinesView:
    """Prints the story; the state in between is told by the story itself."""

    elapsed: Callable[[], float]
    write: Callable[[str], None] = print

    def say(self, text: str, command: str = "") -> None:
        """A line with the time, and the command below it."""
        self.write(f"{clock(self.elapsed())}{text}")
        if command:
            self.write(f"{INDENT} $ {command}")

    def detail(self, text: str) -> None:
        """A line without a time."""
        self.write(f"{INDENT}   {text}")

    def show(self, scene: Scene) -> None:
        """Nothing: lines that nobody asked for would hide the story."""
