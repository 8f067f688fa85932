"""Rollouts in every state, as the API server would show them, made by the decision engine itself."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console

from penstock import names
from penstock.analysis.metrics import Tally
from penstock.api.rollout import AgentRolloutStatus
from penstock.rollout.situation import Pods
from penstock_cli import explaining, picture, seen
from tests.unit.rollout.test_aftermath import DONE
from tests.unit.rollout.test_external_gates import gated, unresolved
from tests.unit.rollout.test_first_revision import climbing
from tests.unit.rollout.test_money import stopped
from tests.unit.rollout.test_rings import in_ring
from tests.unit.rollout.test_shadow_stage import tried
from tests.unit.rollout.test_watch import braked
from tests.unit.rollout.world import (
    APPROVED_AT_20,
    BAD,
    NONE,
    SUSPECT,
    C,
    S,
    canary_world,
    stable_world,
    world_at,
)

OUTAGE = Tally(tasks=60, errors=40)


def first_revision():
    world = stable_world()
    return world.change(
        status=AgentRolloutStatus(),
        stable="",
        latest=C,
        records={},
        pods={C: Pods(0, 1, "CrashLoopBackOff: no such key")},
    ).decide()


def undoing():
    world = world_at(95).step_over().pods(S, ready=0, wanted=0)
    return world.ask("undo", S).decide()


STATES = {
    "first revision": first_revision,
    "first revision climbs": lambda: climbing().after(18).decide(),
    "first revision aborted": lambda: climbing().ask("abort").decide(),
    "shadow": lambda: tried({"judged": 20, "agreed": 19}),
    "shadow differs": lambda: tried({"agreed": 20}),
    "stable": stable_world,
    "canary not ready": lambda: stable_world().apply(C).pods(C, 0, 1, "ImagePullBackOff").decide(),
    "ring": lambda: in_ring().after(18).decide(),
    "ring lacks tasks": lambda: in_ring().measure(NONE).after(61).decide(),
    "step": lambda: world_at(20).after(18).decide(),
    "final hold": lambda: world_at(50).step_over(),
    "paused": lambda: world_at(20).edit(paused=True).decide(),
    "setpoint": lambda: canary_world().set(20).decide(),
    "ceiling": lambda: stable_world().set(0).decide().apply(C).pods(C).decide(),
    "awaiting approval": lambda: world_at(20, steps=APPROVED_AT_20).step_over(),
    "no traffic": lambda: world_at(20).measure(NONE, NONE).after(61).decide(),
    "suspect": lambda: world_at(20).after(61).measure(SUSPECT).decide(),
    "above by chance": lambda: world_at(20).after(30).measure(SUSPECT._replace(errors=2)).decide(),
    "suspended": lambda: world_at(20).measure(OUTAGE, OUTAGE).decide(),
    "stopped by cap": stopped,
    "braked": lambda: braked().decide(),
    "rejected": lambda: world_at(20).measure(BAD).decide(),
    "rejected after effects": lambda: world_at(20).change(effects={C: DONE}).measure(BAD).decide(),
    "kill switch": lambda: world_at(20).change(agent_suspended=True).decide(),
    "blind": lambda: world_at(20).blind().decide(),
    "undoing": undoing,
    "gate unknown": lambda: unresolved(canary_world(analysis=gated())).decide(),
    "spec not seen": lambda: world_at(20).edit(paused=True),
    "request not answered": lambda: world_at(20).ask("abort"),
    "operator away": lambda: world_at(20).after(300),
}


def documents(world, missing=None):
    """The objects of a world: AgentRollout, Agent, records, Deployments, pods."""
    situation = world.situation
    notes = {names.ANNOTATION_REQUEST: situation.request} if situation.request else {}
    rollout = {
        "metadata": {
            "name": "support",
            "namespace": "shop",
            "generation": situation.generation,
            "annotations": notes,
        },
        "spec": situation.spec.wire(),
        "status": situation.status.wire(),
    }
    agent = {
        "spec": {"suspended": situation.agent_suspended},
        "status": {
            "latestRevision": situation.latest,
            "stableRevision": situation.stable or None,
            "revisions": [_reported(situation, name) for name in situation.pods],
        },
    }
    return seen.Documents(
        rollout,
        agent,
        [_record(record) for record in situation.records.values()],
        [_deployment(name, pods) for name, pods in situation.pods.items()],
        [_pod(name, pods) for name, pods in situation.pods.items() if pods.wanted],
        missing or {},
    )


def _reported(situation, name):
    record = situation.records.get(name)
    return {
        "name": name,
        "version": record.version if record else None,
        "state": "Open",
        "replicas": situation.pods[name].ready,
        "queued": 1,
        "running": 2,
        "pinned": 13,
    }


def _record(record):
    notes = {names.ANNOTATION_PROMOTED: str(record.served_sequence)}
    return {
        "kind": "ControllerRevision",
        "metadata": {
            "name": record.name,
            "annotations": notes if record.served_sequence else {},
        },
        "data": {"declared": {"version": record.version}},
    }


def _deployment(name, pods):
    return {
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": pods.wanted},
        "status": {"readyReplicas": pods.ready},
    }


def _pod(name, pods):
    ready = bool(pods.ready)
    waiting = {"waiting": {"reason": pods.message.partition(":")[0]}}
    state = {} if ready or not pods.message else waiting
    return {
        "metadata": {
            "name": f"{name}-x7k2p",
            "labels": {names.LABEL_REVISION: names.hash_of(name)},
            "creationTimestamp": "2026-11-21T09:00:00Z",
        },
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [{"restartCount": 0 if ready else 4, "state": state}],
        },
    }


def read(world, **more):
    return seen.read(documents(world, **more), world.situation.now)


def printed(lines, width=80, **console):
    """Lines as a terminal of so many columns gets them."""
    file = io.StringIO()
    screen = Console(file=file, width=width, highlight=False, soft_wrap=True, **console)
    for line in lines:
        screen.print(line)
    return file.getvalue()


def text(name):
    """What `get` and `explain` print of a state; a check that says nothing is not named.

    So a new check changes none of these texts.
    """
    found = read(STATES[name]())
    shown = printed(picture.lines(found, 80)), _without_names(printed(explaining.lines(found, 80)))
    return "$ penstock get support\n{}\n$ penstock explain support\n{}".format(*shown)


def _without_names(text):
    return re.sub(r"(?m)^no     .*(?:\n       .*)*", "no     …", text)


def write():
    """Accept what the code prints now: ``python -m tests.unit.cli.rollouts``."""
    for name in STATES:
        path(name).write_text(text(name), encoding="utf-8")


def path(name):
    return Path(__file__).parent / "golden" / f"{name.replace(' ', '-')}.txt"


if __name__ == "__main__":
    write()
