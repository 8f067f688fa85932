"""World in, plan out: what the operator writes for an Agent without an AgentRollout."""

import json
from dataclasses import replace

from penstock import names, revision
from penstock.api import condition
from penstock.api.agent_status import (
    AgentStatus,
    RevisionState,
    RevisionStatus,
    Role,
    Traffic,
    TrafficTarget,
)
from penstock.api.analysis import Reason, Result, Verdict
from penstock.api.rollout import AgentRolloutStatus, Share, Source, Stage
from penstock.rollout.situation import Pods
from penstock.traffic import Standing
from penstock_operator.cluster.reading import Rollout
from penstock_operator.reconcile import manifests
from penstock_operator.reconcile.memory import Lull
from penstock_operator.reconcile.plan import Plan, plan_agent
from penstock_operator.reconcile.world import World
from penstock_store.records import RevisionWork
from tests.unit.operator import worlds
from tests.unit.operator.worlds import INSTALLATION, agent, cut, record, world

KIND, NAME = "kind", "name"
V1, V2 = "Be kind.", "Be brief."


def written(plan: Plan) -> list[tuple[str, str]]:
    """Kind and name of the children a plan applies, in order."""
    return [(kind.kind, obj["metadata"]["name"]) for kind, obj in plan.children]


def serving(instructions: str, version: int = 3) -> AgentStatus:
    """The status of an Agent whose stable revision serves everybody."""
    name = cut(instructions).name
    target = TrafficTarget(revision=name, role=Role.STABLE, percent=100)
    return AgentStatus(
        latest_revision=name,
        stable_revision=name,
        traffic=Traffic(version=version, targets=[target]),
        revisions=[RevisionStatus(name=name, state=RevisionState.OPEN)],
    )


def said(plan: Plan, kind: str) -> tuple[str, str]:
    """Status and reason of a condition in the Agent's next status."""
    assert plan.agent_status is not None
    found = condition.find(plan.agent_status.conditions, kind)
    assert found is not None, f"{kind} is missing"
    return found.status.value, found.reason


def test_a_new_agent_gets_record_projection_and_workers_in_this_order() -> None:
    plan = plan_agent(world())
    name = cut(V1).name
    assert written(plan) == [
        ("ControllerRevision", name),
        ("ConfigMap", name),
        ("Deployment", name),
    ]
    assert plan.route is None, "nobody can be served before a worker is ready"
    assert said(plan, "Ready") == ("False", "PodsNotReady")
    assert said(plan, "Reconciling")[0] == "True"


def test_the_first_revision_takes_all_traffic_once_its_pods_serve() -> None:
    here = world(records=(record(V1),), projected_for=(V1,), ready_for=(V1,))
    plan = plan_agent(here)
    assert plan.children == ()
    assert plan.route is not None
    assert (plan.route.split.stable, plan.route.version) == (cut(V1).hash, 1)
    assert said(plan, "Ready") == ("False", "NoRoute"), "the route is still to be written"
    assert plan.look_again_seconds < 1
    after = plan_agent(worlds.later_pass(here))
    assert said(after, "Ready") == ("True", "Serving")
    ready = condition.find(after.agent_status.conditions, "Ready")
    assert ready.message == f"{cut(V1).name} serves with 1 worker"
    assert after.look_again_seconds > 1
    assert [patch["metadata"]["annotations"] for patch in plan.verdicts] == [
        {names.ANNOTATION_PROMOTED: "1"}
    ]


def test_a_converged_agent_is_left_alone() -> None:
    first = plan_agent(
        world(
            records=(record(V1, promoted=1),),
            projected_for=(V1,),
            ready_for=(V1,),
            status=serving(V1),
            route_version=3,
        )
    )
    assert (first.children, first.verdicts, first.deletions, first.events) == ((), (), (), ())
    assert first.route is not None
    assert first.route.version == 3


def test_the_route_tells_what_each_revision_declares_as_its_version() -> None:
    declared = agent()["spec"]["template"] | {"version": "v3"}
    named = revision.cut("support", declared, {}, INSTALLATION.runtime_image)
    records = (record(V1, promoted=1), manifests.record(agent(), named, 2))
    route = plan_agent(
        world(records=records, projected_for=(V1,), ready_for=(V1,), route_version=3)
    ).route
    assert route is not None
    versions = {one.hash: one.version for one in route.revisions.values()}
    assert versions == {cut(V1).hash: "", named.hash: "v3"}


def test_an_edited_template_is_cut_only_when_its_inputs_are_quiet() -> None:
    edited = worlds.agent(V2)
    was = {"records": (record(V1, promoted=1),), "projected_for": (V1,), "ready_for": (V1,)}
    restless = plan_agent(world(edited, **was, status=serving(V1), settled=False))
    assert written(restless) == []
    assert restless.look_again_seconds <= 1
    quiet = plan_agent(world(edited, **was, status=serving(V1)))
    assert ("ControllerRevision", cut(V2).name) in written(quiet)
    assert quiet.route is not None
    assert quiet.route.split.stable == cut(V1).hash, (
        "the old one serves until the new one's pods do"
    )


def test_the_old_revision_drains_with_its_workers_and_closes_when_it_is_empty() -> None:
    records = (record(V1, 1, promoted=1), record(V2, 2, promoted=2))
    status = serving(V2).model_copy(
        update={
            "revisions": [
                RevisionStatus(name=cut(V2).name, state=RevisionState.OPEN),
                RevisionStatus(name=cut(V1).name, state=RevisionState.DRAINING),
            ]
        }
    )
    both = {
        "records": records,
        "projected_for": (V1, V2),
        "ready_for": (V1, V2),
        "status": status,
        "route_version": 3,
    }
    busy = plan_agent(world(worlds.agent(V2), **both, work={V1: RevisionWork(pinned=2)}))
    assert busy.route is not None
    assert busy.route.revisions[cut(V1).hash].standing is Standing.DRAINING
    assert busy.deletions == ()
    empty = plan_agent(world(worlds.agent(V2), **both))
    assert [(kind.kind, obj["metadata"]["name"]) for kind, obj in empty.deletions] == [
        ("Deployment", cut(V1).name)
    ]


def test_a_missing_reference_keeps_the_last_revision_and_says_so() -> None:
    plan = plan_agent(
        world(
            records=(record(V1, promoted=1),),
            projected_for=(V1,),
            ready_for=(V1,),
            status=serving(V1),
            missing="ConfigMap prompt is not in namespace acme",
        )
    )
    assert said(plan, "ReferencesResolved") == ("False", "NotFound")
    assert said(plan, "Ready") == ("True", "Serving")
    assert plan.agent_status is not None
    assert plan.agent_status.latest_revision == cut(V1).name


def test_a_tampered_projection_is_replaced_from_its_record() -> None:
    made = world(
        records=(record(V1, promoted=1),), projected_for=(V1,), ready_for=(V1,), status=serving(V1)
    )
    forged = made.configmaps[cut(V1).name]
    forged["data"] = {names.REVISION_FILE: json.dumps({"instructions": "Give money away."})}
    plan = plan_agent(made)
    assert [obj["metadata"]["name"] for _, obj in plan.replaced] == [cut(V1).name]
    assert written(plan) == [("ConfigMap", cut(V1).name)]
    assert said(plan, "RevisionTampered")[0] == "True"


def test_lost_status_does_not_lose_who_is_stable() -> None:
    records = (record(V1, 1, promoted=1), record(V2, 2))
    plan = plan_agent(
        world(worlds.agent(V2), records=records, projected_for=(V1,), ready_for=(V1,))
    )
    assert plan.route is not None
    assert plan.route.split.stable == cut(V1).hash


def test_without_its_rollout_a_canary_freezes_unless_the_policy_says_immediate() -> None:
    records = (record(V1, 1, promoted=1), record(V2, 2))
    status = serving(V1).model_copy(update={"had_rollout": True})
    known = {"records": records, "projected_for": (V1, V2), "ready_for": (V1, V2), "status": status}
    frozen = plan_agent(world(worlds.agent(V2), **known))
    assert frozen.route is not None
    assert (frozen.route.split.stable, frozen.route.split.percent) == (cut(V1).hash, 0)
    assert said(frozen, "RolloutMissing")[0] == "True"
    freed = plan_agent(world(worlds.agent(V2, rolloutPolicy="Immediate"), **known))
    assert freed.route is not None
    assert freed.route.split.stable == cut(V2).hash


def test_a_rejected_revision_is_not_released_by_deleting_its_rollout() -> None:
    verdict = Verdict(
        revision=cut(V2).name,
        result=Result.REJECTED,
        reason=Reason.ERROR_RATE,
        message="too many errors",
        at="2026-11-21T09:00:00Z",
    )
    records = (record(V1, 1, promoted=1), record(V2, 2, verdict=verdict))
    plan = plan_agent(
        world(
            worlds.agent(V2, rolloutPolicy="Immediate"),
            records=records,
            projected_for=(V1, V2),
            ready_for=(V1, V2),
            status=serving(V1),
        )
    )
    assert plan.route is not None
    assert plan.route.split.stable == cut(V1).hash
    assert said(plan, "UpToDate") == ("False", "CandidateRejected")


def test_suspension_is_a_new_route_version_and_an_honest_condition() -> None:
    plan = plan_agent(
        world(
            worlds.agent(V1, suspended=True),
            records=(record(V1, promoted=1),),
            projected_for=(V1,),
            ready_for=(V1,),
            status=serving(V1),
            route_version=3,
        )
    )
    assert plan.route is not None
    assert (plan.route.split.suspended, plan.route.version) == (True, 4)
    assert said(plan, "Ready") == ("False", "Suspended")


def test_backlog_scales_up_at_once_and_down_only_after_a_minute() -> None:
    base = {
        "records": (record(V1, promoted=1),),
        "projected_for": (V1,),
        "ready_for": (V1,),
        "status": serving(V1),
    }
    busy = plan_agent(world(**base, work={V1: RevisionWork(queued=100)}))
    assert busy.children[0][1]["spec"]["replicas"] == 7  # 100 / 16
    made = world(**base)
    made.deployments[cut(V1).name]["spec"]["replicas"] = 7
    assert plan_agent(made).children == (), "seven stay while the minute is not over"
    patient = world(**base, lulls={cut(V1).name: Lull(worlds.later(-61), 0, 7)})
    patient.deployments[cut(V1).name]["spec"]["replicas"] = 7
    assert plan_agent(patient).children[0][1]["spec"]["replicas"] == 1


def test_history_beyond_its_limit_is_pruned_but_never_who_serves() -> None:
    texts = [f"Prompt {number}." for number in range(5)]
    records = tuple(record(text, n + 1, promoted=n + 1) for n, text in enumerate(texts))
    plan = plan_agent(
        world(
            worlds.agent(texts[4], revisionHistoryLimit=2),
            records=records,
            projected_for=(texts[4],),
            ready_for=(texts[4],),
            status=serving(texts[4]),
            route_version=3,
        )
    )
    gone = [obj["metadata"]["name"] for _, obj in plan.deletions]
    assert gone == [cut(texts[1]).name, cut(texts[0]).name]


def governed(status: AgentRolloutStatus) -> dict[str, object]:
    """An AgentRollout for the agent, as the API server returns it."""
    return {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "AgentRollout",
        "metadata": {
            "name": "support",
            "namespace": "acme",
            "uid": "rollout-uid",
            "generation": 1,
            "creationTimestamp": "2026-11-21T09:00:00Z",
        },
        "spec": {"agentRef": {"name": "support"}},
        "status": status.wire(),
    }


def trying_v2(**more: object) -> World:
    """A rollout of V2 against V1 at 20 %, with both serving."""
    status = AgentRolloutStatus(
        stable_revision=cut(V1).name,
        canary_revision=cut(V2).name,
        attempt=1,
        salt="5a17",
        share=Share(percent=20, source=Source.AUTOMATIC),
        route_version=7,
        stage=Stage.STEPS,
        current_step_index=1,
        step_started_at="2026-11-21T09:59:00Z",
        canary_since="2026-11-21T09:50:00Z",
    )
    return world(
        worlds.agent(V2),
        records=(record(V1, 1, promoted=1), record(V2, 2)),
        projected_for=(V1, V2),
        ready_for=(V1, V2),
        route_version=7,
        rollouts=(governed(status),),
        status=AgentStatus(
            stable_revision=cut(V1).name,
            revisions=[
                RevisionStatus(name=cut(V2).name, state=RevisionState.OPEN),
                RevisionStatus(name=cut(V1).name, state=RevisionState.OPEN),
            ],
        ),
        **more,
    )


def test_a_rollback_is_on_the_record_before_the_status_and_takes_the_work_back() -> None:
    abort = f"abort/{cut(V2).name}/1"
    made = trying_v2(work={V2: RevisionWork(queued=3, running=2, tasks=40, users=30)})
    made.rollouts[0].obj["metadata"]["annotations"] = {names.ANNOTATION_REQUEST: abort}
    plan = plan_agent(made)
    assert [patch["metadata"]["name"] for patch in plan.verdicts] == [cut(V2).name]
    kept = json.loads(plan.verdicts[0]["metadata"]["annotations"][names.ANNOTATION_VERDICT])
    assert (kept["result"], kept["reason"]) == ("Rejected", "Aborted")
    assert (kept["tasks"], kept["users"]) == (40, 30)
    assert plan.route is not None
    assert (plan.route.split.percent, plan.route.version) == (0, 8)
    assert plan.route.revisions[cut(V2).hash].standing is Standing.REJECTED
    assert plan.rehome == (cut(V2).hash,)
    assert said(plan, "Ready") == ("True", "Serving")
    assert said(plan, "UpToDate") == ("False", "CandidateRejected")


def test_a_rejected_canary_closes_when_nothing_is_left_on_it() -> None:
    verdict = Verdict(
        revision=cut(V2).name,
        result=Result.REJECTED,
        reason=Reason.ERROR_RATE,
        message="too many errors",
        at="2026-11-21T09:00:00Z",
    )
    status = AgentRolloutStatus(
        stable_revision=cut(V1).name,
        canary_revision=cut(V2).name,
        attempt=1,
        salt="5a17",
        share=Share(percent=0, source=Source.ROLLBACK),
        route_version=8,
        verdicts=(verdict,),
    )
    reported = serving(V1, version=8).model_copy(
        update={
            "revisions": [
                RevisionStatus(name=cut(V1).name, state=RevisionState.OPEN),
                RevisionStatus(name=cut(V2).name, state=RevisionState.DRAINING),
            ]
        }
    )
    known = {
        "records": (record(V1, 1, promoted=1), record(V2, 2, verdict=verdict)),
        "projected_for": (V1, V2),
        "ready_for": (V1, V2),
        "route_version": 8,
        "rollouts": (governed(status),),
        "status": reported,
    }
    busy = plan_agent(world(worlds.agent(V2), **known, work={V2: RevisionWork(running=1)}))
    assert busy.deletions == ()
    empty = plan_agent(world(worlds.agent(V2), **known))
    assert [obj["metadata"]["name"] for _, obj in empty.deletions] == [cut(V2).name]
    assert empty.route is not None
    assert empty.route.split.percent == 0


def test_the_canary_comes_on_top_of_the_workers_that_stable_had() -> None:
    made = trying_v2(lulls={cut(V1).name: Lull(worlds.later(-3600), 0, 6)})
    made.deployments[cut(V1).name]["spec"]["replicas"] = 6
    plan = plan_agent(made)
    assert [obj for kind, obj in plan.children if obj["metadata"]["name"] == cut(V1).name] == []


def test_a_lost_record_is_made_again_from_its_projection() -> None:
    plan = plan_agent(world(projected_for=(V1,), ready_for=(V1,), status=serving(V1)))
    assert written(plan) == [("ControllerRevision", cut(V1).name)]
    assert plan.route is not None
    assert plan.route.split.stable == cut(V1).hash


def test_a_rejected_revision_is_not_released_when_nobody_knows_who_was_stable() -> None:
    verdict = Verdict(
        revision=cut(V2).name,
        result=Result.REJECTED,
        reason=Reason.ERROR_RATE,
        message="too many errors",
        at="2026-11-21T09:00:00Z",
    )
    records = (record(V2, 2, verdict=verdict),)
    known = {"records": records, "projected_for": (V2,), "ready_for": (V2,)}
    assert plan_agent(world(worlds.agent(V2), **known)).route is None
    pods = {cut(V1).name: Pods(1, 1), cut(V2).name: Pods(1, 1)}
    kept = plan_agent(world(worlds.agent(V2), **known, status=serving(V1), pods=pods))
    assert kept.route is not None
    assert kept.route.split.stable == cut(V1).hash, "its workers still serve"
    assert said(kept, "Stalled") == ("True", "RecordMissing")
    gone = plan_agent(world(worlds.agent(V2), **known, status=serving(V1), route_version=3))
    assert gone.route is not None
    assert (gone.route.split.stable, gone.route.version) == ("", 4), "nobody can serve"
    assert said(gone, "Stalled") == ("True", "RecordMissing")


def test_the_kill_switch_holds_even_where_the_rest_cannot_be_read() -> None:
    plan = plan_agent(
        world(
            worlds.agent(V1, suspended=True),
            records=(record(V1, promoted=1),),
            projected_for=(V1,),
            ready_for=(V1,),
            status=serving(V1),
            spec=None,
            problem=("Invalid", "spec.template.model.name is missing"),
        )
    )
    assert plan.route is not None
    assert plan.route.split.suspended


def test_work_of_a_revision_that_nobody_knows_goes_back_to_stable() -> None:
    made = world(
        records=(record(V1, promoted=1),), projected_for=(V1,), ready_for=(V1,), status=serving(V1)
    )
    assert made.look is not None
    look = replace(made.look, work={"deadbeef": RevisionWork(queued=3)})
    assert plan_agent(replace(made, look=look)).rehome == ("deadbeef",)


def test_after_a_rollback_stable_gives_its_spare_workers_back() -> None:
    busy = trying_v2(lulls={cut(V1).name: Lull(worlds.later(-3600), 0, 6)})
    verdict = Verdict(
        revision=cut(V2).name,
        result=Result.REJECTED,
        reason=Reason.ERROR_RATE,
        message="too many errors",
        at="2026-11-21T09:00:00Z",
    )
    rejected = AgentRolloutStatus(
        stable_revision=cut(V1).name, canary_revision=cut(V2).name, attempt=1, verdicts=(verdict,)
    )
    over = replace(
        busy,
        records=(record(V1, 1, promoted=1), record(V2, 2, verdict=verdict)),
        rollouts=(Rollout.of(governed(rejected)),),
    )
    for made, replicas in ((busy, 6), (over, 1)):
        made.deployments[cut(V1).name]["spec"]["replicas"] = 6
        crews = plan_agent(made).children
        changed = [
            o for k, o in crews if (k.kind, o["metadata"]["name"]) == ("Deployment", cut(V1).name)
        ]
        assert (changed[0]["spec"]["replicas"] if changed else 6) == replicas


def test_a_sleeping_agent_is_looked_at_often_enough_to_wake() -> None:
    known = {
        "records": (record(V1, promoted=1),),
        "projected_for": (V1,),
        "ready_for": (V1,),
        "status": serving(V1),
        "route_version": 3,
    }
    awake = plan_agent(world(**known))
    asleep = plan_agent(world(worlds.agent(V1, scaling={"minReplicas": 0}), **known))
    assert (awake.look_again_seconds, asleep.look_again_seconds) == (60.0, 2.0)


def test_a_restarted_operator_does_not_call_a_converged_agent_unsettled() -> None:
    known = {
        "records": (record(V1, promoted=1),),
        "projected_for": (V1,),
        "ready_for": (V1,),
        "status": serving(V1),
        "route_version": 3,
    }
    before, after = plan_agent(world(**known)), plan_agent(world(**known, settled=False))
    assert after.agent_status == before.agent_status
    assert after.look_again_seconds == before.look_again_seconds
