"""The AgentRollout resource: a standing policy for one Agent, and its canary's progress."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from penstock.api.aftermath import KeptEffects
from penstock.api.alarms import Ringing
from penstock.api.analysis import Analysis, AnalysisStatus, Verdict
from penstock.api.comparison import KnownUsers
from penstock.api.condition import Condition
from penstock.api.costs import KnownCosts
from penstock.api.decisions import KeptDecisions
from penstock.api.fields import (
    AnsweredRequests,
    Block,
    Formerly,
    MapList,
    Message,
    ObjectName,
    Percent,
    Rule,
    Timestamp,
)
from penstock.api.interruptions import Delay, Halt, StableBrake, StuckQueue, Suspension
from penstock.api.requested import LastRequest, SetpointSeen
from penstock.api.rings import GivenRings, RingsRefused
from penstock.api.strategy import Strategy
from penstock.traffic import Split, Unit


class AgentRef(Block):
    """The Agent this policy is for, in the same namespace."""

    name: Annotated[ObjectName, Field(description="Name of the Agent.")]


class Setpoint(Block):
    """A person's word on the share."""

    canary_percent: Annotated[
        Percent | None,
        Field(
            description="Share of new sessions for the canary, in percent. In force as soon as "
            "the canary's pods are ready; lowering is immediate; 0 takes it off, 100 gives it "
            "all new work. Absent: automatic steps. Left over from an earlier canary: only a "
            "ceiling. A rejected canary gets nothing whatever stands here."
        ),
    ] = None
    canary_revision: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=63,
            description="Name (or template.version) of the revision that canaryPercent is for.",
        ),
    ] = None


class AgentRolloutSpec(Block):
    """How revisions of an Agent reach its users."""

    agent_ref: Annotated[
        AgentRef,
        Rule("self == oldSelf", "agentRef is immutable"),
        Field(description="The Agent this policy is for."),
    ]
    unit: Annotated[Unit, Field(description="What is hashed to a side.")] = Unit.USER
    strategy: Annotated[Strategy, Field(description="The automatic path.")] = Strategy()
    analysis: Annotated[Analysis, Field(description="What is too much.")] = Analysis()
    paused: Annotated[
        bool, Field(description="Nothing is raised by itself; rollback still acts.")
    ] = False
    traffic: Annotated[
        Setpoint,
        Field(
            description="A person's word on the share. Set it with: kubectl patch agentrollout NAME "
            '--type merge -p \'{"spec":{"traffic":{"canaryPercent":20}}}\'; give it back to the '
            "automatic steps with the same command and null in place of 20."
        ),
    ] = Setpoint()


class Source(StrEnum):
    """Why the share is what it is."""

    AUTOMATIC = "Automatic"
    SETPOINT = "Setpoint"
    CEILING = "Ceiling"
    ROLLBACK = "Rollback"
    SUSPENDED = "Suspended"
    NONE = "None"


class Stage(StrEnum):
    """How far the canary is."""

    SHADOW = "Shadow"
    RINGS = "Rings"
    STEPS = "Steps"
    FINAL_HOLD = "FinalHold"
    DONE = "Done"


class Share(Block):
    """The canary's share of new sessions, and why."""

    percent: Annotated[Percent, Field(description="In force.")] = 0
    observed_percent: Annotated[
        Percent | None, Field(description="Measured share of all work in the window.")
    ] = None
    source: Annotated[Source, Field(description="Why it is so.")] = Source.NONE
    setpoint: Annotated[
        SetpointSeen | None, Field(description="The setpoint in spec, once seen.")
    ] = None


class AgentRolloutStatus(Block):
    """The decision in force: who gets which share, how far it is, and what was decided."""

    observed_generation: Annotated[int, Field(ge=0, description="Generation acted upon.")] = 0
    agent_uid: Annotated[
        str,
        Field(
            max_length=64, description="The Agent it was decided for: one made again is another."
        ),
    ] = ""
    stable_revision: Annotated[
        str | None, Field(max_length=63, description="Revision that serves by default.")
    ] = None
    canary_revision: Annotated[
        str | None, Field(max_length=63, description="Revision being tried.")
    ] = None
    attempt: Annotated[int, Field(ge=0, description="Grows with each retry.")] = 0
    salt: Annotated[
        str, Field(max_length=64, description="Hashed with the user; drawn for each canary.")
    ] = ""
    unit: Annotated[
        Unit, Field(description="What is hashed for this canary; an edit counts from the next.")
    ] = Unit.USER
    share: Annotated[Share, Field(description="The canary's share, and why.")] = Share()
    suspended: Annotated[
        bool,
        Field(
            description="Whether nothing is admitted in this route version: by the Agent's kill switch, "
            "or by onStable."
        ),
    ] = False
    brake: Annotated[
        StableBrake | None,
        Field(
            description="Why stable admits nothing, where it broke a limit, or until when it did."
        ),
    ] = None
    route_version: Annotated[int, Field(ge=0, description="Grows with each traffic change.")] = 0
    epoch: Annotated[int, Field(ge=0, description="Leadership the decision was made in.")] = 0
    stage: Annotated[Stage, Field(description="Shadow, Rings, Steps, FinalHold or Done.")] = (
        Stage.DONE
    )
    rings: GivenRings = ()
    rings_refused: RingsRefused = ""
    current_step_index: Annotated[
        int, Field(ge=0, le=16, description="Index of the step, from 0.")
    ] = 0
    held_percent: Annotated[
        Percent | None,
        Field(
            description="Share kept as an implied step after a setpoint was removed, or to be "
            "returned to after a suspension."
        ),
    ] = None
    steps_hash: Annotated[str, Field(max_length=64, description="Tells edits of the steps.")] = ""
    step: Annotated[str, Field(max_length=16, description="Progress for people: 2/3.")] = ""
    step_started_at: Annotated[
        Timestamp | None, Field(description="When this step's hold began.")
    ] = None
    canary_since: Annotated[
        Timestamp | None,
        Formerly("candidateSince"),
        Field(description="When the canary became one."),
    ] = None
    blind_since: Annotated[
        Timestamp | None,
        Field(
            description="Since when nothing can be seen (no measurement, or the kill switch is "
            "on): the step's clock stands still."
        ),
    ] = None
    unready_since: Annotated[
        Timestamp | None, Field(description="Since when the canary has no ready pod.")
    ] = None
    unavailable_count: Annotated[
        int, Field(ge=0, description="How often this attempt was taken off as unavailable.")
    ] = 0
    stuck: Annotated[
        StuckQueue | None,
        Field(description="The canary's queue, while it ages and stable's does not."),
    ] = None
    delay: Annotated[
        Delay | None,
        Field(description="How long it has waited in this place, where a deadline is declared."),
    ] = None
    halts: Annotated[
        tuple[Halt, ...],
        Field(max_length=8, description="When the kill switch was on, oldest first, at most 8."),
    ] = ()
    step_approved: Annotated[
        bool, Field(description="Whether a person has approved leaving this step.")
    ] = False
    suspension: Annotated[
        Suspension | None,
        Field(description="Why the canary is off for a while, or when it last came back."),
    ] = None
    waiting: Annotated[
        str, Field(max_length=64, description="What the rollout waits for, in one word.")
    ] = ""
    told_waits: Annotated[
        tuple[Annotated[str, Field(max_length=64)], ...],
        Field(max_length=8, description="Waits of this step that an Event has told of."),
    ] = ()
    waiting_message: Annotated[
        Message, Field(description="Of a wait with numbers its sentence, as of countedAt.")
    ] = ""
    unreached_percent: Annotated[
        Percent | None,
        Field(description="Share that was left by time alone, since no task reached it."),
    ] = None
    alarms: Ringing = None
    stable_breach: Annotated[
        str,
        Field(max_length=32, description="The check that stable breaks while nothing is tried."),
    ] = ""
    analysis: Annotated[AnalysisStatus, Field(description="Last numbers.")] = AnalysisStatus()
    stable_users: KnownUsers = None
    stable_costs: KnownCosts = None
    decisions: KeptDecisions = None
    effects: KeptEffects = None
    verdicts: Annotated[
        tuple[Verdict, ...], Field(max_length=10, description="Oldest first, at most 10.")
    ] = ()
    last_request: Annotated[
        LastRequest, Field(description="Answer to the last request annotation.")
    ] = LastRequest()
    answered_requests: AnsweredRequests = ()
    conditions: Annotated[
        tuple[Condition, ...],
        MapList("type"),
        Field(max_length=24, description="Ready, Reconciling, Stalled and others."),
    ] = ()

    @property
    def chosen(self) -> tuple[str, ...]:
        """Members of the rings whose users are given the canary now; none while it is off."""
        on = self.share.percent > 0 or self.share.source is Source.AUTOMATIC
        return tuple(ring.members for ring in self.rings) if on else ()

    @property
    def braked(self) -> bool:
        """Whether nothing is admitted because stable broke a limit."""
        return self.brake is not None and self.brake.released_at is None

    @property
    def split(self) -> Split:
        """Who serves whom as decided here, revisions by name."""
        return Split(
            self.stable_revision or "",
            self.canary_revision or "",
            self.share.percent,
            self.salt,
            self.unit,
            self.suspended,
            self.chosen,
        )
