"""Agents and their rollouts in one namespace, as a person with kubectl moves and reads them."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from penstock import names
from tests.integration.cluster import Cluster

#: Only a test that fails waits so long; a busy machine starts a worker within half of it.
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Rollouts:
    """What kubectl does with agents in a namespace, and how long to wait for what."""

    cluster: Cluster

    # -- what people do ------------------------------------------------------------------------

    def patch(self, resource: str, spec: dict[str, Any]) -> None:
        """kubectl patch --type merge on a spec."""
        kind, name = resource.split("/")
        change = json.dumps({"spec": spec})
        self.cluster.kubectl("patch", kind, name, "--type", "merge", "-p", change)

    def set_percent(self, percent: int | None, name: str = "support") -> None:
        """The documented command for the share; None gives it back to the steps."""
        self.patch(f"agentrollout/{name}", {"traffic": {"canaryPercent": percent}})

    def request(self, verb: str, revision: str, name: str = "support") -> None:
        """Ask for promote, abort, retry or undo by annotation."""
        value = f"{names.ANNOTATION_REQUEST}={verb}/{revision}/{time.monotonic_ns()}"
        self.cluster.kubectl("annotate", "agentrollout", name, value, "--overwrite")

    # -- what the cluster says -----------------------------------------------------------------

    def agent(self, name: str = "support") -> dict[str, Any]:
        """The status of an Agent."""
        found = self.cluster.get("agent", name) or {}
        status: dict[str, Any] = found.get("status") or {}
        return status

    def rollout(self, name: str = "support") -> dict[str, Any]:
        """The status of an AgentRollout."""
        found = self.cluster.get("agentrollout", name) or {}
        status: dict[str, Any] = found.get("status") or {}
        return status

    def share(self, name: str = "support") -> int:
        """The canary's share in force."""
        return int((self.rollout(name).get("share") or {}).get("percent", 0))

    def until(self, what: str, look: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
        """Poll until `look` returns something true; a failure shows both statuses."""
        try:
            return self.cluster.until(what, look, seconds)
        except AssertionError as error:
            shown = self.cluster.kubectl("get", "agents,agentrollouts,pods", check=False)
            said = self.cluster.kubectl(
                "get", "agents,agentrollouts", "-o", "jsonpath={..status}", check=False
            )
            raise AssertionError(f"{error}\n{shown}\n{said}") from error

    def until_stable(self, name: str = "support", seconds: float = PATIENCE_SECONDS) -> str:
        """Wait until an Agent serves; the name of its stable revision."""

        def serving() -> str:
            ready = self.cluster.condition(f"agent/{name}", "Ready")[0] == "True"
            return str(self.agent(name).get("stableRevision") or "") if ready else ""

        return str(self.until(f"agent {name} serves", serving, seconds))

    def until_canary(
        self, stable: str, name: str = "support", seconds: float = PATIENCE_SECONDS
    ) -> str:
        """Wait until another revision than `stable` is being tried, and its pods are ready.

        The one before that was rejected stays named, and keeps its pods for a while.
        """

        def canary() -> str:
            status = self.rollout(name)
            found = str(status.get("canaryRevision") or "")
            if found in ("", stable) or _is_rejected(status, found):
                return ""
            ready = (self.cluster.get("deployment", found) or {}).get("status", {})
            return found if ready.get("readyReplicas") else ""

        return str(self.until(f"a ready canary of {name}", canary, seconds))

    def until_share(
        self, percent: int, name: str = "support", seconds: float = PATIENCE_SECONDS
    ) -> None:
        """Wait until the canary has this share."""
        self.until(f"share {percent} of {name}", lambda: self.share(name) == percent, seconds)

    def until_verdict(
        self, revision: str, name: str = "support", seconds: float = PATIENCE_SECONDS
    ) -> Any:
        """Wait for the last verdict on a revision."""

        def verdict() -> Any:
            told = [v for v in self.rollout(name).get("verdicts", []) if v["revision"] == revision]
            return told[-1] if told else None

        return self.until(f"a verdict on {revision}", verdict, seconds)


def _is_rejected(status: dict[str, Any], revision: str) -> bool:
    """Whether the attempt that an AgentRollout is in was rejected."""
    attempt = status.get("attempt", 1)
    return any(
        verdict["revision"] == revision
        and verdict["result"] == "Rejected"
        and verdict.get("attempt", 1) >= attempt
        for verdict in status.get("verdicts", [])
    )
