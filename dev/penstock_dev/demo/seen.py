"""What is seen of the agent and its rollout at one moment, and what the views show of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.api import condition
from penstock.api.agent_status import AgentStatus, Role
from penstock.api.analysis import Verdict
from penstock.api.reasons import ConditionType
from penstock.api.rollout import AgentRolloutStatus, Stage
from penstock_dev.traffic import Answer, Tally

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Seen:
    """Both statuses as last read. `versions`: declared version of each revision ever seen."""

    agent: AgentStatus = field(default_factory=AgentStatus)
    rollout: AgentRolloutStatus = field(default_factory=AgentRolloutStatus)
    versions: Mapping[str, str] = field(default_factory=dict)

    def updated(self, agent: Document, rollout: Document) -> Seen:
        """With two documents of the API server; without a status they count as empty."""
        status = AgentStatus.model_validate(agent.get("status") or {})
        fresh = {item.name: item.version or "" for item in status.revisions}
        return Seen(
            status,
            AgentRolloutStatus.model_validate(rollout.get("status") or {}),
            {**self.versions, **fresh},
        )

    @property
    def ready(self) -> bool:
        """Whether the agent serves."""
        return condition.is_true(self.agent.conditions, ConditionType.READY)

    @property
    def stable(self) -> str:
        """The revision that serves by default; empty when there is none."""
        return self.rollout.stable_revision or self.agent.stable_revision or ""

    @property
    def canary(self) -> str:
        """The revision being tried, also when it has just been rejected; empty when none."""
        return self.rollout.canary_revision or ""

    @property
    def under_way(self) -> bool:
        """Whether a canary is being tried."""
        return bool(self.canary) and self.rollout.stage is not Stage.DONE

    @property
    def percent(self) -> int:
        """The canary's share in force, as the route in the gateway has it."""
        targets = self.agent.traffic.targets
        return next((t.percent for t in targets if t.role is Role.CANARY), 0)

    @property
    def verdict(self) -> Verdict | None:
        """The last verdict on the revision being tried, or on any when none is."""
        verdicts = self.rollout.verdicts
        about = [v for v in verdicts if not self.canary or v.revision == self.canary]
        return about[-1] if about else None

    def version(self, revision: str) -> str:
        """How people call a revision: its declared version, else its name."""
        return self.versions.get(revision) or revision

    def word(self, kind: ConditionType) -> str:
        """The message of one of the rollout's conditions, empty when it has none."""
        found = condition.find(self.rollout.conditions, kind)
        return found.message if found else ""

    def described(self) -> str:
        """In one line, for what went wrong."""
        found = condition.find(self.agent.conditions, ConditionType.READY)
        ready = f"Ready={found.status.value} {found.reason}: {found.message}" if found else ""
        rollout = f"stable {self.stable or '-'}, canary {self.canary or '-'}"
        where = f"share {self.percent} %, step {self.rollout.step or '-'}"
        return "; ".join(
            filter(None, [rollout, where, self.word(ConditionType.PROGRESSING), ready])
        )


@dataclass(frozen=True)
class Scene:
    """Everything a view may draw. Tallies count since the last change of the canary."""

    seen: Seen = field(default_factory=Seen)
    steps: tuple[int, ...] = ()
    tallies: Mapping[str, Tally] = field(default_factory=dict)
    exchanges: tuple[Answer, ...] = ()
    elapsed_seconds: float = 0.0
