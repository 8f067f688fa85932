"""Seeded randomness is fair, repeatable and independent of what is said."""

from __future__ import annotations

import dataclasses
import itertools
import statistics

import pytest

from penstock_dev.model import chance, script

FLAGS = {
    "error": "error_percent",
    "garbage": "garbage_percent",
    "refusal": "refusal_percent",
    "tools": "tool_call_percent",
    "cut": "cut_stream_percent",
    "stream_error": "stream_error_percent",
    "drop": "drop_stream_percent",
}


def scripted(**keys):
    return script.Script().model_copy(update=keys)


def fates(prompt, count, **keys):
    draws = chance.Draws(seed=5)
    return [chance.fate(scripted(**keys), draws.take(prompt)) for _ in range(count)]


def test_every_flag_has_a_percentage():
    assert set(FLAGS) == {field.name for field in dataclasses.fields(chance.Fate)}


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("percent", [0, 30, 100])
def test_a_flag_comes_as_often_as_its_percentage_says(flag, percent):
    share = statistics.mean(
        getattr(fate, flag) for fate in fates("prompt", 4000, **{FLAGS[flag]: percent})
    )
    assert share == pytest.approx(percent / 100, abs=0.03 if percent == 30 else 0)


def test_neighbouring_draws_do_not_follow_each_other():
    errors = [fate.error for fate in fates("prompt", 8000, error_percent=50)]
    equal = statistics.mean(a == b for a, b in itertools.pairwise(errors))
    assert equal == pytest.approx(0.5, abs=0.03)


def test_two_flags_are_independent():
    both = [
        fate.error and fate.cut
        for fate in fates("p", 8000, error_percent=50, cut_stream_percent=50)
    ]
    assert statistics.mean(both) == pytest.approx(0.25, abs=0.03)


def test_changing_one_percentage_moves_no_other_flag():
    without = fates("prompt", 200, refusal_percent=40)
    with_errors = fates("prompt", 200, refusal_percent=40, error_percent=30)
    assert [fate.refusal for fate in without] == [fate.refusal for fate in with_errors]
    assert not any(fate.error for fate in without)
    assert any(fate.error for fate in with_errors)


def test_a_sequence_depends_on_seed_and_prompt_and_on_nothing_else():
    first, second = chance.Draws(1), chance.Draws(1)
    taken = [first.take("a"), first.take("b"), first.take("a")]
    assert [second.take("a"), second.take("a"), second.take("b")] == [taken[0], taken[2], taken[1]]
    assert chance.Draws(2).take("a") != taken[0] != taken[1]
