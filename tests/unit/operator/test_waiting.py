"""What an Agent says it waits for: what must be mended, what must be decided, and by which command."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock import names
from penstock.api import condition
from penstock.api.rollout import AgentRolloutStatus, Share, Source, Stage
from penstock.rollout.situation import Pods
from penstock_operator.reconcile import podwords
from penstock_operator.reconcile.plan import plan_agent
from tests.unit.operator import worlds
from tests.unit.operator.test_never_again import rollout
from tests.unit.operator.test_plan import serving
from tests.unit.operator.worlds import cut, record, world

V1, V2 = "Be kind.", "Be brief."
QUOTA = 'pods "support-1" is forbidden: failed quota: q: must specify requests.memory for: worker'
SECRET = "kubectl -n acme create secret generic vendor --from-literal=api-key=VALUE"
RELEASING = {
    "records": (record(V1, 1, promoted=1), record(V2, 2)),
    "projected_for": (V1, V2),
    "ready_for": (V1,),
    "status": serving(V1),
}


def conditions(made):
    status = plan_agent(made).agent_status
    assert status is not None
    return {item.type: item for item in status.conditions}


def releasing(words="", made_at=None):
    """V1 serves, and V2's workers are not ready; nobody governs it."""
    made = world(worlds.agent(V2), **RELEASING)
    if made_at:
        metadata = made.deployments[cut(V2).name]["metadata"]
        metadata["creationTimestamp"] = condition.timestamp(made_at)
    return replace(made, pods={**made.pods, cut(V2).name: Pods(0, 1, words)})


def deployment(*conditions, ready=0):
    return {
        "metadata": {"creationTimestamp": "2026-11-21T09:00:00Z"},
        "spec": {"replicas": 2},
        "status": {"readyReplicas": ready, "conditions": list(conditions)},
    }


def test_pods_that_are_refused_speak_by_their_deployment():
    failed = {"type": "ReplicaFailure", "status": "True", "message": QUOTA}
    pods = podwords.readiness(deployment(failed))
    assert (pods.ready, pods.wanted) == (0, 2)
    assert "failed quota" in pods.message
    assert pods.message.endswith("set spec.worker.resources")
    over = podwords.readiness(deployment({**failed, "status": "False"}))
    assert over.message == ""


@pytest.mark.parametrize("words", [f"its pods are refused: {QUOTA}", f"pod x: Error: {SECRET}"])
def test_what_no_waiting_mends_is_told_at_once(words):
    said = conditions(releasing(words))
    assert (said["Stalled"].status, said["Stalled"].reason) == ("True", "PodsFailing")
    assert words in said["Stalled"].message
    assert words in said["UpToDate"].message
    assert said["Ready"].status == "True", "V1 serves"


MOUNT = 'pod x: ContainerCreating: MountVolume.SetUp failed for volume "revision": forbidden'
NO_NODE = "pod x: not scheduled: 0/3 nodes are available"


@pytest.mark.parametrize(
    ("words", "seconds", "stalled"),
    [
        (MOUNT, 5, "False"),
        (MOUNT, 31, "True"),
        (NO_NODE, 5, "False"),
        (NO_NODE, 31, "True"),
        ("pod x: CrashLoopBackOff (exit code 1): boom", 5, "True"),
        ("pod x: ErrImagePull: no such image", 5, "True"),
    ],
)
def test_what_a_start_says_may_pass_is_no_stall_before_it_has_lasted(words, seconds, stalled):
    made = world(worlds.agent(V1), records=(record(V1, 1),), projected_for=(V1,), ready_for=(V1,))
    name = cut(V1).name
    born = condition.timestamp(worlds.later(-seconds))
    made.deployments[name]["metadata"]["creationTimestamp"] = born
    said = conditions(replace(made, pods={name: Pods(0, 1, words)}))["Stalled"]
    assert (said.status, words in said.message) == (stalled, stalled == "True")


@pytest.mark.parametrize(("minutes", "stalled"), [(9, "False"), (11, "True")])
def test_a_revision_that_does_not_start_is_told_after_its_deadline(minutes, stalled):
    words = "pod x: CrashLoopBackOff (exit code 1): boom"
    said = conditions(releasing(words, worlds.later(-60 * minutes)))
    assert said["Stalled"].status == stalled
    assert (said["Stalled"].reason == "StartDeadline") == (stalled == "True")
    assert said["Reconciling"].status == ("False" if stalled == "True" else "True")


def test_a_changed_template_is_out_of_date_from_the_first_look_on():
    only = {"records": RELEASING["records"][:1], "projected_for": (V1,)}
    made = world(worlds.agent(V2), **{**RELEASING, **only})
    said = conditions(replace(made, settled=False))
    assert (said["UpToDate"].status, said["UpToDate"].reason) == ("False", "Settling")
    assert said["UpToDate"].observed_generation == 2


def with_secret(pods):
    """An Agent whose template names a Secret, with its one revision's pods."""
    agent = worlds.agent(V1)
    ref = {"name": "vendor", "key": "api-key"}
    agent["spec"]["template"]["model"]["credentialsSecretRef"] = ref
    made = world(agent)
    (name,) = [obj["metadata"]["name"] for kind, obj in plan_agent(made).children][:1]
    return replace(made, pods={name: pods})


@pytest.mark.parametrize(
    ("pods", "status", "reason"),
    [
        (Pods(0, 1), "Unknown", "NotChecked"),
        (Pods(0, 1, "pod x: not scheduled: no node"), "Unknown", "NotChecked"),
        (Pods(0, 1, f"pod x: Error (exit code 1): no key: {SECRET}"), "False", "SecretUnfit"),
        (Pods(1, 1), "True", "Found"),
    ],
)
def test_secrets_are_found_once_a_worker_has_found_them(pods, status, reason):
    said = conditions(with_secret(pods))["ReferencesResolved"]
    assert (said.status, said.reason) == (status, reason)


@pytest.mark.parametrize(
    ("spec", "reason", "command"),
    [
        ({"suspended": True}, "Suspended", "kubectl -n acme patch agent support"),
        (
            {"scaling": {"replicas": 0}},
            "ScaledToZero",
            "kubectl -n acme scale agent support --replicas=1",
        ),
    ],
)
def test_a_persons_brake_is_told_with_the_command_that_takes_it_back(spec, reason, command):
    made = world(
        worlds.agent(V1, **spec),
        records=(record(V1, promoted=1),),
        projected_for=(V1,),
        status=serving(V1),
        pods={cut(V1).name: Pods(0, 0)},
    )
    said = conditions(made)
    assert (said["Ready"].status, said["Ready"].reason) == ("False", reason)
    assert (said["Stalled"].status, said["Stalled"].reason) == ("False", reason)
    assert command in said["Ready"].message
    assert command in said["Stalled"].message


def calls_wait(made):
    return replace(made, look=replace(made.look, parked=3))


def test_calls_that_wait_for_a_person_are_told_with_their_command_and_stall_nothing():
    quiet = {"records": (record(V1, promoted=1),), "projected_for": (V1,), "ready_for": (V1,)}
    said = conditions(calls_wait(world(**quiet, status=serving(V1), route_version=3)))
    assert (said["Stalled"].status, said["Stalled"].reason) == ("False", "WaitingForApproval")
    assert said["Stalled"].message == (
        "calls wait for a person's decision (penstock escalations list support -n acme)"
    )
    assert (said["Ready"].status, said["Reconciling"].status) == ("True", "False")


def test_they_are_told_beside_another_decision_and_not_beside_what_must_be_mended():
    off = world(worlds.agent(V1, suspended=True), **RELEASING | {"records": (record(V1),)})
    said = conditions(calls_wait(off))["Stalled"]
    assert (said.status, said.reason) == ("False", "Suspended")
    assert "penstock escalations list support -n acme" in said.message
    assert '"suspended":false' in said.message
    broken = conditions(calls_wait(releasing(QUOTA, worlds.later(-3600))))["Stalled"]
    assert (broken.status, "escalations" in broken.message) == ("True", False)


def test_nothing_waits_for_a_person_is_said_only_where_it_is_true():
    quiet = {"records": (record(V1, promoted=1),), "projected_for": (V1,), "ready_for": (V1,)}
    said = conditions(world(**quiet, status=serving(V1)))["Stalled"]
    assert (said.status, said.message) == ("False", "nothing waits for a person")
    frozen = serving(V1).model_copy(update={"had_rollout": True})
    said = conditions(world(worlds.agent(V2), **{**RELEASING, "status": frozen}))["Stalled"]
    assert (said.status, said.reason) == ("False", "RolloutMissing")


def test_pods_that_may_still_speak_are_looked_at_soon():
    silent = releasing(made_at=worlds.later(-20))
    assert plan_agent(silent).look_again_seconds <= 2
    old = releasing(made_at=worlds.later(-3600))
    assert plan_agent(old).look_again_seconds > 2


def trying(words="", share=0, minutes=1, **more):
    """V2 is tried beside V1 under an AgentRollout, with no worker of V2 ready."""
    since = condition.timestamp(worlds.later(-60 * minutes))
    status = AgentRolloutStatus(
        stable_revision=cut(V1).name,
        canary_revision=cut(V2).name,
        attempt=1,
        agent_uid="agent-uid",
        route_version=3,
        stage=Stage.STEPS,
        share=Share(percent=share, source=Source.AUTOMATIC),
        canary_since=since,
        unready_since=since,
        **more,
    )
    made = world(worlds.agent(V2), **RELEASING, rollouts=(rollout(status),), route_version=3)
    return replace(made, pods={**made.pods, cut(V2).name: Pods(0, 1, words)})


def of_both(made):
    """The condition Stalled of the Agent and of its AgentRollout."""
    plan = plan_agent(made)
    statuses = (plan.agent_status, plan.course.rollout_status)
    return tuple(condition.find(status.conditions, "Stalled") for status in statuses)


CRASH = "pod x: CrashLoopBackOff (exit code 1): boom"
MENDS = [f"its pods are refused: {QUOTA}", f"pod x: Error: {SECRET}"]


@pytest.mark.parametrize("words", MENDS)
@pytest.mark.parametrize("minutes", [1, 11])
def test_under_an_agentrollout_both_tell_at_once_what_no_waiting_mends(words, minutes):
    for said in of_both(trying(words, minutes=minutes)):
        assert (said.status, said.reason) == ("True", "PodsFailing")
        assert words in said.message


@pytest.mark.parametrize(("minutes", "stalled"), [(9, "False"), (11, "True")])
def test_an_agent_takes_over_that_its_rollout_is_past_the_start_deadline(minutes, stalled):
    agents, rollouts = of_both(trying(CRASH, minutes=minutes))
    assert agents.status == rollouts.status == stalled
    if stalled == "True":
        assert (agents.reason, agents.message) == (rollouts.reason, rollouts.message)
        assert agents.reason == "StartDeadlineExceeded"


def test_of_a_rollback_the_agent_says_that_it_serves():
    made = trying()
    made.rollouts[0].obj["metadata"]["annotations"] = {
        names.ANNOTATION_REQUEST: f"abort/{cut(V2).name}/1"
    }
    agents, rollouts = of_both(made)
    assert (rollouts.status, rollouts.reason) == ("True", "RolledBack")
    assert (agents.status, agents.reason) == ("False", "CandidateRejected")
