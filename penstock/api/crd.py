"""The two custom resource definitions, made from the resource models."""

from typing import Any, Final, TypeAlias

from penstock import names
from penstock.api import agent, agent_status, fields, rollout, schema

Document: TypeAlias = dict[str, Any]

_READY: Final = '.status.conditions[?(@.type=="Ready")]'
_KIND: Final = (
    "Kind of the object. More: "
    "https://kubernetes.io/docs/concepts/overview/working-with-objects/kubernetes-objects/"
)
_NAME_RULE: Final = fields.Rule(
    f"self.metadata.name.size() <= {names.MAX_AGENT_NAME}",
    f"metadata.name must have at most {names.MAX_AGENT_NAME} characters",
)


def _grows(field: str) -> fields.Rule:
    """A counter of the status that never falls, and never goes away once it is there.

    ``field`` is a path below ``status``, its parts joined by dots.
    """
    parts = field.split(".")
    paths = [".".join(["status", *parts[:end]]) for end in range(len(parts) + 1)]
    before = " && ".join(f"has(oldSelf.{path})" for path in paths)
    after = " && ".join(f"has(self.{path})" for path in paths)
    return fields.Rule(
        f"!({before}) || ({after} && self.status.{field} >= oldSelf.status.{field})",
        f"status.{field} never falls",
    )


#: A rejected canary gets no share, and no ring, until a retry (a larger attempt), or unless a later
#: attempt of it was promoted meanwhile.
_REJECTED_GETS_NOTHING: Final = fields.Rule(
    "!has(self.status) || !has(self.status.verdicts) || !has(self.status.canaryRevision) || "
    "((!has(self.status.share) || !has(self.status.share.percent) || "
    "self.status.share.percent == 0) && "
    "(!has(self.status.rings) || self.status.rings.size() == 0)) || "
    "!self.status.verdicts.exists(v, v.result == 'Rejected' && "
    "v.revision == self.status.canaryRevision && has(v.attempt) && "
    "v.attempt >= (has(self.status.attempt) ? self.status.attempt : 0) && "
    "!self.status.verdicts.exists(w, w.result == 'Promoted' && w.revision == v.revision && "
    "has(w.attempt) && w.attempt > v.attempt))",
    "a rejected revision gets no share and no ring unless status.attempt grows",
)
#: A verdict leaves the list only as the oldest of a full one.
_REJECTION_STAYS: Final = fields.Rule(
    "!has(oldSelf.status) || !has(oldSelf.status.verdicts) || (has(self.status) && "
    "has(self.status.verdicts) && oldSelf.status.verdicts.all(o, o.result != 'Rejected' || "
    "self.status.verdicts.size() >= 10 || self.status.verdicts.exists(v, "
    "v.result == 'Rejected' && v.revision == o.revision && "
    "has(v.attempt) && has(o.attempt) && v.attempt == o.attempt)))",
    "a Rejected verdict stays in status.verdicts until ten newer ones push it out",
)


def documents() -> list[Document]:
    """Both definitions, Agent first; the same on every call."""
    return [_agent(), _rollout()]


def _agent() -> Document:
    return _definition(
        names_={"kind": "Agent", "plural": "agents", "singular": "agent"},
        root=_root(
            "An LLM agent: what it is (spec.template, released as immutable revisions) and how it "
            "is run (everything beside it, in force at once).",
            spec=_block(agent.AgentSpec, "spec", "What people declare of the agent."),
            status=_block(agent_status.AgentStatus, "status", "What was observed of the agent."),
            rules=(_NAME_RULE, _grows("traffic.epoch"), _grows("traffic.version")),
        ),
        columns=[
            _column("Model", "string", ".spec.template.model.name", "The model that answers."),
            _column("Ready", "string", f"{_READY}.status", "Whether it serves."),
            _column("Status", "string", f"{_READY}.reason", "Why, in one word."),
            _column("Up-To-Date", "string", _UP_TO_DATE, "Whether the newest revision is stable."),
            _column("Stable", "string", ".status.stableRevision", "Who serves by default."),
            _column("Canary", "string", ".status.summary.canary", "The canary."),
            _column("Percent", "string", ".status.summary.percent", "The canary's share."),
            _column("Replicas", "integer", ".status.replicas", "Ready workers."),
            _column("Queued", "string", ".status.summary.queued", "Tasks that wait."),
            _column("Cost-Today", "string", ".status.summary.costToday", "USD of today, UTC."),
            _AGE,
            _column("Budget", "string", ".status.summary.budget", "Its fullest window.", wide=True),
            _column("Version", "string", ".spec.template.version", "template.version.", wide=True),
            _MESSAGE,
        ],
        subresources={
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.scaling.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
    )


def _rollout() -> Document:
    return _definition(
        names_={
            "kind": "AgentRollout",
            "plural": "agentrollouts",
            "singular": "agentrollout",
            "shortNames": ["agr"],
        },
        root=_root(
            "How new revisions of one Agent reach its users: step by step, watched by guardrails, "
            "taken back when they hurt, with spec.traffic as a person's word on the share.",
            spec=_block(rollout.AgentRolloutSpec, "spec", "How revisions reach the users."),
            status=_block(rollout.AgentRolloutStatus, "status", "The decision in force."),
            rules=(
                _NAME_RULE,
                _grows("epoch"),
                _grows("routeVersion"),
                _REJECTED_GETS_NOTHING,
                _REJECTION_STAYS,
            ),
        ),
        columns=[
            _column("Agent", "string", ".spec.agentRef.name", "The Agent it is for."),
            _column("Stable", "string", ".status.stableRevision", "Who serves by default."),
            _column("Canary", "string", ".status.canaryRevision", "The revision being tried."),
            _column("Want", "integer", ".spec.traffic.canaryPercent", "Share a person asked for."),
            _column("Now", "integer", ".status.share.percent", "Share in force."),
            _column("Step", "string", ".status.step", "Progress."),
            _column("Status", "string", f"{_READY}.reason", "Where it stands, in one word."),
            _AGE,
            _column("Source", "string", ".status.share.source", "Who set the share.", wide=True),
            _MESSAGE,
        ],
        subresources={"status": {}},
        selectable=[{"jsonPath": ".spec.agentRef.name"}],
    )


def _column(name: str, kind: str, path: str, description: str, *, wide: bool = False) -> Document:
    column: Document = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return column | ({"priority": 1} if wide else {})


_UP_TO_DATE: Final = '.status.conditions[?(@.type=="UpToDate")].status'
_AGE: Final = _column("Age", "date", ".metadata.creationTimestamp", "Since it was made.")
_MESSAGE: Final = _column("Message", "string", f"{_READY}.message", "Why, in words.", wide=True)


def _block(model: type[fields.Block], path: str, description: str) -> Document:
    return {"type": "object", "description": description} | schema.compile_block(model, path)


def _root(
    description: str, spec: Document, status: Document, rules: tuple[fields.Rule, ...]
) -> Document:
    return {
        "type": "object",
        "description": description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {
                "type": "string",
                "description": f"Group and version of the resource: {names.API_VERSION}.",
            },
            "kind": {"type": "string", "description": _KIND},
            "metadata": {"type": "object"},
            "spec": spec,
            # Until the operator has looked, an object is behind its own generation: tools that wait
            # (Helm, Flux, Argo CD) would take one without any status for finished.
            "status": status | {"default": {"observedGeneration": 0}},
        },
        "x-kubernetes-validations": [{"rule": r.rule, "message": r.message} for r in rules],
    }


def _definition(
    names_: Document,
    root: Document,
    columns: list[Document],
    subresources: Document,
    selectable: list[Document] | None = None,
) -> Document:
    version: Document = {
        "name": names.VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": columns,
        "schema": {"openAPIV3Schema": root},
        "subresources": subresources,
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names_['plural']}.{names.GROUP}"},
        "spec": {
            "group": names.GROUP,
            "names": {**names_, "listKind": f"{names_['kind']}List", "categories": ["penstock"]},
            "scope": "Namespaced",
            "versions": [version | ({"selectableFields": selectable} if selectable else {})],
        },
    }
