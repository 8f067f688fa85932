"""The product on kind: the release, its pods, and a namespace of a tenant in it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from penstock_dev import traffic as generator
from tests.integration.acceptance import traffic
from tests.integration.acceptance.background import Background
from tests.integration.cluster import Cluster
from tests.integration.rollouts import Rollouts

ROOT = Path(__file__).resolve().parents[2]
CONTEXT = "kind-penstock"
SYSTEM_NAMESPACE = "penstock-system"
RELEASE = "penstock"
GATEWAY_URL = "http://127.0.0.1:8080"  # the NodePort that kind-config.yaml maps
PRODUCT_PODS = "app.kubernetes.io/part-of=penstock"
WORKER_PODS = "app.kubernetes.io/managed-by=penstock"
_COMMAND_SECONDS = 300


@dataclass(frozen=True)
class Site:
    """The kind cluster as its administrator uses it; ``programs`` is where its commands are."""

    programs: Path
    kubeconfig: str

    def run(
        self,
        *command: str,
        stdin: str | None = None,
        check: bool = True,
        seconds: float = _COMMAND_SECONDS,
    ) -> str:
        """A command as a person types it, from the repository's folder; returns what it prints."""
        path = f"{self.programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        chosen = {"KUBECONFIG": self.kubeconfig} if self.kubeconfig else {}
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **chosen, "PATH": path},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}{done.stdout}"
            return done.stdout
        return done.stdout + done.stderr

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """Kubectl as administrator of the cluster."""
        return self.run("kubectl", "--context", CONTEXT, *arguments, stdin=stdin, check=check)

    def helm(self, *arguments: str) -> str:
        """Helm on the cluster and the release's namespace."""
        return self.run("helm", "--kube-context", CONTEXT, "-n", SYSTEM_NAMESPACE, *arguments)

    def within(self, namespace: str) -> Cluster:
        """Kubectl in a namespace, with waiting."""

        def run(*arguments: str, stdin: str | None = None, check: bool = True) -> str:
            return self.kubectl("-n", namespace, *arguments, stdin=stdin, check=check)

        return Cluster(run)

    @property
    def system(self) -> Cluster:
        """The namespace of the release."""
        return self.within(SYSTEM_NAMESPACE)

    def pods(self, component: str) -> list[dict[str, Any]]:
        """The release's pods of a component that are not on their way out."""
        selector = f"{PRODUCT_PODS},app.kubernetes.io/component={component}"
        shown = json.loads(self.system.kubectl("get", "pods", "-l", selector, "-o", "json"))
        return [pod for pod in shown["items"] if not pod["metadata"].get("deletionTimestamp")]

    def leader(self) -> str:
        """The name of the operator pod that leads, "" while nobody does."""
        lease = self.system.get("lease", "penstock-operator") or {}
        holder = str(lease.get("spec", {}).get("holderIdentity") or "")
        found = [name for pod in self.pods("operator") if holder.startswith(name := name_of(pod))]
        return found[0] if found else ""


def name_of(obj: dict[str, Any]) -> str:
    """An object's name."""
    return str(obj["metadata"]["name"])


def is_ready(pod: dict[str, Any]) -> bool:
    """Whether a pod serves."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


@dataclass(frozen=True)
class Tenant(Rollouts):
    """A namespace with agents, and the token of an application that asks them."""

    site: Site
    namespace: str
    token: str
    background: Background

    def target(self, name: str = "support") -> generator.Target:
        """The agent behind the gateway's NodePort."""
        return generator.Target(GATEWAY_URL, self.token, name, self.namespace)

    @contextlib.contextmanager
    def live_traffic(
        self,
        per_second: float,
        name: str = "support",
        users: Callable[[int], str] = "user-{}".format,
    ) -> Iterator[traffic.Load]:
        """Live traffic for the length of a `with` block; what it did is printed."""
        with traffic.flowing(self.background, self.target(name), per_second, users) as load:
            yield load
        print(f"traffic: {load.sent} sent, {len(load.accepted)} taken, refused {load.refused}")

    def crowd(self, users: list[str], name: str = "support") -> list[traffic.Accepted]:
        """One accepted task from each of these users."""
        load = traffic.Load()
        accepted = self.background.run(traffic.crowd(self.target(name), users, load), 240)
        assert len(accepted) == len(users), load.refused
        return accepted

    def ask(self, name: str, user: str) -> httpx.Response:
        """One task, answered when it has ended."""
        body = {"input": "Where is my order?", "user": user, "wait": 60}
        return self.request("POST", self.target(name).path, json=body)

    def until_all_ended(self, load: traffic.Load, seconds: float = 120.0) -> dict[str, int]:
        """Wait until every accepted task has ended; how many ended with which status."""
        open_tasks = set(load.tasks)
        counts: dict[str, int] = {}

        def ended() -> bool:
            for task in sorted(open_tasks):
                status = self.request("GET", f"/v1/tasks/{task}").json()["status"]
                if status not in ("Queued", "Running", "Halted", "WaitingForApproval"):
                    open_tasks.discard(task)
                    counts[status] = counts.get(status, 0) + 1
            return not open_tasks

        self.until("all accepted tasks end", ended, seconds)
        return counts

    def approver(self, name: str) -> str:
        """The token of somebody who may decide on what waits in this namespace."""
        create = ("create", "rolebinding", name, "--clusterrole", "penstock-approver")
        self.cluster.kubectl("create", "serviceaccount", name)
        self.cluster.kubectl(*create, "--serviceaccount", f"{self.namespace}:{name}")
        asking = ("create", "token", name, "--audience", "penstock", "--duration", "1h")
        return self.cluster.kubectl(*asking).strip()

    def request(self, method: str, path: str, token: str = "", **body: Any) -> httpx.Response:
        """One request to the gateway, with the application's token unless another is given."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        url = f"{GATEWAY_URL}{path}"
        return httpx.request(method, url, headers=headers, timeout=90, trust_env=False, **body)
