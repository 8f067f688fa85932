"""How late failures were known: asked at any moment, it is what was noted until then."""

from __future__ import annotations

import random

from penstock.analysis.delays import MOST_DELAYS, LatestDelays
from penstock.analysis.halts import Halts
from penstock.analysis.metrics import ERROR_RATE, Tally
from penstock.traffic import Arm


def test_it_is_what_was_noted_whenever_it_was_asked_before():
    chance, delays, noted = random.Random(5), LatestDelays(), []
    for now_ms in range(1000, 400_000, 500):
        if chance.random() < 0.6:
            routed_ms = now_ms - chance.randrange(900)
            delays.note(Arm.CANARY, Tally(errors=1), routed_ms, now_ms, Halts())
            noted.append((routed_ms, now_ms - routed_ms))
        # a halt that has become known puts the moment back
        moment_ms = now_ms - chance.choice((3_000, 20_000, 60_000))
        young = sorted(late for routed, late in noted[-MOST_DELAYS:] if routed >= moment_ms)
        seen = delays.since(moment_ms, Halts())
        assert list(seen.of(Arm.CANARY, ERROR_RATE)) == young
