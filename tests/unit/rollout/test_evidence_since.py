"""Since when evidence is weighed, and that all tries together have the chance of one: of the proof before promotion, and of a rollback."""

from __future__ import annotations

import random

import pytest

from penstock.analysis.comparison import evalues, judge, proof
from penstock.analysis.comparison.compared import Compared
from penstock.analysis.comparison.judge import Bounds
from penstock.analysis.comparison.sums import LATEST
from penstock.api.rollout import AgentRolloutStatus, Source, Stage
from penstock.api.strategy import Step
from penstock.rollout import comparing, evidence_since
from penstock.rollout.facts import Facts
from tests.unit.rollout.beside import COMPARED, alike, beside
from tests.unit.rollout.test_taken_off import outage
from tests.unit.rollout.world import NONE, world_at

#: What the nth proof has of the chance.
PARTS = [1 / 2, 1 / 6, 1 / 12, 1 / 20]
AT_50 = (Step(percent=50, hold_seconds=60, min_tasks=20),)


def steps(*percents):
    return tuple(Step(percent=p, hold_seconds=60, min_tasks=20) for p in percents)


def known(world):
    return comparing.comparing(Facts(world.seen(), world.status))


def part(world):
    """What the proof before promotion has of the chance now."""
    return evalues.part_of_try(known(world).final)


def kept(world):
    return world.status.analysis.comparison


def back_at_50(world):
    """Over a limit with too few tasks of stable to compare: taken off, and back at a share at which it can be compared."""
    world.set(50).decide()
    return world.set(None).decide()


def of_its_last_raise(world):
    """The newest evidence began with the route version that the last raise made."""
    return max(kept(world).since) == world.status.route_version


# ------------------------------------------------------------------------------- the last proof


@pytest.mark.parametrize("declared", [AT_50, steps(5, 20, 50)])
def test_each_proof_from_no_task_has_less_of_the_chance(declared):
    """Back at half of the users and raised again, whether or not slots are free for the raises."""
    world, found = world_at(95, analysis=COMPARED, steps=declared), []
    for _ in PARTS:
        assert (world.percent, world.status.stage) == (95, Stage.FINAL_HOLD)
        assert of_its_last_raise(world)
        found.append(part(world))
        back_at_50(world)
        assert world.status.stage is Stage.STEPS
        while world.percent < 95:
            world.measure(compared=alike()).step_over()
    assert found == pytest.approx(PARTS)


@pytest.mark.parametrize("raises", [3, 4, 15])
def test_steps_on_the_way_to_the_last_share_are_no_proofs(raises):
    world = world_at(95, analysis=COMPARED, steps=steps(*range(2, 2 + raises)))
    assert part(world) == pytest.approx(1 / 2)
    assert of_its_last_raise(world)


def test_a_return_to_a_step_is_no_proof_and_one_to_the_last_share_is():
    world = outage(world_at(20, analysis=COMPARED)).after(200).measure().decide()
    assert (world.percent, kept(world).restarts, kept(world).final_proofs) == (20, 1, 0)
    while world.percent < 95:
        world.step_over()
    assert part(world) == pytest.approx(1 / 2)
    world.measure(NONE, compared=alike())
    outage(world).after(200).measure().decide()
    assert (world.percent, world.status.stage) == (95, Stage.FINAL_HOLD)
    assert part(world) == pytest.approx(1 / 6)
    assert kept(world).since[LATEST] == world.status.route_version


def test_users_who_are_given_back_by_a_ceiling_prove_it_anew():
    world = world_at(95, analysis=COMPARED).set(0, "another-1").decide()
    assert (world.percent, world.source) == (0, Source.CEILING)
    world.set(None).decide()
    assert world.percent > 0
    assert kept(world).since[LATEST] == world.status.route_version
    while world.percent < 95:
        world.step_over()
    assert of_its_last_raise(world)
    assert part(world) == pytest.approx(1 / 6)


def test_a_setpoint_of_everybody_is_a_proof():
    world = world_at(20, analysis=COMPARED).set(100).decide()
    assert (world.status.stage, kept(world).final_proofs) == (Stage.FINAL_HOLD, 1)


def test_a_restart_goes_on_with_what_was_counted():
    world = world_at(95, analysis=COMPARED)
    back_at_50(world)
    assert kept(world).final_proofs == 1
    world.change(status=AgentRolloutStatus.model_validate(world.status.wire())).decide()
    assert kept(world).final_proofs == 1


def test_a_version_at_the_size_of_a_limit_gets_past_all_of_its_proofs_together_as_rarely_as_past_one():
    """Tries of 1,000 tasks at 8 %, with no end of them: each from no task, with what its number leaves of the chance."""
    chance, passed, runs, size = random.Random(7), 0, 400, 0.05 * proof.RATE_SIZES[0]
    table = [
        evalues.of_limit(events, tasks, size, evalues.BELOW)
        for tasks in (250, 500, 1000)
        for events in range(200)
    ]
    for _ in range(runs):
        passed += any(_passes(chance, table, number) for number in range(1, 6))
    assert passed <= 0.025 * runs + 3 * (0.025 * runs) ** 0.5


def _passes(chance, table, number):
    events, enough = 0, 1 / (proof.LETS_PAST * evalues.part_of_try(number))
    for place, more in enumerate((250, 250, 500)):
        events += sum(chance.random() < 0.08 for _ in range(more))
        if table[200 * place + min(events, 199)] >= enough:
            return True
    return False


# ------------------------------------------------------------------------------------- restarts


@pytest.mark.parametrize("restarts", range(16))
def test_all_restarts_of_the_last_slot_have_its_weight_once(restarts):
    """However much each of them shows, the evidence is at most that of slots that go on."""
    bounds = [Bounds(restarts=n) for n in range(1, restarts + 1)]
    of_last = [judge.weighed((0.0, 0.0, 0.0, 0.0, 1.0), one) for one in bounds]
    assert sum(of_last) <= judge.SLOT_WEIGHTS[LATEST] + 1e-12
    assert judge.weighed((1.0,) * 5, Bounds()) == pytest.approx(1)


def test_fifteen_raises_spend_no_more_than_alpha():
    world = world_at(95, analysis=COMPARED, steps=steps(*range(2, 17)))
    assert kept(world).restarts == 12
    assert known(world).bounds.restarts == 12
    first = sum(judge.SLOT_WEIGHTS[:LATEST])
    spent = sum(judge.SLOT_WEIGHTS[LATEST] / (n * (n + 1)) for n in range(1, 13))
    assert first + spent <= 1


def test_a_return_again_and_again_is_no_way_past_the_first_proof_either():
    """Before more than half of the users half of the weight is on what came since an incident, however often there was one."""
    seen = Compared(since=(1, 0, 0, 0, 2))
    weights = [proof._since_the_start(seen, restarts).weights for restarts in range(1, 100)]
    assert {first for first, _ in weights} == {0.5}
    assert 0.49 < sum(latest for _, latest in weights) <= 0.5


# ------------------------------------------------------------------------- in flight over the upgrade


def as_before(world, since=None):
    """The status as a version wrote it that counted no try."""
    before = kept(world).model_copy(update={"restarts": None, "final_proofs": None})
    if since:
        before = before.model_copy(update={"since": since})
    analysis = world.status.analysis.model_copy(update={"comparison": before})
    return world.change(status=world.status.model_copy(update={"analysis": analysis}))


def test_a_proof_that_is_under_way_over_the_upgrade_is_the_first_one_and_goes_on():
    world = world_at(95, analysis=COMPARED)
    since = kept(world).since
    as_before(world).decide()
    assert (kept(world).since, kept(world).restarts, kept(world).final_proofs) == (since, 0, 1)
    back_at_50(world)
    while world.percent < 95:
        world.step_over()
    assert part(world) == pytest.approx(1 / 6)


def test_a_canary_on_a_step_has_begun_none():
    world = as_before(world_at(20, analysis=COMPARED)).decide()
    assert (kept(world).restarts, kept(world).final_proofs) == (0, 0)


def test_evidence_of_a_return_before_the_upgrade_was_begun_once():
    world = outage(world_at(20, analysis=COMPARED)).after(200).measure().decide()
    as_before(world).decide()
    assert (kept(world).restarts, kept(world).final_proofs) == (1, 0)


def test_four_raises_of_which_three_were_kept_are_proven_by_no_task_from_before_the_last_one():
    """As good as it was at the third raise: nothing is proven until tasks of now are in."""
    world = world_at(95, analysis=COMPARED, steps=steps(2, 5, 20, 50))
    *first, last = kept(world).since
    assert last == world.status.route_version
    old = (*first, 0)
    good = beside(minutes=30, ours=500, since=old, version=first[-1])
    assert as_before(world, old).measure(compared=good).after(700).decide().percent == 95
    assert world.verdicts == []
    assert kept(world).since == (*first, last)
    lately = beside(minutes=30, ours=500, theirs=26, since=(*first, last), version=last)
    assert world.measure(compared=lately).decide().status.verdicts[-1].result == "Promoted"


def test_what_is_counted_already_is_left_as_it_is():
    status = world_at(95, analysis=COMPARED).status
    assert evidence_since.inherited(status) is status
