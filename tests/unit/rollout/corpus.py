"""The situations that the tests of this folder decide on, gathered by running those tests."""

from __future__ import annotations

import inspect
import itertools
from unittest import mock

from penstock.rollout.engine import decide
from tests.unit.rollout import (
    test_does_not_come_back,
    test_external_gates,
    test_money,
    test_reporting,
    test_situations,
    test_strategy_fields,
    test_taken_off,
    test_undo,
    test_what_people_read,
)
from tests.unit.rollout.world import World

MODULES = (
    test_does_not_come_back,
    test_external_gates,
    test_money,
    test_reporting,
    test_situations,
    test_strategy_fields,
    test_taken_off,
    test_undo,
    test_what_people_read,
)


def situations(decided=lambda _situation: None):
    """What every test was decided on, with its observation, in the order of the tests.

    ``decided`` is called with each, right after it was.
    """
    kept = []

    def decide_once(world):
        seen = world.seen()
        kept.append(seen)
        decision = decide(seen)
        decided(seen)
        return world.take(decision)

    with mock.patch.object(World, "decide", decide_once):
        for test in itertools.chain.from_iterable(map(tests_of, MODULES)):
            test()
    return kept


def tests_of(module):
    """The tests of a module, each with its parameters; what takes a fixture is left out."""
    for name, function in vars(module).items():
        if name.startswith("test_") and inspect.isfunction(function):
            wanted = set(inspect.signature(function).parameters)
            for given in parameters(function):
                if wanted == set(given):
                    yield lambda function=function, given=given: function(**given)


def parameters(function):
    """The arguments of each run of a parametrized test; one without any for another test."""
    lists = []
    for mark in getattr(function, "pytestmark", ()):
        names, values = mark.args[0], mark.args[1]
        names = [one.strip() for one in names.split(",")] if isinstance(names, str) else names
        rows = [value if len(names) > 1 else (value,) for value in values]
        lists.append([dict(zip(names, row, strict=True)) for row in rows])
    for chosen in itertools.product(*lists):
        yield {name: value for part in chosen for name, value in part.items()}
