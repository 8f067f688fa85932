"""The kinds of object the operator reads and writes, and how to address one."""

from dataclasses import dataclass
from typing import Any, Final

from penstock import names


@dataclass(frozen=True)
class Kind:
    """A kind of object: its group version, plural and whether the operator's label filters it."""

    kind: str
    api_version: str
    plural: str
    labelled: bool = True

    @property
    def group(self) -> str:
        """API group; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        """API version without its group."""
        return self.api_version.rpartition("/")[2]

    def path(self, namespace: str | None, name: str | None = None, sub: str | None = None) -> str:
        """Path of a collection (name None) or of one object on the API server."""
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"
        parts = [root]
        if namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, sub) if part]
        return "/".join(parts)


AGENT: Final = Kind("Agent", names.API_VERSION, "agents", labelled=False)
ROLLOUT: Final = Kind("AgentRollout", names.API_VERSION, "agentrollouts", labelled=False)
RECORD: Final = Kind("ControllerRevision", "apps/v1", "controllerrevisions")
CONFIGMAP: Final = Kind("ConfigMap", "v1", "configmaps")
SECRET: Final = Kind("Secret", "v1", "secrets")
DEPLOYMENT: Final = Kind("Deployment", "apps/v1", "deployments")
POD: Final = Kind("Pod", "v1", "pods")
EVENT: Final = Kind("Event", "events.k8s.io/v1", "events")
LEASE: Final = Kind("Lease", "coordination.k8s.io/v1", "leases")

WATCHED: Final = (AGENT, ROLLOUT, RECORD, CONFIGMAP, DEPLOYMENT)
SELECTOR: Final = f"{names.LABEL_MANAGED}={names.MANAGER}"

Object = dict[str, Any]


def spec_of(obj: Object) -> dict[str, Any]:
    """The spec as it was written; empty where there is none that has fields."""
    spec = obj.get("spec")
    return spec if isinstance(spec, dict) else {}


def name_of(obj: Object) -> str:
    """metadata.name."""
    return str(obj["metadata"]["name"])


def namespace_of(obj: Object) -> str:
    """metadata.namespace."""
    return str(obj["metadata"].get("namespace", ""))


def uid_of(obj: Object) -> str:
    """metadata.uid."""
    return str(obj["metadata"].get("uid", ""))


def version_of(obj: Object) -> int:
    """resourceVersion as a number; versions of one kind may be compared."""
    return int(obj["metadata"].get("resourceVersion") or 0)


def labels_of(obj: Object) -> dict[str, str]:
    """metadata.labels, empty when there are none."""
    return obj["metadata"].get("labels") or {}


def annotations_of(obj: Object) -> dict[str, str]:
    """metadata.annotations, empty when there are none."""
    return obj["metadata"].get("annotations") or {}


def controller_uid(obj: Object) -> str:
    """uid of the owner that controls it; empty when none does."""
    owners = obj["metadata"].get("ownerReferences") or []
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), "")
