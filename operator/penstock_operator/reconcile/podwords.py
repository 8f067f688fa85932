"""Why pods do not serve, in their own words."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from penstock.api.condition import moment
from penstock.rollout.situation import Pods
from penstock_operator.cluster.kinds import Object

_LONGEST: Final = 600
_REFUSED: Final = "its pods are refused: "
_STARTING: Final = re.compile(r"pod \S+: (ContainerCreating|PodInitializing|not scheduled): ")
_SECRET: Final = re.compile(r"kubectl -n \S+ (create|patch) secret ")


def readiness(deployment: Object) -> Pods:
    """How many workers a Deployment wants and how many are ready."""
    status = deployment.get("status") or {}
    wanted = int(deployment["spec"].get("replicas", 1))
    return Pods(int(status.get("readyReplicas", 0)), wanted, _refusal(status))


def _refusal(status: dict[str, Any]) -> str:
    """Why there is not even a pod: a quota, a limit range, pod security, in the server's words."""
    for condition in status.get("conditions") or []:
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            said = str(condition.get("message", ""))
            remedy = ": set spec.worker.resources" if "must specify" in said else ""
            return f"{_REFUSED}{said[:_LONGEST]}{remedy}"
    return ""


def availability_changed_at(deployment: Object) -> datetime | None:
    """When it was made, or lost or got its ready workers last; None where none can be read."""
    conditions = (deployment.get("status") or {}).get("conditions") or []
    told = [deployment["metadata"].get("creationTimestamp")]
    told += [c.get("lastTransitionTime") for c in conditions if c.get("type") == "Available"]
    return max((when for text in told if (when := _moment(text))), default=None)


def rolled_out_at(deployment: Object) -> datetime | None:
    """When the last of its workers became one of its template; None while some are not, or not ready."""
    status = deployment.get("status") or {}
    told = deployment["metadata"].get("generation", 0) <= status.get("observedGeneration", 0)
    wanted = int(deployment["spec"].get("replicas", 1))
    if not told or not wanted <= status.get("updatedReplicas", 0) == status.get("replicas", 0):
        return None
    conditions = status.get("conditions") or []
    progress = [c.get("lastUpdateTime") for c in conditions if c.get("type") == "Progressing"]
    moments = (availability_changed_at(deployment), *map(_moment, progress))
    return max((when for when in moments if when), default=None)


def _moment(text: Any) -> datetime | None:
    try:
        return moment(text)
    except (TypeError, ValueError):
        return None


def about_secret(message: str) -> bool:
    """Whether a worker's last words name a Secret that it cannot use, with the remedy."""
    return bool(_SECRET.search(message))


def for_a_person(message: str) -> bool:
    """Whether these words tell of what no waiting mends: a refusal, or a Secret."""
    return message.startswith(_REFUSED) or about_secret(message)


def may_pass(message: str) -> bool:
    """Whether these words are of a start that may go on by itself, as a mount that is tried again."""
    return bool(_STARTING.match(message))


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
