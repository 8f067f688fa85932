"""What admission, the ledger and workers are told of an Agent's budgets and restrictions."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from penstock import names, restrictions
from penstock import shadow as shadows
from penstock.api import budgets
from penstock.api.budgets import PerCaller
from penstock.api.restrictions import NO_RESTRICTIONS
from penstock.api.tool import Effect, Tool
from penstock.money.ledger import Budget, Mode
from penstock.rollout import allowance, harm_budget, shadow_stage
from penstock.shadow import Shadow
from penstock.traffic import NO_RATES, RequestRates
from penstock_operator.cluster.kinds import namespace_of
from penstock_operator.reconcile import lifting
from penstock_operator.reconcile.course import Course
from penstock_operator.reconcile.world import World

_MARK_DIGITS: Final = 16


def rates(world: World) -> RequestRates:
    """How many tasks users and tenants may submit in a minute."""
    declared = world.spec.budgets if world.spec else None
    if declared is None:
        return NO_RATES
    return RequestRates(
        _requests(declared.per_user),
        _requests(declared.per_tenant),
        enforced=declared.mode is Mode.ENFORCE,
    )


def _requests(caller: PerCaller | None) -> int:
    return (caller.requests_per_minute if caller else None) or 0


def budget(world: World, course: Course) -> Budget | None:
    """What the ledger is to keep; None where nothing is bounded."""
    if world.spec is None:
        return None
    declared = budgets.budget_of(world.spec.budgets)
    lifts = lifting.for_ledger(world) if declared else ()
    declared = replace(declared, lifts=lifts) if declared and lifts else declared
    if world.rollout is None or course.rollout_status is None:
        return declared
    agent, analysis = declared or Budget(), world.rollout.spec.analysis
    own = (
        *allowance.limits(analysis, agent.limits, course.rollout_status),
        *shadow_stage.cap(world.rollout.spec.strategy, course.rollout_status),
    )
    return replace(agent, limits=(*agent.limits, *own)) if own else declared


def harm(world: World, course: Course, tools: Sequence[Tool]) -> str:
    """What the canary, which has these tools, may do to the world, as a route carries it. Where the Agent cannot be read what is in force stays."""
    if world.spec is None:
        return world.look.harm_bound if world.look else ""
    status = course.rollout_status
    if world.rollout is None or status is None:
        return ""
    return harm_budget.written(world.rollout.spec.analysis, status, tools)


def shadow(world: World, course: Course, stable: Sequence[Tool], of_canary: Sequence[Tool]) -> str:
    """Whether copies of tasks are made for the canary, as a route carries it; with the tools of both."""
    if world.spec is None:
        return world.look.shadow if world.look else ""
    status = course.rollout_status
    declared = world.rollout.spec.strategy.shadow if world.rollout else None
    if world.rollout is None or declared is None or status is None:
        return ""
    if not shadow_stage.is_on(world.rollout.spec.strategy, status):
        return ""
    changing = [tool.name for tool in stable if tool.effect is not Effect.READ_ONLY]
    canary = names.hash_of(status.canary_revision or "")
    kept = [tool.name for tool in (*stable, *of_canary) if tool.is_kept_from_copies]
    return shadows.written(Shadow(canary, declared.percent, changing, kept))


def restricted(world: World) -> str:
    """What restricts the Agent's tasks, as a route carries it. Where the Agent cannot be read what is in force stays."""
    if world.spec is None:
        return world.look.restrictions if world.look else ""
    return restrictions.written(world.spec.restrictions or NO_RESTRICTIONS)


def braked(world: World) -> tuple[bool, str, str]:
    """Whether restrictions are declared, which ones, and how they are taken back."""
    by = (world.spec and world.spec.restrictions) or NO_RESTRICTIONS
    change = """--type merge -p '{"spec":{"restrictions":null}}'"""
    told = (
        f"spec.restrictions hold for every task, until they are taken back (kubectl -n "
        f"{namespace_of(world.agent)} patch agent {world.name} {change}): {restrictions.shown(by)}"
    )
    return bool(by), "OnCall", told


def mark(world: World, course: Course) -> str:
    """What tells the budget from others. Where the Agent cannot be read the one in force stays."""
    if world.spec is None:
        return world.look.budget_mark if world.look else ""
    declared = budget(world, course)
    return hashlib.sha256(repr(declared).encode()).hexdigest()[:_MARK_DIGITS] if declared else ""
