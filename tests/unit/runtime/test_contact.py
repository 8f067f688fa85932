"""Redis that goes away is told once, whichever call meets it first."""

import pytest
from structlog.testing import capture_logs

from penstock import errors
from penstock_runtime.worker.contact import BELL, CLAIM, HEARTBEAT, Contact


class Meter:
    def store_error(self):
        pass


async def away():
    raise errors.StoreUnavailable("Redis at redis:6379 did not answer")


async def answered():
    return "answer"


@pytest.mark.parametrize("first", [CLAIM, HEARTBEAT, BELL, "part", "finish"])
async def test_each_time_that_redis_goes_away_is_told_once(first):
    contact = Contact(Meter())
    with capture_logs() as told:
        for _ in range(2):
            for call in (first, CLAIM, HEARTBEAT, "part", BELL, first):
                assert await contact.asked(call, away()) is None
            for call in (BELL, CLAIM, HEARTBEAT):
                assert await contact.asked(call, answered()) == "answer"
            assert contact.answers
    assert [line["call"] for line in told] == [first, first]
