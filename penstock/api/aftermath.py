"""What the calls of a canary that was taken off have done to the world, as its rollout's status keeps it."""

from typing import Annotated, Final

from pydantic import Field

from penstock.api.fields import Block, Timestamp

MOST_TOOLS: Final = 32


class ToolSum(Block):
    """What the calls of one tool are worth, as its amountFrom says."""

    tool: Annotated[str, Field(max_length=64, description="The tool.")]
    micro: Annotated[int, Field(ge=0, description="Their sum, in millionths.")]


class EffectsLeft(Block):
    """What calls of tools that are not ReadOnly have done, by a canary that was rejected or stopped."""

    revision: Annotated[str, Field(max_length=63, description="The canary.")]
    at: Annotated[
        Timestamp | None,
        Field(
            description="When these numbers were new; absent: Redis has not said any, and there are none."
        ),
    ] = None
    unknown: Annotated[
        int, Field(ge=0, description="Calls of which nobody knows whether they were made.")
    ] = 0
    done: Annotated[int, Field(ge=0, description="Calls that changed something.")] = 0
    users: Annotated[int, Field(ge=0, description="For how many users, about.")] = 0
    amounts: Annotated[
        tuple[ToolSum, ...],
        Field(max_length=MOST_TOOLS, description="What they are worth, by tool."),
    ] = ()
    undone: Annotated[int, Field(ge=0, description="Calls that were undone since.")] = 0
    undo_refused: Annotated[
        int, Field(ge=0, description="Calls that were to be undone, and were not.")
    ] = 0
    undo_asked: Annotated[
        int,
        Field(ge=0, description="Calls whose compensation is asked for, and not known to be made."),
    ] = 0
    told: Annotated[bool, Field(description="Whether an Event has told of them.")] = False


#: In the status of an AgentRollout.
KeptEffects = Annotated[
    EffectsLeft | None,
    Field(
        description="What calls of the canary have done, where it was rejected or stopped; "
        "penstock effects lists them."
    ),
]
