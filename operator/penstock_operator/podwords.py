"""Why pods do not serve, in their own words."""

from collections.abc import Iterable
from typing import Any

from penstock.rollout.situation import Pods
from penstock_operator.resources import Object

_LONGEST = 600


def readiness(deployment: Object) -> Pods:
    """How many workers a Deployment wants and how many are ready."""
    status = deployment.get("status") or {}
    wanted = int(deployment["spec"].get("replicas", 1))
    return Pods(ready=int(status.get("readyReplicas", 0)), wanted=wanted)


def message(pods: Iterable[dict[str, Any]]) -> str:
    """One sentence on why these pods do not serve; empty while they merely start."""
    for pod in pods:
        if pod["metadata"].get("deletionTimestamp"):
            continue
        words = _of_pod(pod)
        if words:
            return f"pod {pod['metadata']['name']}: {words}"[:_LONGEST]
    return ""


def _of_pod(pod: dict[str, Any]) -> str:
    status = pod.get("status") or {}
    for container in status.get("containerStatuses") or []:
        words = _of_container(container)
        if words:
            return words
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"not scheduled: {condition.get('message', '')}"
    return ""


def _of_container(container: dict[str, Any]) -> str:
    waiting = (container.get("state") or {}).get("waiting") or {}
    ended = (container.get("state") or {}).get("terminated") or (
        (container.get("lastState") or {}).get("terminated") or {}
    )
    reason = waiting.get("reason", "")
    starting = reason in ("", "ContainerCreating", "PodInitializing")
    if starting and not ended and not waiting.get("message"):
        return ""
    said = (ended.get("message") or "").strip().splitlines()
    last_words = said[-1] if said else waiting.get("message", "")
    exit_code = f" (exit code {ended['exitCode']})" if "exitCode" in ended else ""
    return f"{reason or ended.get('reason', 'Terminated')}{exit_code}: {last_words}".strip()
