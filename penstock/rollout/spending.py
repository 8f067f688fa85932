"""Whether a canary has used up what it may spend, and whether it may go on by now."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from penstock.api import condition
from penstock.api.interruptions import SpendStop
from penstock.api.reasons import WaitReason
from penstock.money.ledger import Stop, Window
from penstock.rollout import allowance, harm_budget
from penstock.rollout.facts import Facts

#: Why a canary is stopped for what it has spent, or done.
STOPPED: Final = (
    WaitReason.SPEND_CAP_REACHED,
    WaitReason.BUDGET_SHARE_REACHED,
    WaitReason.HARM_BUDGET_REACHED,
)


def reached(facts: Facts) -> Stop | None:
    """A limit of the canary's own that it has used up, and that was not raised since."""
    now = _limits(facts)
    told = facts.situation.stops.get(facts.canary, ())
    return next((stop for stop in told if _holds(stop, now)), None)


def _holds(stop: Stop, now: Mapping[str, int]) -> bool:
    most = now.get(allowance.name(stop.limit))
    return most is not None and most <= stop.limit.most


def reason(stop: Stop) -> WaitReason:
    """Why it is stopped: for its cap, or for its part of the Agent's budget."""
    whole = stop.limit.window is Window.TOTAL
    return WaitReason.SPEND_CAP_REACHED if whole else WaitReason.BUDGET_SHARE_REACHED


def still_stopped(facts: Facts) -> bool:
    """Whether the limit for which it was stopped is there, no higher, and its window not over."""
    stop = facts.suspension.stop
    if stop is None:
        return False
    if facts.situation.agent_limits is None:
        return True
    if stop.until and facts.seconds_since(stop.until) >= 0:
        return False
    most = (_limits(facts) | harm_budget.kept_limits(facts)).get(stop.limit)
    return most is not None and most <= stop.most


def kept(stop: Stop) -> SpendStop:
    """A stop as status keeps it."""
    ends = datetime.fromtimestamp(stop.resets_ms / 1000, UTC) if stop.resets_ms else None
    return SpendStop(
        limit=allowance.name(stop.limit),
        most=stop.limit.most,
        until=condition.timestamp(ends) if ends else None,
    )


def _limits(facts: Facts) -> dict[str, int]:
    situation = facts.situation
    declared = allowance.limits(situation.spec.analysis, situation.agent_limits or (), facts.status)
    return {allowance.name(limit): limit.most for limit in declared}
