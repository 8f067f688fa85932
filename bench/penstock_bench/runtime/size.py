"""How much a run of the bench measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Size:
    """Rounds of everything, seconds of each load, tasks in a queue, loops of an agent."""

    rounds: int
    seconds: float
    queued: int
    loops: int


QUICK: Final = Size(rounds=3, seconds=2.0, queued=1000, loops=20)
FULL: Final = Size(rounds=5, seconds=6.0, queued=6000, loops=60)
