"""A rollout as its objects show it: read once, so that everything that is shown goes by typed values."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from penstock import names
from penstock.api import condition, validation
from penstock.api.agent_status import AgentStatus, RevisionStatus
from penstock.api.analysis import Result, Verdict
from penstock.api.fields import renamed
from penstock.api.reasons import ConditionType
from penstock.api.rollout import AgentRolloutSpec, AgentRolloutStatus
from penstock.errors import InvalidResource
from penstock.rollout.situation import Pods, RevisionRecord, Situation
from penstock_cli.exits import Exit, Stopped

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Documents:
    """What the API server has; ``missing`` says of what could not be read why not.

    ``decisions``: the texts of the record of decisions, by revision; where it was not asked for, empty.
    """

    rollout: Document
    agent: Document = field(default_factory=dict)
    records: Sequence[Document] = ()
    deployments: Sequence[Document] = ()
    pods: Sequence[Document] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    decisions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """A rollout, its Agent, and what they are made of, at one moment."""

    documents: Documents
    now: datetime
    spec: AgentRolloutSpec
    status: AgentRolloutStatus
    agent: AgentStatus

    @property
    def name(self) -> str:
        """The AgentRollout's name."""
        name: str = self.documents.rollout["metadata"]["name"]
        return name

    @property
    def namespace(self) -> str:
        """Where it is."""
        return str(self.documents.rollout["metadata"].get("namespace", ""))

    @property
    def agent_name(self) -> str:
        """The Agent it is for."""
        return self.spec.agent_ref.name

    @property
    def generation(self) -> int:
        """How often its spec was written."""
        return int(self.documents.rollout["metadata"].get("generation", 0))

    @property
    def request(self) -> str:
        """What a person asks, answered or not."""
        notes = self.documents.rollout["metadata"].get("annotations") or {}
        return str(notes.get(names.ANNOTATION_REQUEST, ""))

    @property
    def ready(self) -> condition.Condition | None:
        """Where it stands, in the operator's words; None before it has said any."""
        return condition.find(self.status.conditions, ConditionType.READY)

    @property
    def stable(self) -> str:
        """The revision that serves by default."""
        return self.status.stable_revision or self.agent.stable_revision or ""

    @property
    def canary(self) -> str:
        """The revision that is tried, or was rejected; empty where there is none."""
        return self.status.canary_revision or ""

    @cached_property
    def records(self) -> dict[str, RevisionRecord]:
        """What the revisions' records tell, by name."""
        told = (_record(document, self.stable) for document in self.documents.records)
        return {record.name: record for record in told}

    def version(self, revision: str) -> str:
        """The declared version of a revision; empty where it has none."""
        record, reported = self.records.get(revision), self.reported.get(revision)
        return (record and record.version) or (reported and reported.version) or ""

    @cached_property
    def reported(self) -> dict[str, RevisionStatus]:
        """What the Agent tells of its revisions, by name."""
        return {one.name: one for one in self.agent.revisions}

    @property
    def unseen(self) -> bool:
        """Whether no operator has acted on the spec as it is now."""
        return self.generation > self.status.observed_generation

    def situation(self) -> Situation:
        """The same for the checks of the policy."""
        spec = self.documents.agent.get("spec") or {}
        return Situation(
            now=self.now,
            spec=self.spec,
            generation=self.generation,
            status=self.status,
            epoch=self.status.epoch,
            stable=self.agent.stable_revision or "",
            latest=self.agent.latest_revision or "",
            records=self.records,
            pods=self._pods(),
            request=self.request,
            agent_suspended=bool(spec.get("suspended")),
            namespace=self.namespace,
            name=self.name,
        )

    def _pods(self) -> dict[str, Pods]:
        """Workers by revision: by the Deployments, else by what the Agent reports."""
        found = {one.name: Pods(one.replicas, 1) for one in self.agent.revisions}
        for deployment in self.documents.deployments:
            status, spec = deployment.get("status") or {}, deployment.get("spec") or {}
            ready, wanted = status.get("readyReplicas") or 0, spec.get("replicas", 1)
            found[deployment["metadata"]["name"]] = Pods(ready, wanted)
        return found

    def pods_of(self, revision: str) -> list[Document]:
        """The worker pods of a revision."""
        mine = names.hash_of(revision)
        return [pod for pod in self.documents.pods if _label(pod, names.LABEL_REVISION) == mine]


def read(documents: Documents, now: datetime) -> Seen:
    """Read what the API server has.

    Raises:
        Stopped: this release cannot read it.
    """
    try:
        spec = validation.parse_rollout(documents.rollout)
        raw = renamed(AgentRolloutStatus, dict(documents.rollout.get("status") or {}))
        status = AgentRolloutStatus.model_validate(raw)
        agent = AgentStatus.model_validate(documents.agent.get("status") or {})
    except InvalidResource as error:
        raise Stopped(Exit.FAILED, str(error)) from None
    except ValidationError as error:
        why = validation.readable(error, "status")
        sentence = f"this release of penstock cannot read it, another one wrote it: {why}"
        raise Stopped(Exit.FAILED, sentence) from None
    return Seen(documents, now, spec, status, agent)


def _record(document: Document, stable: str) -> RevisionRecord:
    """What a ControllerRevision tells; a verdict that cannot be read is none."""
    name: str = document["metadata"]["name"]
    notes = document["metadata"].get("annotations") or {}
    verdict = _verdict(notes.get(names.ANNOTATION_VERDICT, ""))
    promoted = verdict is not None and verdict.result is Result.PROMOTED
    sequence = _whole(notes.get(names.ANNOTATION_PROMOTED, ""))
    counts = verdict is None or promoted or name == stable
    return RevisionRecord(
        name=name,
        version=((document.get("data") or {}).get("declared") or {}).get("version"),
        verdict=verdict,
        promoted_sequence=sequence if counts else 0,
        served_sequence=sequence,
    )


def _verdict(text: str) -> Verdict | None:
    try:
        return Verdict.model_validate(json.loads(text)) if text else None
    except (ValueError, RecursionError):
        return None


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def _label(document: Document, name: str) -> str:
    return str((document["metadata"].get("labels") or {}).get(name, ""))
