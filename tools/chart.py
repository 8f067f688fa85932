"""What the charts get from the code: the definitions and the operator's rules."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from penstock_store import users

Document = Mapping[str, Any]

HEADER = "# Generated from {} by `make generate`. Do not edit.\n"
RULES = pathlib.Path("operator/penstock_operator/rbac.yaml")
_KEEP = "{{- if .Values.keep }}\n  annotations:\n    helm.sh/resource-policy: keep\n  {{- end }}\n"


def definition(text: str, name: str) -> dict[pathlib.Path, str]:
    """One definition in both charts: Helm's folder of definitions, and as a template."""
    kept = text.replace("metadata:\n", "metadata:\n  " + _KEEP, 1)
    return {
        pathlib.Path("charts/penstock/crds") / name: text,
        pathlib.Path("charts/penstock-crds/templates") / name: kept,
    }


def operator_rules(root: pathlib.Path) -> dict[str, list[Document]]:
    """The rules the operator ships: on what belongs to Agents, and in its own namespace."""
    documents = list(yaml.safe_load_all((root / RULES).read_text(encoding="utf-8")))

    def rules(kind: str) -> Iterator[Document]:
        for document in documents:
            if document and document["kind"] == kind:
                yield from document["rules"]

    return {"agents": list(rules("ClusterRole")), "release": list(rules("Role"))}


def rules_file(root: pathlib.Path) -> str:
    """charts/penstock/files/operator-rules.yaml."""
    return HEADER.format(RULES) + yaml.safe_dump(operator_rules(root), sort_keys=False)


def redis_users_file() -> str:
    """charts/penstock/files/redis-users.yaml: the rules of the installation's two Redis users."""
    rules = {
        "penstock-operator": " ".join(users.operator_rules()),
        "penstock-gateway": " ".join(users.gateway_rules()),
    }
    body = yaml.safe_dump(rules, sort_keys=False, width=100)
    return HEADER.format("store/penstock_store/users.py") + body
