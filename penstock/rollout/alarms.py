"""Alarms about the share: what came does not fit it. They tell people, and decide nothing.

The comparison is fair at any share; a wrong one says that something between callers and the log is not as
it should be, or that few users make most of the tasks.
"""

from typing import Final

from penstock.analysis import drawn
from penstock.analysis.evidence import Observation
from penstock.api import condition
from penstock.api.alarms import Alarms
from penstock.api.reasons import EventReason
from penstock.api.rollout import AgentRolloutStatus
from penstock.rollout import path
from penstock.rollout.facts import Facts
from penstock.rollout.situation import Happening
from penstock.rollout.words import alarms as words
from penstock.traffic import BUCKETS, Arm

#: The share of all work is far from the share in force where the odds differ by such a factor ...
FAR: Final = 2
#: ... and each side should have had so many tasks in the window.
FEWEST_EXPECTED: Final = 10
#: It rings when that has lasted: sessions stay where they began. Where users of rings make most of the tasks, at once.
LONG_SECONDS: Final = 1800
_SIDES: Final = (Arm.CANARY, Arm.STABLE)


def seen(facts: Facts, before: AgentRolloutStatus) -> Alarms | None:
    """The alarms as they are now; looked at when the numbers are written, so at most once a minute."""
    status, observed = facts.status, facts.observation
    in_ring = facts.in_rings and facts.exposed
    if not path.under_way(status) or not facts.stable:
        return None
    if not (in_ring or 0 < facts.percent < BUCKETS):
        return None
    kept = status.alarms or Alarms()
    if kept.ratio_version and kept.ratio_version != status.route_version:
        kept = kept.model_copy(update={"ratio_version": 0, "ratio": ""})
    if before.share.percent != facts.percent:
        kept = kept.model_copy(update={"far_since": None, "far": ""})
    if observed is not None and status.analysis.counted_at != before.analysis.counted_at:
        kept = _far(facts, observed, kept if in_ring else _ratio(facts, observed, kept))
    return kept if kept != Alarms() else None


def told(facts: Facts, before: AgentRolloutStatus) -> tuple[Happening, ...]:
    """An Event where an alarm begins to ring."""
    now, then = facts.status.alarms or Alarms(), before.alarms or Alarms()
    begun = (
        (EventReason.SAMPLE_RATIO_MISMATCH, now.ratio, then.ratio),
        (EventReason.SHARE_NOT_ACHIEVED, now.far, then.far),
    )
    return tuple(
        Happening(kind, said, warning=True) for kind, said, old in begun if said and not old
    )


def _ratio(facts: Facts, observed: Observation, kept: Alarms) -> Alarms:
    """Once it does not fit it is told until another route version."""
    version, came = facts.status.route_version, observed.drawn
    if kept.ratio_version or came.version != version:
        return kept
    odds = drawn.odds(came, facts.percent)
    if odds < drawn.AGAINST:
        return kept
    said = words.ratio(facts, came, odds)
    return kept.model_copy(update={"ratio_version": version, "ratio": said})


def _far(facts: Facts, observed: Observation, kept: Alarms) -> Alarms:
    if found := _of_rings(facts, observed):
        since = kept.far_since or condition.timestamp(facts.now)
        said = words.far_by_rings(facts, *found)
        return kept.model_copy(update={"far_since": since, "far": said})
    if facts.in_rings:
        return kept.model_copy(update={"far_since": None, "far": ""})
    ours, theirs = (observed.in_window(arm).tasks for arm in _SIDES)
    if not is_far(ours, theirs, facts.percent):
        return kept.model_copy(update={"far_since": None, "far": ""})
    since = kept.far_since or condition.timestamp(facts.now)
    lasts = facts.seconds_since(since) >= LONG_SECONDS
    said = words.far(facts, ours, theirs, since) if lasts else ""
    return kept.model_copy(update={"far_since": since, "far": said})


def _of_rings(facts: Facts, observed: Observation) -> tuple[int, int] | None:
    """Tasks of users of rings in the window and all others, where those are fewer; None where they are not."""
    seen = observed if facts.in_rings else observed.chosen
    if seen is None:
        return None
    ours, theirs = (seen.in_window(arm).tasks for arm in _SIDES)
    if not facts.in_rings:
        theirs += observed.in_window(Arm.CANARY).tasks
    return (ours, theirs) if ours >= FEWEST_EXPECTED and ours > theirs else None


def is_far(ours: int, theirs: int, percent: int) -> bool:
    """Whether the odds of two sides' tasks are far from those of a share."""
    expected = (ours + theirs) * min(percent, BUCKETS - percent) / BUCKETS
    one, other = ours * (BUCKETS - percent), theirs * percent
    return expected >= FEWEST_EXPECTED and (one > FAR * other or other > FAR * one)
