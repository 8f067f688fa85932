"""Agents as the operator's own code leaves them, one for every reason they can have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from penstock.access import Access, Heard
from penstock.api.analysis import Reason, Result, Verdict
from penstock.money.ledger import Amount, Limit, Scope, Spending, Spent, Unit, Window
from penstock.rollout.situation import Pods
from penstock_operator.reconcile import statuses
from penstock_operator.reconcile.course import chart
from penstock_operator.reconcile.plan import plan_agent
from penstock_operator.reconcile.stock import take_stock
from penstock_operator.reconcile.world import World
from tests.unit.operator import worlds
from tests.unit.operator.test_first_revision import climbing
from tests.unit.operator.test_plan import V1, V2, serving, trying_v2
from tests.unit.operator.test_waiting import CRASH, trying

SERVING = {"records": (worlds.record(V1, promoted=1),), "projected_for": (V1,), "ready_for": (V1,)}
BOTH = {
    "records": (worlds.record(V1, 1, promoted=1), worlds.record(V2, 2)),
    "projected_for": (V1, V2),
    "ready_for": (V1, V2),
}


def told(world: World) -> dict[str, Any]:
    """The Agent with the status that a pass of the operator gives it."""
    status = plan_agent(world).agent_status
    assert status is not None
    return {**world.agent, "status": status.wire()}


def serving_world(agent: dict[str, Any] | None = None, **more: Any) -> World:
    """Stable serves; `more` is what else there is in its world."""
    return worlds.world(agent, **{**SERVING, "status": serving(V1), "route_version": 3, **more})


def unacceptable(reason: str, message: str) -> dict[str, Any]:
    """A first template that cannot be run."""
    return told(worlds.world(problem=(reason, message)))


def asleep() -> dict[str, Any]:
    agent = worlds.agent(V1, scaling={"minReplicas": 0})
    pods = {worlds.cut(V1).name: Pods(0, 0)}
    return told(serving_world(agent, ready_for=(), pods=pods))


def crash_looping() -> dict[str, Any]:
    words = "CrashLoopBackOff: no such key in Secret anthropic"
    return told(serving_world(pods={worlds.cut(V1).name: Pods(0, 1, words)}))


def refused_by_the_model(access: Access) -> dict[str, Any]:
    """Workers of stable have told what the model says of who asks, or for what."""
    world = serving_world()
    assert world.look is not None
    heard = {worlds.cut(V1).hash: Heard(access, 5)}
    return told(replace(world, look=replace(world.look, heard=heard)))


def without_route() -> dict[str, Any]:
    """Between two writes of one pass: stable is known, its route is not written yet."""
    world = serving_world()
    stock = take_stock(world)
    course = chart(world, stock)
    unwritten = course.decision.status.model_copy(update={"route_version": 0})
    course = replace(course, decision=replace(course.decision, status=unwritten))
    status = statuses.agent_status(world, stock, course, (), ())
    return {**world.agent, "status": status.wire()}


def without_rollout() -> dict[str, Any]:
    status = serving(V1).model_copy(update={"had_rollout": True})
    return told(worlds.world(worlds.agent(V2), **BOTH, status=status))


def rolled_back() -> dict[str, Any]:
    verdict = Verdict(
        revision=worlds.cut(V2).name,
        result=Result.REJECTED,
        reason=Reason.ERROR_RATE,
        message="rolled back at 5 %: error rate 30.0 % on the canary",
        at="2026-11-21T09:00:00Z",
    )
    records = (worlds.record(V1, 1, promoted=1), worlds.record(V2, 2, verdict=verdict))
    world = worlds.world(worlds.agent(V2), **{**BOTH, "records": records}, status=serving(V1))
    return told(world)


def unread() -> dict[str, Any]:
    """A change that the operator has not seen: the status is of the generation before."""
    document = told(serving_world())
    return {**document, "metadata": {**document["metadata"], "generation": 3}}


def suspended() -> dict[str, Any]:
    return told(serving_world(worlds.agent(V1, suspended=True)))


def calls_wait() -> dict[str, Any]:
    """Two calls of tools wait for who approves them."""
    world = serving_world()
    assert world.look is not None
    return told(replace(world, look=replace(world.look, parked=2, lapses_in_ms=60_000)))


def scaled_to_zero() -> dict[str, Any]:
    pods = {worlds.cut(V1).name: Pods(0, 0)}
    return told(serving_world(worlds.agent(V1, scaling={"replicas": 0}), ready_for=(), pods=pods))


def budget_spent() -> dict[str, Any]:
    """All of a budget is spent, and its window has not ended."""
    agent = worlds.agent(V1, budgets={"costUSD": {"daily": "40"}})
    world = serving_world(agent)
    assert world.look is not None
    limit = Limit(Scope.AGENT, Window.DAY, Unit.MICRO_USD, 40_000_000)
    spent = Amount(2_000_000, 40_000_000)
    day = Spent(Scope.AGENT, Window.DAY, spent, Amount(), 1_795_046_400_000, (limit,))
    look = replace(world.look, spending=Spending(1_795_000_000_000, (day,), {}))
    return told(replace(world, look=look))


def late() -> dict[str, Any]:
    """Without an AgentRollout; the next revision's workers have not come for an hour."""
    made = worlds.world(worlds.agent(V2), **{**BOTH, "ready_for": (V1,)}, status=serving(V1))
    metadata = made.deployments[worlds.cut(V2).name]["metadata"]
    metadata["creationTimestamp"] = "2026-11-21T09:00:00Z"
    return told(made)


def never_good() -> dict[str, Any]:
    """The only revision there is was rejected."""
    verdict = Verdict(
        revision=worlds.cut(V2).name,
        result=Result.REJECTED,
        reason=Reason.ERROR_RATE,
        message="rolled back at 5 %: error rate 30.0 % on the canary",
        at="2026-11-21T09:00:00Z",
    )
    return told(worlds.world(worlds.agent(V2), records=(worlds.record(V2, 2, verdict=verdict),)))


def gone() -> dict[str, Any]:
    """Nothing is left of stable, and nobody else can serve."""
    verdict = Verdict(
        revision=worlds.cut(V2).name,
        result=Result.REJECTED,
        reason=Reason.ABORTED,
        message="rolled back at 5 %: aborted by request",
        at="2026-11-21T09:00:00Z",
    )
    records = (worlds.record(V2, 2, verdict=verdict),)
    return told(worlds.world(worlds.agent(V2), records=records, status=serving(V1)))


def waking() -> dict[str, Any]:
    return told(serving_world(pods={worlds.cut(V1).name: Pods(0, 1)}))


def starting() -> dict[str, Any]:
    return told(worlds.world())


def never_cut() -> dict[str, Any]:
    world = worlds.world(settled=False, records=(worlds.record("Of another.", 1),))
    return told(replace(world, records=(), settled=False))


def releasing() -> dict[str, Any]:
    """Without an AgentRollout, and the new revision has no pods yet."""
    return told(worlds.world(worlds.agent(V2), **{**BOTH, "ready_for": (V1,)}, status=serving(V1)))


def settling() -> dict[str, Any]:
    return told(serving_world(worlds.agent(V2), settled=False))


def record_unreadable() -> dict[str, Any]:
    """A newer Penstock has cut the present template; the revision before serves."""
    newer = worlds.record(V2, 2)
    newer = {**newer, "data": {**newer["data"], "schemaVersion": 2}}
    records = (worlds.record(V1, 1, promoted=1), newer)
    world = worlds.world(
        worlds.agent(V2), **{**BOTH, "records": records}, status=serving(V1), route_version=3
    )
    return told(world)


MISSING = "ConfigMap prompt is not in namespace acme"
TAKEN = "Deployment support-6d1c2d3e belongs to Deployment other"

#: By name: how the object comes about, what Argo CD shall say of it.
CASES = {
    "unread": (unread, "Progressing"),
    "starting": (starting, "Progressing"),
    "first_climbs": (lambda: told(climbing()), "Progressing"),
    "first_waits_for_rollout": (lambda: told(climbing(rollouts=())), "Suspended"),
    "never_cut": (never_cut, "Progressing"),
    "waking": (waking, "Progressing"),
    "without_route": (without_route, "Progressing"),
    "releasing": (releasing, "Progressing"),
    "settling": (settling, "Progressing"),
    "store_away": (
        lambda: told(serving_world(look=None, look_error="Redis did not answer")),
        "Progressing",
    ),
    "serving": (lambda: told(serving_world()), "Healthy"),
    "asleep": (asleep, "Healthy"),
    "calls_wait": (calls_wait, "Healthy"),
    "canary": (lambda: told(trying_v2()), "Healthy"),
    "rolled_back": (rolled_back, "Healthy"),
    "suspended": (suspended, "Suspended"),
    "scaled_to_zero": (scaled_to_zero, "Suspended"),
    "budget_spent": (budget_spent, "Suspended"),
    "late": (late, "Degraded"),
    "never_good": (never_good, "Degraded"),
    "gone": (gone, "Degraded"),
    "collision": (
        lambda: unacceptable("HashCollision", "another template became revision support-1"),
        "Degraded",
    ),
    "without_rollout": (without_rollout, "Suspended"),
    "invalid": (
        lambda: unacceptable("Invalid", "spec.template.model.name is missing"),
        "Degraded",
    ),
    "unknown_model": (
        lambda: unacceptable("UnknownModel", 'no model "claude-nope-1" is known here'),
        "Degraded",
    ),
    "prices_unreadable": (
        lambda: unacceptable("PricesUnreadable", "the chart's price table cannot be read"),
        "Degraded",
    ),
    "invalid_tool": (
        lambda: unacceptable("InvalidTool", "tool refund: inputSchema is no schema"),
        "Degraded",
    ),
    "too_large": (
        lambda: unacceptable("TooLarge", "spec.template has 300 KiB, the limit is 200 KiB"),
        "Degraded",
    ),
    "runtime_too_old": (
        lambda: unacceptable("RuntimeTooOld", "the workers of image worker:1 do not keep a field"),
        "Degraded",
    ),
    "reference_missing": (lambda: told(worlds.world(missing=MISSING)), "Degraded"),
    "reference_lost": (lambda: told(serving_world(missing=MISSING)), "Degraded"),
    "name_conflict": (lambda: told(serving_world(name_conflict=TAKEN)), "Degraded"),
    "no_redis_user": (
        lambda: told(serving_world(no_redis_user="Secret penstock-redis-user cannot be written")),
        "Degraded",
    ),
    "child_refused": (
        lambda: told(serving_world(refused="exceeded quota: compute in namespace acme")),
        "Degraded",
    ),
    "record_lost": (
        lambda: told(
            worlds.world(
                records=(),
                status=serving("Of old."),
                route_version=3,
                pods={worlds.cut("Of old.").name: Pods(1, 1)},
            )
        ),
        "Degraded",
    ),
    "record_unreadable": (record_unreadable, "Degraded"),
    "crash_looping": (crash_looping, "Degraded"),
    "start_deadline": (lambda: told(trying(CRASH, minutes=11)), "Degraded"),
    "credentials_refused": (
        lambda: refused_by_the_model(Access.CREDENTIALS_REFUSED),
        "Degraded",
    ),
    "model_not_found": (lambda: refused_by_the_model(Access.MODEL_NOT_FOUND), "Degraded"),
}

#: Those kept as test data beside the script.
KEPT = (
    "unread", "starting", "serving", "rolled_back", "suspended", "without_rollout", "crash_looping",
)  # fmt: skip
