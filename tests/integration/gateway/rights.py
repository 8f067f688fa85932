"""What accounts may do, as manifests."""

from __future__ import annotations

# All that the gateway's own account may do.
GATEWAY_RULES = [
    {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
    {
        "apiGroups": ["authorization.k8s.io"],
        "resources": ["subjectaccessreviews"],
        "verbs": ["create"],
    },
]


def rights(namespace, account, rules, kind="Role"):
    """A Role or ClusterRole of that name, and its binding."""
    name = f"{namespace}-{account}"
    group = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    yield {
        "apiVersion": f"{group}/v1",
        "kind": kind,
        "metadata": {"name": name},
        "rules": rules,
    }
    yield {
        "apiVersion": f"{group}/v1",
        "kind": f"{kind}Binding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": kind, "name": name},
        "subjects": [subject],
    }
