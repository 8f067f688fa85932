"""What `up` puts into a fresh cluster: definitions, the operator's rights and identity, a key."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import time
from pathlib import Path

import yaml

from penstock.api import crd
from penstock_dev import kube, state
from penstock_dev.controlplane import cluster
from penstock_dev.supervisor import StartFailed

SYSTEM_NAMESPACE = "penstock-system"
_OPERATOR_ACCOUNT = "penstock-operator"
_GATEWAY_ACCOUNT = "penstock-gateway"
_AUDITOR_ACCOUNT = "penstock-auditor"
AUDIENCE = "penstock"  # what tokens for the gateway are meant for
_REVIEWS: list[kube.Document] = [
    {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
    {
        "apiGroups": ["authorization.k8s.io"],
        "resources": ["subjectaccessreviews"],
        "verbs": ["create"],
    },
]
_SEES_ALL: list[kube.Document] = [
    {"apiGroups": ["penstock.dev"], "resources": ["agents/tasks"], "verbs": ["list"]}
]
_TOKEN_LIFETIME_SECONDS = 365 * 24 * 3600
_DEADLINE_SECONDS = 30.0


async def apply_definitions(client: kube.KubeClient) -> None:
    """Apply the custom resource definitions and wait until the server serves them."""
    documents = definitions()
    for document in documents:
        await client.apply(document)
    for document in documents:
        await _wait_established(client, document["metadata"]["name"])


def definitions() -> list[kube.Document]:
    """The custom resource definitions as compiled from the API models."""
    return crd.documents()


async def _wait_established(client: kube.KubeClient, name: str) -> None:
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while True:
        conditions = (await client.get(path)).get("status", {}).get("conditions") or []
        if any(c["type"] == "Established" and c["status"] == "True" for c in conditions):
            return
        if time.monotonic() > deadline:
            raise StartFailed(f"definition {name} is not established: {conditions}")
        await asyncio.sleep(0.05)


async def wait_default_account(client: kube.KubeClient, namespace: str) -> None:
    """Until the namespace has its default service account, without which no pod is admitted."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while True:
        try:
            await client.get(path)
            return
        except kube.ApiError as error:
            if error.status != 404 or time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.05)


async def install_operator(
    client: kube.KubeClient, plane: cluster.ControlPlane, kubeconfig: Path
) -> None:
    """Give the operator its shipped rights and a kubeconfig of its own service account."""
    await client.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE}}
    )
    for document in operator_rights():
        await client.apply(document, SYSTEM_NAMESPACE)
    authority = (plane.pki / "ca.crt").read_bytes()
    token = {"token": await _token(client, _OPERATOR_ACCOUNT)}
    cluster.write_kubeconfig(kubeconfig, plane.server, authority, token)


async def install_gateway(client: kube.KubeClient, token_file: Path, auditor_file: Path) -> None:
    """Let the gateway ask whose a token of the cluster is and what he may; and one who sees the tasks of all tenants.

    Args:
        token_file: gets the gateway's own token.
        auditor_file: gets the token by which `penstock verify` reads outcome rows.
    """
    await client.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE}}
    )
    for name, rules in ((_GATEWAY_ACCOUNT, _REVIEWS), (_AUDITOR_ACCOUNT, _SEES_ALL)):
        for document in _account(name, rules):
            await client.apply(document, SYSTEM_NAMESPACE)
    state.write_text(token_file, await _token(client, _GATEWAY_ACCOUNT))
    state.write_text(auditor_file, await _token(client, _AUDITOR_ACCOUNT, AUDIENCE))


def _account(name: str, rules: list[kube.Document]) -> list[kube.Document]:
    """A service account of the system namespace that may do so much in all of them."""
    rights = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    version = "rbac.authorization.k8s.io/v1"
    holder = {"kind": "ServiceAccount", "name": name, "namespace": SYSTEM_NAMESPACE}
    metadata = {"name": name}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": version, "kind": "ClusterRole", "metadata": metadata, "rules": rules},
        {
            "apiVersion": version,
            "kind": "ClusterRoleBinding",
            "metadata": metadata,
            "roleRef": rights,
            "subjects": [holder],
        },
    ]


async def _token(client: kube.KubeClient, account: str, audience: str = "") -> str:
    """A token of a service account; without an audience it is one for the API server."""
    spec: kube.Document = {"expirationSeconds": _TOKEN_LIFETIME_SECONDS}
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": spec | ({"audiences": [audience]} if audience else {}),
    }
    accounts = f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/serviceaccounts"
    answer = await client.call("POST", f"{accounts}/{account}/token", request)
    return str(answer["status"]["token"])


def operator_rights() -> list[kube.Document]:
    """The operator's service account and roles as shipped. Raises StartFailed when missing."""
    package = importlib.util.find_spec("penstock_operator")
    if package is None or package.origin is None:
        raise StartFailed("the package penstock_operator is not installed")
    path = Path(package.origin).parent / "rbac.yaml"
    if not path.exists():
        raise StartFailed(f"{path} is missing: the operator's rights are not shipped")
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


async def store_model_key(client: kube.KubeClient, key: str) -> None:
    """Make the Secret `anthropic` (field api-key) in namespace default."""
    await client.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "anthropic"},
            "data": {"api-key": base64.b64encode(key.encode()).decode()},
        }
    )
