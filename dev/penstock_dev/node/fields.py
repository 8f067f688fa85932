"""The downward API: what a pod may ask about itself."""

from __future__ import annotations

import re
from typing import Any

_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


class UnknownField(Exception):
    """A field path that the downward API does not have."""


def read(pod: dict[str, Any], path: str) -> str:
    """The value of a field path such as metadata.name or status.podIP; empty when not set.

    Raises UnknownField.
    """
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status", {})
    if match := _SUBSCRIPT.fullmatch(path):
        return str((metadata.get(match.group(1)) or {}).get(match.group(2), ""))
    known = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.podIP": status.get("podIP", ""),
        "status.podIPs": status.get("podIP", ""),
        "status.hostIP": "127.0.0.1",
        "status.hostIPs": "127.0.0.1",
    }
    if path not in known:
        raise UnknownField(f"field path {path} is not known to a process node")
    return str(known[path])
