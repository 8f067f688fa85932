"""What the engine is told of the route in force."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock_operator.reconcile.course import situation
from penstock_operator.reconcile.stock import take_stock
from tests.unit.operator.test_plan import trying_v2


@pytest.mark.parametrize(("in_force", "lags"), [(7, False), (6, True), (8, True), (None, True)])
def test_another_route_than_the_decided_one_lags(in_force, lags):
    made = trying_v2()
    made = replace(made, look=replace(made.look, route_version=in_force))
    assert situation(made, take_stock(made), made.rollout).route_lags is lags


def test_while_redis_is_away_nobody_knows_what_is_in_force():
    made = replace(trying_v2(), look=None, look_error="Redis did not answer")
    assert not situation(made, take_stock(made), made.rollout).route_lags
