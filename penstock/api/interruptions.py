"""What interrupts a rollout, as its status keeps it: suspensions, halts, a queue that is stuck."""

from typing import Annotated

from pydantic import Field

from penstock.api.fields import Block, Message, Timestamp


class SpendStop(Block):
    """The limit that the canary had used up when it was stopped."""

    limit: Annotated[
        str, Field(max_length=32, description="Its window and unit, such as total:micro_usd.")
    ]
    most: Annotated[int, Field(ge=0, description="What it was then, in tokens or USD / 10^6.")]
    until: Annotated[
        Timestamp | None, Field(description="When its window ends; absent: it has no end.")
    ] = None


class Suspension(Block):
    """Why the canary is taken off for a while, or when it last came back."""

    reason: Annotated[
        str, Field(max_length=64, description="Why it is off; empty: it is not suspended.")
    ] = ""
    message: Annotated[Message, Field(description="What was told when it went or came back.")] = ""
    since: Annotated[
        Timestamp | None, Field(description="When it was last taken off in this attempt.")
    ] = None
    resumed_at: Annotated[
        Timestamp | None,
        Field(description="When it last came back: what was routed before is no evidence."),
    ] = None
    uncompared: Annotated[
        int,
        Field(
            ge=0,
            description="How often it was taken off, since it last passed a step, because stable "
            "had too few tasks to compare with.",
        ),
    ] = 0
    overloads: Annotated[
        int, Field(ge=0, description="How often it was taken off because its queue aged.")
    ] = 0
    incidents: Annotated[
        int,
        Field(ge=0, description="How often it was taken off because stable failed as well."),
    ] = 0
    misfit: Annotated[
        str,
        Field(
            max_length=32,
            description="The check whose limit stable itself was over for so long that it was no "
            "incident: it takes the canary off no more.",
        ),
    ] = ""
    work_percent: Annotated[
        int | None,
        Field(
            ge=0,
            le=100,
            description="The part of all work that users of rings made when the canary was taken off with "
            "them: there is room for it before it comes back. Absent: nobody was chosen.",
        ),
    ] = None
    stop: Annotated[
        SpendStop | None, Field(description="Why it is stopped, where it is for what it has spent.")
    ] = None
    unbounded: Annotated[
        bool,
        Field(
            description="A person let it go on in this attempt without canarySpendCapUSD and "
            "canaryBudgetPercent."
        ),
    ] = False
    harm_unbounded: Annotated[
        bool,
        Field(description="A person let it go on in this attempt without analysis.harm."),
    ] = False


class Halt(Block):
    """A time in which the Agent's kill switch was on: nothing is late because of it."""

    since: Annotated[Timestamp, Field(description="When it began.")]
    until: Annotated[Timestamp | None, Field(description="When it ended; absent: it lasts.")] = None


class StableBrake(Block):
    """Nothing is admitted, for stable broke a limit (onStable: Suspend)."""

    since: Annotated[Timestamp, Field(description="Since when.")]
    message: Annotated[Message, Field(description="Why, with its numbers.")]
    released_at: Annotated[
        Timestamp | None,
        Field(
            description="When tasks were admitted again: what was routed before is no evidence. "
            "Absent: nothing is admitted."
        ),
    ] = None


class Delay(Block):
    """How long a canary has waited where it stands, of all waits that its deadline counts."""

    waited_seconds: Annotated[int, Field(ge=0, description="In waits that are over.")] = 0
    since: Annotated[
        Timestamp | None, Field(description="Since when it waits now; absent: it does not.")
    ] = None


class StuckQueue(Block):
    """The canary's queue while its oldest task waits for too long and stable's does not."""

    since: Annotated[Timestamp, Field(description="Since when.")]
    age_seconds: Annotated[int, Field(ge=0, description="Age of the oldest task by then.")]
