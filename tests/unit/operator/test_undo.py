"""An Agent without an AgentRollout goes back to a revision when a person asks for it."""

from __future__ import annotations

import pytest

from penstock import names
from penstock.api.analysis import Reason, Result, Verdict
from penstock.api.rollout import AgentRolloutStatus
from penstock.traffic import Standing, WayBack
from penstock_operator.reconcile.plan import plan_agent
from tests.unit.operator import worlds
from tests.unit.operator.test_never_again import rollout
from tests.unit.operator.test_plan import serving
from tests.unit.operator.worlds import cut, record, world

OLD, NEW = "Be kind.", "Be brief."


def asked(value, ready=(NEW,), **more):
    """V2 serves, and a person has annotated the Agent."""
    agent = worlds.agent(NEW)
    agent["metadata"]["annotations"] = {names.ANNOTATION_REQUEST: value}
    known = {
        "records": (record(OLD, 1, promoted=1), record(NEW, 2, promoted=2)),
        "projected_for": (NEW,),
        "ready_for": ready,
        "status": serving(NEW),
        "route_version": 3,
    }
    return plan_agent(world(agent, **{**known, **more}))


def deployed(plan):
    return {
        obj["metadata"]["name"]: obj["spec"]["replicas"]
        for kind, obj in plan.children
        if kind.kind == "Deployment"
    }


@pytest.mark.parametrize("named", [cut(OLD).name, cut(OLD).hash])
def test_workers_of_the_old_revision_are_asked_for_at_once_and_who_serves_goes_on(named):
    plan = asked(f"undo/{named}/1")
    assert deployed(plan)[cut(OLD).name] == 1
    assert plan.route is not None
    assert plan.route.split.stable == cut(NEW).hash
    assert plan.agent_status is not None
    assert plan.agent_status.last_request is None, "it is not done yet"


def test_traffic_goes_over_when_the_first_worker_is_ready_and_the_undone_one_is_rejected():
    plan = asked(f"undo/{cut(OLD).name}/1", ready=(NEW, OLD), projected_for=(NEW, OLD))
    assert plan.route is not None
    assert plan.route.split.stable == cut(OLD).hash
    assert plan.route.revisions[cut(NEW).hash].standing is Standing.REJECTED
    assert plan.agent_status is not None
    assert plan.agent_status.last_request is not None
    assert plan.agent_status.last_request.result == "Accepted"
    assert [item.revision for item in plan.agent_status.rejected] == [cut(NEW).name]
    noted = {patch["metadata"]["name"] for patch in plan.verdicts}
    assert noted == {cut(OLD).name, cut(NEW).name}


def verdict(revision, result):
    return Verdict(
        revision=revision.name,
        attempt=1,
        result=result,
        reason=Reason.ABORTED,
        message="x",
        at="2026-11-21T10:00:00Z",
    )


def test_the_route_says_how_each_revision_may_come_back():
    """As `undo` and `retry` would answer."""
    bad, passed = "Be rude.", "Be odd."
    records = (
        record(bad, 1, verdict=verdict(cut(bad), Result.REJECTED)),
        record(passed, 2, verdict=verdict(cut(passed), Result.SUPERSEDED)),
        record(OLD, 3, promoted=1),
        record(NEW, 4, promoted=2),
    )
    undone = asked(
        f"undo/{cut(OLD).hash}/1", ready=(NEW, OLD), projected_for=(NEW, OLD), records=records
    )
    assert undone.route is not None
    ways = {name: one.way_back for name, one in undone.route.revisions.items()}
    assert ways == {
        cut(bad).hash: WayBack.DECLARE_AND_RETRY,
        cut(passed).hash: WayBack.DECLARE,
        cut(OLD).hash: WayBack.UNDO,
        cut(NEW).hash: WayBack.RETRY,
    }


def test_an_answered_request_is_not_done_again():
    first = asked(f"undo/{cut(OLD).name}/1", ready=(NEW, OLD), projected_for=(NEW, OLD))
    undone = verdict(cut(NEW), Result.REJECTED)
    after = (record(OLD, 1, promoted=3), record(NEW, 2, verdict=undone, promoted=2))
    both = {"records": after, "ready_for": (NEW, OLD), "projected_for": (NEW, OLD)}
    assert first.agent_status is not None
    second = asked(f"undo/{cut(OLD).name}/1", **{**both, "status": first.agent_status})
    assert second.events == ()
    assert second.route is not None
    assert second.route.split.stable == cut(OLD).hash
    third = asked(f"retry/{cut(NEW).name}/2", **{**both, "status": first.agent_status})
    assert third.route is not None
    assert third.route.split.stable == cut(NEW).hash
    assert third.agent_status is not None
    assert third.agent_status.rejected == []


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("undo/support-00000000/1", "is no revision on record"),
        (f"undo/{cut(NEW).name}/1", "serves already"),
        (f"retry/{cut(OLD).name}/1", "is not rejected"),
        ("undo/1.1", "undo/REVISION/NONCE"),
        ("promote/x/1", "undo/REVISION/NONCE"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_sentence(value, words):
    plan = asked(value)
    assert plan.agent_status is not None
    assert plan.agent_status.last_request is not None
    assert plan.agent_status.last_request.result == "Refused"
    assert words in plan.agent_status.last_request.message
    assert [happening.reason for happening in plan.transitions] == ["RequestRefused"]


def test_beside_an_agentrollout_the_request_belongs_there():
    status = AgentRolloutStatus(stable_revision=cut(NEW).name, agent_uid="agent-uid")
    plan = asked(f"undo/{cut(OLD).name}/1", rollouts=(rollout(status),))
    assert plan.agent_status is not None
    assert plan.agent_status.last_request is not None
    message = plan.agent_status.last_request.message
    assert "AgentRollout support governs" in message
    command = "kubectl annotate agentrollout support -n acme --overwrite penstock.dev/request="
    assert f'{command}"undo/{cut(OLD).name}/$(date +%s)"' in message
