"""How often a canary with users is looked at."""

from typing import Final

from penstock.rollout.facts import Facts
from penstock.traffic import Arm

AT_TRAFFIC_SECONDS: Final = 1.0
_AT_FEW_TASKS_SECONDS: Final = 2.0
_FIRST_SECONDS: Final = 10.0


def between_seconds(facts: Facts) -> float:
    """As long as the canary takes for a task, within bounds: no look between two tells more of it.

    So long as nobody knows how many it gets, it is looked at often.
    """
    seconds, observed = facts.seconds_in_step(), facts.observation
    if observed is None or seconds < _FIRST_SECONDS:
        return AT_TRAFFIC_SECONDS
    tasks = max(observed.routed_in_step(Arm.CANARY), 1)
    return min(max(seconds / tasks, AT_TRAFFIC_SECONDS), _AT_FEW_TASKS_SECONDS)
