"""Builders of worlds for plan tests: an agent, its revisions, their pods."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from penstock import names, revision
from penstock.api.agent import AgentSpec
from penstock.api.agent_status import AgentStatus
from penstock.api.analysis import Verdict
from penstock.revision import Revision
from penstock.rollout.situation import Pods
from penstock.traffic import Route, Split
from penstock_operator.cluster.kinds import Object
from penstock_operator.cluster.reading import Rollout
from penstock_operator.reconcile import manifests, stock
from penstock_operator.reconcile.manifests import Installation
from penstock_operator.reconcile.plan import plan_agent
from penstock_operator.reconcile.world import World
from penstock_store import codec
from penstock_store.records import Look, RevisionWork

NOW = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)
INSTALLATION = Installation("redis://redis:6379/0", "http://model", "runtime:1", "penstock")


def agent(instructions: str = "Be kind.", **spec: Any) -> Object:
    """An Agent as the API server returns it."""
    template = {"instructions": instructions, "model": {"name": "claude-sonnet-5-5"}}
    return {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "Agent",
        "metadata": {
            "name": "support",
            "namespace": "acme",
            "uid": "agent-uid",
            "generation": 2,
            "resourceVersion": "10",
        },
        "spec": {"template": template, **spec},
    }


def cut(instructions: str) -> Revision:
    """The revision of an Agent with these instructions."""
    declared = agent(instructions)["spec"]["template"]
    return revision.cut("support", declared, {}, INSTALLATION.runtime_image)


def record(
    instructions: str,
    sequence: int = 1,
    *,
    verdict: Verdict | None = None,
    promoted: int = 0,
) -> Object:
    """The record of a revision, with what the verdict manager wrote on it."""
    made = manifests.record(agent(), cut(instructions), sequence)
    known = stock.Known(cut(instructions), None, sequence, verdict, promoted)
    made["metadata"]["annotations"] = stock.verdict_annotations(known, None, promoted)
    made["metadata"]["uid"] = f"record-{sequence}"
    return made


def projected(instructions: str, *, replicas: int = 1) -> tuple[Object, Object]:
    """ConfigMap and Deployment of a revision as the API server has them."""
    spec = AgentSpec.model_validate(agent()["spec"])
    made = (
        manifests.configmap(agent(), cut(instructions)),
        manifests.deployment(agent(), spec, cut(instructions), replicas, INSTALLATION),
    )
    for obj in made:
        obj["metadata"]["uid"] = f"{obj['kind']}-{obj['metadata']['name']}"
    return made


def world(
    declared: Object | None = None,
    *,
    records: tuple[Object, ...] = (),
    projected_for: tuple[str, ...] = (),
    ready_for: tuple[str, ...] = (),
    status: AgentStatus | None = None,
    work: dict[str, RevisionWork] | None = None,
    route_version: int | None = None,
    **more: Any,
) -> World:
    """A world in which everything that is not said is quiet and well: who serves has a route."""
    declared = declared or agent()
    made = [projected(text) for text in projected_for]
    pods = {cut(text).name: Pods(0, 1) for text in projected_for}
    pods |= {cut(text).name: Pods(1, 1) for text in ready_for}
    if "rollouts" in more:
        more["rollouts"] = tuple(map(Rollout.of, more["rollouts"]))
    look = Look(
        now_ms=1_000_000,
        route_version=route_version,
        route_epoch=0,
        route_uid="agent-uid",
        route_record=in_force(status),
        first_row="",
        last_row="",
        work={cut(text).hash: found for text, found in (work or {}).items()},
    )
    return World(
        **{
            "now": NOW,
            "agent": declared,
            "installation": INSTALLATION,
            "spec": AgentSpec.model_validate(declared["spec"]),
            "status": status or AgentStatus(),
            "records": records,
            "configmaps": {obj["metadata"]["name"]: obj for obj, _ in made},
            "deployments": {obj["metadata"]["name"]: obj for _, obj in made},
            "look": look,
            "pods": pods,
            "fresh_salt": "5a17",
            **more,
        }
    )


def in_force(status: AgentStatus | None) -> tuple[str, ...]:
    """The record of a route to the stable revision of a status, as Redis has it."""
    if status is None or not status.stable_revision:
        return ()
    traffic = status.traffic
    split = Split(names.hash_of(status.stable_revision))
    return codec.route_record(Route("agent-uid", traffic.epoch, traffic.version, split))


def later_pass(made: World) -> World:
    """The world after a pass over it has written its status and its route."""
    status = plan_agent(made).agent_status or made.status
    look = replace(made.look, route_record=in_force(status)) if made.look else None
    return replace(made, status=status, look=look)


def later(seconds: float) -> datetime:
    """A moment after NOW."""
    return NOW + timedelta(seconds=seconds)
