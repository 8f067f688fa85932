"""What the node says about a pod, in the API's own words: pure functions over container states."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock_dev import kube

_OURS = ("Initialized", "PodReadyToStartContainers", "ContainersReady", "Ready")


def waiting(reason: str, message: str = "") -> kube.Document:
    """The state of a container that does not run, with the reason in one word."""
    return {"waiting": {"reason": reason} | ({"message": message} if message else {})}


def running(started_at: datetime.datetime) -> kube.Document:
    """The state of a container that runs."""
    return {"running": {"startedAt": rfc3339(started_at)}}


def terminated(
    code: int, message: str, started_at: datetime.datetime, finished_at: datetime.datetime
) -> kube.Document:
    """The state of a container that ended; a negative code is a signal, told as 128 + signal."""
    exit_code = 128 - code if code < 0 else code
    ended = {
        "exitCode": exit_code,
        "reason": "Error" if exit_code else "Completed",
        "message": message if exit_code else "",
        "startedAt": rfc3339(started_at),
        "finishedAt": rfc3339(finished_at),
    }
    return {"terminated": ended}


@dataclass
class Record:
    """The present state of one container; states are as the API has them."""

    name: str
    image: str
    state: kube.Document = field(default_factory=lambda: waiting("ContainerCreating"))
    last_state: kube.Document = field(default_factory=dict)
    restarts: int = 0
    started: bool = False
    ready: bool = False

    def resume(self, earlier: kube.Document, now: datetime.datetime) -> None:
        """Carry on from what an earlier life of the node told; what ran then died with it."""
        self.restarts = earlier["restartCount"]
        self.last_state = earlier.get("lastState") or {}
        if ran := earlier["state"].get("running"):
            began = datetime.datetime.fromisoformat(ran["startedAt"])
            self.state = self.last_state = terminated(137, "the node was restarted", began, now)
            self.restarts += 1
        elif "terminated" in earlier["state"]:
            self.state = earlier["state"]

    def as_json(self) -> kube.Document:
        """As it stands in a pod's containerStatuses."""
        return {
            "name": self.name,
            "image": self.image,
            "imageID": f"process://{self.image}",
            "state": self.state,
            "lastState": self.last_state,
            "restartCount": self.restarts,
            "started": self.started,
            "ready": self.ready,
        }


def rfc3339(moment: datetime.datetime) -> str:
    """Whole seconds, as the API has them."""
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def runs_again(restart_policy: str, ended: kube.Document) -> bool:
    """Whether a container that ended so is started again."""
    failed = ended["terminated"]["exitCode"] != 0
    return restart_policy == "Always" or (restart_policy == "OnFailure" and failed)


def phase(records: Sequence[Record], restart_policy: str) -> str:
    """Pending until every container ran once; final when none will run again."""
    states = [record.state for record in records]
    if not any("terminated" not in s or runs_again(restart_policy, s) for s in states):
        return "Failed" if any(s["terminated"]["exitCode"] for s in states) else "Succeeded"
    never_ran = ("waiting" in record.state and not record.last_state for record in records)
    return "Pending" if any(never_ran) else "Running"


def pod_status(
    pod: kube.Document,
    records: Sequence[Record],
    pod_ip: str,
    started_at: datetime.datetime,
    now: datetime.datetime,
) -> kube.Document:
    """The status to write; times of conditions move only when they turn."""
    current = phase(records, pod["spec"].get("restartPolicy", "Always"))
    unready = " ".join(record.name for record in records if not record.ready)
    why = {
        "reason": "ContainersNotReady",
        "message": f"containers with unready status: [{unready}]",
    }
    verdict = {"status": "False", **why} if unready else {"status": "True"}
    present = pod.get("status", {}).get("conditions") or []
    wanted = [{"type": kind, "status": "True"} for kind in _OURS[:2]]
    wanted += [{"type": kind, **verdict} for kind in _OURS[2:]]
    return {
        "phase": current,
        "conditions": [c for c in present if c["type"] not in _OURS]
        + [_timed(condition, present, now) for condition in wanted],
        "hostIP": "127.0.0.1",
        "hostIPs": [{"ip": "127.0.0.1"}],
        "podIP": pod_ip,
        "podIPs": [{"ip": pod_ip}],
        "startTime": rfc3339(started_at),
        "containerStatuses": [record.as_json() for record in records],
    }


def _timed(
    wanted: dict[str, Any], present: Sequence[dict[str, Any]], now: datetime.datetime
) -> dict[str, Any]:
    for condition in present:
        if condition["type"] == wanted["type"] and condition["status"] == wanted["status"]:
            return {**wanted, "lastTransitionTime": condition["lastTransitionTime"]}
    return {**wanted, "lastTransitionTime": rfc3339(now)}
