"""States of an Agent, as the operator finds them, for the stories of the alerts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

from penstock import names
from penstock.analysis.evidence import TICK_MS, Observation, Stratum
from penstock.analysis.metrics import Tally
from penstock.api.alarms import Alarms
from penstock.money.ledger import Amount, Limit, Scope, Spending, Spent, Unit, Window
from penstock.rollout.situation import Pods
from penstock.traffic import Arm
from penstock_operator.cluster.reading import Rollout
from penstock_operator.reconcile.plan import plan_agent
from penstock_operator.reconcile.world import World
from penstock_store.records import RevisionWork
from tests.unit.operator import test_plan, worlds
from tests.unit.operator.test_plan import V1, V2
from tests.unit.operator.worlds import cut, record, world

#: A setpoint that a person left at 20 %.
HELD: Final = {"traffic": {"canaryPercent": 20, "canaryRevision": cut(V2).name}}


def serving(work: dict[str, RevisionWork] | None = None, **spec: Any) -> World:
    """V1 serves, under this spec and with this work in Redis."""
    return world(
        worlds.agent(V1, **spec),
        records=(record(V1, 1, promoted=1),),
        projected_for=(V1,),
        ready_for=(V1,),
        status=test_plan.serving(V1),
        route_version=3,
        work=work,
    )


def spends(dollars: float, mode: str = "Enforce", *, refuses: bool = False) -> World:
    """V1 serves, and so much of the 40 USD of the day is spent."""
    limit = Limit(Scope.AGENT, Window.DAY, Unit.MICRO_USD, 40_000_000)
    spent = Amount(1, int(dollars * 1_000_000))
    short = (limit,) if refuses else ()
    day = Spent(Scope.AGENT, Window.DAY, spent, Amount(), 1_795_046_400_000, (limit,), short)
    made = serving(budgets={"mode": mode, "costUSD": {"daily": "40"}})
    assert made.look is not None
    look = replace(made.look, spending=Spending(1_795_000_000_000, (day,), {}))
    return replace(made, look=look)


def trying(request: str = "", **spec: Any) -> World:
    """V2 is tried beside V1, under this spec of the AgentRollout and this request."""
    made = test_plan.trying_v2()
    rollout = json.loads(json.dumps(made.rollouts[0].obj))
    rollout["spec"] |= spec
    if request:
        rollout["metadata"]["annotations"] = {names.ANNOTATION_REQUEST: request}
    return replace(made, rollouts=(Rollout.of(rollout),))


def refused(made: World, text: str) -> World:
    """A quota lets no worker of this revision be made."""
    words = "its pods are refused: failed quota: tight"
    return replace(made, pods={**made.pods, cut(text).name: Pods(0, 1, words)})


def cancelled(made: World) -> World:
    """Callers take back every second task of the canary, and none of stable; its hold is over."""
    begun = _cancelled(made, 0)
    ((rollout, status),) = plan_agent(begun).rollout_statuses
    begun = replace(begun, rollouts=(Rollout.of({**rollout, "status": status.wire()}),))
    return _cancelled(begun, 7200, status.analysis.step_from)


def _cancelled(made: World, seconds: float, step_from: str = "") -> World:
    stable, canary = Tally(tasks=200), Tally(tasks=50, left_out=50, cancelled=50)
    seen = {Arm.STABLE: stable, Arm.CANARY: canary}
    now = worlds.later(seconds)
    now_ms = int(now.timestamp() * 1000)
    window = (Stratum(now_ms // TICK_MS, 7, seen),)
    told = Observation(now_ms, window=window, total=seen, step=seen, step_from=step_from)
    return replace(made, now=now, observation=told)


def off_its_share(made: World) -> World:
    """Tasks of new sessions do not fit the canary's share."""
    ((rollout, status),) = plan_agent(made).rollout_statuses
    alarms = Alarms(ratio_version=status.route_version, ratio="Of 1000 tasks 400 came.")
    status = status.model_copy(update={"alarms": alarms})
    return replace(made, rollouts=(Rollout.of({**rollout, "status": status.wire()}),))
