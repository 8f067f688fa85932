"""Operator and gateway as processes, each with no other rights than the chart gives its account."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from penstock_dev import processes
from penstock_dev.controlplane import cluster
from penstock_dev.state import StateDirectory
from tests.integration.chart.audited import Audited
from tests.integration.chart.charts import Document, Helm
from tests.integration.chart.rules import RuleKey, key_of, roles_of
from tests.integration.election.operators import Operator, Operators
from tests.integration.gateway.conftest import GatewayProcess, launch
from tests.integration.gateway.rights import rights

_ACCESS = ("ServiceAccount", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
_HASTY = str(Path(__file__).with_name("hasty.py"))
_KEY = "a key of the installation for tests, long enough"
_CALLER = "caller"
_TASKS = {
    "apiGroups": ["penstock.dev"],
    "resources": ["agents/tasks"],
    "verbs": ["create", "get", "delete"],
}


@dataclass(frozen=True)
class Installation:
    """One release: its accounts, and the processes that go by them.

    Args:
        namespace: the release's own.
        agents: the namespace that it is used in, and the only one that it watches if `narrow`.
    """

    audited: Audited
    helm: Helm
    directory: Path
    name: str
    namespace: str
    agents: str
    narrow: bool = False

    def account(self, role: str) -> str:
        """The user name of the operator's or the gateway's account."""
        return f"system:serviceaccount:{self.namespace}:{self.name}-{role}"

    def documents(self) -> list[Document]:
        """Its accounts and their rights, as the chart renders them."""
        watched = [self.agents] if self.narrow else []
        values = {"fullnameOverride": self.name, "watchNamespaces": watched}
        rendered = self.helm.render(values, namespace=self.namespace)
        return [one for one in rendered if one["kind"] in _ACCESS]

    def without(self, role: str, rule: RuleKey) -> list[Document]:
        """The same, but for one rule of one account."""
        documents, removed = self.documents(), 0
        for one in roles_of(documents, f"{self.name}-{role}"):
            kept = [other for other in one["rules"] if key_of(other) != rule]
            removed += len(one["rules"]) - len(kept)
            one["rules"] = kept
        assert removed == 1, f"{role} has {rule} {removed} times"
        return documents

    def caller(self) -> list[Document]:
        """An account that may use agents, for a person or a program outside."""
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": _CALLER}}
        found = [account, *rights(self.agents, _CALLER, [_TASKS])]
        for one in found:
            one["metadata"]["namespace"] = self.agents
        return found

    @contextlib.contextmanager
    def operator(self, *, hasty: bool = False) -> Iterator[Operator]:
        """An operator that stands for the Lease and gives each namespace a Redis user."""
        environment, directory = self.audited.environment, self.directory
        conf = directory / "operator.conf"
        account = f"{self.name}-operator"
        token = {"token": self._token(self.namespace, account)}
        cluster.write_kubeconfig(conf, self._server, self._authority.read_bytes(), token)
        operators = Operators(environment, self.agents if self.narrow else "", directory)
        one = operators.launch(
            "operator",
            timing=(15, 10, 2),
            program=(_HASTY,) if hasty else ("-m", "penstock_operator"),
            PENSTOCK_KUBECONFIG=str(conf),
            PENSTOCK_NAMESPACE=self.namespace,
            PENSTOCK_LEASE=account,
            PENSTOCK_REDIS_USERS="PerNamespace",
            PENSTOCK_REDIS_USER_KEY=_KEY,
        )
        try:
            yield one
        finally:
            one.kill()

    @contextlib.contextmanager
    def gateway(self) -> Iterator[GatewayProcess]:
        """A gateway that knows no other tokens than those of the cluster."""
        own = self.directory / "gateway-token"
        own.write_text(self._token(self.namespace, f"{self.name}-gateway"))
        environment = self.audited.environment
        one = launch(
            environment.redis_url,
            self.directory,
            PENSTOCK_TOKENS_FILE="",
            PENSTOCK_KUBERNETES_AUTH="true",
            PENSTOCK_KUBERNETES_URL=self._server,
            PENSTOCK_KUBERNETES_CA_FILE=str(self._authority),
            PENSTOCK_KUBERNETES_TOKEN_FILE=str(own),
            **{processes.OWNER_VARIABLE: StateDirectory.at(environment.state_dir).owner},
        )
        try:
            yield one
        finally:
            one.stop()

    def client(self, gateway: GatewayProcess) -> httpx.Client:
        """Calls of the caller's, with a token for the gateway."""
        token = self._token(self.agents, _CALLER, "--audience=penstock")
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=gateway.url, headers=headers, timeout=60, trust_env=False)

    @property
    def _server(self) -> str:
        first = "jsonpath={.clusters[0].cluster.server}"
        return self.audited.kubectl("config", "view", "-o", first)

    @property
    def _authority(self) -> Path:
        return self.audited.environment.state_dir / "pki" / "ca.crt"

    def _token(self, namespace: str, account: str, *more: str) -> str:
        return self.audited.kubectl("-n", namespace, "create", "token", account, *more).strip()
