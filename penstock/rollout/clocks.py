"""Since when what lasts: the kill switch, an old queue, pods without readiness, blindness, the step."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from penstock.api import condition
from penstock.api.interruptions import Halt, StuckQueue
from penstock.rollout import path, ring_stage
from penstock.rollout.facts import QUIET_SECONDS, Facts

MAX_HALTS: Final = 8
#: A route may lag by so much without a new begin: while Redis takes none, a status is not written for each pass.
_LAG_SECONDS: Final = 10.0


def halts(facts: Facts) -> tuple[Halt, ...]:
    """When the kill switch was on: tasks and queues do not age meanwhile."""
    kept, now = facts.status.halts, _after_rows(facts)
    lasting = bool(kept) and kept[-1].until is None
    if facts.halted:
        return kept if lasting else (*kept, Halt(since=now))[-MAX_HALTS:]
    return (*kept[:-1], kept[-1].model_copy(update={"until": now})) if lasting else kept


def _after_rows(facts: Facts) -> str:
    """The first whole second in which no row was counted yet: rows are counted once, by the halts known then."""
    observed = facts.situation.observation
    now = max(facts.now, datetime.fromtimestamp((observed.now_ms if observed else 0) / 1000, UTC))
    return condition.timestamp(now + timedelta(microseconds=999_999))


def quiet(facts: Facts) -> dict[str, Any]:
    """A canary that has been available for long enough has a clean sheet again."""
    kept = facts.suspension
    counts = (facts.status.unavailable_count, kept.overloads, kept.uncompared, kept.incidents)
    if not (any(counts) or kept.misfit) or not kept.resumed_at:
        return {}
    if facts.seconds_since(kept.resumed_at) < QUIET_SECONDS:
        return {}
    clean = kept.model_copy(update={"overloads": 0, "uncompared": 0})
    if facts.stable_over is None:
        clean = clean.model_copy(update={"incidents": 0, "misfit": ""})
    return {"unavailable_count": 0, "suspension": clean}


def stuck(facts: Facts) -> StuckQueue | None:
    """Since when the canary's queue is old; from anew whenever its age has fallen."""
    if not facts.exposed or facts.halted or not facts.queue_is_old:
        return None
    age, before = int(facts.queue_age(facts.canary)), facts.status.stuck
    if before and age >= before.age_seconds:
        return before
    return StuckQueue(since=condition.timestamp(facts.now), age_seconds=age)


def step_clock(facts: Facts) -> dict[str, Any]:
    """The step's clock once something is seen again: time in which nothing was proves nothing.

    Nor does time in which its share was not in force: it begins anew then. What was counted stays counted.
    """
    status, since = facts.status, facts.place_since
    lags = facts.situation.route_lags and path.under_way(status)
    if since and lags and facts.seconds_since(since) > _LAG_SECONDS:
        return {"blind_since": None, **ring_stage.begun_at(facts, condition.timestamp(facts.now))}
    if not status.blind_since or not since or facts.blind:
        return {}
    begun = condition.moment(since)
    unseen = max(facts.now - max(condition.moment(status.blind_since), begun), timedelta())
    return {"blind_since": None, **ring_stage.begun_at(facts, condition.timestamp(begun + unseen))}


def blind_since(facts: Facts) -> str | None:
    """Since when the step's clock stands still; None while it runs."""
    if not facts.blind or not facts.place_since or not path.under_way(facts.status):
        return None
    return facts.status.blind_since or condition.timestamp(facts.now)


def unready_since(facts: Facts) -> str | None:
    """Since when the canary has no ready pod; None while it has, and where that is nobody's fault."""
    ours, theirs = facts.pods, facts.stable_pods
    if ours.ready or not path.under_way(facts.status):
        return None
    if facts.exposed and (not ours.wanted or (theirs.wanted and not theirs.ready)):
        return None  # neither side has a pod: not the canary's fault, and stable is no refuge
    return facts.status.unready_since or condition.timestamp(facts.now)
