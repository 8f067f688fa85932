"""The stage before the first step: a canary works on copies of stable's tasks, and users see nothing of it."""

from datetime import timedelta
from functools import partial

from penstock.api.fields import micro_usd
from penstock.api.reasons import WaitReason
from penstock.api.rollout import AgentRolloutStatus, Stage
from penstock.api.strategy import Strategy
from penstock.money.ledger import Limit, Scope, Unit, Window
from penstock.rollout.facts import Facts
from penstock.rollout.moves import Move, Wait
from penstock.rollout.words import shadowing, waits
from penstock.shadow import Trial


def is_on(strategy: Strategy, status: AgentRolloutStatus) -> bool:
    """Whether copies are made for the canary that a status tells of: it has no user yet."""
    in_stage = status.stage is Stage.SHADOW and status.share.percent == 0
    return strategy.shadow is not None and in_stage and bool(status.canary_revision)


def cap(strategy: Strategy, status: AgentRolloutStatus) -> tuple[Limit, ...]:
    """What its copies may spend; nothing outside of the stage."""
    if strategy.shadow is None or not is_on(strategy, status):
        return ()
    most = micro_usd(strategy.shadow.spend_cap_usd)
    return (Limit(Scope.SHADOW, Window.TOTAL, Unit.MICRO_USD, most),)


def copies_awaited(facts: Facts) -> Move | None:
    """The first step waits until copies have said enough, and well enough; nobody is rejected for them."""
    declared = facts.strategy.shadow
    if declared is None or not is_on(facts.strategy, facts.status):
        return None
    seen = facts.situation.trials.get(facts.canary) or Trial()
    if seen.judged < declared.min_tasks:
        return Wait(WaitReason.AWAITING_EVIDENCE, partial(shadowing.awaits_copies, seen=seen))
    if seen.agreed * 100 < declared.min_agreement_percent * seen.judged:
        return Wait(WaitReason.ANALYSIS_UNCLEAR, partial(shadowing.disagrees, seen=seen))
    begun = timedelta(milliseconds=seen.begun_ms - facts.now.timestamp() * 1000)
    until = facts.now + begun + timedelta(seconds=declared.hold_seconds)
    if until <= facts.now:
        return None
    return Wait(WaitReason.HOLDING, partial(waits.holding, until=until), until)
