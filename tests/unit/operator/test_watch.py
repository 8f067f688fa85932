"""What the operator writes where stable breaks a limit: workers to go back to, or nothing admitted."""

from __future__ import annotations

import pytest

from penstock.analysis.evidence import TICK_MS, Observation, Stratum
from penstock.analysis.metrics import Tally
from penstock.api.interruptions import StableBrake
from penstock.names import AgentKey
from penstock.traffic import Arm
from penstock_operator.reconcile import shown
from penstock_operator.reconcile.plan import plan_agent
from penstock_store.records import RevisionWork
from tests.unit.operator.test_never_again import rollout
from tests.unit.operator.test_plan import serving
from tests.unit.operator.test_undo_governed import NEW, OLD, asked, deciding, deployed, noted, said
from tests.unit.operator.worlds import NOW, cut

KEY = AgentKey("acme", "support")

FAILING = Tally(tasks=100, errors=40, timed=100, latency_ms=100_000, latency_squares=110_000_000)
NOW_MS = int(NOW.timestamp() * 1000)
BREAKS = Observation(
    now_ms=NOW_MS,
    window=(Stratum(NOW_MS // TICK_MS, 7, {Arm.STABLE: FAILING}),),
    since_version=0,
)
LATE = {NEW: RevisionWork(queued=1, oldest_queued_ms=10**9)}


def failing(follows, ready=(NEW,), status=None, **more):
    """NEW serves with three workers and breaks a limit; OLD served before it."""
    spec = {"analysis": {"guardrails": {"onStable": follows}}}
    governing = (rollout(status or deciding(), **spec),)
    return asked(ready, **{"rollouts": governing, "observation": BREAKS, **more})


def test_as_many_workers_as_serve_are_asked_for_before_everybody_goes_back():
    plan = plan_agent(failing("Rollback"))
    assert deployed(plan)[cut(OLD).name] == 3
    assert plan.route.split.stable == cut(NEW).hash
    assert said(plan)["Reconciling"] == ("True", "WaitingForPods")
    assert plan.look_again_seconds <= 1


def test_everybody_goes_back_and_both_records_tell_of_it():
    plan = plan_agent(failing("Rollback", ready=(NEW, OLD)))
    assert plan.route.split.stable == cut(OLD).hash
    assert noted(plan) == {cut(OLD).name: "Promoted", cut(NEW).name: "Rejected"}
    assert said(plan)["UpToDate"] == ("False", "CandidateRejected")


def braked():
    message = "Nothing is admitted (onStable: Suspend): it failed."
    brake = StableBrake(since="2026-11-21T09:59:00Z", message=message)
    return failing(
        "Suspend",
        status=deciding(brake=brake, suspended=True),
        observation=Observation(now_ms=NOW_MS),
        work=LATE,
    )


@pytest.mark.parametrize("make", [lambda: failing("Suspend"), braked], ids=["now", "since before"])
def test_nothing_is_admitted_and_the_agent_says_why_and_what_lets_it_go_on(make):
    world = make()
    plan = plan_agent(world)
    assert plan.route.split.suspended
    assert said(plan)["Ready"] == ("False", "Suspended")
    assert said(plan)["Stalled"] == ("False", "Suspended")
    ready = next(one for one in plan.agent_status.conditions if one.type == "Ready")
    assert "Nothing is admitted (onStable: Suspend)" in ready.message
    assert f"retry/{cut(NEW).name}/" in ready.message
    assert "spec.suspended" not in ready.message
    assert not plan.expire, "what stands still is not late"
    gauges = {gauge._name: value for (gauge, _), value in shown.of_agent(KEY, world, plan).items()}
    assert gauges["penstock_agent_suspended"] == 1.0


def test_an_agent_that_has_lost_its_rollout_admits_again():
    world = braked()
    plan = plan_agent(type(world)(**{**vars(world), "rollouts": (), "status": serving(NEW, 7)}))
    assert not plan.route.split.suspended
