"""While rings are open the route carries their members, and what people read says who has the canary."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock import rings
from penstock.api import condition
from penstock.api.analysis import Reason, Result, Verdict
from penstock.api.rings import GivenRing
from penstock.api.rollout import AgentRolloutStatus, Share, Source, Stage
from penstock_operator.reconcile.plan import plan_agent
from tests.unit.operator import worlds
from tests.unit.operator.test_plan import governed, serving
from tests.unit.operator.test_rest import BLANK
from tests.unit.operator.worlds import cut, record, world

V1, V2 = "Be kind.", "Be kinder."
SALT = "5a17"
STAFF = rings.members(SALT, ["anna"], [])


REJECTED = Verdict(
    revision=cut(V2).name,
    result=Result.REJECTED,
    reason=Reason.ERROR_RATE,
    message="rolled back at ring staff",
    at="2026-11-21T09:40:00Z",
)


def in_ring(
    percent=0,
    source=Source.AUTOMATIC,
    stage=Stage.RINGS,
    users=("anna",),
    setpoint=None,
    before=None,
    attempt=1,
    opened=True,
    paused=False,
):
    """V2 is given to a ring, as a route in force says."""
    status = AgentRolloutStatus(
        stable_revision=cut(V1).name,
        canary_revision=cut(V2).name,
        attempt=attempt,
        verdicts=(before,) if before else (),
        salt=SALT,
        share=Share(percent=percent, source=source),
        route_version=7,
        stage=stage,
        rings=(GivenRing(name="staff", at="2026-11-21T09:59:00Z", members=STAFF),) * opened,
        step_started_at="2026-11-21T09:59:00Z" if percent else None,
        canary_since="2026-11-21T09:50:00Z",
    )
    made = governed(status)
    made["spec"]["strategy"] = {"rings": [{"name": "staff", "users": list(users)}]}
    made["spec"]["paused"] = paused
    if setpoint is not None:
        made["spec"]["traffic"] = {"canaryPercent": setpoint, "canaryRevision": cut(V2).name}
    return world(
        worlds.agent(V2),
        records=(record(V1, 1, promoted=1), record(V2, 2, verdict=before)),
        projected_for=(V1, V2),
        ready_for=(V1, V2) if opened else (V1,),
        route_version=7,
        rollouts=(made,),
        status=serving(V1),
    )


def in_force(found):
    """The same with the planned route in force."""
    route = plan_agent(found).route
    return replace(found, look=replace(found.look, route_record=worlds.codec.route_record(route)))


def test_a_route_carries_the_members_of_rings_and_no_name():
    plan = plan_agent(in_ring())
    assert plan.route.split.chosen == (STAFF,)
    assert plan.route.split.percent == 0
    assert "anna" not in str(plan.route)
    assert plan.in_flight, "its passes come first"


def test_a_route_that_is_in_force_is_known_by_its_mark():
    plan = plan_agent(in_force(in_ring()))
    assert plan.route_in_force == worlds.codec.route_record(plan.route)
    other = replace(plan.route, split=replace(plan.route.split, chosen=()))
    assert plan.route_in_force != worlds.codec.route_record(other)


@pytest.mark.parametrize("users", [("anna", "boris"), ("boris",)])
def test_who_comes_into_the_ring_is_in_the_next_version_of_the_route(users):
    plan = plan_agent(replace(in_ring(users=users), observation=BLANK))
    assert plan.route.version == 8
    (members,) = plan.route.split.chosen
    assert set(rings.each(members)) == set(rings.each(rings.members(SALT, ["anna", "boris"], [])))


def test_a_setpoint_of_0_takes_them_out_of_the_route():
    plan = plan_agent(in_force(in_ring(setpoint=0)))
    assert (plan.route.split.chosen, plan.route.version) == ((), 8)
    assert not plan.in_flight


def test_they_stay_in_it_while_the_percentage_counts():
    plan = plan_agent(in_ring(percent=5, stage=Stage.STEPS))
    assert (plan.route.split.percent, plan.route.split.chosen) == (5, (STAFF,))


def test_the_agent_says_whom_its_new_revision_serves():
    status = plan_agent(in_ring()).agent_status
    shares = [(one.revision, one.percent) for one in status.traffic.targets]
    assert shares == [(cut(V1).name, 100), (cut(V2).name, 0)]
    assert status.summary.percent == "rings"
    told = condition.find(status.conditions, "UpToDate")
    assert (told.reason, told.message) == (
        "CandidateInProgress",
        f"{cut(V2).name} serves ring staff",
    )


@pytest.mark.parametrize("opened", [True, False])
def test_a_rejection_of_the_attempt_before_does_not_speak_after_a_retry(opened):
    status = plan_agent(in_ring(before=REJECTED, attempt=2, opened=opened)).agent_status
    told = [condition.find(status.conditions, kind) for kind in ("Stalled", "UpToDate")]
    assert "CandidateRejected" not in [one.reason for one in told]


def test_what_a_ring_waits_for_by_a_persons_word_is_told_after_a_retry_too():
    waits = in_ring(before=REJECTED, attempt=2, paused=True)
    status = plan_agent(replace(waits, observation=BLANK)).agent_status
    assert condition.find(status.conditions, "Stalled").reason == "Paused"


def test_the_rejection_of_this_attempt_does():
    status = plan_agent(in_ring(before=REJECTED, opened=False)).agent_status
    assert condition.find(status.conditions, "Stalled").reason == "CandidateRejected"
