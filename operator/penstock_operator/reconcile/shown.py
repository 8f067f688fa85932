"""What Prometheus is shown of an Agent: queue, kill switch, its canary, what is to be mended."""

from collections.abc import Iterator
from typing import Final

from penstock import names
from penstock.api import condition
from penstock.api.condition import Condition
from penstock.api.reasons import ConditionType
from penstock.api.rollout import AgentRolloutStatus
from penstock.money import spend
from penstock.names import AgentKey
from penstock.rollout import harm_budget
from penstock_operator import metrics
from penstock_operator.cluster.kinds import name_of
from penstock_operator.metrics import Series
from penstock_operator.reconcile import idle, spending, transitions
from penstock_operator.reconcile.course import Course
from penstock_operator.reconcile.plan import Plan
from penstock_operator.reconcile.world import World
from penstock_store.records import Look

_ALARMS: Final = (
    ConditionType.SAMPLE_RATIO_MISMATCH,
    ConditionType.SHARE_NOT_ACHIEVED,
    ConditionType.NO_ELIGIBLE_USERS,
)


def of_agent(key: AgentKey, world: World, plan: Plan) -> dict[Series, float]:
    """The gauges of an Agent, as one pass has found and decided it."""
    place = (key.namespace, key.name)
    halted = plan.course.split.suspended if plan.course else world.suspended
    found: dict[Series, float] = {(metrics.SUSPENDED, place): float(halted)}
    if world.look is not None:
        found |= dict(_queue(place, world.look))
        found |= dict(_spend(place, world, world.look))
    if plan.course is not None:
        found |= dict(_course(place, plan.course))
        found |= dict(_harm(place, world, plan.course))
    revision, reason = _rejected(plan)
    if revision:
        found[metrics.REJECTED, (*place, revision, reason)] = 1.0
    stalled = {reason for _, reason, _ in idle.rollouts(world)}
    if plan.agent_status:
        stalled |= {transitions.stalled_for(plan.agent_status)} - {""}
    return found | {(metrics.STALLED, (*place, reason)): 1.0 for reason in stalled}


def of_nobody(key: AgentKey) -> dict[Series, float]:
    """The gauges of an Agent that does not exist, though an AgentRollout names it."""
    return {(metrics.STALLED, (key.namespace, key.name, idle.AGENT_MISSING)): 1.0}


def _queue(place: tuple[str, str], look: Look) -> Iterator[tuple[Series, float]]:
    held = look.work.values()
    yield (metrics.QUEUED, place), float(look.waiting + sum(work.queued for work in held))
    yield (metrics.PARKED, place), float(look.parked)
    if look.lapses_in_ms is not None:
        yield (metrics.LAPSES, place), look.lapses_in_ms / 1000
        yield (metrics.WAITS, place), look.waits_ms / 1000
    oldest_ms = max((work.oldest_queued_ms for work in held), default=0)
    yield (metrics.OLDEST, place), oldest_ms / 1000


def _spend(place: tuple[str, str], world: World, look: Look) -> Iterator[tuple[Series, float]]:
    """Money, by revision and by limit; nobody's name is in it."""
    for name in map(name_of, world.records):
        if cost := look.cost_today.get(names.hash_of(name)):
            yield (metrics.COST_TODAY, (*place, name)), cost / 1_000_000
    declared = world.spec.budgets if world.spec else None
    mode = declared.mode.value if declared else ""
    for level in spending.levels(world):
        limited = (level.limit.window.value, level.limit.unit.value)
        percent = max(level.percent, spend.WHOLE) if level.over else level.percent
        yield (metrics.BUDGET_SPENT, (*place, *limited, mode)), float(percent)
    refusals = look.spending.refusals if look.spending else {}
    marks = look.spending.marks if look.spending else {}
    for (scope, window, percent), count in marks.items():
        yield (metrics.BUDGET_MARKS, (*place, scope, window, str(percent))), float(count)
    for limit, count in refusals.items():
        yield (metrics.BUDGET_REFUSALS, (*place, *limit)), float(count)


def _harm(place: tuple[str, str], world: World, course: Course) -> Iterator[tuple[Series, float]]:
    """What of each limit the canary has used."""
    status, look = course.rollout_status, world.look
    if world.rollout is None or status is None or look is None or look.harm is None:
        return
    for name, percent in harm_budget.used_percent(
        world.rollout.spec.analysis, status, look.harm
    ).items():
        yield (metrics.HARM_USED, (*place, name)), percent


def _course(place: tuple[str, str], course: Course) -> Iterator[tuple[Series, float]]:
    yield (metrics.SHARE, place), float(course.split.percent)
    status = course.rollout_status
    trying = (
        bool(course.split.canary)
        and status is not None
        and _told(status, ConditionType.ROLLED_BACK) is None
    )
    yield (metrics.STEP, place), _step(status) if trying and status else 0.0
    progressing = condition.find(status.conditions, ConditionType.PROGRESSING) if status else None
    if course.frozen:
        yield (metrics.WAITING, (*place, "RolloutMissing")), 1.0
    elif trying and progressing:
        yield (metrics.WAITING, (*place, progressing.reason)), 1.0
    for alarm in _ALARMS:
        if trying and status and _told(status, alarm):
            yield (metrics.ALARM, (*place, alarm.value)), 1.0


def _step(status: AgentRolloutStatus) -> float:
    return status.current_step_index + 1.0


def _rejected(plan: Plan) -> tuple[str, str]:
    """The newest revision and why it is rejected; nothing where it is not."""
    status = plan.course.rollout_status if plan.course else None
    told = _told(status, ConditionType.ROLLED_BACK) if status else None
    if told is None or plan.agent_status is None:
        return "", ""
    return plan.agent_status.latest_revision or "", told.reason


def _told(status: AgentRolloutStatus, kind: ConditionType) -> Condition | None:
    """A condition that is True."""
    found = condition.find(status.conditions, kind)
    return found if found and condition.is_true(status.conditions, kind) else None
