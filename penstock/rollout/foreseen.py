"""What would follow if another template, or another policy, were applied: the engine's word, ahead of time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from penstock.api.rollout import AgentRolloutStatus, Stage
from penstock.api.strategy import StepApproval, Strategy
from penstock.rollout import engine, onlooker, path, proofs, returning
from penstock.rollout.facts import Facts
from penstock.rollout.situation import Pods, Situation


@dataclass(frozen=True)
class Foreseen:
    """Where a rollout would stand with what is given.

    ``at_once``: as soon as an operator has seen it. ``ready``: as soon as, then, a worker of the
    canary is ready. ``rejected``: the revision was rejected, and gets nothing until a retry. ``returns``: all
    users come to it as soon as a worker is ready, without steps. ``ceiling``: a share that a person left
    over, which its steps do not pass; None where there is none.
    """

    at_once: AgentRolloutStatus
    ready: AgentRolloutStatus
    rejected: bool
    returns: bool
    ceiling: int | None = None


@dataclass(frozen=True)
class Leg:
    """A part of the way to all users: the share in it, and for how many seconds at least.

    ``tasks``: how many must have been counted before it is left. ``approval``: leaving it takes a person. ``ring``: the
    ring that has the canary in it, and nobody else but those before it.
    """

    stage: Stage
    percent: int
    hold_seconds: int
    tasks: int = 0
    approval: bool = False
    ring: str = ""


def foresee(situation: Situation) -> Foreseen:
    """What the engine would decide on a situation in which the new revision is the latest.

    Args:
        situation: with the status as it was read; what was measured is taken from there. A latest
            revision without pods gets them in this pass.
    """
    latest = situation.latest
    pods = {latest: Pods(wanted=1), **situation.pods} if latest else situation.pods
    seen = onlooker.seen(replace(situation, pods=pods))
    at_once = engine.decide(seen).status
    decided = onlooker.seen(replace(seen, status=at_once))
    serving = replace(decided, pods={**pods, **({latest: Pods(1, 1)} if latest else {})})
    facts = Facts(decided, at_once)
    return Foreseen(
        at_once,
        engine.decide(serving).status,
        rejected=facts.rejected,
        returns=bool(returning.goal(facts)),
        ceiling=facts.ceiling,
    )


def legs(strategy: Strategy, *, alone: bool = False, compares: bool = False) -> Iterator[Leg]:
    """The way of a new canary by itself, from its first part to the last before it serves everybody.

    Args:
        alone: no other revision serves, so that nothing is copied.
        compares: a comparison is declared.
    """
    if strategy.shadow and not alone:
        copied = strategy.shadow
        yield Leg(Stage.SHADOW, copied.percent, copied.hold_seconds, copied.min_tasks)
    for ring in strategy.rings or ():
        yield Leg(Stage.RINGS, 0, ring.hold_seconds, ring.min_tasks, ring=ring.name)
    first, last = strategy.steps[0], strategy.steps[-1]
    half = proofs.first_share(first.percent, proves=alone or compares)
    if half < first.percent:
        yield Leg(Stage.STEPS, half, first.hold_seconds, first.min_tasks)
    for step in strategy.steps:
        approval = step.approval is StepApproval.REQUIRED
        yield Leg(Stage.STEPS, step.percent, step.hold_seconds, step.min_tasks, approval)
    if strategy.final_hold_seconds:
        share = max(100 - strategy.holdback_percent, last.percent)
        yield Leg(Stage.FINAL_HOLD, share, strategy.final_hold_seconds)


def in_flight(status: AgentRolloutStatus) -> str:
    """The canary that is being tried; empty when none is."""
    return (status.canary_revision or "") if path.under_way(status) else ""
