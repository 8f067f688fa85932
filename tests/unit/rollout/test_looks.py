"""A canary is looked at once for some of its tasks while nothing speaks against it, and for each one as soon as anything does."""

from __future__ import annotations

import pytest

from penstock.analysis.metrics import Tally
from penstock.api.analysis import Analysis, GuardrailMode, Guardrails
from tests.unit.rollout.beside import COMPARED, alike, beside
from tests.unit.rollout.test_holds import on_trial
from tests.unit.rollout.test_rings import in_ring, in_steps
from tests.unit.rollout.world import APPROVED_AT_20, GOOD, NONE, C, world_at

LITERAL = Analysis(guardrails=Guardrails(mode=GuardrailMode.LITERAL))
#: 11:1 worse, where 67:1 are enough.
SUSPICIOUS = beside(minutes=20, ours=20, theirs=200, errors=0.04, stable_errors=0.015)


def looked_at(seconds, canary, stable=GOOD, compared=None, **spec):
    """Until the next look, so long after 20 % have it."""
    world = world_at(20, **spec)
    world.after(seconds).measure(canary, stable, compared=compared).decide()
    assert world.percent == 20
    return world.look_again


@pytest.mark.parametrize(
    ("seconds", "tasks", "wanted"),
    [(5, 1, 1), (30, 300, 1), (30, 75, 2), (30, 50, 3), (30, 3, 4), (30, 0, 4)],
)
def test_while_nothing_speaks_against_it_some_tasks_are_worth_a_look(seconds, tasks, wanted):
    assert looked_at(seconds, Tally(tasks=tasks)) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("seconds", "tasks", "errors", "wanted"),
    [(5, 24, 5, 1), (30, 24, 5, 1.25), (30, 12, 3, 2), (30, 300, 24, 1)],
)
def test_each_task_is_while_its_own_rate_is_suspect(seconds, tasks, errors, wanted):
    assert looked_at(seconds, Tally(tasks=tasks, errors=errors)) == pytest.approx(wanted)


SPEAKS = {
    "stable is over a limit, and the canary has no task": lambda: looked_at(
        30, NONE, GOOD._replace(errors=40)
    ),
    "the comparison": lambda: looked_at(30, NONE, compared=SUSPICIOUS, analysis=COMPARED),
    "a limit by the letter": lambda: looked_at(30, NONE, analysis=LITERAL),
    "its queue": lambda: (
        world_at(20).change(queue_age_seconds={C: 40.0}).after(30).measure(NONE).decide().look_again
    ),
    "it is back on trial": lambda: on_trial().after(20).measure(NONE, NONE).decide().look_again,
}


@pytest.mark.parametrize("what", SPEAKS)
def test_so_it_is_while_anything_else_speaks(what):
    assert SPEAKS[what]() == 2


def test_and_not_while_the_comparison_finds_both_alike():
    assert looked_at(30, NONE, compared=alike(), analysis=COMPARED) == 4


def test_what_comes_now_counts_and_not_what_came_in_hours_of_the_step():
    waiting = world_at(20, steps=APPROVED_AT_20).step_over().after(8 * 3600)
    assert waiting.measure(Tally(tasks=1000)).decide().look_again == pytest.approx(1.5)


def test_a_ring_is_looked_at_by_its_own_clock():
    assert in_ring().after(5).measure(NONE).decide().look_again == 1
    assert in_ring().after(30).measure(NONE).decide().look_again == 4


def test_users_of_rings_count_beside_those_who_are_drawn():
    few, many = Tally(tasks=3), Tally(tasks=150)
    assert in_steps(few, NONE).after(30).decide().look_again == 4
    assert in_steps(few, many).after(30).decide().look_again < 2
