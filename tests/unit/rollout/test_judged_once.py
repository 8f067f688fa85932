"""The guardrails are judged once for what was measured, however much of the status changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.analysis import guardrails
from penstock.analysis.evidence import Observation, Stratum
from penstock.analysis.guardrails import CheckVerdict
from penstock.analysis.metrics import Tally, yardstick
from penstock.api.analysis import Guardrails
from penstock.rollout.engine import decide
from penstock.rollout.facts import Facts
from penstock.traffic import Arm
from tests.unit.rollout.test_taken_off import ALONE, FEW
from tests.unit.rollout.world import BAD, GOOD, SUSPECT, world_at

MORE = GOOD._replace(tasks=150, timed=150)


@pytest.fixture
def judged(monkeypatch):
    """How often the guardrails were judged."""
    calls = []
    real = guardrails.judge

    def judge(*given, **named):
        calls.append(given)
        return real(*given, **named)

    monkeypatch.setattr(guardrails, "judge", judge)
    return calls


@pytest.mark.parametrize(
    "weather", [(GOOD, MORE), (SUSPECT, MORE), (Tally(), MORE), (GOOD, BAD), (BAD, BAD)]
)
@pytest.mark.parametrize("seconds", [1, 61])
def test_a_pass_judges_once_also_when_it_writes_what_stable_is(weather, seconds, judged):
    world = world_at(20).measure(*weather).after(seconds)
    seen = replace(world.situation, observation=world.observation())
    judged.clear()
    after = decide(seen).status
    assert len(judged) == 1
    if seconds > 60 and weather[1] is MORE:
        assert after.analysis.before == yardstick(MORE), "the numbers were written"


def test_what_rests_on_what_stable_was_before_is_judged_again_when_that_changes():
    world = world_at(20).measure(ALONE, FEW)
    situation = replace(world.situation, observation=world.observation())
    analysis = world.status.analysis.model_copy(update={"before": None})
    facts = Facts(situation, world.status.model_copy(update={"analysis": analysis}))
    assert facts.checks[0].verdict is CheckVerdict.UNCOMPARED
    as_bad = yardstick(ALONE)
    facts = facts.but(analysis=analysis.model_copy(update={"before": as_bad}))
    assert facts.checks[0].verdict is CheckVerdict.UNCLEAR


def test_late_ends_that_what_stable_was_before_excuses_may_condemn_without_it():
    old = Stratum(0, 2, {Arm.CANARY: ALONE, Arm.STABLE: FEW})
    new = Stratum(100, 2, {Arm.CANARY: GOOD, Arm.STABLE: FEW})
    seen = Observation(now_ms=505_000, window=(new,), older=(old,))
    verdicts = {}
    for before in (Tally(), ALONE):
        found, *_ = guardrails.judge(Guardrails(), seen, before)
        verdicts[before] = found.verdict
        assert found.by_before
    assert verdicts == {Tally(): CheckVerdict.UNCOMPARED, ALONE: CheckVerdict.PASSING}
