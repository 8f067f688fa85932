"""Pure builders of the objects that the operator owns: record, ConfigMap, Deployment."""

from dataclasses import dataclass, field
from typing import Any, Final

from penstock import names, revision
from penstock.api.agent import AgentSpec, SecretKeyRef
from penstock.api.tool import Tool
from penstock.api.worker import Worker
from penstock.revision import Revision
from penstock_operator.cluster.kinds import (
    CONFIGMAP,
    DEPLOYMENT,
    RECORD,
    Kind,
    Object,
    name_of,
    namespace_of,
    uid_of,
)
from penstock_operator.settings import RuntimeUpgrade, Settings
from penstock_operator.tenancy.credentials import CA_KEY, SECRET_NAME, URL_KEY, Credentials
from penstock_store.scripts import Retention
from penstock_store.wiring import Durability

_MOUNT: Final = "/etc/penstock"
_PORT: Final = 8080
_GRACE_SECONDS: Final = 40
#: What the pods were declared to be: without it, a field that is taken away is no difference.
_ANNOTATION_PODS: Final = f"{names.GROUP}/pods"
#: Changes with the Redis user's password, so that workers are rolled when the key is changed.
_ANNOTATION_REDIS: Final = f"{names.GROUP}/redis-user"


@dataclass(frozen=True)
class Installation:
    """What every worker of this installation is told.

    With ``credentials`` each namespace has its own way to Redis, and ``redis_url`` is not used.
    """

    redis_url: str
    model_url: str
    runtime_image: str
    name: str
    upgrade: RuntimeUpgrade = RuntimeUpgrade.ROLLING
    credentials: Credentials | None = None
    retention: Retention = field(default_factory=Retention)
    durability: Durability = field(default_factory=Durability)
    own_prices: bool = False  # whether it has a price table of its own, which is live

    @classmethod
    def of(cls, settings: Settings, credentials: Credentials | None = None) -> "Installation":
        """The part of the operator's settings that concerns workers."""
        return cls(
            credentials.url if credentials else settings.workers_redis_url,
            settings.model_url,
            settings.runtime_image,
            settings.installation,
            settings.runtime_upgrade,
            credentials,
            settings.retention,
            settings.durability,
            bool(settings.prices_file),
        )

    def image_of(self, cut: Revision) -> str:
        """The image of a revision's workers: its own, else the installation's now or then."""
        own = cut.template.worker.image
        if own or self.upgrade is RuntimeUpgrade.ON_NEXT_REVISION:
            return own or cut.image
        return self.runtime_image


def owner_reference(agent: Object) -> dict[str, Any]:
    """The Agent as the controlling owner of a child."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Agent",
        "name": name_of(agent),
        "uid": uid_of(agent),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def labels(agent: str, revision_hash: str) -> dict[str, str]:
    """Labels of everything that belongs to one revision."""
    return {
        names.LABEL_MANAGED: names.MANAGER,
        names.LABEL_AGENT: agent,
        names.LABEL_REVISION: revision_hash,
    }


def selector(agent: str, revision_hash: str = "") -> str:
    """Label selector of the worker pods of an agent; with a hash, of one revision."""
    every = f"{names.LABEL_MANAGED}={names.MANAGER},{names.LABEL_AGENT}={agent}"
    return f"{every},{names.LABEL_REVISION}={revision_hash}" if revision_hash else every


def _child(kind: Kind, agent: Object, cut: Revision) -> Object:
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {
            "name": cut.name,
            "namespace": namespace_of(agent),
            "labels": labels(name_of(agent), cut.hash),
            "ownerReferences": [owner_reference(agent)],
        },
    }


def record(agent: Object, cut: Revision, sequence: int) -> Object:
    """The revision's record; ``sequence`` is its place in the Agent's history."""
    return {**_child(RECORD, agent, cut), "data": cut.document(), "revision": sequence}


def verdict(agent: Object, record_name: str, annotations: dict[str, str]) -> Object:
    """The record's annotations of the verdict manager, and nothing else."""
    return {
        "apiVersion": RECORD.api_version,
        "kind": RECORD.kind,
        "metadata": {
            "name": record_name,
            "namespace": namespace_of(agent),
            "annotations": annotations,
        },
    }


def configmap(agent: Object, cut: Revision) -> Object:
    """The projection of the record that workers mount."""
    return {
        **_child(CONFIGMAP, agent, cut),
        "immutable": True,
        "data": {names.REVISION_FILE: cut.text},
    }


def prices(agent: Object, text: str) -> Object:
    """The installation's price table, live, for all workers of an agent."""
    name = names.prices_name(name_of(agent))
    labelled = {names.LABEL_MANAGED: names.MANAGER, names.LABEL_AGENT: name_of(agent)}
    return {
        "apiVersion": CONFIGMAP.api_version,
        "kind": CONFIGMAP.kind,
        "metadata": {
            "name": name,
            "namespace": namespace_of(agent),
            "labels": labelled,
            "ownerReferences": [owner_reference(agent)],
        },
        "data": {names.PRICES_FILE: text},
    }


def deployment(
    agent: Object, spec: AgentSpec, cut: Revision, replicas: int, installation: Installation
) -> Object:
    """The workers of one revision."""
    mine = labels(name_of(agent), cut.hash)
    about_pods = {"labels": mine, **_pod_annotations(agent, installation)}
    pod = _pod(agent, spec.worker, cut, installation)
    made = _child(DEPLOYMENT, agent, cut)
    made["metadata"]["annotations"] = {_ANNOTATION_PODS: revision.digest(pod)}
    return {
        **made,
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 0,
            "selector": {"matchLabels": mine},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"},
            },
            "template": {
                "metadata": about_pods,
                "spec": pod,
            },
        },
    }


def _pod_annotations(agent: Object, installation: Installation) -> dict[str, Any]:
    if installation.credentials is None:
        return {}
    digest = installation.credentials.digest(namespace_of(agent))
    return {"annotations": {_ANNOTATION_REDIS: digest}}


def _pod(
    agent: Object, worker: Worker, cut: Revision, installation: Installation
) -> dict[str, Any]:
    volumes, mounts = _volumes(agent, cut, installation)
    pod: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(agent, worker, cut, installation, mounts)],
        "volumes": volumes,
    }
    optional = {
        "nodeSelector": worker.node_selector,
        "tolerations": [item.wire() for item in worker.tolerations],
        "imagePullSecrets": [item.wire() for item in worker.image_pull_secrets],
        "serviceAccountName": worker.service_account_name,
    }
    return pod | {key: value for key, value in optional.items() if value}


def _container(
    agent: Object,
    worker: Worker,
    cut: Revision,
    installation: Installation,
    mounts: list[dict[str, Any]],
) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": "worker",
        "image": installation.image_of(cut),
        "command": ["python", "-m", "penstock_runtime.worker"],
        "env": _env(agent, worker, cut, installation),
        "ports": [{"name": "http", "containerPort": _PORT, "protocol": "TCP"}],
        # A crowded machine may take a minute to start Python; that is no reason to kill it.
        "startupProbe": _probe("/healthz", period_seconds=2, failures=60),
        "readinessProbe": _probe("/readyz", period_seconds=2),
        "livenessProbe": _probe("/healthz", period_seconds=10),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
    }
    resources = worker.resources.wire()
    return container | ({"resources": resources} if resources else {})


def _probe(path: str, period_seconds: int, failures: int = 3) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": _PORT, "scheme": "HTTP"},
        "periodSeconds": period_seconds,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
        "successThreshold": 1,
    }


def _env(
    agent: Object, worker: Worker, cut: Revision, installation: Installation
) -> list[dict[str, Any]]:
    told = {
        "PENSTOCK_INSTALLATION": installation.name,
        "PENSTOCK_NAMESPACE": namespace_of(agent),
        "PENSTOCK_AGENT": name_of(agent),
        "PENSTOCK_REVISION": cut.name,
        "PENSTOCK_REVISION_FILE": f"{_MOUNT}/revision/{names.REVISION_FILE}",
        "PENSTOCK_REVISION_DIGEST": cut.digest,
        "PENSTOCK_MODEL_URL": installation.model_url,
        "PENSTOCK_CONCURRENCY": str(worker.concurrency),
        "PENSTOCK_TOOL_HEADERS_DIR": f"{_MOUNT}/tools",
    }
    told |= _keeping_env(installation)
    if installation.own_prices:
        told["PENSTOCK_PRICES_FILE"] = f"{_MOUNT}/prices/{names.PRICES_FILE}"
    credentials = cut.template.model.credentials_secret_ref
    if credentials:
        told["PENSTOCK_CREDENTIALS_FILE"] = f"{_MOUNT}/credentials/{credentials.key}"
    if _fallbacks_with_key(cut):
        told["PENSTOCK_FALLBACKS_DIR"] = f"{_MOUNT}/fallbacks"
    redis = _redis_env(installation)
    taken = told.keys() | {"POD_IP", "PENSTOCK_LISTEN"} | {item["name"] for item in redis}
    own = {item.name: item.value for item in cut.template.worker.env if item.name not in taken}
    fixed: list[dict[str, Any]] = [
        {"name": name, "value": value} for name, value in {**told, **own}.items()
    ]
    pod_ip = {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}
    return [
        {"name": "POD_IP", "valueFrom": pod_ip},
        *redis,
        *fixed,
        {"name": "PENSTOCK_LISTEN", "value": f"$(POD_IP):{_PORT}"},
    ]


def _keeping_env(installation: Installation) -> dict[str, str]:
    """What differs from what a worker does by itself: an upgrade alone changes no pod."""
    kept, usual = installation.retention, Retention()
    told = {}
    if kept.ended_task_seconds != usual.ended_task_seconds:
        told["PENSTOCK_ENDED_TASK_SECONDS"] = str(kept.ended_task_seconds)
    if kept.idempotency_seconds != usual.idempotency_seconds:
        told["PENSTOCK_IDEMPOTENCY_SECONDS"] = str(kept.idempotency_seconds)
    if kept.effect_seconds != usual.effect_seconds:
        told["PENSTOCK_EFFECTS_SECONDS"] = str(kept.effect_seconds)
    if kept.evidence_seconds != usual.evidence_seconds:
        told["PENSTOCK_EVIDENCE_SECONDS"] = str(kept.evidence_seconds)
    if kept.evidence_rows != usual.evidence_rows:
        told["PENSTOCK_EVIDENCE_ROWS"] = str(kept.evidence_rows)
    if installation.durability.replicas:
        told["PENSTOCK_REDIS_REPLICAS"] = str(installation.durability.replicas)
        told["PENSTOCK_REDIS_REPLICA_TIMEOUT_MS"] = str(installation.durability.timeout_ms)
    return told


def _redis_env(installation: Installation) -> list[dict[str, Any]]:
    if installation.credentials is None:
        return [{"name": "PENSTOCK_REDIS_URL", "value": installation.redis_url}]
    secret = {"secretKeyRef": {"name": SECRET_NAME, "key": URL_KEY}}
    told: list[dict[str, Any]] = [{"name": "PENSTOCK_REDIS_URL", "valueFrom": secret}]
    if installation.credentials.authority:
        told.append({"name": "PENSTOCK_REDIS_CA_FILE", "value": f"{_MOUNT}/redis/{CA_KEY}"})
    return told


def _volumes(
    agent: Object, cut: Revision, installation: Installation
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    volumes: list[dict[str, Any]] = [{"name": "revision", "configMap": {"name": cut.name}}]
    mounts = [_mount("revision", "revision")]
    if installation.credentials and installation.credentials.authority:
        items = [{"key": CA_KEY, "path": CA_KEY}]
        secret = {"secretName": SECRET_NAME, "items": items}
        volumes.append({"name": "redis", "secret": secret})
        mounts.append(_mount("redis", "redis"))
    if installation.own_prices:
        name = names.prices_name(name_of(agent))
        volumes.append({"name": "prices", "configMap": {"name": name, "optional": True}})
        mounts.append(_mount("prices", "prices"))
    credentials = cut.template.model.credentials_secret_ref
    if credentials:
        volumes.append(_secret_volume("credentials", credentials.name))
        mounts.append(_mount("credentials", "credentials"))
    for number, key in _fallbacks_with_key(cut):
        volumes.append(_secret_volume(f"fallback-{number}", key.name))
        mounts.append(_mount(f"fallback-{number}", f"fallbacks/{number}"))
    for index, tool in enumerate(_tools_with_headers(cut)):
        ref = tool.headers_secret
        if ref:
            volumes.append(_secret_volume(f"tool-{index}", ref.name))
            mounts.append(_mount(f"tool-{index}", f"tools/{tool.name}"))
    return volumes, mounts


def _secret_volume(name: str, secret: str) -> dict[str, Any]:
    """Optional, so that a worker starts without it and says, on the Agent, what to type."""
    return {"name": name, "secret": {"secretName": secret, "optional": True}}


def _fallbacks_with_key(cut: Revision) -> list[tuple[int, SecretKeyRef]]:
    """Those with a key of their own, by their place: the others send the model's, or none."""
    keys = [entry.credentials_secret_ref for entry in cut.template.model.fallbacks]
    return [(number, ref) for number, ref in enumerate(keys) if ref]


def _tools_with_headers(cut: Revision) -> list[Tool]:
    return [tool for tool in cut.template.tools if tool.headers_secret]


def _mount(volume: str, path: str) -> dict[str, Any]:
    return {"name": volume, "mountPath": f"{_MOUNT}/{path}", "readOnly": True}
