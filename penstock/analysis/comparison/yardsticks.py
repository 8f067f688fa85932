"""By what the values of a task are measured."""

from dataclasses import dataclass
from typing import Final

#: Means that must never have all users, in limits: 15 of 10 s, 250 of 200 %.
SIZES: Final = (1.5, 1.25)


@dataclass(frozen=True)
class Yardsticks:
    """Limits of means, and how much higher values may be.

    ``limits``: of the mean latency in ms and of the mean cost in USD / 10^6; 0 is none.
    ``tolerated``: bins of 10 % by which the canary's may be higher. Both in the order of VALUES.
    """

    limits: tuple[int, int] = (10_000, 0)
    tolerated: tuple[int, int] = (1, 1)
