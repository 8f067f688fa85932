"""The status of an Agent: what was observed of it."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from penstock.api.analysis import Reason, Result, Verdict
from penstock.api.condition import Condition
from penstock.api.fields import (
    AnsweredRequests,
    Block,
    MapList,
    Percent,
)
from penstock.money import spend


class RevisionState(StrEnum):
    """Open: may get traffic. Draining: finishes what it has. Closed: record only."""

    OPEN = "Open"
    DRAINING = "Draining"
    CLOSED = "Closed"


class Role(StrEnum):
    """Which side of the comparison a revision is on."""

    STABLE = "Stable"
    CANARY = "Candidate"


class TrafficTarget(Block):
    """A revision's share of new sessions."""

    revision: Annotated[str, Field(max_length=63, description="Name of the revision.")]
    role: Annotated[Role, Field(description="Stable, or Candidate for the canary.")]
    percent: Annotated[Percent, Field(description="Share of new sessions in percent.")]


class Traffic(Block):
    """The report of the route in force."""

    version: Annotated[int, Field(ge=0, description="Version of the route.")] = 0
    epoch: Annotated[int, Field(ge=0, description="Leadership the decision was made in.")] = 0
    targets: Annotated[
        list[TrafficTarget],
        MapList("revision"),
        Field(max_length=2, description="Who serves; Stable first."),
    ] = []
    suspended: Annotated[bool, Field(description="Whether nothing is admitted.")] = False


class RevisionStatus(Block):
    """What one revision is doing."""

    name: Annotated[str, Field(max_length=63, description="Name of the revision.")]
    version: Annotated[
        str | None, Field(max_length=63, description="template.version, when declared.")
    ] = None
    state: Annotated[RevisionState, Field(description="Open, Draining or Closed.")]
    replicas: Annotated[int, Field(ge=0, description="Workers that are ready.")] = 0
    queued: Annotated[int, Field(ge=0, description="Tasks waiting for a worker.")] = 0
    running: Annotated[int, Field(ge=0, description="Tasks being worked on.")] = 0
    pinned: Annotated[int, Field(ge=0, description="Live sessions that stay on it.")] = 0
    cost_today: Annotated[
        str,
        Field(
            max_length=24,
            description="What tasks that it ended today (UTC) have cost, in US dollars and cents.",
        ),
    ] = ""


class Rejection(Block):
    """A revision that was rejected and never promoted since."""

    revision: Annotated[str, Field(max_length=63, description="Name of the revision.")]
    attempt: Annotated[int, Field(ge=1, description="The attempt that was rejected.")] = 1
    reason: Annotated[str, Field(max_length=64, description="Reason of the verdict.")] = ""
    message: Annotated[str, Field(max_length=256, description="The verdict, in words.")] = ""
    at: Annotated[str, Field(max_length=40, description="When it was decided.")] = ""

    @property
    def verdict(self) -> Verdict:
        """The verdict, as far as it is remembered; a reason that is not known here reads as aborted."""
        known = self.reason in tuple(Reason)
        return Verdict(
            revision=self.revision,
            attempt=self.attempt,
            result=Result.REJECTED,
            reason=Reason(self.reason) if known else Reason.ABORTED,
            message=self.message,
            at=self.at,
        )


class Asked(Block):
    """The answer to a request annotation of the Agent."""

    value: Annotated[str, Field(max_length=256, description="The annotation as handled.")] = ""
    result: Annotated[
        str, Field(max_length=64, description="Accepted, Refused, or Repeated (answered before).")
    ] = ""
    message: Annotated[str, Field(max_length=2048, description="Why, in one sentence.")] = ""
    at: Annotated[str, Field(max_length=40, description="When it was handled.")] = ""


class AgentSummary(Block):
    """Ready-made strings for the columns of kubectl get."""

    queued: Annotated[str, Field(max_length=16, description="Tasks waiting, all revisions.")] = ""
    error_percent: Annotated[
        str, Field(max_length=16, description="Failed tasks of the last minutes in percent.")
    ] = ""
    canary: Annotated[
        str, Field(max_length=63, description="The canary's name while there is one.")
    ] = ""
    percent: Annotated[
        str,
        Field(max_length=8, description="The canary's share; `rings` where only rings have it."),
    ] = ""
    cost_today: Annotated[
        str,
        Field(
            max_length=24,
            description="What model calls have cost today (UTC), in US dollars and cents: as the "
            "ledger has it, else of the tasks that ended.",
        ),
    ] = ""
    budget: Annotated[
        str,
        Field(max_length=32, description="The fullest window of spec.budgets: 78% of daily."),
    ] = ""


class BudgetWindow(Block):
    """How far the Agent's own budget of one window is spent."""

    window: Annotated[str, Field(max_length=16, description="hourly, daily or monthly.")]
    limits: Annotated[
        str, Field(max_length=128, description="What may be spent in it, lifts included.")
    ] = ""
    told_percent: Annotated[
        int,
        Field(
            ge=0,
            le=100,
            description="The highest of 50, 80 and 95 that was passed in this window and told; 100: "
            "too little is left for a call.",
        ),
    ] = 0
    spent_percent: Annotated[
        int, Field(ge=0, description="How much is spent of the limit of which most is.")
    ] = 0
    resets_at: Annotated[str, Field(max_length=40, description="When the window ends.")] = ""

    def told_in(self, limits: str, resets_at: str) -> int:
        """The mark that people have been told of in this very window, with these limits; 0 for none."""
        same = (self.limits, self.resets_at) == (limits, resets_at)
        return self.told_percent if same else 0

    def tells_more_than(self, before: "BudgetWindow | None") -> bool:
        """Whether it has passed a mark since."""
        return self.told_percent > (before.told_in(self.limits, self.resets_at) if before else 0)

    @property
    def in_words(self) -> str:
        """What is told of a window that has passed a mark; it stays as it is until the next one."""
        share = "" if self.told_percent == spend.WHOLE else f"{self.told_percent} % of "
        return (
            f"{share}the {self.window} budget ({self.limits}) is spent; it is reset at "
            f"{self.resets_at}"
        )


class BudgetLift(Block):
    """What a person has added to a limit of the budget until its window ends."""

    request: Annotated[str, Field(max_length=256, description="The annotation as handled.")]
    of: Annotated[str, Field(max_length=32, description="Scope and window: agent/daily.")] = ""
    amount: Annotated[str, Field(max_length=32, description="How much more: 4.5 USD.")] = ""
    by: Annotated[
        str,
        Field(
            max_length=256,
            description="The annotation penstock.dev/requested-by; the chart's admission policy lets "
            "nobody write another name than their own.",
        ),
    ] = ""
    at: Annotated[str, Field(max_length=40, description="When it was handled.")] = ""
    begins_at: Annotated[str, Field(max_length=40, description="When the window began.")] = ""
    ends_at: Annotated[str, Field(max_length=40, description="When it ends, and the lift.")] = ""

    @property
    def in_words(self) -> str:
        """Who has lifted what, by how much and until when."""
        whose = f", by {self.by}" if self.by else ""
        return f"budget {self.of}: {self.amount} more until {self.ends_at}{whose}"


class AgentStatus(Block):
    """What was observed of an agent."""

    observed_generation: Annotated[int, Field(ge=0, description="Generation acted upon.")] = 0
    latest_revision: Annotated[
        str | None, Field(max_length=63, description="Revision of the present template.")
    ] = None
    stable_revision: Annotated[
        str | None, Field(max_length=63, description="Revision that serves by default.")
    ] = None
    had_rollout: Annotated[
        bool | None, Field(description="Whether an AgentRollout ever governed this Agent.")
    ] = None
    first_climbs: Annotated[
        bool | None,
        Field(
            description="Whether the first revision climbs by the steps of an AgentRollout: it waits where that is "
            "gone."
        ),
    ] = None
    traffic: Annotated[Traffic, Field(description="The report of the route in force.")] = Traffic()
    revisions: Annotated[
        list[RevisionStatus],
        MapList("name"),
        Field(max_length=120, description="Revisions that are not Closed, newest first."),
    ] = []
    rejected: Annotated[
        list[Rejection],
        MapList("revision"),
        Field(
            max_length=100,
            description="Rejected revisions, oldest first, at most 100: they stay rejected after "
            "their records are pruned.",
        ),
    ] = []
    replicas: Annotated[int, Field(ge=0, description="Ready workers of the stable revision.")] = 0
    selector: Annotated[
        str | None,
        Field(max_length=256, description="Label selector of the stable revision's worker pods."),
    ] = None
    last_request: Annotated[
        Asked | None,
        Field(
            description="Answer to the last penstock.dev/request of an Agent without an "
            "AgentRollout, undo/REVISION/NONCE or retry/REVISION/NONCE, or of any Agent, "
            "budget-lift/SCOPE/WINDOW/AMOUNT/NONCE."
        ),
    ] = None
    answered_requests: AnsweredRequests = ()
    budget_windows: Annotated[
        list[BudgetWindow],
        MapList("window"),
        Field(max_length=3, description="Windows of spec.budgets that limit the Agent itself."),
    ] = []
    lifts: Annotated[
        list[BudgetLift],
        MapList("request"),
        Field(max_length=16, description="Lifts of spec.budgets whose windows have not ended."),
    ] = []
    summary: Annotated[AgentSummary, Field(description="Strings for columns.")] = AgentSummary()
    conditions: Annotated[
        tuple[Condition, ...],
        MapList("type"),
        Field(max_length=24, description="Ready, Reconciling, Stalled and others."),
    ] = ()
