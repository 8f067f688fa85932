"""The commands of pages that no test types in the embedded environment: why, and who runs them else."""

from __future__ import annotations

from typing import Final

_NO_NODE: Final = "a process node has no exec, no metrics API and no pods of the chart's own"
_TERMINAL: Final = "tests/integration/gateway/test_what_failed.py types it, as two kinds of caller"

_ESCALATIONS: Final = "tests/integration/gateway/test_escalations.py types it"

#: Command as written → the reason.
RUNBOOKS: Final[dict[str, str]] = {
    "helm status penstock -n penstock-system": "the embedded environment is no release of Helm",
    "kubectl top pods -n penstock-system -l app.kubernetes.io/component=operator": _NO_NODE,
    "kubectl exec -n penstock-system statefulset/penstock-redis -- redis-cli --no-auth-warning "
    "--user penstock-probe --pass probe ping": _NO_NODE,
    "kubectl penstock tasks list NAME -n NAMESPACE --revision REVISION --failed --wide": _TERMINAL,
    "kubectl penstock tasks list NAME -n NAMESPACE --revision REVISION --failed --by reason": _TERMINAL,
    "kubectl penstock tasks list NAME -n NAMESPACE --revision REVISION --by user": _TERMINAL,
    "kubectl penstock escalations list NAME -n NAMESPACE": _ESCALATIONS,
    "kubectl create rolebinding penstock-caller-responds -n NAMESPACE "
    "--clusterrole=penstock-responder --serviceaccount=NAMESPACE:penstock-caller": _TERMINAL,
}
