"""What a candidate does about what it sees of the Lease."""

import math

import pytest

from penstock_operator.leadership.election import (
    LONGEST_BELIEVED_SECONDS,
    Ask,
    Candidate,
    Lease,
    Leave,
    Timing,
    Wait,
    decide,
)

TIMING = Timing(15.0, 10.0, 2.0)
MINE = Lease("me", 3, 15.0, "7")
THEIRS = Lease("them", 3, 15.0, "7")
FREE = Lease("", 3, 1.0, "7")


def new() -> Candidate:
    return Candidate("me", TIMING)


def leader(now: float = 100.0) -> Candidate:
    return new().saw(FREE, now).won(Lease("me", 4, 15.0, "8"), now, now)


def test_without_any_lease_the_first_epoch_is_asked_for_at_once() -> None:
    assert decide(new().saw(None, 5.0), 5.0, alive=True) == Ask(1)


def test_a_lease_given_back_is_taken_at_once_in_a_new_epoch() -> None:
    assert decide(new().saw(FREE, 5.0), 5.0, alive=True) == Ask(4, "7")


def test_a_lease_is_taken_only_when_it_was_unchanged_for_its_duration() -> None:
    candidate = new().saw(THEIRS, 100.0)
    assert decide(candidate, 100.0, alive=True) == Wait(2.0)
    for moment in (102.0, 104.0, 106.0, 108.0, 110.0, 112.0):
        candidate = candidate.saw(THEIRS, moment)
        assert isinstance(decide(candidate, moment, alive=True), Wait)
    candidate = candidate.saw(THEIRS, 114.5)
    assert decide(candidate, 114.5, alive=True) == Wait(0.5)
    assert decide(candidate.saw(THEIRS, 115.0), 115.0, alive=True) == Ask(4, "7")


def test_every_renewal_begins_the_wait_anew() -> None:
    candidate = new()
    for turn in range(20):
        now = 100.0 + 2 * turn
        candidate = candidate.saw(Lease("them", 3, 15.0, str(turn)), now)
        assert isinstance(decide(candidate, now, alive=True), Wait)


def test_a_holder_with_a_longer_duration_gets_its_own() -> None:
    candidate = new().saw(Lease("them", 3, 40.0, "7"), 100.0)
    for now in range(102, 140, 2):
        candidate = candidate.saw(candidate.lease, float(now))
        assert isinstance(decide(candidate, float(now), alive=True), Wait)
    candidate = candidate.saw(candidate.lease, 140.0)
    assert isinstance(decide(candidate, 140.0, alive=True), Ask)


def test_a_holder_that_nobody_could_see_gets_some_more_tries() -> None:
    candidate = new().saw(THEIRS, 100.0).saw(THEIRS, 130.0)
    assert decide(candidate, 130.0, alive=True) == Wait(2.0)
    for now in (132.0, 134.0):
        candidate = candidate.saw(THEIRS, now)
        assert isinstance(decide(candidate, now, alive=True), Wait)
    assert isinstance(decide(candidate.saw(THEIRS, 136.0), 136.0, alive=True), Ask)


def test_a_leader_may_write_from_before_it_asked_until_the_renew_deadline() -> None:
    candidate = new().saw(FREE, 100.0).won(Lease("me", 4, 15.0, "8"), asked_at=100.0, now=103.0)
    assert candidate.held(109.9)
    assert not candidate.held(110.0)


def test_an_answer_that_comes_too_late_makes_no_leader() -> None:
    candidate = new().saw(FREE, 100.0).won(Lease("me", 4, 15.0, "8"), asked_at=100.0, now=111.0)
    assert not candidate.held(111.0)


def test_a_leader_renews_in_its_epoch_even_after_it_could_not_for_long() -> None:
    candidate = leader().saw(Lease("me", 4, 15.0, "8"), 200.0)
    assert not candidate.held(200.0)
    assert decide(candidate, 200.0, alive=True) == Ask(4, "8")


@pytest.mark.parametrize("holder", ["them", ""])
@pytest.mark.parametrize("alive", [True, False])
def test_who_has_led_leaves_when_the_lease_names_another_or_nobody(
    holder: str, alive: bool
) -> None:
    candidate = leader().saw(Lease(holder, 5, 15.0, "9"), 101.0)
    assert decide(candidate, 101.0, alive=alive) == Leave(holder)


def test_a_request_whose_answer_was_lost_is_renewed_in_its_epoch() -> None:
    candidate = new().saw(FREE, 100.0).saw(MINE, 102.0)
    assert decide(candidate, 102.0, alive=True) == Ask(3, "7")


@pytest.mark.parametrize("lease", [None, FREE, THEIRS, MINE])
def test_without_a_loop_that_turns_nothing_is_asked_for(lease: Lease | None) -> None:
    candidate = new().saw(lease, 100.0)
    assert decide(candidate, 200.0, alive=False) == Wait(2.0)


def test_a_deleted_lease_is_put_back_by_who_holds_and_awaited_by_others() -> None:
    assert decide(leader().saw(None, 101.0), 101.0, alive=True) == Ask(4)
    other = new().saw(Lease("them", 4, 15.0, "8"), 100.0).saw(None, 101.0)
    assert decide(other, 101.0, alive=True) == Wait(2.0)
    for now in range(103, 116, 2):
        other = other.saw(None, float(now))
    assert decide(other.saw(None, 116.0), 116.0, alive=True) == Ask(5)


def test_a_former_leader_waits_like_anybody_for_a_lease_that_is_gone() -> None:
    candidate = leader().saw(None, 200.0)
    assert isinstance(decide(candidate, 200.0, alive=True), Wait)


def test_an_epoch_is_raised_above_what_is_on_record() -> None:
    candidate = leader().saw(Lease("me", 4, 15.0, "8"), 101.0)
    assert decide(candidate, 101.0, alive=True, at_least=12) == Ask(12, "8")
    assert decide(candidate, 101.0, alive=True, at_least=2) == Ask(4, "8")
    assert decide(candidate, 101.0, alive=True, at_least=2**40) == Ask(2**31 - 1, "8")


def test_who_gives_the_lease_back_holds_it_no_more() -> None:
    assert leader().held(101.0)
    assert leader().released().deadline == -math.inf


@pytest.mark.parametrize("seconds", [(10, 10, 2), (15, 2, 2), (15, 10, 0), (5, 10, 2)])
def test_timings_under_which_two_could_lead_are_refused(
    seconds: tuple[float, float, float],
) -> None:
    with pytest.raises(ValueError, match="duration > renew > retry > 0"):
        Timing(*seconds)


def test_a_duration_that_nobody_keeps_does_not_hold_the_lease_for_ever() -> None:
    forged = Lease("them", 3, 2.0**31, "7")
    candidate = new().saw(forged, 100.0)
    for moment in range(102, 700, 2):
        candidate = candidate.saw(forged, float(moment))
        assert isinstance(decide(candidate, float(moment), alive=True), Wait)
    last = 100.0 + LONGEST_BELIEVED_SECONDS
    assert decide(candidate.saw(forged, last), last, alive=True) == Ask(4, "7")


def test_a_timing_that_others_would_not_believe_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 600"):
        Timing(LONGEST_BELIEVED_SECONDS + 1, 10.0, 2.0)
