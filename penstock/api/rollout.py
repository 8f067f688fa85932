"""The AgentRollout resource: a standing policy for one Agent, and its canary's progress."""

from enum import StrEnum
from typing import Annotated, Final

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
from penstock.api.shadow import DeclaredShadow
from penstock.traffic import Split, Unit


class StepApproval(StrEnum):
    """Whether leaving a step needs a person's promote."""

    NONE = "None"
    REQUIRED = "Required"


class AgentRef(Block):
    """The Agent this policy is for, in the same namespace."""

    name: Annotated[ObjectName, Field(description="Name of the Agent.")]


class Step(Block):
    """One share of the users, and what must be seen before it is left."""

    percent: Annotated[int, Field(ge=1, le=99, description="Share of new sessions in percent.")]
    hold_seconds: Annotated[
        int, Field(ge=0, le=2592000, description="Shortest stay in this step, in seconds.")
    ]
    max_wait_seconds: Annotated[
        int | None,
        Field(
            ge=0,
            le=2592000,
            description="No task reached the canary for so long while stable had some: "
            "the next step is taken, nobody was exposed. Default: 3 x holdSeconds.",
        ),
    ] = None
    min_tasks: Annotated[
        int,
        Field(
            ge=0,
            le=1_000_000,
            description="Counted tasks that each arm must have since the canary began.",
        ),
    ] = 20
    approval: Annotated[
        StepApproval, Field(description="Required: leaving this step waits for promote.")
    ] = StepApproval.NONE

    @property
    def longest_wait_seconds(self) -> int:
        """The longest wait for evidence: maxWaitSeconds with its default applied."""
        return 3 * self.hold_seconds if self.max_wait_seconds is None else self.max_wait_seconds


class OnDeadline(StrEnum):
    """What follows when a canary has waited where it stands for longer than its deadline."""

    HOLD = "Hold"
    ROLLBACK = "Rollback"
    PROMOTE = "Promote"


class FirstRevision(StrEnum):
    """How a revision reaches its users while no other one serves."""

    SERVE = "Serve"
    STEPS = "Steps"


#: progressDeadlineSeconds where only onDeadline is declared.
_DEADLINE_SECONDS: Final = 43200


class Strategy(Block):
    """The automatic path of a canary."""

    shadow: DeclaredShadow = None

    steps: Annotated[
        tuple[Step, ...],
        Rule(
            "self.map(s, s.percent).isSorted() && "
            "self.all(s, self.exists_one(t, t.percent == s.percent))",
            "percent must rise strictly from step to step",
        ),
        Field(min_length=1, max_length=16, description="Shares in rising order; 100 is implied."),
    ] = (
        Step(percent=5, hold_seconds=300, max_wait_seconds=900, min_tasks=20),
        Step(percent=20, hold_seconds=300, max_wait_seconds=900, min_tasks=60),
        Step(percent=50, hold_seconds=300, max_wait_seconds=1200, min_tasks=200),
    )
    final_hold_seconds: Annotated[
        int, Field(ge=0, le=2592000, description="Watch after the last step, before promotion.")
    ] = 600
    first_revision: Annotated[
        FirstRevision,
        Field(description="Serve: to all, once ready. Steps: it climbs, others are refused."),
    ] = FirstRevision.SERVE
    start_deadline_seconds: Annotated[
        int,
        Field(
            ge=10,
            le=86400,
            description="A canary without a ready pod for so long is Stalled; it is not "
            "rejected, and goes on when a pod is ready.",
        ),
    ] = 600
    progress_deadline_seconds: Annotated[
        int | None,
        Field(
            ge=10,
            le=2592000,
            description="Longest time that a canary with users may wait in one place for evidence, "
            "a clear check or workers. Holds do not count, nor does what a person holds or nobody "
            "sees. Default where onDeadline is declared: 43200. Absent: it waits as long as it takes.",
        ),
    ] = None
    on_deadline: Annotated[
        OnDeadline | None,
        Field(
            description="What follows then. Hold: it goes on waiting, and people are told. Rollback: it "
            "is rejected. Promote: the steps that are left are passed over, where nothing speaks "
            "against it and each side has 20 tasks. Default: Hold."
        ),
    ] = None
    rollback_window_revisions: Annotated[
        int | None,
        Field(
            ge=1,
            le=100,
            description="A canary that is one of so many revisions that served everybody last, and was "
            "not rejected, serves everybody again as soon as a pod is ready, without steps. Absent: "
            "it climbs.",
        ),
    ] = None
    holdback_percent: Annotated[
        int,
        Field(
            ge=0, le=50, description="Share stable keeps during the final hold (automatic path)."
        ),
    ] = 5

    @property
    def deadline_seconds(self) -> int | None:
        """progressDeadlineSeconds with its default applied; None where no deadline is declared."""
        if self.progress_deadline_seconds is None and self.on_deadline is not None:
            return _DEADLINE_SECONDS
        return self.progress_deadline_seconds


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
    stage: Annotated[Stage, Field(description="Shadow, Steps, FinalHold or Done.")] = Stage.DONE
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
    def split(self) -> Split:
        """Who serves whom as decided here, revisions by name."""
        return Split(
            self.stable_revision or "",
            self.canary_revision or "",
            self.share.percent,
            self.salt,
            self.unit,
            self.suspended,
        )
