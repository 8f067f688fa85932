"""The demo's chapter on money tells no budget that did not hold, and none that was not pushed."""

from __future__ import annotations

from decimal import Decimal

import httpx
import pytest

from penstock_dev.demo import money
from penstock_dev.demo.money import Pushed
from penstock_dev.demo.stage import DidNotHappen

WINDOW = {"spent": "0.009800", "limit": "0.010000"}


def pushed(**more) -> Pushed:
    return Pushed(**{"answered": 392, "ended": 50, "cost": Decimal("0.0098"), **more})


def test_what_holds_and_adds_up_is_told() -> None:
    money._check(pushed(), WINDOW)
    money._check(pushed(ended=0, refused=1), WINDOW)


@pytest.mark.parametrize(
    ("seen", "window", "why"),
    [
        (pushed(answered=3), WINDOW, "not pushed to its end"),
        (pushed(ended=0), WINDOW, "not pushed to its end"),
        (pushed(), {**WINDOW, "spent": "0.010001"}, "did not hold: 0.010001 of 0.010000"),
        (pushed(cost=Decimal("0.0097")), WINDOW, "the tasks add up to 0.0097"),
    ],
)
def test_what_does_not_ends_the_demo(seen: Pushed, window: dict[str, str], why: str) -> None:
    with pytest.raises(DidNotHappen, match=why):
        money._check(seen, window)


def test_answers_ends_and_refusals_are_told_apart() -> None:
    seen = Pushed()
    task = {"status": "Succeeded", "revision": "a-1", "usage": {"costUSD": "0.000025"}}
    assert seen.take(httpx.Response(200, json=task))
    assert not seen.take(httpx.Response(200, json={**task, "status": "LimitExceeded"}))
    assert not seen.take(httpx.Response(429, json={"title": "spent"}))
    assert (seen.answered, seen.ended, seen.refused) == (1, 1, 1)
    assert (seen.cost, seen.revisions) == (Decimal("0.00005"), {"a-1": 2})
