"""The automatic path of a canary, as it is declared: its stages, its steps, and how long each may last."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from penstock.api.fields import Block, Rule
from penstock.api.rings import DeclaredRings
from penstock.api.shadow import DeclaredShadow


class StepApproval(StrEnum):
    """Whether leaving a step needs a person's promote."""

    NONE = "None"
    REQUIRED = "Required"


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
            "the next step is taken, nobody was exposed. With a comparison so long is waited for proof, too, up "
            "to half of the users. Default: 3 x holdSeconds.",
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
    rings: DeclaredRings = None

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
