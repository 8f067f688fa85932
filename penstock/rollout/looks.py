"""How often a canary with users is looked at.

A look costs the same however few tasks are new. So there is one for some of the canary's tasks, and more as soon as anything
speaks against it: what must be found fast is looked at often.
"""

from typing import Final

from penstock.analysis.evidence import Observation
from penstock.analysis.guardrails import CheckVerdict
from penstock.api.analysis import GuardrailMode
from penstock.rollout.comparing import comparing
from penstock.rollout.facts import Facts
from penstock.traffic import Arm

AT_TRAFFIC_SECONDS: Final = 1.0
#: At the longest: while something speaks against the canary, and while nothing does.
_CLOSELY_SECONDS: Final = 2.0
_QUIETLY_SECONDS: Final = 4.0
#: While nothing speaks against it: one look for so many of its tasks. A version of which half fail is known by twice as many.
_QUIET_TASKS: Final = 5
_FIRST_SECONDS: Final = 10.0
_NOTHING_SAID: Final = (CheckVerdict.PASSING, CheckVerdict.NO_DATA)


def between_seconds(facts: Facts) -> float:
    """Until the next look: as long as the canary takes for a task, or for some while nothing speaks against it; within bounds.

    So long as nobody knows how many it gets, it is looked at often.
    """
    seconds, observed = facts.seconds_in_place, facts.observation
    if observed is None or seconds < _FIRST_SECONDS:
        return AT_TRAFFIC_SECONDS
    lately = min(seconds, facts.situation.spec.analysis.guardrails.window_seconds)
    task_seconds = lately / max(_tasks(observed), 1)
    if _is_quiet(facts):
        return min(max(_QUIET_TASKS * task_seconds, AT_TRAFFIC_SECONDS), _QUIETLY_SECONDS)
    return min(max(task_seconds, AT_TRAFFIC_SECONDS), _CLOSELY_SECONDS)


def _tasks(observed: Observation) -> int:
    """The canary's in the window, those of chosen users beside drawn ones included."""
    parts = (observed, observed.chosen) if observed.chosen else (observed,)
    return sum(one.in_window(Arm.CANARY).tasks for one in parts)


def _is_quiet(facts: Facts) -> bool:
    """Whether no limit, on either side, no queue and no comparison says anything; never where each window counts."""
    literal = facts.situation.spec.analysis.guardrails.mode is GuardrailMode.LITERAL
    if literal or facts.on_trial or facts.status.stuck or facts.stable_over:
        return False
    known = comparing(facts)
    spoken = known is not None and known.strengths.suspicious
    return not spoken and all(check.verdict in _NOTHING_SAID for check in facts.heard)
