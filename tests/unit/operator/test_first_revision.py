"""A first revision that climbs, as the operator plans it: a route without stable, what the Agent says, what stops."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from penstock import names
from penstock.api.agent_status import AgentStatus, Role
from penstock.api.rollout import AgentRolloutStatus, Share, Source, Stage
from penstock.api.strategy import Strategy
from penstock.rollout import path
from penstock.rollout.situation import Decision
from penstock.traffic import Route, Split, Standing
from penstock_operator.reconcile import waiting
from penstock_operator.reconcile.course import Course
from penstock_operator.reconcile.plan import Plan, plan_agent
from penstock_operator.reconcile.world import World
from penstock_store import codec
from penstock_store.records import RevisionWork
from tests.unit.operator import worlds
from tests.unit.operator.test_plan import V1, V2, governed, said
from tests.unit.operator.worlds import cut
from tests.unit.rollout.test_first_revision import climbing as by_the_engine

STEPS = {"firstRevision": "Steps"}


def rolled_out_by(status: AgentRolloutStatus, **strategy: Any) -> Any:
    made = governed(status)
    return {**made, "spec": {**made["spec"], "strategy": {**STEPS, **strategy}}}


def climbing(percent: int = 5, work: dict[str, RevisionWork] | None = None, **more: Any) -> World:
    """V1 is the first revision, at its first step; its route is in force."""
    status = AgentRolloutStatus(
        canary_revision=cut(V1).name,
        attempt=1,
        salt="5a17",
        share=Share(percent=percent, source=Source.AUTOMATIC),
        route_version=2,
        stage=Stage.STEPS,
        current_step_index=0,
        steps_hash=path.steps_hash(Strategy()),
        step_started_at="2026-11-21T09:56:00Z",
        canary_since="2026-11-21T09:56:00Z",
    )
    split = Split(canary=cut(V1).hash, percent=percent, salt="5a17")
    made = worlds.world(
        worlds.agent(V1),
        **{
            "records": (worlds.record(V1),),
            "projected_for": (V1,),
            "ready_for": (V1,),
            "route_version": 2,
            "rollouts": (rolled_out_by(status),),
            "status": AgentStatus(had_rollout=True, first_climbs=True),
            "work": work,
            **more,
        },
    )
    assert made.look is not None
    record = codec.route_record(Route("agent-uid", 0, 2, split))
    return replace(made, look=replace(made.look, route_record=record))


def asked(made: World, request: str) -> World:
    made.rollouts[0].obj["metadata"]["annotations"] = {names.ANNOTATION_REQUEST: request}
    return made


def status_of(plan: Plan) -> AgentStatus:
    assert plan.agent_status is not None
    return plan.agent_status


def test_a_new_agent_is_given_to_nobody_before_its_first_step() -> None:
    fresh = worlds.world(worlds.agent(V1), rollouts=(rolled_out_by(AgentRolloutStatus()),))
    plan = plan_agent(fresh)
    assert plan.route is not None
    assert plan.route.split == replace(plan.route.split, stable="", canary=cut(V1).hash, percent=0)
    assert list(plan.route.revisions) == [cut(V1).hash]
    assert said(plan, "Ready") == ("False", "FirstRevisionClimbs")


def test_it_is_routed_to_without_a_stable_revision_and_the_agent_is_not_ready() -> None:
    plan = plan_agent(climbing())
    assert plan.route is not None
    assert (plan.route.split.stable, plan.route.split.percent) == ("", 5)
    assert plan.route.revisions[cut(V1).hash].standing is Standing.OPEN
    status = status_of(plan)
    assert [(one.role, one.percent) for one in status.traffic.targets] == [(Role.CANARY, 5)]
    assert (status.stable_revision, status.first_climbs) == (None, True)
    assert said(plan, "Ready") == ("False", "FirstRevisionClimbs")
    assert said(plan, "Reconciling") == ("True", "FirstRevisionClimbs")
    assert said(plan, "UpToDate") == ("False", "CandidateInProgress")
    assert said(plan, "Stalled")[0] == "False"
    ready = next(one for one in status.conditions if one.type == "Ready")
    assert "serves 5 % of the users; everybody else is refused (not-assigned)" in ready.message


def test_while_it_is_held_the_agent_says_once_who_is_refused() -> None:
    held = by_the_engine().after(18).decide()
    course = Course(Decision(held.status), governed=True)
    said = waiting.climbs(course)
    assert said.count("everybody else is refused (not-assigned)") == 1
    assert "is held at 5 % of step 1/3 until" in said


def test_a_restored_redis_gets_the_same_route_again() -> None:
    made = climbing()
    assert made.look is not None
    emptied = replace(made, look=replace(made.look, route_version=None, route_record=()))
    before, after = plan_agent(made).route, plan_agent(emptied).route
    assert before is not None
    assert after is not None
    assert after.split == before.split


def test_the_kill_switch_and_a_redis_that_is_away_are_told_before_the_climb() -> None:
    halted = replace(climbing(), agent=worlds.agent(V1, suspended=True))
    assert said(plan_agent(halted), "Ready") == ("False", "Suspended")
    away = replace(climbing(), look=None, look_error="it is away")
    assert said(plan_agent(away), "Ready") == ("False", "StoreUnavailable")


def test_after_an_abort_its_work_ends_and_people_read_how_to_go_on() -> None:
    made = asked(climbing(work={V1: RevisionWork(queued=3, running=2)}), f"abort/{cut(V1).name}/1")
    plan = plan_agent(made)
    assert plan.route is not None
    assert (plan.route.split.percent, plan.route.split.canary) == (0, cut(V1).hash)
    assert plan.route.revisions[cut(V1).hash].standing is Standing.REJECTED
    assert plan.rehome == (cut(V1).hash,)
    note = json.loads(plan.verdicts[0]["metadata"]["annotations"][names.ANNOTATION_VERDICT])
    assert note["reason"] == "Aborted"
    records = (worlds.record(V1, verdict=plan.course.decision.verdicts[0]),) if plan.course else ()
    after = plan.rollout_statuses[0][1]
    rejected = climbing(0, records=records, rollouts=(rolled_out_by(after),))
    plan = plan_agent(rejected)
    assert said(plan, "Ready") == ("False", "CandidateRejected")
    assert said(plan, "Stalled") == ("True", "CandidateRejected")
    stalled = next(one for one in status_of(plan).conditions if one.type == "Stalled")
    assert (
        f"retry: kubectl annotate agentrollout support -n acme --overwrite {names.ANNOTATION_REQUEST}"
        in stalled.message
    )


def test_a_second_revision_climbs_in_its_place_and_the_first_keeps_its_workers() -> None:
    made = climbing(
        records=(worlds.record(V1), worlds.record(V2, 2)),
        work={V1: RevisionWork(running=1, pinned=2)},
    )
    made = replace(made, agent=worlds.agent(V2))
    plan = plan_agent(made)
    assert plan.route is not None
    assert plan.route.split == replace(plan.route.split, stable="", canary=cut(V2).hash, percent=0)
    assert plan.route.revisions[cut(V1).hash].standing is Standing.SUPERSEDED
    assert not [kind for kind, _ in plan.deletions if kind.kind == "Deployment"]


def test_its_workers_are_asked_for_by_what_the_next_share_will_bring() -> None:
    """Only 5 % of the users have tasks: at 20 % there are four times as many."""
    busy = {V1: RevisionWork(queued=0, running=32)}
    plan = plan_agent(climbing(work=busy))
    assert plan.course is not None
    assert plan.course.staff_percent == 20
    (replicas,) = [
        obj["spec"]["replicas"] for kind, obj in plan.children if kind.kind == "Deployment"
    ]
    assert replicas == 4


@pytest.mark.parametrize("percent", [0, 5, 50])
def test_without_its_agentrollout_it_waits_and_is_given_to_nobody(percent: int) -> None:
    alone = climbing(percent, rollouts=())
    for _ in range(3):
        plan = plan_agent(alone)
        status = status_of(plan)
        assert plan.route is not None
        assert (plan.route.split.stable, plan.route.split.canary) == ("", "")
        assert said(plan, "Ready") == ("False", "RolloutMissing")
        assert said(plan, "RolloutMissing")[0] == "True"
        assert (status.first_climbs, status.stable_revision) == (True, None)
        alone = replace(alone, status=status)
    free = replace(alone, agent=worlds.agent(V1, rolloutPolicy="Immediate"))
    assert plan_agent(free).course.split.stable == cut(V1).name  # type: ignore[union-attr]


def test_a_first_revision_that_did_not_climb_serves_without_its_agentrollout_as_ever() -> None:
    alone = climbing(rollouts=(), status=AgentStatus(had_rollout=True))
    plan = plan_agent(alone)
    assert plan.course is not None
    assert plan.course.split.stable == cut(V1).name


def test_after_its_promotion_it_is_stable_as_any() -> None:
    plan = plan_agent(asked(climbing(), f"promote-full/{cut(V1).name}/1"))
    status = status_of(plan)
    assert (status.stable_revision, status.first_climbs) == (cut(V1).name, None)
    assert plan.route is not None
    assert (plan.route.split.stable, plan.route.split.canary) == (cut(V1).hash, "")


def test_an_operator_that_died_after_the_verdict_finds_it_stable() -> None:
    made = climbing(records=(worlds.record(V1, promoted=1),))
    plan = plan_agent(made)
    assert plan.course is not None
    assert plan.course.split.stable == cut(V1).name
    assert not plan.course.decision.verdicts
