"""What the charts get from the code, and the reference pages on them: values and permissions."""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

import reference
from penstock_store import users

Document = Mapping[str, Any]

HEADER = "# Generated from {} by `make generate`. Do not edit.\n"
CHART = pathlib.Path("charts/penstock")
RULES = pathlib.Path("operator/penstock_operator/rbac.yaml")
ACCESS = CHART / "files/access-rules.yaml"
_KEEP = "{{- if .Values.keep }}\n  annotations:\n    helm.sh/resource-policy: keep\n  {{- end }}\n"
_RESOURCES = re.compile(r"^\s+resources: .*?#\s*(.+)$|^\s+resources: .*$", re.MULTILINE)
_KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z]\w*):(?P<value>.*)$")


def files(root: pathlib.Path, definitions: Mapping[str, str]) -> dict[pathlib.Path, str]:
    """Every generated file of the charts and about them; definitions: text by file name."""
    pages = pathlib.Path("docs/reference")
    made = {
        CHART / "files/operator-rules.yaml": rules_file(root),
        CHART / "files/redis-users.yaml": redis_users_file(),
        pages / "chart.md": values_page(root),
        pages / "permissions.md": permissions_page(root),
    }
    for name, text in definitions.items():
        made[CHART / "crds" / name] = text
        kept = text.replace("metadata:\n", "metadata:\n  " + _KEEP, 1)
        made[pathlib.Path("charts/penstock-crds/templates") / name] = kept
    return made


# -------------------------------------------------------------------------------------- rules


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


# -------------------------------------------------------------------------------- permissions

_ROLES = {
    "Gateway": (
        "gateway",
        "ServiceAccount `penstock-gateway`, by a ClusterRole, with `gateway.auth.kubernetes.enabled`.",
    ),
    "Role penstock-view": ("view", "Part of the cluster's `view`."),
    "Role penstock-edit": ("edit", "Part of the cluster's `edit`, and so of `admin`."),
    "Role penstock-admin": ("admin", "Part of the cluster's `admin`."),
    "Role penstock-releaser": ("releaser", "Bound by hand, to those who release."),
    "Role penstock-responder": ("responder", "Bound by hand, to those who answer alerts."),
    "Role penstock-approver": (
        "approver",
        "Bound by hand, to those who decide on calls that wait for a person.",
    ),
}
_INTRODUCTION = """\
# Permissions

What each account of an installation may do, and nothing else: `kubectl auth can-i --list --as
system:serviceaccount:penstock-system:penstock-operator -n NAMESPACE` shows the same, besides what every
authenticated account may (`system:basic-user`, `system:discovery`, `system:public-info-viewer`). Names are those of a
release called `penstock`. Workers have no account of their own and no token.
"""
_OPERATOR = """\
ServiceAccount `penstock-operator`. On what belongs to Agents by a ClusterRole or, with `watchNamespaces`, by a Role
in each of those namespaces; in its own namespace by a Role.
"""


def reasons(text: str) -> list[str]:
    """Why each rule of a file is there: the comments beside `resources`, in order."""
    return [found.group(1) or "" for found in _RESOURCES.finditer(text)]


def permission_rows(rules: list[Document], why: Iterator[str]) -> Iterator[list[str]]:
    """A row for each rule."""
    for rule in rules:
        groups = ", ".join(group or "core" for group in rule["apiGroups"])
        named = ", ".join(f"`{name}`" for name in rule.get("resourceNames", ()))
        resources = ", ".join(f"`{name}`" for name in rule["resources"])
        yield [
            groups,
            f"{resources} named {named}" if named else resources,
            ", ".join(rule["verbs"]),
            next(why),
        ]


def permissions_page(root: pathlib.Path) -> str:
    """docs/reference/permissions.md: who may do what in the cluster, and why."""
    heads = ["API group", "resources", "verbs", "why"]
    why = iter(reasons((root / RULES).read_text(encoding="utf-8")))
    rules = operator_rules(root)
    parts = [_INTRODUCTION, "## Operator\n", _OPERATOR]
    for place, where in (("agents", "With Agents"), ("release", "In its own namespace")):
        parts += [f"{where}:\n", reference.table(heads, permission_rows(rules[place], why))]
    text = (root / ACCESS).read_text(encoding="utf-8")
    why, access = iter(reasons(text)), yaml.safe_load(text)
    for title, (key, words) in _ROLES.items():
        table = reference.table(heads, permission_rows(access[key], why))
        parts += [f"## {title}\n", f"{words}\n", table]
    return reference.HEADER + "\n".join(parts)


# ------------------------------------------------------------------------------------- values


@dataclass(frozen=True)
class Value:
    """One thing that can be set: its path, what the comment above it says, and its default."""

    path: tuple[str, ...]
    words: str
    default: Any


def described(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each key that has a comment above it, by its path, with the comment."""
    path: list[str] = []
    words: list[str] = []
    for line in text.splitlines():
        if line.strip().startswith("#"):
            words.append(line.strip().lstrip("# "))
            continue
        if key := _KEY.match(line):
            path[len(key["indent"]) // 2 :] = [key["key"]]
            if words:
                yield tuple(path), " ".join(words)
        words = []


def values(root: pathlib.Path) -> list[Value]:
    """Everything that can be set in the chart, in the order of values.yaml."""
    text = (root / CHART / "values.yaml").read_text(encoding="utf-8")
    defaults = yaml.safe_load(text)

    def default(path: tuple[str, ...]) -> Any:
        found = defaults
        for part in path:
            found = found[part]
        return found

    return [Value(path, words, default(path)) for path, words in described(text)]


def schema_of(schema: Document, path: tuple[str, ...]) -> Document:
    """The part of values.schema.json for a value; references followed. Raises KeyError."""
    found = schema
    for part in path:
        found = found["properties"][part]
        if "$ref" in found:
            found = schema["definitions"][found["$ref"].rpartition("/")[2]]
    return found


def kind_of(schema: Document) -> str:
    """What a value may be, in a word or two."""
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(kind_of(part) for part in schema["anyOf"])
    kind = schema["type"]
    if kind == "array":
        return "list"
    bounds = [f"{sign} {schema[key]}" for key, sign in _BOUNDS.items() if key in schema]
    return ", ".join(["map" if kind == "object" else str(kind), *bounds])


_BOUNDS = {"minimum": "≥", "maximum": "≤"}


def values_page(root: pathlib.Path) -> str:
    """docs/reference/chart.md: everything that can be set in the chart."""
    schema = json.loads((root / CHART / "values.schema.json").read_text(encoding="utf-8"))
    rows = (
        [
            f"`{'.'.join(value.path)}`",
            kind_of(schema_of(schema, value.path)),
            f"`{json.dumps(value.default)}`",
            value.words,
        ]
        for value in values(root)
    )
    heads = ["value", "type", "default", "meaning"]
    return reference.HEADER + "# Values of the chart\n\n" + reference.table(heads, rows)
