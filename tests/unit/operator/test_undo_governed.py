"""Under an AgentRollout: what the operator writes when a person goes back to a former revision."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from penstock import names
from penstock.api.rollout import AgentRolloutStatus, Share, Source, Stage
from penstock.rollout.situation import Pods
from penstock.traffic import Standing
from penstock_operator.reconcile.plan import plan_agent
from penstock_store.records import RevisionWork
from tests.unit.operator import worlds
from tests.unit.operator.test_never_again import rollout, verdict
from tests.unit.operator.test_plan import serving
from tests.unit.operator.test_reconcile import Writes, carry_out
from tests.unit.operator.worlds import cut, projected, record, world

OLD, NEW, NEXT = "Be kind.", "Be brief.", "Be quick."
NOTES = {names.ANNOTATION_REQUEST: f"undo/{cut(OLD).name}/1"}


def governed(status, **spec):
    """The AgentRollout, on which a person has asked for OLD."""
    made = rollout(status, **spec)
    made["metadata"]["annotations"] = NOTES
    return made


def deciding(stable=NEW, **more):
    return AgentRolloutStatus(
        stable_revision=cut(stable).name,
        route_version=7,
        agent_uid="agent-uid",
        **more,
    )


def asked(ready=(NEW,), **more):
    """NEW serves, with three workers, OLD served before it; OLD is asked for."""
    known = {
        "records": (record(OLD, 1, promoted=1), record(NEW, 2, promoted=2)),
        "projected_for": (NEW, OLD) if OLD in ready else (NEW,),
        "ready_for": ready,
        "status": serving(NEW, 7),
        "route_version": 7,
        "rollouts": (governed(deciding()),),
    }
    made = world(worlds.agent(NEW), **{**known, **more})
    live = {**made.deployments, cut(NEW).name: projected(NEW, replicas=3)[1]}
    return replace(made, deployments=live)


def deployed(plan):
    return {
        obj["metadata"]["name"]: obj["spec"]["replicas"]
        for kind, obj in plan.children
        if kind.kind == "Deployment"
    }


def said(plan):
    assert plan.agent_status is not None
    return {item.type: (item.status.value, item.reason) for item in plan.agent_status.conditions}


def noted(plan):
    """The result of the verdict on each record that is written to."""
    notes = {p["metadata"]["name"]: p["metadata"]["annotations"] for p in plan.verdicts}
    return {name: json.loads(of[names.ANNOTATION_VERDICT])["result"] for name, of in notes.items()}


def test_as_many_workers_as_serve_now_are_asked_for_at_once():
    plan = plan_agent(asked())
    assert deployed(plan)[cut(OLD).name] == 3
    assert plan.route is not None
    assert (plan.route.split.stable, plan.route.version) == (cut(NEW).hash, 7)
    assert plan.look_again_seconds <= 1
    assert said(plan)["Ready"] == ("True", "Serving")
    assert said(plan)["Reconciling"] == ("True", "WaitingForPods")
    (_, status), *_ = plan.rollout_statuses
    assert status.last_request.result == "Waiting"
    assert plan.verdicts == ()


def test_a_revision_that_still_has_a_worker_serves_at_once_and_gets_the_others():
    plan = plan_agent(asked(ready=(NEW, OLD)))
    assert plan.route is not None
    assert plan.route.split.stable == cut(OLD).hash
    assert deployed(plan)[cut(OLD).name] == 3


def test_a_quota_that_keeps_its_workers_away_is_told_on_the_agent():
    words = "its pods are refused: failed quota"
    made = asked()
    plan = plan_agent(replace(made, pods={**made.pods, cut(OLD).name: Pods(0, 1, words)}))
    assert said(plan)["Stalled"] == ("True", "PodsFailing")


def test_everybody_goes_over_and_the_records_of_both_say_why():
    work = {NEW: RevisionWork(queued=3, running=2)}
    plan = plan_agent(asked(ready=(NEW, OLD), work=work))
    assert plan.route is not None
    assert (plan.route.split.stable, plan.route.version) == (cut(OLD).hash, 8)
    assert plan.route.revisions[cut(NEW).hash].standing is Standing.REJECTED
    assert cut(NEW).hash in plan.rehome, "what it holds goes to who serves"
    assert noted(plan) == {cut(OLD).name: "Promoted", cut(NEW).name: "Rejected"}
    promoted = [p for p in plan.verdicts if p["metadata"]["name"] == cut(OLD).name]
    assert promoted[0]["metadata"]["annotations"][names.ANNOTATION_PROMOTED] == "3"
    assert said(plan)["UpToDate"] == ("False", "CandidateRejected")
    assert plan.agent_status is not None
    assert [item.revision for item in plan.agent_status.rejected] == [cut(NEW).name]
    stalled = next(c for c in plan.agent_status.conditions if c.type == "Stalled")
    assert (
        f"{cut(OLD).name} serves, {cut(NEW).name}, which spec.template declares" in stalled.message
    )
    retry = f'agentrollout support -n acme --overwrite penstock.dev/request="retry/{cut(NEW).name}/'
    assert retry in stalled.message


async def test_the_status_decides_and_all_records_are_noted_before_the_route():
    writes = Writes()
    await carry_out(asked(ready=(NEW, OLD)), writes)
    kinds = [step for step in writes.steps if step[0] in ("verdict", "status", "route")]
    assert [kind for kind, _ in kinds] == ["status", "verdict", "verdict", "route", "status"]


def trying(**more):
    """NEXT is tried at 20 % beside NEW."""
    began = "2026-11-21T09:00:00Z"
    tried = {
        "canary_revision": cut(NEXT).name,
        "attempt": 1,
        "stage": Stage.STEPS,
        "share": Share(percent=20, source=Source.AUTOMATIC),
        "canary_since": began,
        "step_started_at": began,
    }
    status = deciding().model_copy(update=tried)
    records = (record(OLD, 1, promoted=1), record(NEW, 2, promoted=2), record(NEXT, 3))
    made = asked(ready=(NEW, OLD, NEXT), records=records, rollouts=(governed(status),), **more)
    return replace(made, agent=worlds.agent(NEXT))


def test_in_mid_rollout_stable_and_the_canary_are_both_left():
    plan = plan_agent(trying(work={NEW: RevisionWork(queued=1), NEXT: RevisionWork(queued=1)}))
    assert noted(plan) == {
        cut(OLD).name: "Promoted",
        cut(NEW).name: "Rejected",
        cut(NEXT).name: "Rejected",
    }
    assert plan.route is not None
    assert (plan.route.split.stable, plan.route.split.percent) == (cut(OLD).hash, 0)
    left = {plan.route.revisions[cut(text).hash].standing for text in (NEW, NEXT)}
    assert left == {Standing.REJECTED}
    assert len(plan.course.decision.verdicts) == 3, "each is counted"


def after_undo():
    """What a pass after the undo finds: the statuses of the one that did it."""
    plan = plan_agent(asked(ready=(NEW, OLD)))
    (_, status), *_ = plan.rollout_statuses
    return status, plan.agent_status


UNDONE = record(NEW, 2, verdict=verdict(NEW), promoted=2)
BACK = record(OLD, 1, promoted=3)


@pytest.mark.parametrize(
    "lost",
    [
        {},
        {"records": (BACK, record(NEW, 2))},  # the verdict's record was deleted and made again
        {"records": (UNDONE, record(OLD, 1))},  # stable's was
        {"status": None, "records": (BACK, UNDONE)},
        {"rollouts": (governed(AgentRolloutStatus()),), "records": (BACK, UNDONE)},
        {"rollouts": (governed(AgentRolloutStatus()),), "status": None, "records": (BACK, UNDONE)},
    ],
    ids=["nothing", "verdict", "promotion", "agent", "rollout", "both"],
)
def test_whatever_is_lost_afterwards_the_undone_revision_serves_nobody(lost):
    status, agent_status = after_undo()
    known = {
        "records": (BACK, UNDONE),
        "status": agent_status,
        "rollouts": (governed(status),),
        **lost,
    }
    if known["status"] is None:
        known["status"] = serving(OLD).model_copy(
            update={"stable_revision": None, "latest_revision": None, "rejected": []}
        )
    plan = plan_agent(asked(ready=(NEW, OLD), **known))
    assert plan.route is not None
    assert (plan.route.split.stable, plan.route.split.percent) == (cut(OLD).hash, 0)
    assert plan.route.revisions[cut(NEW).hash].standing is not Standing.OPEN
    assert not plan.agent_status or plan.agent_status.stable_revision == cut(OLD).name


def test_an_agent_made_again_with_the_undone_template_serves_nobody_with_it():
    status, _ = after_undo()
    made = world(
        worlds.agent(NEW),
        records=(record(NEW, 1),),
        projected_for=(NEW,),
        ready_for=(NEW,),
        rollouts=(governed(status.model_copy(update={"agent_uid": "another-uid"})),),
        route_version=8,
    )
    plan = plan_agent(made)
    assert plan.route is None or not plan.route.split.stable
    assert said(plan)["Ready"] == ("False", "CandidateRejected")


def test_back_is_possible_when_stables_own_record_is_lost():
    only = (record(OLD, 1, promoted=1),)
    made = asked(ready=(NEW, OLD), records=only)
    made = replace(made, configmaps={}, agent=worlds.agent(NEXT), settled=False)
    plan = plan_agent(made)
    assert plan.route is not None
    assert plan.route.split.stable == cut(OLD).hash


def test_what_is_awaited_is_not_pruned():
    texts = [f"Prompt {number}." for number in range(6)]
    records = (
        record(OLD, 1, promoted=1),
        *(record(text, n + 2, promoted=n + 2) for n, text in enumerate(texts)),
        record(NEW, 9, promoted=9),
    )
    made = asked(records=records)
    spec = worlds.agent(NEW, revisionHistoryLimit=1)
    made = replace(made, agent=spec, spec=world(spec).spec)
    deleted = {obj["metadata"]["name"] for _, obj in plan_agent(made).deletions}
    assert cut(texts[0]).name in deleted
    assert cut(OLD).name not in deleted
