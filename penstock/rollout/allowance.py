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
    """The limits of the canary that a status tells of; none where it may spend what there is.

    Args:
        analysis: as it is declared now.
        agent: limits of the Agent's budget.
    """
    if not _is_bounded(status):
        return ()
    share = _share(status)
    return (*_cap(analysis, share), *_parts(analysis, agent, share))


def is_capped(status: AgentRolloutStatus) -> bool:
    """Whether the canary that a status tells of is still tried on half of the users at most."""
    return _is_bounded(status) and _share(status) <= CAPPED_PERCENT


def _is_bounded(status: AgentRolloutStatus) -> bool:
    unbounded = (status.suspension or Suspension()).unbounded
    return bool(status.canary_revision) and status.stage is not Stage.DONE and not unbounded


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
