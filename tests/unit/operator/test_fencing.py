"""What a leader makes of epochs and routes on record: from these alone, without asking anybody."""

from dataclasses import replace

import pytest

from penstock_operator.leadership.election import HIGHEST_BELIEVED
from penstock_operator.leadership.fencing import (
    Belief,
    Routed,
    Strange,
    believe,
    epoch_on_record,
)

OURS = Routed("agent-uid", 5, 7)
ABOVE = replace(OURS, epoch=6)


def made_of(route: Routed, before: Strange | None = None, confirmed_at: float = 90.0) -> Belief:
    """What is made of a route in epoch 5, at 100 seconds."""
    return believe(route, "agent-uid", 5, before, now=100.0, confirmed_at=confirmed_at)


@pytest.mark.parametrize(
    ("elected", "decided", "routed", "epoch"),
    [
        (True, 4, 9, 4),
        (False, 4, 9, 9),
        (False, 9, 4, 9),
        (False, 4, HIGHEST_BELIEVED + 1, 4),
    ],
)
def test_with_election_the_epoch_on_record_is_kubernetes_alone(
    elected: bool, decided: int, routed: int, epoch: int
) -> None:
    assert epoch_on_record(decided, routed, elected=elected) == epoch


def test_a_route_of_our_epoch_or_below_is_believed_and_what_was_strange_is_forgotten() -> None:
    for route in (OURS, replace(OURS, epoch=4)):
        assert made_of(route, before=Strange((6, 7), 1.0)) == Belief()


def test_a_route_above_ours_is_in_doubt_until_the_lease_was_renewed_after_it_was_seen() -> None:
    first = made_of(ABOVE)
    assert "epoch 6, above ours, 5" in first.doubt
    assert first.strange == Strange((6, 7), 100.0)
    later = believe(ABOVE, "agent-uid", 5, first.strange, now=110.0, confirmed_at=100.0)
    assert later.doubt
    assert later.strange == first.strange
    assert made_of(ABOVE, first.strange, confirmed_at=100.5) == Belief(
        instead_of=(6, 7), strange=first.strange
    )


def test_another_route_above_ours_is_asked_about_anew() -> None:
    asked = made_of(replace(ABOVE, version=8), before=Strange((6, 7), 80.0))
    assert asked.doubt
    assert asked.strange == Strange((6, 8), 100.0)


def test_a_route_of_another_agent_gives_way_in_any_epoch() -> None:
    assert made_of(replace(ABOVE, uid="another-uid")) == Belief()


def test_a_version_that_no_leader_can_have_given_out_does_not_count() -> None:
    for uid in ("agent-uid", "another-uid"):
        mad = Routed(uid, 5, HIGHEST_BELIEVED + 1)
        assert made_of(mad) == Belief(instead_of=mad.place, counts=False)


def test_a_version_that_a_status_has_given_out_counts_however_high():
    high = replace(OURS, version=HIGHEST_BELIEVED + 1)
    given = {"now": 100.0, "confirmed_at": 90.0, "given": HIGHEST_BELIEVED + 1}
    assert believe(high, "agent-uid", 5, None, **given).counts
    assert not made_of(high).counts
