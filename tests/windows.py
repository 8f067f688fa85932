"""Budgets begin anew with each hour and day in UTC: a test that adds up begins where neither ends soon."""

from __future__ import annotations

#: The longest test with a window of a day takes two minutes, that with one of an hour a few seconds.
LAST_OF_A_DAY_SECONDS = 180.0
LAST_OF_AN_HOUR_SECONDS = 20.0
_HOUR, _DAY = 3600, 86400


def seconds_to_wait(now: float) -> float:
    """How long until a test may begin, in seconds; 0 where no window ends soon.

    Args:
        now: the moment, in seconds since 1970 in UTC. A month ends with a day.
    """
    for length, last in ((_DAY, LAST_OF_A_DAY_SECONDS), (_HOUR, LAST_OF_AN_HOUR_SECONDS)):
        if (left := length - now % length) <= last:
            return left
    return 0.0
