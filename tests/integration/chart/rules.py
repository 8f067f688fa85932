"""Rules of roles, as rendered, and the single rights that they grant."""

from collections.abc import Iterator
from typing import Any, TypeAlias

import yaml

from tests.integration.chart.charts import CHART, Document

#: (resource.group/subresource, name or "", verb)
Right: TypeAlias = tuple[str, str, str]
#: What tells a rule from all others, whatever the installation is called.
RuleKey: TypeAlias = tuple[tuple[str, ...], ...]


def rights_of(rule: Document) -> Iterator[Right]:
    """Every single right that a rule grants."""
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            plural, slash, sub = resource.partition("/")
            full = f"{plural}{f'.{group}' if group else ''}{slash}{sub}"
            for name in rule.get("resourceNames") or [""]:
                for verb in rule["verbs"]:
                    yield full, name, verb


def key_of(rule: Document) -> RuleKey:
    """The rule without the names of its objects, some of which depend on the installation's."""
    return tuple(tuple(rule[part]) for part in ("apiGroups", "resources", "verbs"))


def shipped() -> Iterator[tuple[str, RuleKey]]:
    """(operator or gateway, rule) of every rule the chart has for its two accounts."""
    for file, account, blocks in (
        ("operator-rules", "operator", ("agents", "release")),
        ("access-rules", "gateway", ("gateway",)),
    ):
        found = yaml.safe_load((CHART / f"files/{file}.yaml").read_text(encoding="utf-8"))
        yield from ((account, key_of(rule)) for block in blocks for rule in found[block])


def roles_of(documents: list[Document], account: str) -> list[Document]:
    """The roles that are bound to a service account; each must be among the documents."""
    bound = {
        (binding["roleRef"]["kind"], binding["roleRef"]["name"])
        for binding in documents
        if binding["kind"] in ("RoleBinding", "ClusterRoleBinding")
        and account in (subject["name"] for subject in binding["subjects"])
    }
    found = [one for one in documents if (one["kind"], one["metadata"]["name"]) in bound]
    assert bound == {(one["kind"], one["metadata"]["name"]) for one in found}
    return found


def granted(documents: list[Document], account: str) -> set[Right]:
    """Every right that the documents give a service account."""
    roles: list[dict[str, Any]] = roles_of(documents, account)
    return {right for role in roles for rule in role["rules"] for right in rights_of(rule)}
