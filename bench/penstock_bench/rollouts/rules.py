"""Rules that others decide by, as their documentation describes them: point estimates in windows, by the minute.

They see each task when it has ended. ``steps``: shares, each for ``pause_seconds``; after the last one the canary
has everybody. Numbers that their users choose are those of their examples; limits are the same for all: 5 % errors,
10 s, 20 % escalations, 2 USD.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from penstock.analysis.comparison import evalues
from penstock_bench.rollouts.weather import Task

LIMITS = (0.05, 0.20, 10.0, 2.0)
WINDOW_SECONDS = 300.0
LOOK_SECONDS = 60.0


@dataclass
class Rule:
    """What all have: a share, a window of ended tasks, a verdict; ``name`` is printed."""

    name: str = ""
    steps: Sequence[int] = (5, 20, 50)
    pause_seconds: float = 300.0
    window_seconds: float = WINDOW_SECONDS
    percent: int = 0
    verdict: str = ""
    entered: float = 0.0
    looked: float = 0.0
    full_at: float | None = None
    ended: deque[tuple[float, Task]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.percent = self.steps[0]

    def see(self, now: float, ended: Sequence[Task]) -> None:
        """Tasks have ended; once a minute that is judged."""
        self.ended.extend((now, task) for task in ended)
        while self.ended and self.ended[0][0] <= now - self.window_seconds:
            self.ended.popleft()
        if now - self.looked >= LOOK_SECONDS and not self.verdict:
            self.looked = now
            self.judge(now)

    def judge(self, now: float) -> None:
        """Decide on what is in the window."""
        raise NotImplementedError

    def values(self, *, canary: bool = True) -> tuple[int, list[float]]:
        """How many tasks of an arm are in the window, and the mean of each of the four metrics."""
        mine = [task for _, task in self.ended if task.canary is canary]
        n = len(mine)
        columns = [(t.error, t.escalation, t.seconds, t.usd) for t in mine]
        return n, [sum(column) / n for column in zip(*columns, strict=True)] if n else [0.0] * 4

    def breaks(self, metrics: int = 4) -> bool:
        """Whether a point estimate of the canary is over its limit."""
        _, means = self.values()
        return any(m > limit for m, limit in zip(means[:metrics], LIMITS[:metrics], strict=True))

    def roll_back(self) -> None:
        """The end, at 0 %."""
        self.verdict, self.percent = "condemned", 0

    def advance(self, now: float) -> None:
        """The next share, or everybody."""
        larger = [step for step in self.steps if step > self.percent]
        self.entered = now
        if larger:
            self.percent = larger[0]
        else:
            self.percent, self.full_at, self.verdict = 100, now, "promoted"


@dataclass
class Argo(Rule):
    """Argo Rollouts: a background analysis over 5 minutes, `failureLimit` failures of a metric are borne."""

    name: str = "Argo-style"
    pause_seconds: float = 600.0
    failure_limit: int = 1
    failures: list[int] = field(default_factory=lambda: [0] * 4)

    def judge(self, now: float) -> None:
        """One measurement of each metric."""
        n, means = self.values()
        for at, (mean, limit) in enumerate(zip(means, LIMITS, strict=True)):
            self.failures[at] += n > 0 and mean > limit
        if max(self.failures) > self.failure_limit:
            self.roll_back()
        elif now - self.entered >= self.pause_seconds:
            self.advance(now)


@dataclass
class Flagger(Rule):
    """Flagger: each minute a check of success rate and duration over the last; 5 failed ones roll back."""

    name: str = "Flagger-style"
    steps: Sequence[int] = tuple(range(5, 55, 5))
    window_seconds: float = 60.0
    failed: int = 0

    def judge(self, now: float) -> None:
        """No value is a failed check; a passed one raises."""
        n, means = self.values()
        bad = not n or means[0] > LIMITS[0] or means[2] > LIMITS[2]
        self.failed += bad
        if self.failed >= 5:
            self.roll_back()
        elif not bad:
            self.advance(now)


@dataclass
class MinimumSample(Rule):
    """The letter of the limits, once 20 tasks are in the window."""

    name: str = "minimum sample"
    fewest: int = 20

    def judge(self, now: float) -> None:
        """Below that many tasks everything passes."""
        n, _ = self.values()
        if n >= self.fewest and self.breaks():
            self.roll_back()
        elif now - self.entered >= self.pause_seconds:
            self.advance(now)


@dataclass
class BestArm(Rule):
    """TensorZero's adaptive tests, as far as they fit: one metric, half of the users, a winner at any time.

    Two asymptotic confidence sequences of the success rates, 95 %; the canary wins when it is not worse by
    more than 1 point, and loses when it is worse.
    """

    name: str = "TensorZero-style"
    steps: Sequence[int] = (50,)
    counts: list[int] = field(default_factory=lambda: [0] * 4)

    def see(self, now: float, ended: Sequence[Task]) -> None:
        """Everything counts, however old."""
        for task in ended:
            at = 0 if task.canary else 2
            self.counts[at] += task.error
            self.counts[at + 1] += 1
        super().see(now, ())

    def judge(self, now: float) -> None:
        """Whether there is a winner."""
        k, n, j, m = self.counts
        if min(n, m) < 10:
            return
        p, q = (k + 0.5) / (n + 1), (j + 0.5) / (m + 1)
        error = math.sqrt(p * (1 - p) / n + q * (1 - q) / m)
        reach = evalues.half_width(error, n * m / (n + m), 0.025)
        if p - q - reach > 0:
            self.roll_back()
        elif p - q + reach <= 0.01:
            self.advance(now)


RIVALS = (Argo, Flagger, MinimumSample, BestArm)
