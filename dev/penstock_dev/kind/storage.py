"""Volumes of a cluster without a storage provisioner: folders of its one node, made in advance.

The in-tree host-path class that kind falls back to makes folders that only root can write to, and
Kubernetes changes no ownership of host paths (`fsGroup` is not applied to them).
"""

from __future__ import annotations

from typing import Any

STORAGE_CLASS = "standard"
FOLDER_MODE = "0777"
_COUNT = 24
_CAPACITY = "10Gi"
_FOLDER = "/var/lib/penstock-volumes"


def manifests() -> list[dict[str, Any]]:
    """The default StorageClass, then its volumes; a volume is used once."""
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "Immediate",
    }
    return [storage_class, *(_volume(f"local-{number:02}") for number in range(1, _COUNT + 1))]


def _volume(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "storageClassName": STORAGE_CLASS,
            "capacity": {"storage": _CAPACITY},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": f"{_FOLDER}/{name}", "type": "Directory"},
        },
    }
