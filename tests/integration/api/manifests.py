"""The smallest legal objects, and changes to them."""

from __future__ import annotations

import copy
from typing import Any

Document = dict[str, Any]

MINIMAL: dict[str, Document] = {
    "Agent": {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "Agent",
        "metadata": {"name": "support"},
        "spec": {
            "template": {
                "instructions": "Answer Acme's customers.",
                "model": {"name": "claude-sonnet-5-5"},
            }
        },
    },
    "AgentRollout": {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "AgentRollout",
        "metadata": {"name": "support"},
        "spec": {"agentRef": {"name": "nobody"}},
    },
}


def merged(document: Any, change: Any) -> Any:
    """The document after a JSON merge patch (RFC 7386), which `null` takes fields out of."""
    if not isinstance(change, dict):
        return change
    result = copy.deepcopy(document) if isinstance(document, dict) else {}
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def manifest(kind: str, spec: Document | None = None, name: str = "support") -> Document:
    """The smallest object of that kind, with changes merged into its spec."""
    return merged(MINIMAL[kind], {"metadata": {"name": name}, "spec": spec or {}})
