"""The door of a gateway: who may come in, who has to go, and when."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from penstock_runtime.gateway import connections
from penstock_runtime.gateway.connections import Door, Reading, Unread, is_overdue


@dataclass(eq=False)
class Connection:
    """One as the door sees it."""

    address: str = "10.0.0.1"
    reading: Reading = Reading.FIRST
    since: float = 0.0
    answering: bool = False
    unread_bytes: int = 0
    ended: list[str] = field(default_factory=list)

    def overdue(self):
        self.ended.append("overdue")

    def abort(self):
        self.ended.append("abort")


def busy(**said):
    return Connection(reading=Reading.NOTHING, answering=True, **said)


@pytest.mark.parametrize("reading", connections.PATIENCE_SECONDS)
def test_each_state_of_a_connection_has_its_time_and_waiting_for_an_answer_has_none(reading):
    seconds = connections.PATIENCE_SECONDS[reading]
    assert not is_overdue(reading, seconds - 0.01, answering=False)
    assert is_overdue(reading, seconds, answering=False)
    assert is_overdue(reading, seconds, answering=True) == (reading is Reading.BODY)
    assert not is_overdue(Reading.NOTHING, 1e9, answering=True)


def test_when_it_is_full_who_asks_nothing_for_longest_goes_and_who_was_served_last_of_all():
    door = Door(3, 3)
    served = Connection(reading=Reading.NEXT, since=0)
    old, young = Connection(since=1), Connection(reading=Reading.HEAD, since=2)
    for connection in (served, old, young):
        assert door.enter(connection)
    assert door.enter(busy())
    assert (old.ended, young.ended, served.ended) == (["abort"], [], [])
    assert door.enter(busy())
    assert (young.ended, served.ended) == (["abort"], [])
    assert door.enter(busy())
    assert served.ended == ["abort"]


def test_who_is_being_answered_never_goes_and_what_comes_beyond_is_for_probes_until_that_is_full_too():
    door = Door(2, 1000)
    held = [busy(), busy()]
    assert [door.enter(connection) for connection in held] == [True, True]
    spare = [busy() for _ in range(connections.SPARE_CONNECTIONS)]
    assert not any(door.enter(connection) for connection in spare)
    beyond = busy()
    door.enter(beyond)
    assert beyond.ended == ["abort"]
    assert not any(connection.ended for connection in (*held, *spare))
    for connection in (*spare, beyond, held[0]):
        door.leave(connection)
    door.leave(held[0])
    assert door.enter(busy()), "who has left has left a place, once"


def test_an_address_has_a_bound_of_its_own():
    door = Door(100, 2)
    assert door.enter(busy())
    assert door.enter(Connection())
    other = Connection(address="10.0.0.2")
    assert door.enter(other)
    assert door.enter(busy()), "the idle one of this address went"
    assert not door.enter(busy())
    assert door.enter(busy(address="10.0.0.2"))
    assert other.ended == []


def test_requests_together_have_a_bound_and_the_largest_that_is_not_whole_goes_first(monkeypatch):
    monkeypatch.setattr(connections, "MAX_REQUEST_BYTES", 800)
    door = Door(100, 100)
    small, large, answered, asking = Connection(), Connection(), busy(), Connection()
    for connection, size in ((small, 50), (large, 400), (answered, 300), (asking, 50)):
        door.enter(connection)
        assert door.hold(connection, size)
    assert door.hold(asking, 100)
    assert (large.ended, small.ended, answered.ended, asking.ended) == (["abort"], [], [], [])
    assert not door.hold(answered, 10_000), "of whole requests none goes, so this one is refused"
    door.hold(answered, 0)
    assert door.hold(asking, 700)


def test_who_reads_too_little_of_an_answer_is_given_up_and_who_reads_on_is_not():
    unread = Unread(1_000_000, 0.0)
    in_time, late = connections.STALLED_SECONDS - 0.1, connections.STALLED_SECONDS
    assert unread.later(1_000_000, in_time) == unread
    assert unread.later(1_000_000, late) is None
    assert unread.later(1_000_000 - connections.LEAST_READ_BYTES + 1, late) is None
    read = 1_000_000 - connections.LEAST_READ_BYTES
    assert unread.later(read, late) == Unread(read, late)
    assert Unread(100, 0.0).later(40, late) is None, "a small rest is to be read whole"


def test_a_sweep_ends_what_is_overdue_or_unread_and_nothing_else():
    door = Door(100, 100)
    slow, quick = Connection(since=0), Connection(since=95)
    deaf_ear, reader = busy(unread_bytes=100_000), busy(unread_bytes=100_000)
    for connection in (slow, quick, deaf_ear, reader):
        door.enter(connection)
    door.sweep(100.0)
    reader.unread_bytes = 0
    door.sweep(101.0)
    reader.unread_bytes = 100_000
    door.sweep(100.0 + connections.STALLED_SECONDS)
    assert (slow.ended[0], deaf_ear.ended) == ("overdue", ["abort"])
    assert (quick.ended[-1:], reader.ended) == (["overdue"], [])


def test_answers_together_have_a_bound_and_the_largest_goes(monkeypatch):
    monkeypatch.setattr(connections, "MAX_UNREAD_BYTES", 1000)
    door = Door(100, 100)
    small, large = busy(unread_bytes=400), busy(unread_bytes=601)
    door.enter(small)
    door.enter(large)
    door.sweep(1.0)
    assert (small.ended, large.ended) == ([], ["abort"])
