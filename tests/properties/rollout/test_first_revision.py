"""A first revision that climbs, under random people and random weather: what no history may break."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.analysis.metrics import Tally
from penstock.api.analysis import OnStable
from penstock.rollout.facts import Facts
from tests.unit.rollout.test_first_revision import climbing, follows
from tests.unit.rollout.world import BAD, GOOD, NONE, SUSPECT, C

WEATHER = st.sampled_from((GOOD, GOOD, GOOD, BAD, SUSPECT, NONE, Tally(tasks=3, errors=1), None))
PEOPLE = st.sampled_from(
    ("", "", "", "", "promote", "promote-full", "abort", "retry", "undo", "set", "pods", "wipe")
)
PASSES = st.lists(
    st.tuples(WEATHER, PEOPLE, st.sampled_from((1, 61, 700))), min_size=3, max_size=14
)


def act(world, word, at):
    match word:
        case "":
            return
        case "set":
            world.set(at * 7 % 101)
        case "pods":
            world.pods(C, ready=at % 2)
        case "wipe":
            world.wipe_status()
        case _:
            world.ask(word, nonce=str(at))


@settings(max_examples=15)
@given(st.sampled_from(OnStable), PASSES)
def test_nothing_but_good_tasks_or_a_person_raises_it_and_everybody_comes_by_a_verdict(
    on_stable, passes
):
    world = climbing(analysis=follows(on_stable))
    for at, (weather, word, seconds) in enumerate(passes, 1):
        before, rejected = world.status, Facts(world.situation, world.status).rejected
        if weather is None:
            world.blind()
        else:
            world.measure(weather, NONE)
        act(world, word, at)
        world.after(seconds).decide()
        if world.status.stable_revision:
            assert world.verdicts[-1].result == "Promoted"
            return
        raised = world.percent > before.share.percent > 0
        by_person = word or before.share.setpoint or world.situation.request
        assert not raised or by_person or weather == GOOD, "a raise needs tasks that are well"
        if rejected and not world.situation.request.startswith("retry"):
            assert world.percent == 0
