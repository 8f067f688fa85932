"""Limits that do not fit: stable itself is over one for so long, or so often, that it is no incident.

An incident ends by itself and is waited out, with the canary off. Who is always over a limit never
comes to that end. Nobody but a person knows whether stable is ill or the limit wrong: the canary is
held at its share, and what people say acts.
"""

from typing import Final

from penstock.analysis.guardrails import Finding
from penstock.analysis.halts import Halts
from penstock.api import condition
from penstock.rollout.facts import Facts

#: So often a canary is taken off for an incident of both; the next time it is none.
MOST_INCIDENTS: Final = 2
#: After so many windows with stable over its limit while it has all users, it is none either: what
#: had ended within one window is out of the next.
LONGEST_WINDOWS: Final = 2


def last(facts: Facts) -> bool:
    """Whether stable has had all users for so long that it is no incident which it is over a limit for.

    Time under the kill switch does not count.
    """
    since = facts.suspension.since
    if not since or facts.halted:
        return False
    begin_ms, now_ms = (
        int(moment.timestamp() * 1000) for moment in (condition.moment(since), facts.now)
    )
    window = facts.situation.spec.analysis.guardrails.window_seconds
    passed_ms = Halts.of(facts.status.halts).running_ms(begin_ms, now_ms)
    return passed_ms >= LONGEST_WINDOWS * window * 1000


def known(facts: Facts, check: Finding) -> bool:
    """Whether stable being over this limit is no incident any more in this attempt."""
    kept = facts.suspension
    return kept.misfit == check.name or kept.incidents >= MOST_INCIDENTS
