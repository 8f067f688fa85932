"""What the node says about a pod: from container states to the pod's status, as pure functions."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock_dev import kube

_OURS = ("Initialized", "PodReadyToStartContainers", "ContainersReady", "Ready")


@dataclass(frozen=True)
class Waiting:
    """Not running, with the reason in one word."""

    reason: str
    message: str = ""

    def as_json(self) -> kube.Document:
        """As it stands in the API."""
        text = {"message": self.message} if self.message else {}
        return {"waiting": {"reason": self.reason, **text}}


@dataclass(frozen=True)
class Running:
    """Running since a time."""

    started_at: datetime.datetime

    def as_json(self) -> kube.Document:
        """As it stands in the API."""
        return {"running": {"startedAt": rfc3339(self.started_at)}}


@dataclass(frozen=True)
class Terminated:
    """Ended. A code above 128 is 128 + the signal; the message is the end of its log."""

    exit_code: int
    reason: str
    message: str
    started_at: datetime.datetime
    finished_at: datetime.datetime

    def as_json(self) -> kube.Document:
        """As it stands in the API."""
        return {
            "terminated": {
                "exitCode": self.exit_code,
                "reason": self.reason,
                "message": self.message,
                "startedAt": rfc3339(self.started_at),
                "finishedAt": rfc3339(self.finished_at),
            }
        }


State = Waiting | Running | Terminated


@dataclass
class ContainerRecord:
    """The present state of one container."""

    name: str
    image: str
    state: State = field(default_factory=lambda: Waiting("ContainerCreating"))
    last: Terminated | None = None
    restarts: int = 0
    started: bool = False
    ready: bool = False

    def as_json(self) -> kube.Document:
        """As it stands in the API."""
        return {
            "name": self.name,
            "image": self.image,
            "imageID": f"process://{self.image}",
            "state": self.state.as_json(),
            "lastState": self.last.as_json() if self.last else {},
            "restartCount": self.restarts,
            "started": self.started,
            "ready": self.ready,
        }


def rfc3339(moment: datetime.datetime) -> str:
    """Whole seconds, as the API has them."""
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def exit_reason(code: int) -> tuple[int, str]:
    """(exit code, reason) as a container runtime reports them; negative codes are signals."""
    shown = 128 - code if code < 0 else code
    return shown, "Completed" if shown == 0 else "Error"


def phase(containers: Sequence[ContainerRecord], restart_policy: str) -> str:
    """Pending until every container ran once; final when none will run again."""
    states = [record.state for record in containers]
    if all(isinstance(state, Terminated) for state in states):
        codes = [state.exit_code for state in states if isinstance(state, Terminated)]
        if restart_policy == "Never" or (restart_policy == "OnFailure" and not any(codes)):
            return "Failed" if any(codes) else "Succeeded"
    never_ran = (isinstance(r.state, Waiting) and r.last is None for r in containers)
    return "Pending" if any(never_ran) else "Running"


def pod_status(
    pod: kube.Document,
    containers: Sequence[ContainerRecord],
    pod_ip: str,
    started_at: datetime.datetime,
    now: datetime.datetime,
) -> kube.Document:
    """The status to write; times of conditions move only when they turn."""
    current = phase(containers, pod["spec"].get("restartPolicy", "Always"))
    unready = [record.name for record in containers if not record.ready]
    why = {
        "reason": "ContainersNotReady",
        "message": f"containers with unready status: [{' '.join(unready)}]",
    }
    if current in ("Succeeded", "Failed"):
        why = {"reason": f"Pod{'Completed' if current == 'Succeeded' else 'Failed'}"}
    wanted: list[dict[str, Any]] = [
        {"type": "Initialized", "status": "True"},
        {"type": "PodReadyToStartContainers", "status": "True"},
        *(
            {"type": kind, "status": "False", **why}
            if unready
            else {"type": kind, "status": "True"}
            for kind in ("ContainersReady", "Ready")
        ),
    ]
    present = pod.get("status", {}).get("conditions") or []
    return {
        "phase": current,
        "conditions": [c for c in present if c["type"] not in _OURS]
        + [_timed(condition, present, now) for condition in wanted],
        "hostIP": "127.0.0.1",
        "hostIPs": [{"ip": "127.0.0.1"}],
        "podIP": pod_ip,
        "podIPs": [{"ip": pod_ip}],
        "startTime": rfc3339(started_at),
        "containerStatuses": [record.as_json() for record in containers],
    }


def _timed(
    wanted: dict[str, Any], present: Sequence[dict[str, Any]], now: datetime.datetime
) -> dict[str, Any]:
    for condition in present:
        if condition["type"] == wanted["type"] and condition["status"] == wanted["status"]:
            return {**wanted, "lastTransitionTime": condition["lastTransitionTime"]}
    return {**wanted, "lastTransitionTime": rfc3339(now)}
