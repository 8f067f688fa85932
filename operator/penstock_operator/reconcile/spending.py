"""What an Agent's status says of its spend: of today, of its budget's windows, and when one is spent."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Final

from penstock.api import budgets as fields
from penstock.api import condition
from penstock.api.agent_status import BudgetWindow
from penstock.api.budgets import Budgets
from penstock.money import lifts, spend
from penstock.money.ledger import Limit, Mode, OnExceeded, Scope, Window
from penstock.money.spend import Level
from penstock.rollout import commands
from penstock_operator.cluster.kinds import namespace_of
from penstock_operator.reconcile.world import World

#: What a condition says of the fullest window, by the mark that it has passed.
_REASONS: Final = {50: "HalfSpent", 80: "MostSpent", 95: "NearlySpent", spend.WHOLE: "Spent"}
SPENT: Final = "BudgetSpent"

Why = tuple[str, str]  # reason, message


def levels(world: World) -> tuple[Level, ...]:
    """Each limit of the Agent itself, as Redis has it now."""
    return spend.levels(world.look.spending if world.look else None)


# ------------------------------------------------------------------------------------ numbers


def cost_today(world: World) -> str:
    """What today has cost so far: the more of what the ledger has and what ended tasks have cost.

    A budget that is declared in the middle of a day finds nothing of the day in the ledger. While
    Redis is away it is what it was.
    """
    if world.look is None:
        return world.status.summary.cost_today
    return spend.dollars(max(_ledger_today(world), sum(world.look.cost_today.values())))


def _ledger_today(world: World) -> int:
    spending = world.look.spending if world.look else None
    windows = spending.windows if spending else ()
    days = (w for w in windows if w.scope is Scope.AGENT and w.window is Window.DAY)
    return sum(day.settled.micro_usd for day in days)


def revision_cost_today(world: World, name: str, revision: str) -> str:
    """What the tasks have cost that a revision ended today."""
    if world.look is None:
        known = {item.name: item.cost_today for item in world.status.revisions}
        return known.get(name, "")
    return spend.dollars(world.look.cost_today.get(revision, 0))


def fullest(world: World) -> str:
    """The fullest window, as the column BUDGET shows it."""
    if world.look is None:
        return world.status.summary.budget
    found = spend.fullest(levels(world))
    return f"{found.percent}% of {spend.FIELDS[found.limit.window]}" if found else ""


# ------------------------------------------------------------------------------------ windows


def windows(world: World) -> list[BudgetWindow]:
    """How far each window is spent, and of what people have been told in it.

    What was told stays told in its window, however often it is looked at, and by whom; another limit
    begins anew. While Redis does not say how much is spent, all is as it was.
    """
    if not _declares(world):
        return []
    found = levels(world)
    if not found:
        return list(world.status.budget_windows)
    before = {item.window: item for item in world.status.budget_windows}
    each = groupby(found, key=lambda level: spend.FIELDS[level.limit.window])
    return [_window(name, list(of_window), before.get(name)) for name, of_window in each]


def _declares(world: World) -> bool:
    declared = fields.budget_of(world.spec.budgets) if world.spec else None
    own = declared and any(limit.scope is Scope.AGENT for limit in declared.limits)
    return bool(own) or (world.spec is None and bool(world.status.budget_windows))


def _window(name: str, found: Sequence[Level], before: BudgetWindow | None) -> BudgetWindow:
    limits = ", ".join(spend.amount(one.limit.unit, one.limit.most) for one in found)
    resets_at = moment(found[0].resets_ms)
    told = before.told_in(limits, resets_at) if before else 0
    return BudgetWindow(
        window=name,
        limits=limits,
        told_percent=max(told, *(level.mark for level in found)),
        spent_percent=max(level.percent for level in found),
        resets_at=resets_at,
    )


def low(windows_now: Sequence[BudgetWindow]) -> tuple[bool, str, str]:
    """The condition BudgetLow: whether a mark is passed, of the fullest window, in words that stay."""
    passed = [item for item in windows_now if item.told_percent]
    mark = max((item.told_percent for item in passed), default=0)
    return bool(passed), _REASONS.get(mark, ""), "; ".join(item.in_words for item in passed)


# --------------------------------------------------------------------------------------- spent


def spent(world: World) -> Why | None:
    """The budget that is spent, what that means, until when and what lifts it; None where none is.

    Mostly something is left of it, and too little for a call.
    """
    found = [level for level in levels(world) if level.over]
    declared = world.spec.budgets if world.spec else None
    if not found or declared is None or declared.mode is not Mode.ENFORCE:
        return None
    last = max(found, key=lambda level: (level.whole, level.resets_ms))
    limit = f"the {spend.amount(last.limit.unit, last.limit.most)} of {fields.field_of(last.limit)}"
    so = f"all of {limit} is spent" if last.whole else f"too little is left of {limit} for a call"
    message = (
        f"{so}: {_means(declared, whole=last.whole)} until {moment(last.resets_ms)}. "
        f"More until then: {_lift(world, last.limit)}"
    )
    return SPENT, message


def _lift(world: World, limit: Limit) -> str:
    """The command that adds a tenth of a limit to it."""
    agent = commands.place(world.name, namespace_of(world.agent))
    return commands.lift_budget(agent, lifts.name(limit), lifts.suggested(limit))


def _means(declared: Budgets, *, whole: bool) -> str:
    if declared.on_exceeded is OnExceeded.ESCALATE:
        return "tasks go to a person"
    if whole:
        return "nothing is admitted"
    if declared.on_exceeded is OnExceeded.DEGRADE:
        return "tasks go on with the cheapest tier, as long as it is enough for that,"
    return "tasks end as LimitExceeded"


def admits(world: World) -> bool:
    """Whether tasks are accepted all the same where a budget is spent."""
    declared = world.spec.budgets if world.spec else None
    escalates = declared is not None and declared.on_exceeded is OnExceeded.ESCALATE
    return escalates or not any(level.whole for level in levels(world))


def resets_seconds(world: World) -> float:
    """In how many seconds a budget that is spent is reset; infinite where none is."""
    if world.look is None or not spent(world):
        return math.inf
    ends = [level.resets_ms for level in levels(world) if level.over]
    return max(0.0, (max(ends) - world.look.now_ms) / 1000)


def moment(at_ms: int) -> str:
    """A moment in ms since 1970 as statuses write it."""
    return condition.timestamp(datetime.fromtimestamp(at_ms / 1000, UTC))
