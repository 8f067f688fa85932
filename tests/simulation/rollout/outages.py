"""Rollouts in which something that is nobody's fault happens at a given share.

The share is reached by the steps themselves (100 % by a setpoint); what happens begins a while
after that, so that it falls into the middle of the step.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from penstock.api.strategy import Step
from tests.simulation.rollout.traffic import Traffic, steady
from tests.unit.rollout.world import C, spec

GOOD = steady()
AFTER_SECONDS = 150
_HOLD = {"hold_seconds": 300, "min_tasks": 20}


def spec_at(percent):
    """A policy whose first step is this share, so that nothing is played before it."""
    if percent == 100:
        return spec(steps=_steps(5), final_hold=600, percent=100, revision=C)
    if percent > 50:
        return spec(steps=_steps(50), final_hold=600, holdback=100 - percent)
    return spec(steps=_steps(*(p for p in (5, 20, 50) if p >= percent)), final_hold=600)


def _steps(*percents):
    return tuple(Step(percent=percent, **_HOLD) for percent in percents)


@dataclass
class Outage(Traffic):
    """For ``outage_seconds`` both arms have ``storm``, once the canary has had ``at_percent``.

    ``times``: so often, with ``calm_seconds`` between.
    """

    at_percent: int = 95
    outage_seconds: int = 60
    times: int = 1
    calm_seconds: int = 120
    storm: object = field(default_factory=lambda: steady(errors=0.6))
    begun: float | None = None
    reached: float | None = None

    def _task(self, at_ms, arm, slot, begin, *, old=False):
        seconds = (at_ms - self.start_ms) / 1000
        since = -1.0 if self.begun is None else seconds - self.begun
        nth, into = divmod(since, self.outage_seconds + self.calm_seconds)
        storm = 0 <= nth < self.times and into < self.outage_seconds
        self.weather[arm] = self.storm if storm else GOOD
        super()._task(at_ms, arm, slot, begin, old=old)

    def _pass(self):
        if self.reached is None and self.status.share.percent >= self.at_percent:
            self.reached = self.seconds
        long = self.reached is not None and self.seconds >= self.reached + AFTER_SECONDS
        if self.begun is None and long:
            self.begin()
        super()._pass()

    def begin(self):
        """What happens, happens."""
        self.begun = self.seconds


@dataclass
class KillSwitch(Outage):
    """The Agent is suspended for a quarter of an hour at a share."""

    outage_seconds: int = 900
    working: tuple[float, float] = (40.0, 50.0)

    def _task(self, at_ms, arm, slot, begin, *, old=False):
        self.weather[arm] = steady(working=self.working)
        Traffic._task(self, at_ms, arm, slot, begin, old=old)

    def _pass(self):
        if self.halted and self.seconds >= self.begun + self.outage_seconds:
            self.halted = False
        super()._pass()

    def begin(self):
        super().begin()
        self.halt(self.outage_seconds)


def outage(seed, percent, per_second, seconds, times=1):
    """One outage, or some in a row, played to their end."""
    return Outage(
        seed=seed,
        spec=spec_at(percent),
        weather={},
        tasks_per_second=per_second,
        at_percent=percent,
        outage_seconds=seconds,
        times=times,
        pass_seconds=_pass_seconds(per_second),
    ).run(_longest(percent, per_second))


def kill_switch(seed, percent, per_second, policy):
    """One use of the kill switch, played to its end."""
    return KillSwitch(
        seed=seed,
        spec=policy,
        weather={},
        tasks_per_second=per_second,
        at_percent=percent,
        pass_seconds=_pass_seconds(per_second),
    ).run(_longest(percent, per_second))


def _pass_seconds(per_second):
    return 1.0 if per_second >= 10 else 2.0 if per_second >= 3 else 5.0


def _longest(percent, per_second):
    slowest = 30 * 100 / (percent * per_second) if percent < 50 else 0.0
    return int(5400 + slowest)
