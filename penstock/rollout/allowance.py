"""What a canary may spend: its cap, and its part of each window of the Agent's budgets."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from penstock.api.analysis import Analysis
from penstock.api.fields import micro_usd
from penstock.api.interruptions import Suspension
from penstock.api.rollout import AgentRolloutStatus, Source, Stage
from penstock.money.ledger import Limit, Scope, Unit, Window

#: Above this share a canary is on its way to everybody, and the cap bounds it no more.
CAPPED_PERCENT: Final = 50


def limits(
    analysis: Analysis, agent: Iterable[Limit], status: AgentRolloutStatus
) -> tuple[Limit, ...]:
    """What the canary of a status may spend; no limits where it may spend what there is.

    Args:
        analysis: as it is declared now.
        agent: limits of the Agent's budget.
    """
    if not _is_tried(status) or _suspension(status).unbounded:
        return ()
    share = _share(status)
    return (*_cap(analysis, share), *_parts(analysis, agent, share))


def bounds_harm(status: AgentRolloutStatus) -> bool:
    """Whether what the canary of a status does to the world is bounded: on half of the users at most, unless a person lets it."""
    tried = _is_tried(status) and _share(status) <= CAPPED_PERCENT
    return tried and not _suspension(status).harm_unbounded


def _is_tried(status: AgentRolloutStatus) -> bool:
    return bool(status.canary_revision) and status.stage is not Stage.DONE


def _suspension(status: AgentRolloutStatus) -> Suspension:
    return status.suspension or Suspension()


def _share(status: AgentRolloutStatus) -> int:
    """The share in force, or of one that was taken off the share it comes back to."""
    off = status.share.source is Source.SUSPENDED
    return (status.held_percent or 0) if off else status.share.percent


def _cap(analysis: Analysis, share: int) -> Iterator[Limit]:
    cap = analysis.canary_spend_cap_usd
    if cap is not None and share <= CAPPED_PERCENT:
        yield Limit(Scope.CANARY, Window.TOTAL, Unit.MICRO_USD, micro_usd(cap))


def _parts(analysis: Analysis, agent: Iterable[Limit], share: int) -> Iterator[Limit]:
    least = analysis.canary_budget_percent
    percent = 100 if least is None else max(2 * share, least)
    if percent >= 100:
        return
    for limit in agent:
        if limit.scope is Scope.AGENT:
            yield replace(limit, scope=Scope.CANARY, most=limit.most * percent // 100)


def name(limit: Limit) -> str:
    """What tells a canary's limits apart, as status keeps it."""
    return f"{limit.window}:{limit.unit}"
