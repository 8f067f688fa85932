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


def until_may(cluster, namespace, account, verb, *agent):
    """Wait until the API server knows that a ServiceAccount may do this with tasks (of this one agent)."""
    asked = (
        "auth",
        "can-i",
        verb,
        "/".join(("agents.penstock.dev", *agent)),
        "--subresource=tasks",
    )
    who = f"--as=system:serviceaccount:{namespace}:{account}"
    cluster.until(
        f"{account} may {verb} tasks",
        lambda: cluster.kubectl(*asked, who, check=False).splitlines()[:1] == ["yes"],
    )


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
