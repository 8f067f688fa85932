"""Who is measured: Penstock's operator, the Argo Rollouts controller, and the Deployments that Kubernetes has built in."""

from __future__ import annotations

import abc
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import httpx
import yaml

from penstock_bench import job, programs
from penstock_bench.operators.plane import NAMESPACE, Plane
from penstock_dev import installation, kube
from penstock_dev.controlplane import cluster

Document = kube.Document

_GROUP: Final = f"/apis/penstock.dev/v1alpha1/namespaces/{NAMESPACE}"
_ARGO: Final = f"/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}"
_DEPLOYMENTS: Final = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
_HOUR_STEPS: Final = (
    (5, 36000),
    (50, 36000),
)  # a rollout that is in flight for as long as one measures
_DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@dataclass
class Contender(abc.ABC):
    """An operator on a plane. `process` is whose CPU counts, `users` whose writes do."""

    plane: Plane
    process: ClassVar[str] = "operator"
    users: ClassVar[frozenset[str]]
    collections: ClassVar[tuple[str, ...]]
    passes_metric: ClassVar[str] = ""

    @abc.abstractmethod
    async def prepare(self) -> None:
        """Install what it needs."""

    @abc.abstractmethod
    async def start(self) -> None:
        """Start it and wait until it is ready."""

    @abc.abstractmethod
    def documents(self, name: str) -> Iterable[Document]:
        """The objects of one agent, one for each collection."""

    @abc.abstractmethod
    def settled(self, seen: Document) -> bool:
        """Whether an object is where it was to be."""

    @abc.abstractmethod
    def change(self) -> Document:
        """A merge patch of an object of the first collection that begins a rollout."""

    @abc.abstractmethod
    def in_flight(self, seen: Document) -> bool:
        """Whether an object of the last collection is in the middle of a rollout."""

    async def passes(self) -> float:
        """How often it has looked at an object since it was started; 0 before it says."""
        try:
            async with httpx.AsyncClient(trust_env=False) as http:
                said = await http.get(f"http://127.0.0.1:{self.port}/metrics")
        except httpx.TransportError:
            return 0.0
        return summed(said.text, self.passes_metric)

    @property
    def port(self) -> int:
        """Where its metrics are."""
        raise NotImplementedError


def summed(metrics: str, name: str) -> float:
    """A metric over all of its labels."""
    lines = (line for line in metrics.splitlines() if line.startswith((f"{name}{{", f"{name} ")))
    return sum(float(line.rpartition(" ")[2]) for line in lines)


class Penstock(Contender):
    """An Agent and its AgentRollout each; default settings, rights and account as shipped."""

    users = frozenset({"system:serviceaccount:penstock-system:penstock-operator"})
    collections = (f"{_GROUP}/agents", f"{_GROUP}/agentrollouts")
    passes_metric = "penstock_operator_reconciles_total"
    redis_url = ""
    _port = 0

    async def prepare(self) -> None:
        """Definitions, rights and an account of the operator's own; a Redis."""
        self.kubeconfig = self.plane.crew.folder / "operator.conf"
        await installation.apply_definitions(self.plane.client)
        await installation.install_operator(self.plane.client, self.plane.plane, self.kubeconfig)
        self.redis_url = await self.plane.crew.redis("redis")

    async def start(self) -> None:
        """With one operator there is no election."""
        self._port = self.plane.crew.port()
        told = {
            "PENSTOCK_KUBECONFIG": str(self.kubeconfig),
            "PENSTOCK_REDIS_URL": self.redis_url,
            "PENSTOCK_MODEL_URL": job.NOWHERE,
            "PENSTOCK_LISTEN": f"127.0.0.1:{self._port}",
        }
        self.plane.crew.start("operator", [sys.executable, "-m", "penstock_operator"], told)
        await self.plane.crew.listening("operator", self._port)

    def documents(self, name: str) -> Iterable[Document]:
        """One worker, and steps that hold for ten hours; the canary is compared with stable."""
        template = {"instructions": "Help.", "model": {"name": job.MODEL}}
        steps = [{"percent": percent, "holdSeconds": seconds} for percent, seconds in _HOUR_STEPS]
        version = "penstock.dev/v1alpha1"
        scaling = {"minReplicas": 1, "maxReplicas": 1}
        yield _named(version, "Agent", name, {"template": template, "scaling": scaling})
        rollout = {
            "agentRef": {"name": name},
            "strategy": {"steps": steps},
            "analysis": {"comparison": {}},
        }
        yield _named(version, "AgentRollout", name, rollout)

    def settled(self, seen: Document) -> bool:
        """Ready, and of the present generation."""
        return _observed(seen) and _is_true(seen, "Ready")

    def change(self) -> Document:
        """Other instructions."""
        return {"spec": {"template": {"instructions": "Help anew."}}}

    def in_flight(self, seen: Document) -> bool:
        """The canary has a share."""
        return share_of(seen) > 0

    @property
    def port(self) -> int:
        """Where its metrics are."""
        return self._port


class Argo(Contender):
    """A Rollout each, with canary steps that pause; its limit of requests raised, no election."""

    users = frozenset({"system:serviceaccount:argo-rollouts:argo-rollouts"})
    collections = (f"{_ARGO}/rollouts",)
    passes_metric = "rollout_reconcile_count"
    program = Path()
    _port = 0

    async def prepare(self) -> None:
        """Its definitions and an account of its own."""
        argo = await programs.argo()
        self.program = argo.program
        client = self.plane.client
        for file in sorted(argo.definitions.glob("*-crd.yaml")):
            await client.call("POST", _DEFINITIONS, yaml.safe_load(file.read_text()))
        for document in _ARGO_ACCOUNT:
            await client.apply(document, "argo-rollouts")
        accounts = "/api/v1/namespaces/argo-rollouts/serviceaccounts/argo-rollouts/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token = (await client.call("POST", accounts, request))["status"]["token"]
        plane, self.kubeconfig = self.plane.plane, self.plane.crew.folder / "argo.conf"
        authority = (plane.pki / "ca.crt").read_bytes()
        cluster.write_kubeconfig(self.kubeconfig, plane.server, authority, {"token": token})

    async def start(self) -> None:
        """With its default of 40 requests a second it would mostly wait."""
        crew = self.plane.crew
        self._port = crew.port()
        where = ("--kubeconfig", str(self.kubeconfig), "--metricsPort", str(self._port))
        limits = ("--qps", "1000", "--burst", "2000", "--leader-elect=false")
        command = [str(self.program), *where, "--healthzPort", str(crew.port()), *limits]
        crew.start("operator", command, {"ARGO_ROLLOUTS_NAMESPACE": "argo-rollouts"})
        await crew.listening("operator", self._port)

    def documents(self, name: str) -> Iterable[Document]:
        """One pod, and the same steps."""
        steps: list[Document] = []
        for percent, seconds in _HOUR_STEPS:
            steps += [{"setWeight": percent}, {"pause": {"duration": f"{seconds}s"}}]
        spec = _pods(name) | {"strategy": {"canary": {"steps": steps}}}
        yield _named("argoproj.io/v1alpha1", "Rollout", name, spec)

    def settled(self, seen: Document) -> bool:
        """Healthy, and of the present generation."""
        return _observed(seen) and seen["status"].get("phase") == "Healthy"

    def change(self) -> Document:
        """Another variable."""
        return _pod_change()

    def in_flight(self, seen: Document) -> bool:
        """It waits at a step."""
        return bool(seen.get("status", {}).get("phase") == "Paused")

    @property
    def port(self) -> int:
        """Where its metrics are."""
        return self._port


class Deployments(Contender):
    """A Deployment each: what no operator can undercut. Its process is the controller manager."""

    process = "kube-controller-manager"
    users = frozenset({"system:serviceaccount:kube-system:deployment-controller"})
    collections = (_DEPLOYMENTS,)

    async def prepare(self) -> None:
        """It is there."""

    async def start(self) -> None:
        """It runs."""

    def documents(self, name: str) -> Iterable[Document]:
        """One pod."""
        yield _named("apps/v1", "Deployment", name, _pods(name))

    def settled(self, seen: Document) -> bool:
        """Available, and of the present generation."""
        return _observed(seen) and _is_true(seen, "Available")

    def change(self) -> Document:
        """Another variable."""
        return _pod_change()

    def in_flight(self, seen: Document) -> bool:  # noqa: ARG002 - it has no steps
        """Never: it has no steps."""
        return False


def share_of(seen: Document) -> int:
    """The percentage that an AgentRollout's canary has."""
    return int((seen.get("status", {}).get("share") or {}).get("percent") or 0)


def is_set(seen: Document) -> bool:
    """Whether that is what a person has said, and not a step."""
    return (seen.get("status", {}).get("share") or {}).get("source") == "Setpoint"


def _named(version: str, kind: str, name: str, spec: Document) -> Document:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _pods(name: str) -> Document:
    labels = {"app": name}
    container = {"name": "main", "image": "main", "env": [{"name": "VERSION", "value": "1"}]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}


def _pod_change() -> Document:
    container = {"name": "main", "image": "main", "env": [{"name": "VERSION", "value": "2"}]}
    return {"spec": {"template": {"spec": {"containers": [container]}}}}


def _observed(seen: Document) -> bool:
    """Whether its status is of the present generation; Argo writes the number as text."""
    observed = seen.get("status", {}).get("observedGeneration")
    return str(observed) == str(seen["metadata"]["generation"])


def _is_true(seen: Document, condition: str) -> bool:
    found = seen.get("status", {}).get("conditions") or []
    return any(each["type"] == condition and each["status"] == "True" for each in found)


_ARGO_ACCOUNT: Final[tuple[Document, ...]] = (
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "argo-rollouts"}},
    {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "argo-rollouts"}},
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "argo-rollouts"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        },
        "subjects": [
            {"kind": "ServiceAccount", "name": "argo-rollouts", "namespace": "argo-rollouts"}
        ],
    },
)
