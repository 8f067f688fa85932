"""A first revision that climbs, under seeded traffic: whom it is not given is refused, and leaves no row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from penstock.api.strategy import FirstRevision
from penstock.rollout.situation import Pods, RevisionRecord
from penstock.traffic import Arm
from tests.simulation.rollout.traffic import Traffic, Weather, steady
from tests.unit.rollout.world import C, spec


@dataclass
class Alone(Traffic):
    """Nobody serves but the canary."""

    stable: str = ""
    refused: int = 0
    turned_away_at: datetime | None = None

    def __post_init__(self):
        super().__post_init__()
        self.records = {C: RevisionRecord(C)}

    def _session(self, at_ms, arm, slot):
        if arm is Arm.CANARY:
            super()._session(at_ms, arm, slot)
            return
        self.refused += 1
        self.turned_away_at = self._now()

    def _more(self):
        return {"pods": {C: Pods(1, 1)}, "turned_away_at": self.turned_away_at}


def declared(**fields):
    """A spec under which the first revision climbs."""
    made = spec(**fields)
    strategy = made.strategy.model_copy(update={"first_revision": FirstRevision.STEPS})
    return made.model_copy(update={"strategy": strategy})


def climb(seed: int, rate: float, weather: Weather, seconds: int, **fields) -> Alone:
    """A first revision, played to its verdict or for so long."""
    more = {"spec": declared(), **fields}
    return Alone(
        seed=seed,
        weather={Arm.CANARY: weather},
        tasks_per_second=rate,
        pass_seconds=5 if rate < 3 else 2,
        **more,
    ).run(seconds)


GOOD, BAD = steady(), steady(errors=0.3)
